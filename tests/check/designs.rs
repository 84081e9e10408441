//! Healthy designs that are unusual: clients are served, and neither machine has a finding.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::cluster::{Cluster, Kind, Probe};
use crate::{each, settles};
use lab::{Part, parts};

struct Design {
    name: &'static str,
    kind: Kind,
    /// What makes it, by host; `start COMMAND` starts a web server.
    stage: &'static [(&'static str, &'static str)],
    probe: Probe<'static>,
    served: &'static str,
    /// What happens after clients were served.
    then: &'static [(&'static str, &'static str)],
    /// Where it is checked, with the options.
    checks: &'static [(&'static str, &'static str)],
}

const ROUTING: Design = Design {
    name: "",
    kind: Kind::Routing,
    stage: &[],
    probe: None,
    served: "rs1 rs1 rs2 rs2",
    then: &[],
    checks: &[("director", ""), ("rs1", "-r 192.168.1.100 --port 80 --director 192.168.1.1")],
};

const ONE_ARM: Design = Design {
    kind: Kind::MasqueradeOneArm,
    checks: &[("director", ""), ("rs1", "-r 192.168.1.100 -m --port 80 --director 192.168.1.1")],
    ..ROUTING
};

const TWO_ARMS: Design = Design {
    kind: Kind::Masquerade,
    checks: &[
        ("director", ""),
        ("rs1", "-r 192.0.2.100 -m --port 80 --director 10.0.0.1"),
        ("rs1", "-r 192.0.2.100 -m --port 80"),
    ],
    ..ROUTING
};

/// Connections from addresses that nobody has.
macro_rules! forged {
    ($addresses:literal) => {
        concat!(
            "ip route replace local 10.77.0.0/16 dev lo && perl -MSocket -MFcntl -e 'for (1 .. ",
            $addresses,
            ") { socket my $s, AF_INET, SOCK_STREAM, 6 or die; bind $s, sockaddr_in(0, inet_aton(\"10.77.0.$_\")) or die; \
             fcntl $s, F_SETFL, O_NONBLOCK; connect $s, sockaddr_in(80, inet_aton(\"192.168.1.100\")); }' && sleep 3"
        )
    };
}

/// The port 80 of a server is that of a container, by a rule alone.
macro_rules! container {
    ($page:literal, $jump:literal) => {
        concat!(
            "ip netns add box && ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && \
             ip link set docker0 up && ip link add vbox type veth peer name eth0 netns box && \
             ip link set vbox master docker0 up && ip -n box addr add 172.17.0.2/16 dev eth0 && ip -n box link set eth0 up && \
             ip -n box route add default via 172.17.0.1 && sysctl -w net.ipv4.ip_forward=1 && \
             iptables-legacy -t nat -N DOCKER && \
             iptables-legacy -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER && ",
            $jump,
            " && iptables-legacy -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE && \
             (busybox nsenter --net=/run/netns/box timeout 60 httpd -f -p 80 -h /run/check/",
            $page,
            " </dev/null >/dev/null 2>&1 &) && sleep 0.3"
        )
    };
}

const DOCKER: &str = container!(
    "rs1",
    "iptables-legacy -t nat -A DOCKER -i docker0 -j RETURN && \
     iptables-legacy -t nat -A DOCKER ! -i docker0 -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80"
);
const SWARM: &str = container!(
    "rs1",
    "iptables-legacy -t nat -A DOCKER -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80 && \
     iptables-legacy -t nat -A DOCKER -j RETURN"
);
/// The servers' port is that of the service, 80; the second one gives it to its socket by a rule.
const REDIRECTS: &str = "iptables-legacy -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080";
const PORT_80: &str = "ipvsadm -C && ipvsadm -A -t 192.0.2.100:80 -s rr && ipvsadm -a -t 192.0.2.100:80 -r 10.0.0.11 -m && \
    ipvsadm -a -t 192.0.2.100:80 -r 10.0.0.12 -m && ipvsadm -S --full --file /etc/sysconfig/ipvsadm";
const BY_ROUTER: &str = "ip route replace default via 192.168.1.254";
const PORT_80_TRANSLATED: &str = "sysctl -w net.ipv4.vs.conntrack=1 && ipvsadm -C && ipvsadm -A -t 192.168.1.100:80 -s rr && \
    ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.11 -m && ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.12 -m && \
    ipvsadm -S --full --file /etc/sysconfig/ipvsadm && \
    iptables-legacy -t nat -A POSTROUTING -d 192.168.1.0/24 -p tcp --dport 80 -j MASQUERADE";

const DESIGNS: &[Design] = &[
    Design {
        name: "a few forged packets, then a request",
        then: &[("client", forged!(8)), ("client", "get 192.168.1.100 80 1")],
        ..ROUTING
    },
    Design {
        name: "a flood",
        then: &[("client", forged!(60)), ("client", "get 192.168.1.100 80 1")],
        ..ROUTING
    },
    Design {
        name: "a flood, and weights",
        stage: &[(
            "director",
            "ipvsadm -E -t 192.168.1.100:80 -s wrr && ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -w 5 && \
                   ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
        )],
        probe: Some(("client", "get 192.168.1.100 80 6")),
        served: "rs1 rs1 rs1 rs1 rs1 rs2",
        then: &[("client", forged!(60)), ("client", "get 192.168.1.100 80 1")],
        ..ROUTING
    },
    Design {
        name: "a flood of a single server",
        stage: &[(
            "director",
            "ipvsadm -d -t 192.168.1.100:80 -r 192.168.1.12 && ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
        )],
        served: "rs1 rs1 rs1 rs1",
        then: &[("client", forged!(60)), ("client", "get 192.168.1.100 80 1")],
        ..ROUTING
    },
    Design {
        name: "docker",
        stage: &[("director", PORT_80), ("rs1", DOCKER), ("rs2", REDIRECTS)],
        ..TWO_ARMS
    },
    Design { name: "swarm", stage: &[("director", PORT_80), ("rs1", SWARM), ("rs2", REDIRECTS)], ..TWO_ARMS },
    Design {
        name: "redirect",
        stage: &[("director", PORT_80), ("rs1", REDIRECTS), ("rs2", REDIRECTS)],
        ..TWO_ARMS
    },
    Design {
        name: "redirect, translated",
        stage: &[
            ("director", PORT_80_TRANSLATED),
            ("rs1", REDIRECTS),
            ("rs2", REDIRECTS),
            ("rs1", BY_ROUTER),
            ("rs2", BY_ROUTER),
        ],
        ..ONE_ARM
    },
    Design {
        name: "docker, translated",
        stage: &[
            ("director", PORT_80_TRANSLATED),
            ("rs1", DOCKER),
            ("rs2", REDIRECTS),
            ("rs1", BY_ROUTER),
            ("rs2", BY_ROUTER),
        ],
        ..ONE_ARM
    },
    Design {
        name: "swarm, translated",
        stage: &[
            ("director", PORT_80_TRANSLATED),
            ("rs1", SWARM),
            ("rs2", REDIRECTS),
            ("rs1", BY_ROUTER),
            ("rs2", BY_ROUTER),
        ],
        ..ONE_ARM
    },
    // Packets with a mark are for the director, which has the address on no interface.
    Design {
        name: "the director is the gateway, and has no VIP",
        kind: Kind::RoutingBehindRouter,
        stage: &[
            (
                "director",
                "ip addr del 192.168.1.100/32 dev eth0 && iptables-legacy -t mangle -A PREROUTING -d 192.168.1.100 -i eth0 -p tcp --dport 80 \
                 -j MARK --set-mark 1 && ip rule add fwmark 1 lookup 100 && ip route add local 0.0.0.0/0 dev lo table 100 && \
                 ipvsadm -C && ipvsadm -A -f 1 -s rr && ipvsadm -a -f 1 -r 192.168.1.11 && ipvsadm -a -f 1 -r 192.168.1.12 && \
                 ipvsadm -S --full --file /etc/sysconfig/ipvsadm && \
                 sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0",
            ),
            ("router", "ip route add 192.168.1.100/32 via 192.168.1.1"),
            ("rs1", "ip route replace default via 192.168.1.1 && busybox ping -c 1 192.168.1.1"),
            ("rs2", "ip route replace default via 192.168.1.1"),
        ],
        ..ROUTING
    },
    // The servers say by the MSS how long packets may be.
    Design {
        name: "a short link, and servers that know it",
        stage: &[
            ("director", "ip link set eth1 mtu 1400 && iptables-legacy -A OUTPUT -p icmp -j DROP"),
            ("rs1", "ip link set eth0 mtu 1400"),
            ("rs2", "ip link set eth0 mtu 1400"),
        ],
        probe: Some(("client", "HEADERS=4000 get 192.0.2.100 80 4")),
        checks: &[("director", "")],
        ..TWO_ARMS
    },
    // The mark is for programs of the director itself.
    Design {
        name: "a mark in OUTPUT",
        stage: &[(
            "director",
            "iptables-legacy -t mangle -A OUTPUT -d 192.0.2.100 -p tcp --dport 80 -j MARK --set-mark 1 && ipvsadm -C && \
             ipvsadm -A -f 1 -s rr && ipvsadm -a -f 1 -r 10.0.0.11:8080 -m && ipvsadm -a -f 1 -r 10.0.0.12:8080 -m && \
             ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
        )],
        probe: Some(("director", "get 192.0.2.100 80 4")),
        checks: &[("director", "")],
        ..TWO_ARMS
    },
    // The clients end their connections, so nothing is left of them on the server.
    Design {
        name: "the director is the gateway",
        kind: Kind::RoutingBehindRouter,
        stage: &[
            (
                "director",
                "sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.send_redirects=0 \
                 net.ipv4.conf.eth0.send_redirects=0",
            ),
            (
                "rs1",
                "ip route replace default via 192.168.1.1 && busybox ping -c 1 192.168.1.1 && sysctl -w net.ipv4.tcp_max_tw_buckets=0",
            ),
            ("rs2", "ip route replace default via 192.168.1.1"),
        ],
        ..ROUTING
    },
];

parts!(an_unusual_design_that_works_has_no_finding of 4);

/// A part of the designs; `DESIGN=flood` takes those whose names have this in them.
fn an_unusual_design_that_works_has_no_finding(part: Part) {
    let only = std::env::var("DESIGN").unwrap_or_default();
    let chosen: Vec<&Design> = DESIGNS.iter().filter(|design| design.name.contains(&only)).collect();
    let failed = Mutex::new(Vec::new());
    each(part.share(&chosen), |design| {
        let result = catch_unwind(AssertUnwindSafe(|| examine(design)));
        if result.is_err() {
            failed.lock().unwrap().push(design.name);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}

fn examine(design: &Design) {
    let mut cluster = Cluster::new(design.kind);
    for (host, command) in design.stage {
        match command.strip_prefix("start ") {
            Some(command) => cluster.start(host, command),
            None => drop(cluster.succeed(host, command)),
        }
    }
    settles(&cluster, design.probe, design.served, design.name);
    for (host, command) in design.then {
        cluster.succeed(host, command);
    }
    let found: Vec<String> = design
        .checks
        .iter()
        .map(|(host, options)| (host, options, cluster.run(host, &format!("ipvsadm --check {options}"))))
        .filter(|(.., (status, shown))| *status != 0 || !shown.is_empty())
        .map(|(host, options, (status, shown))| format!("{host} {options}: {status} {shown}"))
        .collect();
    assert!(found.is_empty(), "{}: {}", design.name, found.join("\n"));
}
