//! Healthy clusters of each kind: hosts are network namespaces, segments are bridges.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use nix::mount::{MsFlags, mount};

use lab::network::{build, set, within};

pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");
/// The programs by name: the tool, the client, and those of busybox.
const BIN: &str = "/run/check/bin";

/// A kind of cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Direct routing, all on one segment, with a second director to sync with.
    Routing,
    /// Direct routing, with a router between the client and the cluster.
    RoutingBehindRouter,
    /// Direct routing with IPv6.
    Routing6,
    /// Direct routing by a firewall mark.
    Marked,
    /// Masquerading: clients on one side of the director, servers on the other.
    Masquerade,
    /// Masquerading through one interface, with a router between the client and the cluster.
    MasqueradeOneArm,
    /// Masquerading with IPv6.
    Masquerade6,
    /// Tunnels to servers behind a router.
    Tunnel,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Routing,
        Self::RoutingBehindRouter,
        Self::Routing6,
        Self::Marked,
        Self::Masquerade,
        Self::MasqueradeOneArm,
        Self::Masquerade6,
        Self::Tunnel,
    ];

    /// `NAME INTERFACE@SEGMENT ADDRESS ... [via GATEWAY]`
    fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Routing | Self::Marked => &[
                "client eth0@lan 192.168.1.10/24",
                "director eth0@lan 192.168.1.1/24 eth1@sync 10.9.0.1/24",
                "backup eth0@lan 192.168.1.2/24 eth1@sync 10.9.0.2/24",
                "rs1 eth0@lan 192.168.1.11/24",
                "rs2 eth0@lan 192.168.1.12/24",
            ],
            Self::RoutingBehindRouter => &[
                "client eth0@outside 192.0.2.10/24 via 192.0.2.254",
                "router eth0@outside 192.0.2.254/24 eth1@lan 192.168.1.254/24 eth2@far 198.51.100.254/24",
                "director eth0@lan 192.168.1.1/24 eth1@far 198.51.100.1/24 via 192.168.1.254",
                "rs1 eth0@lan 192.168.1.11/24 eth1@far 198.51.100.11/24 via 192.168.1.254",
                "rs2 eth0@lan 192.168.1.12/24 via 192.168.1.254",
            ],
            Self::Routing6 => &[
                "client eth0@lan 2001:db8::10/64",
                "director eth0@lan 2001:db8::1/64",
                "rs1 eth0@lan 2001:db8::11/64",
                "rs2 eth0@lan 2001:db8::12/64",
            ],
            Self::Masquerade => &[
                "client eth0@outside 192.0.2.10/24",
                "director eth0@outside 192.0.2.1/24 eth1@inside 10.0.0.1/24",
                "rs1 eth0@inside 10.0.0.11/24 via 10.0.0.1",
                "rs2 eth0@inside 10.0.0.12/24 via 10.0.0.1",
            ],
            Self::MasqueradeOneArm => &[
                "client eth0@outside 192.0.2.10/24 via 192.0.2.254",
                "router eth0@outside 192.0.2.254/24 eth1@lan 192.168.1.254/24",
                "director eth0@lan 192.168.1.1/24 via 192.168.1.254",
                "rs1 eth0@lan 192.168.1.11/24 via 192.168.1.1",
                "rs2 eth0@lan 192.168.1.12/24 via 192.168.1.1",
            ],
            Self::Masquerade6 => &[
                "client eth0@outside 2001:db8::10/64",
                "director eth0@outside 2001:db8::1/64 eth1@inside 2001:db8:1::1/64",
                "rs1 eth0@inside 2001:db8:1::11/64 via 2001:db8:1::1",
                "rs2 eth0@inside 2001:db8:1::12/64 via 2001:db8:1::1",
            ],
            Self::Tunnel => &[
                "client eth0@outside 192.0.2.10/24 via 192.0.2.254",
                "router eth0@outside 192.0.2.254/24 eth1@far 198.51.100.254/24",
                "director eth0@outside 192.0.2.1/24 via 192.0.2.254",
                "rs1 eth0@far 198.51.100.11/24 via 198.51.100.254",
                "rs2 eth0@far 198.51.100.12/24 via 198.51.100.254",
            ],
        }
    }

    /// The names of the hosts.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        self.hosts().iter().map(|line| line.split(' ').next().unwrap())
    }

    fn has(self, host: &str) -> bool {
        self.names().any(|name| name == host)
    }

    /// A host's own addresses.
    pub(crate) fn addresses(self, host: &str) -> Vec<IpAddr> {
        let line = self.hosts().iter().find(|line| line.split(' ').next() == Some(host)).unwrap();
        line.split(' ').filter_map(|word| word.split_once('/')?.0.parse().ok()).collect()
    }

    /// The virtual address.
    pub(crate) fn vip(self) -> &'static str {
        match self {
            Self::Routing | Self::RoutingBehindRouter | Self::Marked | Self::MasqueradeOneArm => {
                "192.168.1.100"
            }
            Self::Routing6 | Self::Masquerade6 => "2001:db8::100",
            Self::Masquerade | Self::Tunnel => "192.0.2.100",
        }
    }

    /// The command that checks a real server.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Routing | Self::Marked => "--real-server 192.168.1.100 --port 80 --director 192.168.1.1",
            Self::RoutingBehindRouter => "-r 192.168.1.100:80 -g --director 192.168.1.1",
            Self::Routing6 => "-r 2001:db8::100 --port 80 --director 2001:db8::1",
            Self::Masquerade => "-r 192.0.2.100 -m --port 8080 --director 10.0.0.1",
            Self::MasqueradeOneArm => "-r 192.168.1.100 -m --port 8080 --director 192.168.1.1",
            Self::Masquerade6 => "-r 2001:db8::100 -m --port 8080 --director 2001:db8:1::1",
            Self::Tunnel => "-r 192.0.2.100 -i --port 80 --director 192.0.2.1",
        }
    }

    /// What `ip` does for a healthy cluster, by host: the virtual address where `docs/direct-routing.md` has it.
    fn addresses_of_cluster(self) -> Vec<(&'static str, String)> {
        let vip = self.vip();
        let servers = |line: String| vec![("rs1", line.clone()), ("rs2", line)];
        let mut lines = match self {
            Self::Routing | Self::RoutingBehindRouter | Self::Marked => {
                servers(format!("addr add {vip}/32 dev lo"))
            }
            Self::Routing6 => servers(format!("addr add {vip}/128 dev lo")),
            Self::Masquerade | Self::MasqueradeOneArm | Self::Masquerade6 => vec![],
            Self::Tunnel => servers(format!("addr add {vip}/32 dev tunl0\nlink set tunl0 up")),
        };
        let director = match self {
            // Otherwise the director's own connections would use it as source, because it has the longest prefix.
            Self::Routing6 => format!("addr add {vip}/128 dev eth0 nodad preferred_lft 0"),
            Self::Masquerade6 => format!("addr add {vip}/128 dev eth0 nodad"),
            _ => format!("addr add {vip}/32 dev eth0"),
        };
        lines.push(("director", director));
        lines
    }

    /// The settings of a healthy cluster, by host.
    fn settings(self) -> Vec<(&'static str, &'static str)> {
        const QUIET: &str = "net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2";
        const DECAPSULATES: &str = "net.ipv4.conf.tunl0.rp_filter=0";
        const FORWARDS: &str = "net.ipv4.ip_forward=1";
        match self {
            Self::Routing | Self::Marked => vec![("rs1", QUIET), ("rs2", QUIET)],
            Self::RoutingBehindRouter => vec![("router", FORWARDS), ("rs1", QUIET), ("rs2", QUIET)],
            Self::Routing6 => vec![],
            Self::Masquerade => vec![("director", FORWARDS)],
            Self::MasqueradeOneArm => vec![
                ("router", FORWARDS),
                (
                    "director",
                    "net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0",
                ),
            ],
            Self::Masquerade6 => vec![("director", "net.ipv6.conf.all.forwarding=1")],
            Self::Tunnel => vec![("router", FORWARDS), ("rs1", DECAPSULATES), ("rs2", DECAPSULATES)],
        }
    }

    fn table(self) -> String {
        let (service, servers, method) = match self {
            Self::Routing | Self::RoutingBehindRouter => {
                ("-t 192.168.1.100:80", ["192.168.1.11", "192.168.1.12"], "-g")
            }
            Self::Routing6 => ("-t [2001:db8::100]:80", ["[2001:db8::11]:80", "[2001:db8::12]:80"], "-g"),
            Self::Marked => ("-f 1", ["192.168.1.11", "192.168.1.12"], "-g"),
            Self::Masquerade => ("-t 192.0.2.100:80", ["10.0.0.11:8080", "10.0.0.12:8080"], "-m"),
            Self::MasqueradeOneArm => {
                ("-t 192.168.1.100:80", ["192.168.1.11:8080", "192.168.1.12:8080"], "-m")
            }
            Self::Masquerade6 => {
                ("-t [2001:db8::100]:80", ["[2001:db8:1::11]:8080", "[2001:db8:1::12]:8080"], "-m")
            }
            Self::Tunnel => ("-t 192.0.2.100:80", ["198.51.100.11", "198.51.100.12"], "-i"),
        };
        let mark = match self {
            Self::Marked => {
                "iptables-legacy -t mangle -A PREROUTING -d 192.168.1.100 -p tcp -j MARK --set-mark 1 && "
            }
            _ => "",
        };
        let [rs1, rs2] = servers;
        format!(
            "{mark}printf '%s\\n' '-A {service} -s rr' '-a {service} -r {rs1} {method}' '-a {service} -r {rs2} {method}' |
             ipvsadm -R && ipvsadm -S --full --file /etc/sysconfig/ipvsadm"
        )
    }

    fn port(self) -> u16 {
        if matches!(self, Self::Masquerade | Self::Masquerade6 | Self::MasqueradeOneArm) { 8080 } else { 80 }
    }
}

/// A running cluster, in namespaces of the calling thread.
pub(crate) struct Cluster {
    pub(crate) kind: Kind,
    daemons: Vec<Child>,
    /// The listeners for logins.
    open: Vec<&'static str>,
}

impl Cluster {
    /// A healthy cluster.
    pub(crate) fn new(kind: Kind) -> Self {
        let mut cluster = Self::built(kind, &kind.addresses_of_cluster());
        for (host, settings) in kind.settings() {
            set(host, settings);
        }
        cluster.succeed("director", &kind.table());
        for server in ["rs1", "rs2"] {
            cluster.serve(server);
        }
        cluster
    }

    /// Hosts with only their own addresses.
    pub(crate) fn bare(kind: Kind) -> Self {
        Self::built(kind, &[])
    }

    fn built(kind: Kind, more: &[(&str, String)]) -> Self {
        lab::isolate();
        prepare();
        if kind == Kind::Tunnel {
            static ONCE: Once = Once::new();
            ONCE.call_once(|| done("modprobe ipip")); // from then on each host has tunl0
        }
        build(kind.hosts(), more);
        Self { kind, daemons: Vec::new(), open: Vec::new() }
    }

    /// Starts the web server of a real server.
    pub(crate) fn serve(&mut self, server: &str) {
        self.start(server, &format!("httpd -f -p {} -h /run/check/{server}", self.kind.port()));
    }

    /// Runs a command on a host, and returns its status and output.
    pub(crate) fn run(&self, host: &str, command: &str) -> (i32, String) {
        assert!(self.kind.has(host), "{:?} has no {host}", self.kind);
        let mut shell = shell(command);
        let output =
            spawn(host, shell.stdout(Stdio::piped()).stderr(Stdio::piped())).wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).trim_end().to_owned())
    }

    /// Runs a command that must succeed.
    pub(crate) fn succeed(&self, host: &str, command: &str) -> String {
        let (status, text) = self.run(host, command);
        assert_eq!(status, 0, "{host}# {command}\n{text}");
        text
    }

    /// Starts a web server, `httpd ... -p PORT ...`, which runs as long as the cluster.
    pub(crate) fn start(&mut self, host: &str, command: &str) {
        let mut daemon = shell(&format!("exec {command}"));
        let daemon = spawn(host, daemon.stdout(Stdio::null()).stderr(Stdio::null()));
        let sockets = format!("/proc/{}/net/tcp6", daemon.id());
        self.daemons.push(daemon);
        let port: u16 = command.split(' ').skip_while(|word| *word != "-p").nth(1).unwrap().parse().unwrap();
        let listens = format!(":{port:04X} 00000000000000000000000000000000:0000 0A");
        for _ in 0..100 {
            if std::fs::read_to_string(&sockets).unwrap().contains(&listens) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nobody listens: {host}# {command}");
    }

    /// Accepts logins from others on a host.
    pub(crate) fn accept_logins(&mut self, host: &'static str) {
        if !self.open.contains(&host) {
            self.start(host, "busybox httpd -f -p 22 -h /run/check/rs1");
            self.open.push(host);
        }
    }

    /// What a new client gets that fetches the page four times: which servers answered, `-` for none. It is like
    /// `ip neigh flush dev eth0; get VIP 80 4` there, without the start of three programs.
    pub(crate) fn fetch(&self) -> String {
        let flush = ["ip", "neigh", "flush", "dev", "eth0"];
        let flushed = spawn("client", Command::new("busybox").args(flush).stdout(Stdio::null()));
        assert!(flushed.wait_with_output().unwrap().status.success());
        let vip = SocketAddr::new(self.kind.vip().parse().unwrap(), 80);
        let page = || page(vip).ok().filter(|page| !page.is_empty()).unwrap_or_else(|| "-".to_owned());
        let mut pages = within("client", || [(); 4].map(|()| page()));
        pages.sort();
        pages.join(" ")
    }

    /// What a probe shows, a command on a host; without one, a new client.
    pub(crate) fn probe(&self, probe: Probe) -> String {
        probe.map_or_else(|| self.fetch(), |(host, command)| self.run(host, command).1)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// A host, and a command that shows how it fares.
pub(crate) type Probe<'a> = Option<(&'a str, &'a str)>;

/// The last line of a page, fetched within about a second by the calling thread's host.
fn page(address: SocketAddr) -> std::io::Result<String> {
    let second = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address, second)?;
    stream.set_read_timeout(Some(second))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page.lines().last().unwrap_or_default().to_owned())
}

/// Runs a command that must succeed.
fn done(command: &str) {
    let made = shell(command).output().unwrap();
    assert!(made.status.success(), "{command}\n{}", String::from_utf8_lossy(&made.stderr));
}

/// Things that outlive a cluster, and may exist from an earlier program: programs by name, pages, and separate folders
/// for the saved table and a supervisor's configuration.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    let lab = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    ONCE.call_once(|| {
        done(&format!(
            "mkdir -p {BIN} /run/check/rs1 /run/check/rs2 /etc/sysconfig /etc/keepalived && rm -f /etc/ipvsadm.rules
             echo rs1 >/run/check/rs1/index.html && echo rs2 >/run/check/rs2/index.html
             ln -sf {OURS} {OURS}-save {OURS}-restore {lab}/check/get {lab}/lab/udp {BIN}
             [ ! -e /run/modprobe ] || ln -sf /run/modprobe {BIN}/modprobe
             for name in httpd ping sysctl; do ln -sf $(command -v busybox) {BIN}/$name; done"
        ));
    });
    let nothing = None::<&str>;
    for folder in ["/etc/sysconfig", "/etc/keepalived"] {
        mount(Some("lab"), folder, Some("tmpfs"), MsFlags::empty(), nothing).unwrap();
    }
}

/// Starts a program on a host.
fn spawn(host: &str, command: &mut Command) -> Child {
    within(host, || command.spawn()).unwrap()
}

/// A command line. If it is only a program of the network's with plain words, it needs no shell, whose start takes 12 ms.
pub(crate) fn shell(line: &str) -> Command {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./:,@+=[] ".contains(char);
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let mut command = match words[..] {
        [name @ ("ip" | "ipvsadm" | "sysctl" | "iptables-legacy"), ref words @ ..]
            if line.chars().all(plain) =>
        {
            let mut command = Command::new(name);
            command.args(words);
            command
        }
        _ => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", line]);
            shell
        }
    };
    let path = std::env::var("PATH").unwrap_or_default();
    command.stdin(Stdio::null()).env("PATH", format!("{BIN}:{path}:/usr/local/sbin:/usr/sbin:/sbin"));
    command
}
