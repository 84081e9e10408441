//! Healthy clusters that look like the faults: clients are served, and there must be no findings.

use crate::cluster::{Cluster, Kind};
use crate::{each, settles};
use lab::{Part, parts};

struct Twin {
    kind: Kind,
    /// The commands that make it look like a fault, by host.
    stage: &'static [(&'static str, &'static str)],
    at: &'static str,
    options: &'static str,
}

const ONE_ARM: Twin = Twin {
    kind: Kind::MasqueradeOneArm,
    stage: &[],
    at: "rs1",
    options: "-r 192.168.1.100 -m --port 8080 --director 192.168.1.1",
};

const BY_ROUTER: &str = "ip route replace default via 192.168.1.254";
const TRANSLATED: &str = "sysctl -w net.ipv4.vs.conntrack=1 && \
    iptables-legacy -t nat -A POSTROUTING -d 192.168.1.0/24 -p tcp --dport 8080 -j MASQUERADE";

const TWINS: &[Twin] = &[
    // The director replaces clients' addresses with its own.
    Twin { stage: &[("director", TRANSLATED), ("rs1", BY_ROUTER), ("rs2", BY_ROUTER)], ..ONE_ARM },
    Twin {
        stage: &[("director", TRANSLATED), ("rs1", BY_ROUTER), ("rs2", BY_ROUTER)],
        options: "-r 192.168.1.100 -m --director 192.168.1.1",
        ..ONE_ARM
    },
    // The default route is another one, and a rule routes answers to the director: by address, port or mark.
    Twin {
        stage: &[(
            "rs1",
            "ip route replace default via 192.168.1.254 && ip rule add from 192.168.1.11 lookup 7 && \
             ip route add default via 192.168.1.1 table 7",
        )],
        ..ONE_ARM
    },
    Twin {
        stage: &[(
            "rs1",
            "ip route replace default via 192.168.1.254 && ip rule add ipproto tcp sport 8080 lookup 7 && \
             ip route add default via 192.168.1.1 table 7",
        )],
        ..ONE_ARM
    },
    Twin {
        stage: &[(
            "rs1",
            "ip route replace default via 192.168.1.254 && ip rule add fwmark 3 lookup 7 && \
             ip route add default via 192.168.1.1 table 7 && \
             iptables-legacy -t mangle -A OUTPUT -p tcp --sport 8080 -j MARK --set-mark 3",
        )],
        ..ONE_ARM
    },
    Twin {
        kind: Kind::Masquerade6,
        stage: &[(
            "rs1",
            "ip -6 route replace default via 2001:db8:1::12 && ip -6 rule add from 2001:db8:1::11 lookup 7 && \
             ip -6 route add default via 2001:db8:1::1 table 7",
        )],
        options: "-r 2001:db8::100 -m --port 8080 --director 2001:db8:1::1",
        ..ONE_ARM
    },
    // The director's address on the clients' side is reached through its address on the servers' side.
    Twin { kind: Kind::Masquerade, options: "-r 192.0.2.100 -m --port 8080 --director 192.0.2.1", ..ONE_ARM },
    // A pair of directors shares the gateway.
    Twin {
        kind: Kind::Masquerade,
        stage: &[
            ("director", "ip addr add 10.0.0.254/24 dev eth1"),
            ("rs1", "ip route replace default via 10.0.0.254 && busybox ping -c 1 10.0.0.1"),
        ],
        options: "-r 192.0.2.100 -m --port 8080 --director 10.0.0.1",
        ..ONE_ARM
    },
    // A rule of the server's own gives the packets another port, as those of containers do.
    Twin {
        kind: Kind::Masquerade,
        stage: &[
            ("rs1", PUBLISHED),
            ("rs2", PUBLISHED),
            (
                "director",
                "ipvsadm -C && ipvsadm -A -t 192.0.2.100:80 -s rr && ipvsadm -a -t 192.0.2.100:80 -r 10.0.0.11 -m && \
                 ipvsadm -a -t 192.0.2.100:80 -r 10.0.0.12 -m",
            ),
        ],
        options: "-r 192.0.2.100 -m --port 80 --director 10.0.0.1",
        ..ONE_ARM
    },
    // The director is the servers' gateway on purpose.
    Twin {
        kind: Kind::RoutingBehindRouter,
        stage: &[
            (
                "director",
                "sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.send_redirects=0 \
                 net.ipv4.conf.eth0.send_redirects=0",
            ),
            ("rs1", "ip route replace default via 192.168.1.1 && busybox ping -c 1 192.168.1.1"),
            ("rs2", "ip route replace default via 192.168.1.1"),
        ],
        options: "-r 192.168.1.100 --port 80 --director 192.168.1.1",
        ..ONE_ARM
    },
    // Somebody has sent packets with forged senders.
    Twin { kind: Kind::Routing, stage: &[("client", FORGED)], at: "director", options: "" },
    // Only answers from the VIP bypass the director.
    Twin {
        kind: Kind::RoutingBehindRouter,
        stage: &[(
            "rs1",
            "ip route replace default via 192.168.1.1 && ip rule add from 192.168.1.100 lookup 7 && \
             ip route add default via 192.168.1.254 table 7",
        )],
        options: "-r 192.168.1.100 --port 80 --director 192.168.1.1",
        ..ONE_ARM
    },
    // Answers are spread over two gateways that both answer.
    Twin {
        kind: Kind::RoutingBehindRouter,
        stage: &[
            ("router", "ip addr add 192.168.1.253/24 dev eth1"),
            (
                "rs1",
                "ip route replace default mtu lock 1400 nexthop via 192.168.1.254 nexthop via 192.168.1.253 weight 3",
            ),
        ],
        options: "-r 192.168.1.100 --port 80 --director 192.168.1.1",
        ..ONE_ARM
    },
    // IPv6 in tunnels of IPv4.
    Twin { kind: Kind::Tunnel, stage: MIXED, at: "director", options: "--probe" },
    Twin {
        kind: Kind::Tunnel,
        stage: MIXED,
        options: "-r 2001:db8::100 -i --port 80 --director 192.0.2.1",
        ..ON_SERVER
    },
    // Servers that redirect the VIP's packets to themselves do not have it.
    Twin { stage: &[("rs1", REDIRECTED), ("rs2", REDIRECTED)], ..ON_SERVER },
    Twin { stage: &[("rs1", REDIRECTED), ("rs2", REDIRECTED)], options: "-r 192.168.1.100:80", ..ON_SERVER },
    // The address is of the host alone, and such addresses are not answered.
    Twin { stage: &[("rs1", OF_HOST), ("rs2", OF_HOST)], ..ON_SERVER },
    // The address is on another interface, and that of its network answers for it.
    Twin {
        stage: &[(
            "director",
            "ip addr del 192.168.1.100/32 dev eth0 && ip addr add 192.168.1.100/32 dev eth1",
        )],
        at: "director",
        options: "",
        ..ON_SERVER
    },
    // The addresses are on bridges.
    Twin { stage: &[("director", BRIDGED), ("rs1", BRIDGED)], ..ON_SERVER },
    Twin { stage: &[("director", BRIDGED), ("rs1", BRIDGED)], at: "director", options: "", ..ON_SERVER },
    // Marks are set in several steps, and for interfaces of which one is down.
    Twin {
        kind: Kind::Marked,
        stage: &[(
            "director",
            "iptables-legacy -t mangle -F && iptables-legacy -t mangle -N web && ip link set eth1 down && \
             iptables-legacy -t mangle -A PREROUTING -i eth1 -p tcp -j MARK --set-mark 1 && \
             iptables-legacy -t mangle -A PREROUTING -d 192.168.1.200 -p tcp -j MARK --set-mark 1 && \
             iptables-legacy -t mangle -A PREROUTING -p tcp -j web && \
             iptables-legacy -t mangle -A PREROUTING -p tcp -j MARK --set-mark 2 && \
             iptables-legacy -t mangle -A web -p tcp --dport 22 -j RETURN && \
             iptables-legacy -t mangle -A web -p tcp --dport 80 -j MARK --set-mark 1 && \
             iptables-legacy -t mangle -A web -p tcp --dport 80 -j ACCEPT",
        )],
        at: "director",
        options: "",
    },
    // Packets were dropped before a rule routed the answers back.
    Twin {
        kind: Kind::RoutingBehindRouter,
        stage: &[(
            "director",
            "sysctl -w net.ipv4.conf.eth0.rp_filter=1 && ip route replace default via 198.51.100.254 && \
             busybox nsenter --net=/run/netns/client get 192.168.1.100 80 1 && \
             ip rule add from 192.168.1.100 lookup 7 && ip route add default via 192.168.1.254 table 7",
        )],
        at: "director",
        options: "",
    },
    // Firewalls that let the service pass, on all machines.
    Twin { stage: &[("director", FIREWALL), ("rs1", FIREWALL)], ..ON_SERVER },
    Twin { stage: &[("director", FIREWALL), ("rs1", FIREWALL)], at: "director", options: "", ..ON_SERVER },
    Twin {
        kind: Kind::Masquerade,
        stage: &[(
            "director",
            "iptables-legacy -P FORWARD DROP && iptables-legacy -A FORWARD -i eth1 -s 10.0.0.0/24 -j ACCEPT && \
             iptables-legacy -P OUTPUT DROP && iptables-legacy -A OUTPUT -o eth1 -j ACCEPT",
        )],
        at: "director",
        options: "",
    },
    // Its connections are known to the connection tracking.
    Twin {
        kind: Kind::Masquerade,
        stage: &[(
            "director",
            "sysctl -w net.ipv4.vs.conntrack=1 && iptables-legacy -P FORWARD DROP && \
             iptables-legacy -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        )],
        at: "director",
        options: "",
    },
    // The connection tracking is told of IPVS's connections, and of tunnels knows the outside.
    Twin {
        kind: Kind::Masquerade,
        stage: &[(
            "director",
            "sysctl -w net.ipv4.vs.conntrack=1 && iptables-legacy -A FORWARD -m state --state INVALID -j DROP && \
             iptables-legacy -A OUTPUT -m state --state INVALID -j DROP && \
             iptables-legacy -A INPUT -p tcp ! --syn -m state --state NEW -j DROP",
        )],
        at: "director",
        options: "",
    },
    Twin {
        kind: Kind::Tunnel,
        stage: &[(
            "director",
            "iptables-legacy -A OUTPUT -m state --state NEW,ESTABLISHED,RELATED -j ACCEPT && iptables-legacy -P OUTPUT DROP",
        )],
        at: "director",
        options: "",
    },
    // Rules against scans, and destinations that are changed for others, or to the service.
    Twin {
        stage: &[(
            "director",
            "iptables-legacy -A INPUT -p tcp --tcp-flags ALL NONE -j DROP && iptables-legacy -A INPUT -p tcp --tcp-flags SYN,RST SYN,RST -j DROP && \
             iptables-legacy -A INPUT -m state --state INVALID -j DROP && iptables-legacy -A INPUT -m iprange ! --dst-range 192.168.1.1-192.168.1.100 -j DROP && \
             iptables-legacy -P FORWARD DROP && \
             iptables-legacy -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 192.168.1.100:80 && \
             iptables-legacy -t nat -A PREROUTING -d 192.168.1.1 -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80",
        )],
        at: "director",
        options: "",
        ..ON_SERVER
    },
    Twin {
        kind: Kind::Routing6,
        stage: &[(
            "director",
            "ip6tables-legacy -A INPUT -p tcp --dport 80 -j ACCEPT && ip6tables-legacy -A INPUT -m state --state INVALID -j DROP && \
             ip6tables-legacy -A INPUT -p ipv6-icmp -m hl --hl-eq 255 -j ACCEPT && ip6tables-legacy -P INPUT DROP && ip -6 neigh flush dev eth0",
        )],
        at: "director",
        options: "",
    },
    // Of all ports that are marked, some are accepted.
    Twin {
        kind: Kind::Marked,
        stage: &[(
            "director",
            "iptables-legacy -A INPUT -p tcp -m multiport --dports 22,79:81 -j ACCEPT && iptables-legacy -P INPUT DROP",
        )],
        at: "director",
        options: "",
    },
    Twin {
        kind: Kind::Tunnel,
        stage: &[
            ("director", "iptables-legacy -A OUTPUT -p icmp --icmp-type echo-request -j DROP"),
            (
                "rs1",
                "iptables-legacy -P INPUT DROP && iptables-legacy -A INPUT -p 4 -j ACCEPT && iptables-legacy -A INPUT -i tunl0 -j ACCEPT",
            ),
        ],
        at: "rs1",
        options: "-r 192.0.2.100 -i --port 80 --director 192.0.2.1",
    },
    Twin {
        kind: Kind::Tunnel,
        stage: &[("director", "iptables-legacy -A OUTPUT -p icmp --icmp-type echo-request -j DROP")],
        at: "director",
        options: "",
    },
    // The director sends fragments, so nobody needs to be told how long packets may be.
    Twin { kind: Kind::Tunnel, stage: FRAGMENTS, at: "director", options: "" },
];

const FRAGMENTS: &[(&str, &str)] = &[
    ("router", "ip link set eth1 mtu 1400"),
    (
        "director",
        "sysctl -w net.ipv4.vs.pmtu_disc=0 && iptables-legacy -A OUTPUT -p icmp -j DROP && \
         iptables-legacy -A INPUT -p icmp -j DROP",
    ),
    ("client", "HEADERS=4000 get 192.0.2.100 80 4 | grep -q 'rs1 rs1 rs2 rs2'"),
];

const ON_SERVER: Twin = Twin {
    kind: Kind::Routing,
    stage: &[],
    at: "rs1",
    options: "-r 192.168.1.100 --port 80 --director 192.168.1.1",
};

/// A second service of the cluster of tunnels, whose clients have IPv6.
pub(crate) const MIXED: &[(&str, &str)] = &[
    ("client", "ip addr add 2001:db8::10/64 dev eth0 nodad"),
    (
        "router",
        "sysctl -w net.ipv6.conf.all.forwarding=1 && ip addr add 2001:db8::254/64 dev eth0 nodad && \
         ip addr add 2001:db8:f::254/64 dev eth1 nodad",
    ),
    (
        "rs1",
        "modprobe sit && ip addr add 2001:db8:f::11/64 dev eth0 nodad && ip -6 route add default via 2001:db8:f::254 && \
         ip addr add 2001:db8::100/128 dev lo && ip link set sit0 up",
    ),
    (
        "rs2",
        "modprobe sit && ip addr add 2001:db8:f::12/64 dev eth0 nodad && ip -6 route add default via 2001:db8:f::254 && \
         ip addr add 2001:db8::100/128 dev lo && ip link set sit0 up",
    ),
    (
        "director",
        "ip addr add 2001:db8::1/64 dev eth0 nodad && ip addr add 2001:db8::100/128 dev eth0 nodad preferred_lft 0 && \
         printf '%s\n' '-A -t [2001:db8::100]:80 -s rr' '-a -t [2001:db8::100]:80 -r 198.51.100.11 -i' \
         '-a -t [2001:db8::100]:80 -r 198.51.100.12 -i' | ipvsadm -R && ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
    ),
    // Neighbours that were asked for before they could answer are asked again after a while.
    (
        "client",
        "for i in 1 2 3 4 5 6; do get 2001:db8::100 80 4 | grep -q 'rs1 rs1 rs2 rs2' && exit; sleep 0.5; done; exit 1",
    ),
];
const PUBLISHED: &str = "iptables-legacy -t nat -N DOCKER && \
    iptables-legacy -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER && \
    iptables-legacy -t nat -A DOCKER -p tcp --dport 80 -j REDIRECT --to-ports 8080";
/// Connections from 40 addresses that nobody answers.
const FORGED: &str = "ip route add local 10.77.0.0/16 dev lo && perl -MSocket -MFcntl -e '\
    for (1 .. 40) { socket my $s, AF_INET, SOCK_STREAM, 6 or die; bind $s, sockaddr_in(0, inet_aton(\"10.77.0.$_\")) or die; \
    fcntl $s, F_SETFL, O_NONBLOCK; connect $s, sockaddr_in(80, inet_aton(\"192.168.1.100\")); }' && sleep 3";
const BRIDGED: &str = "ip link add br0 type bridge && own=$(ip -o -4 addr show dev eth0 | awk '{ print $4 }') && \
    ip addr flush dev eth0 && ip link set eth0 master br0 && ip link set br0 up && sleep 0.2 && \
    for one in $own; do ip addr add $one dev br0; done";
const REDIRECTED: &str = "ip addr del 192.168.1.100/32 dev lo && sysctl -w net.ipv4.conf.all.arp_ignore=0 && \
    iptables-legacy -t nat -A PREROUTING -d 192.168.1.100 -p tcp --dport 80 -j REDIRECT";
const OF_HOST: &str = "sysctl -w net.ipv4.conf.all.arp_ignore=3 && ip addr del 192.168.1.100/32 dev lo && \
    ip addr add 192.168.1.100/32 dev lo scope host";
const FIREWALL: &str = "iptables-legacy -A INPUT -i lo -j ACCEPT && \
    iptables-legacy -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT && \
    iptables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP && iptables-legacy -N in && \
    iptables-legacy -A INPUT -j in && iptables-legacy -A in -p tcp -m multiport --dports 22,80 -j ACCEPT && \
    iptables-legacy -A INPUT -j REJECT && iptables-legacy -A OUTPUT -p tcp --dport 25 -j DROP";

parts!(what_only_looks_like_a_fault_is_not_found of 4);

fn what_only_looks_like_a_fault_is_not_found(part: Part) {
    each(part.share(TWINS), |twin| {
        let cluster = Cluster::new(twin.kind);
        for (host, command) in twin.stage {
            cluster.succeed(host, command);
        }
        settles(&cluster, None, "rs1 rs1 rs2 rs2", twin.options);
        let line = format!("ipvsadm --check {}", twin.options);
        let nothing = (0, String::new());
        assert_eq!(cluster.run(twin.at, &line), nothing, "{:?} {:?}", twin.stage, twin.options);
    });
}
