//! One random change of a cluster, of anything that a packet's way depends on.

use std::fmt::Write as _;

use crate::cluster::Kind;

/// Numbers that depend on nothing but their seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[usize::try_from(self.next() % choices.len() as u64).unwrap()]
    }
}

/// A change of one host: the commands that make it.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) seed: u64,
    pub(super) kind: Kind,
    pub(super) host: &'static str,
    pub(super) command: String,
}

/// What differs between kinds of clusters.
struct Names {
    vip: &'static str,
    bits: u8,
    /// Of `ip`.
    family: &'static str,
    iptables: &'static str,
    client: &'static str,
    clients: &'static str,
    /// Another host beside the server that is a gateway to nowhere.
    neighbour: &'static str,
    own: String,
    other: String,
    /// Of the director, as the servers see it.
    director: &'static str,
    /// Towards the servers, on the director.
    inside: &'static str,
    port: u16,
}

fn names(kind: Kind, host: &str) -> Names {
    let v6 = matches!(kind, Kind::Routing6 | Kind::Masquerade6);
    let own = |host| kind.addresses(host)[0].to_string();
    let (client, clients) = match kind {
        Kind::Routing | Kind::Marked => ("192.168.1.10", "192.168.1.0/24"),
        Kind::Routing6 | Kind::Masquerade6 => ("2001:db8::10", "2001:db8::/64"),
        _ => ("192.0.2.10", "192.0.2.0/24"),
    };
    let (director, inside) = match kind {
        Kind::Masquerade => ("10.0.0.1", "eth1"),
        Kind::Masquerade6 => ("2001:db8:1::1", "eth1"),
        Kind::Routing6 => ("2001:db8::1", "eth0"),
        Kind::Tunnel => ("192.0.2.1", "eth0"),
        _ => ("192.168.1.1", "eth0"),
    };
    Names {
        vip: kind.vip(),
        bits: if v6 { 128 } else { 32 },
        family: if v6 { "-6" } else { "-4" },
        iptables: if v6 { "ip6tables-legacy" } else { "iptables-legacy" },
        client,
        clients,
        neighbour: match kind {
            Kind::Masquerade => "10.0.0.12",
            Kind::Masquerade6 => "2001:db8:1::12",
            Kind::Routing6 => "2001:db8::12",
            Kind::Tunnel => "198.51.100.12",
            _ => "192.168.1.12",
        },
        own: own(host),
        other: own(if host == "rs1" { "rs2" } else { "rs1" }),
        director,
        inside,
        port: if kind.role().contains("8080") { 8080 } else { 80 },
    }
}

/// A change of anything that a packet's way depends on.
pub(super) fn change(seed: u64) -> Change {
    let mut random = Random(seed);
    let kind = Kind::ALL[usize::try_from(random.next() % Kind::ALL.len() as u64).unwrap()];
    let host = random.of(&["director", "rs1"]);
    let names = names(kind, host);
    let command = match random.next() % 8 {
        0 => address(&mut random, kind, host, &names),
        1 | 2 => route(&mut random, host, &names),
        3 | 4 => setting(&mut random),
        5 | 6 => filter(&mut random, &names),
        _ if host == "director" => table(&mut random, kind, &names),
        _ => listener(&mut random, &names),
    };
    Change { seed, kind, host, command }
}

fn address(random: &mut Random, kind: Kind, host: &str, names: &Names) -> String {
    let Names { vip, bits, family, own, other, .. } = names;
    let on = match (host, kind) {
        ("director", _) => "eth0",
        (_, Kind::Tunnel) => "tunl0",
        _ => "lo",
    };
    let nodad = if *family == "-6" { " nodad" } else { "" };
    match random.next() % 9 {
        0 => format!("ip {family} addr del {vip}/{bits} dev {on}"),
        1 => format!("ip {family} addr replace {vip}/{bits} dev lo{nodad}"),
        2 => format!("ip {family} addr replace {vip}/{bits} dev eth0{nodad}"),
        3 => format!("ip {family} addr add {vip}/{} dev {on}{nodad}", if *bits == 32 { 24 } else { 64 }),
        4 => format!(
            "ip link add dummy0 type dummy && ip link set dummy0 up && ip {family} addr add {vip}/{bits} dev dummy0{nodad}"
        ),
        5 => format!("ip {family} addr add {other}/{bits} dev lo{nodad}"),
        6 => format!("ip {family} addr add {own}/{bits} dev lo{nodad}"),
        7 if kind == Kind::Tunnel && host != "director" => random
            .of(&[
                "ip link set tunl0 down",
                "ip link set tunl0 mtu 1000",
                "ip tunnel add t1 mode ipip local 198.51.100.11 remote 192.0.2.9 && ip link set t1 up",
                "ip tunnel add t1 mode ipip local 198.51.100.11 remote 192.0.2.1 && ip link set t1 up",
                "ip tunnel add t1 mode ipip local 198.51.100.11 && ip link set t1 up",
            ])
            .to_string(),
        7 => format!("ip link set {} down", random.of(&["lo", on])),
        _ => format!("ip link set eth0 mtu {}", random.of(&["1300", "1400", "9000"])),
    }
}

fn route(random: &mut Random, host: &str, names: &Names) -> String {
    let Names { vip, bits, family, clients, client, neighbour, own, other, director, inside, .. } = names;
    let to = random.of(&[*clients, *client, "default"]);
    let server = if host == "director" { other.as_str() } else { own.as_str() };
    match random.next() % 14 {
        0 => format!("ip {family} route del default"),
        1 => format!("ip {family} route replace default via {neighbour}"),
        2 => format!("ip {family} route replace default via {director}"),
        3 => {
            format!("ip {family} route replace {} {to}", random.of(&["blackhole", "unreachable", "prohibit"]))
        }
        4 => format!("ip {family} route replace throw {to}"),
        5 => format!("ip {family} route replace {client}/{bits} via {neighbour}"),
        6 => format!(
            "ip {family} rule add to {clients} {}",
            random.of(&["blackhole", "prohibit", "unreachable"])
        ),
        7 => {
            format!("ip {family} rule add from {vip} {}", random.of(&["blackhole", "prohibit", "lookup 100"]))
        }
        8 => format!(
            "ip {family} rule add from {vip} lookup 100 && ip {family} route add default via {neighbour} table 100"
        ),
        9 => format!(
            "ip {family} rule add from {own} lookup 100 && ip {family} route add default via {neighbour} table 100"
        ),
        10 => format!(
            "ip {family} rule add fwmark 7 lookup 100 && ip {family} route add blackhole default table 100"
        ),
        11 => format!("ip {family} route replace blackhole {server}/{bits}"),
        12 => format!("ip {family} route add local {vip} dev lo"),
        _ => format!(
            "ip {family} route replace {server}/{bits} dev {inside} mtu {}",
            random.of(&["1280", "1500"])
        ),
    }
}

fn setting(random: &mut Random) -> String {
    let choices: &[(&str, &[&str])] = &[
        ("net.ipv4.conf.all.rp_filter", &["0", "1", "2"]),
        ("net.ipv4.conf.eth0.rp_filter", &["0", "1", "2"]),
        ("net.ipv4.conf.lo.rp_filter", &["1"]),
        ("net.ipv4.conf.all.arp_ignore", &["0", "1", "2", "3", "8"]),
        ("net.ipv4.conf.eth0.arp_ignore", &["0", "1", "8"]),
        ("net.ipv4.conf.all.arp_announce", &["0", "1", "2"]),
        ("net.ipv4.conf.eth0.arp_filter", &["0", "1"]),
        ("net.ipv4.conf.all.accept_local", &["0", "1"]),
        ("net.ipv4.conf.all.send_redirects", &["0", "1"]),
        ("net.ipv4.conf.all.accept_redirects", &["0", "1"]),
        ("net.ipv4.conf.all.route_localnet", &["1"]),
        ("net.ipv4.conf.all.proxy_arp", &["1"]),
        ("net.ipv4.ip_forward", &["0", "1"]),
        ("net.ipv6.conf.all.forwarding", &["0", "1"]),
        ("net.ipv6.conf.all.disable_ipv6", &["1"]),
        ("net.ipv6.conf.eth0.disable_ipv6", &["1"]),
        ("net.ipv4.icmp_echo_ignore_all", &["1"]),
        ("net.ipv4.tcp_syncookies", &["0", "2"]),
        ("net.ipv4.ip_nonlocal_bind", &["1"]),
        ("net.ipv4.vs.conntrack", &["0", "1"]),
        ("net.ipv4.vs.drop_packet", &["0", "1", "2", "3"]),
        ("net.ipv4.vs.drop_entry", &["0", "1", "3"]),
        ("net.ipv4.vs.secure_tcp", &["1", "3"]),
        ("net.ipv4.vs.snat_reroute", &["0"]),
        ("net.ipv4.vs.sloppy_tcp", &["1"]),
        ("net.ipv4.vs.cache_bypass", &["1"]),
        ("net.ipv4.vs.conn_reuse_mode", &["0", "2"]),
        ("net.ipv4.vs.schedule_icmp", &["1"]),
        ("net.ipv4.vs.backup_only", &["1"]),
        ("net.ipv4.vs.ignore_tunneled", &["1"]),
        ("net.ipv4.vs.expire_nodest_conn", &["1"]),
        ("net.ipv4.vs.expire_quiescent_template", &["1"]),
        ("net.ipv4.vs.run_estimation", &["0"]),
        ("net.ipv4.vs.pmtu_disc", &["0"]),
        ("net.ipv4.vs.nat_icmp_send", &["1"]),
    ];
    let (name, values) = choices[usize::try_from(random.next() % choices.len() as u64).unwrap()];
    format!("sysctl -qw {name}={}", random.of(values))
}

fn filter(random: &mut Random, names: &Names) -> String {
    let Names { vip, iptables, clients, own, other, port, .. } = names;
    let from = random.of(&["", "", "", *clients, *vip, own.as_str(), other.as_str()]);
    let to = random.of(&["", "", *vip, *vip, own.as_str(), other.as_str(), *clients]);
    let mut rule = String::new();
    if !from.is_empty() {
        write!(rule, " -s {from}").unwrap();
    }
    if !to.is_empty() {
        write!(rule, " -d {to}").unwrap();
    }
    match random.next() % 9 {
        0 | 1 => write!(rule, " -p tcp --dport 80").unwrap(),
        2 => write!(rule, " -p tcp --sport {port}").unwrap(),
        3 => write!(rule, " -p tcp --dport {port}").unwrap(),
        4 => write!(rule, " -p tcp --syn").unwrap(),
        5 => write!(rule, " -p {}", random.of(&["udp", "icmp", "4", "47"])).unwrap(),
        6 => {
            write!(rule, " -m conntrack --ctstate {}", random.of(&["NEW", "INVALID", "ESTABLISHED"]))
                .unwrap();
        }
        _ => {}
    }
    let (table, chains, targets): (_, &[&str], &[&str]) = match random.next() % 6 {
        0..=2 => ("filter", &["INPUT", "OUTPUT", "FORWARD"], &["DROP", "REJECT", "ACCEPT"]),
        3 => (
            "mangle",
            &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
            &["DROP", "MARK --set-mark 7", "ACCEPT"],
        ),
        4 => ("raw", &["PREROUTING", "OUTPUT"], &["DROP", "CT --notrack", "ACCEPT"]),
        _ => ("nat", &["POSTROUTING"], &["MASQUERADE", "ACCEPT"]),
    };
    format!("{iptables} -t {table} -I {}{rule} -j {}", random.of(chains), random.of(targets))
}

fn table(random: &mut Random, kind: Kind, names: &Names) -> String {
    let service = match kind {
        Kind::Marked => "-f 1".to_owned(),
        Kind::Routing6 | Kind::Masquerade6 => format!("-t [{}]:80", names.vip),
        _ => format!("-t {}:80", names.vip),
    };
    let server = |address: &str| {
        if address.contains(':') {
            format!("[{address}]:{}", names.port)
        } else {
            format!("{address}:{}", names.port)
        }
    };
    let (first, absent) = (server(&names.other), server(names.client));
    let own = match kind {
        Kind::Tunnel => "-i",
        Kind::Routing | Kind::RoutingBehindRouter | Kind::Routing6 | Kind::Marked => "-g",
        _ => "-m",
    };
    let method = random.of(&["-g", "-i", "-m"]);
    let change = match random.next() % 12 {
        0 => format!("ipvsadm -e {service} -r {first} {own} -w 0"),
        1 => format!("ipvsadm -e {service} -r {first} {method}"),
        2 => format!("ipvsadm -d {service} -r {first}"),
        // Who deletes a service means it.
        3 => format!("ipvsadm -E {service} -s rr"),
        4 => format!("ipvsadm -E {service} -s {}", random.of(&["wrr", "lc", "wlc", "sed", "nq"])),
        5 => format!("ipvsadm -E {service} -s rr -p {}", random.of(&["1", "300"])),
        6 => format!("ipvsadm -a {service} -r {absent} {own}"),
        7 => format!("ipvsadm -e {service} -r {first} {own} -w {}", random.of(&["2", "100"])),
        8 => format!("ipvsadm -e {service} -r {first} {own} -x 1 -y 0"),
        9 => format!("ipvsadm --set {}", random.of(&["1 1 1", "0 1 0", "900 120 300"])),
        10 => format!("ipvsadm --start-daemon {} --mcast-interface eth0", random.of(&["master", "backup"])),
        _ => "ipvsadm -Z".to_owned(),
    };
    format!("{change} && ipvsadm -S --full --file /etc/sysconfig/ipvsadm")
}

fn listener(random: &mut Random, names: &Names) -> String {
    let Names { vip, own, port, .. } = names;
    let stop = "kill $(busybox pgrep -f 'httpd -f -p')";
    let wait = "busybox usleep 100000";
    let start = |at: &str| {
        format!("{stop}; {wait}; (httpd -f -p {at} -h /run/check/rs1 </dev/null >/dev/null 2>&1 &); {wait}")
    };
    let with_port = |address: &str, port: u16| {
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    };
    match random.next() % 6 {
        0 => stop.to_owned(),
        1 => start("127.0.0.1:80"),
        2 => start(&with_port(own, *port)),
        3 => start(&with_port(vip, *port)),
        4 => start("8888"),
        _ => start(&port.to_string()),
    }
}
