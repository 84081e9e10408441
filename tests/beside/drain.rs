//! One server of three is drained and brought back while clients download, reload and come back: no request fails. With
//! direct routing, masquerading and tunnels, persistent or not.
//!
//! `IPVS_DRAIN_SECONDS` sets how long the clients go on before and after each step; 2 without it.

use std::fmt::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::OURS;
use crate::load::{Close, Load, Wrk};
use lab::network::{build, within};

const SERVERS: [&str; 3] = ["rs1", "rs2", "rs3"];
const CLIENTS: [&str; 3] = ["client1", "client2", "client3"];
/// Those that come when the server is back: with persistence the others stay where they are.
const NEWCOMERS: [&str; 3] = ["client4", "client5", "client6"];

/// A forwarding method, with a network for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    DirectRouting,
    Masquerade,
    Tunnel,
}

impl Method {
    fn build(self) {
        let (director, servers) = match self {
            Self::Masquerade => {
                ("eth0@lan 192.168.1.1/24 eth1@inside 10.0.0.1/24", "eth0@inside 10.0.0.1N/24 via 10.0.0.1")
            }
            Self::DirectRouting | Self::Tunnel => ("eth0@lan 192.168.1.1/24", "eth0@lan 192.168.1.1N/24"),
        };
        let server =
            |(at, name): (usize, &&str)| format!("{name} {}", servers.replace('N', &(at + 1).to_string()));
        let client = |(at, name): (usize, &&str)| format!("{name} eth0@lan 192.168.1.2{at}/24");
        let clients = CLIENTS.iter().chain(&NEWCOMERS).enumerate().map(client);
        let hosts: Vec<String> = clients
            .chain(SERVERS.iter().enumerate().map(server))
            .chain([format!("director {director}"), "wrk eth0@lan 192.168.1.30/24".to_owned()])
            .collect();
        build(&hosts.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
        run("director", "ip addr add 192.168.1.100/32 dev eth0");
        let quiet = "cd /proc/sys/net/ipv4/conf/all && echo 1 >arp_ignore && echo 2 >arp_announce && echo 0 >rp_filter";
        for server in SERVERS {
            match self {
                Self::DirectRouting => {
                    run(server, &format!("{quiet} && ip addr add 192.168.1.100/32 dev lo"))
                }
                Self::Tunnel => run(
                    server,
                    &format!(
                        "{{ ip link show tunl0 || /run/modprobe ipip; }} >/dev/null 2>&1; {quiet} && echo 0 >../tunl0/rp_filter && \
                         ip addr add 192.168.1.100/32 dev tunl0 && ip link set tunl0 up"
                    ),
                ),
                Self::Masquerade => String::new(),
            };
        }
        run("director", "echo 1 >/proc/sys/net/ipv4/ip_forward");
    }

    /// A persistence that is shorter than a connection is prolonged by a minute.
    fn table(self, persistence: &str) -> String {
        let (option, network) = match self {
            Self::DirectRouting => ("-g", "192.168.1"),
            Self::Tunnel => ("-i", "192.168.1"),
            Self::Masquerade => ("-m", "10.0.0"),
        };
        let mut lines = format!("--set 0 2 0\n-A -t 192.168.1.100:80 -s wrr {persistence}\n");
        for (last, weight) in [(11, 1), (12, 2), (13, 1)] {
            writeln!(lines, "-a -t 192.168.1.100:80 -r {network}.{last} {option} -w {weight}").unwrap();
        }
        lines
    }

    fn server(self) -> &'static str {
        if self == Self::Masquerade { "10.0.0.12" } else { "192.168.1.12" }
    }
}

/// Runs a command on a host, which must succeed, and returns its output.
fn run(host: &str, command: &str) -> String {
    let output = within(host, || Command::new("/bin/sh").args(["-c", command]).output()).unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{host}# {command}\n{text}");
    text
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within 30 seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn no_request_fails(method: Method, persistence: &str) {
    lab::isolate();
    method.build();
    let seconds = std::env::var("IPVS_DRAIN_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let each = Duration::from_secs(seconds.unwrap_or(2));
    std::fs::write("/run/netns/.table", method.table(persistence)).unwrap();
    run("director", &format!("{OURS} -R --file /run/netns/.table"));
    run("director", "echo 1 >/proc/sys/net/ipv4/vs/expire_quiescent_template");
    Load::serve(&SERVERS, 80);

    // A director that masquerades sees both sides close, and remembers for two minutes. wrk only closes like that: then
    // inactive connections are ignored, and with persistence, which lasts as long as they do, it does not take part.
    let (close, ignore) = match (method, persistence) {
        (Method::Masquerade, "") => (Close::Fin, "--ignore-inactive"),
        (Method::Masquerade, _) => (Close::Reset, ""),
        (Method::DirectRouting | Method::Tunnel, _) => (Close::Fin, ""),
    };
    let vip = "192.168.1.100:80".parse().unwrap();
    let load = Load::begin(&CLIENTS, vip, close);
    let wrk = (close == Close::Fin).then(|| Wrk::begin("wrk", vip));
    for server in SERVERS {
        // With persistence, the one of twice the weight has two of the three clients.
        until(server, || load.answers(server) > 3 || !persistence.is_empty() && load.answers("rs2") > 3);
    }
    std::thread::sleep(each);

    let drained =
        run("director", &format!("{OURS} --drain -r {} --wait 100 --quiet {ignore}", method.server()));
    assert!(drained.contains(" is drained and deleted; this brings it back: ipvsadm -a "), "{drained}");
    assert!(!run("director", &format!("{OURS} -Ln")).contains(method.server()));
    // The kernel would drop their packets; a client may be patient enough to meet the server when it is back.
    let connections = run("director", &format!("{OURS} -Lnc"));
    // A row with client port 0 is a template, by which nobody comes back to it.
    let is_template =
        |line: &str| line.split_whitespace().nth(3).is_some_and(|client| client.ends_with(":0"));
    let to_it = connections.lines().filter(|line| line.contains(&format!(" {}:", method.server())));
    let mut to_it = to_it.filter(|line| !is_template(line));
    assert!(to_it.all(|line| !ignore.is_empty() && !line.contains("ESTABLISHED")), "{connections}");
    let answers = load.answers("rs2");
    std::thread::sleep(each);
    assert_eq!(load.answers("rs2"), answers, "a drained server gets nothing");

    let back = run("director", &format!("{OURS} --undrain -r {}", method.server()));
    assert!(back.ends_with(" is back with weight 2\n"), "{back}");
    let newcomers = Load::begin(&NEWCOMERS, vip, close);
    until("rs2 answers again", || newcomers.answers("rs2") > 3);
    std::thread::sleep(each);
    let requests = wrk.map_or(0, Wrk::end);
    println!("{method:?} {persistence}: wrk made {requests} requests");
    assert!(requests > 20 || close == Close::Reset, "{requests}");
    for counts in [load.end(), newcomers.end()] {
        assert_eq!(counts.failures, [""; 0], "{:?}", counts.answers);
        println!("{method:?} {persistence}: {:?}", counts.answers);
    }
}

#[test]
fn direct_routing() {
    no_request_fails(Method::DirectRouting, "");
}

#[test]
fn direct_routing_persistent() {
    no_request_fails(Method::DirectRouting, "-p 6");
}

#[test]
fn masquerading() {
    no_request_fails(Method::Masquerade, "");
}

#[test]
fn masquerading_persistent() {
    no_request_fails(Method::Masquerade, "-p 14");
}

#[test]
fn tunnels() {
    no_request_fails(Method::Tunnel, "");
}

#[test]
fn tunnels_persistent() {
    no_request_fails(Method::Tunnel, "-p 6");
}
