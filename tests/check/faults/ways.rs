//! Faults of the way to servers and back, as they show on one machine.

use super::{Fault, ON_DIRECTOR, ON_SERVER, SHARED};
use crate::cluster::Kind;

/// The director gives clients' packets its own address, so that the servers, whose gateway is the router, answer it.
const TRANSLATED: &str = "sysctl -w net.ipv4.vs.conntrack=1 && \
    iptables-legacy -t nat -A POSTROUTING -d 192.168.1.11 -p tcp --dport 8080 -j MASQUERADE && \
    iptables-legacy -t nat -A POSTROUTING -d 192.168.1.12 -p tcp --dport 8080 -j MASQUERADE";
const BY_ROUTER: &str = "ip route replace default via 192.168.1.254";
const TRANSLATING: &[(&str, &str)] = &[("director", TRANSLATED), ("rs1", BY_ROUTER), ("rs2", BY_ROUTER)];
/// More than one client's connection waits for each server.
const CROWD: (&str, &str) = (
    "client",
    "for i in 1 2 3 4 5 6 7 8; do get 192.168.1.100 80 1 & done | sort | uniq -c | xargs; sleep 2.5",
);

const ONE_ARM: Fault = Fault {
    kind: Kind::MasqueradeOneArm,
    probe: Some(CROWD),
    healthy: "4 rs1 4 rs2",
    fixed: "4 rs1 4 rs2",
    ..ON_DIRECTOR
};
const TUNNEL: Fault =
    Fault { kind: Kind::Tunnel, options: "-r 192.0.2.100 -i --port 80 --director 192.0.2.1", ..ON_SERVER };
const BEHIND_ROUTER: Fault = Fault { kind: Kind::RoutingBehindRouter, ..ON_SERVER };

pub(super) const FAULTS: [Fault; 17] = [
    Fault { id: "snat-ignored", stage: TRANSLATING, make: "sysctl -w net.ipv4.vs.conntrack=0", ..ONE_ARM },
    Fault {
        id: "snat-ignored",
        stage: TRANSLATING,
        make: "iptables-legacy -t nat -F POSTROUTING && iptables-legacy -t nat -A POSTROUTING -d 192.168.1.100 -p tcp --dport 80 -j MASQUERADE",
        commands: 2,
        ..ONE_ARM
    },
    // Answers to clients leave by the uplink of the address, which a rule selects; the other one loses them.
    Fault {
        id: "snat-reroute",
        stage: &[(
            "director",
            "ip link add wan2 type dummy && ip addr add 203.0.113.1/24 dev wan2 && ip link set wan2 up && \
             ip route replace default via 203.0.113.254 dev wan2 && ip rule add from 192.168.1.100 lookup 7 && \
             ip route add default via 192.168.1.254 table 7 && ip route add 192.168.1.0/24 dev eth0 table 7",
        )],
        make: "sysctl -w net.ipv4.vs.snat_reroute=0",
        ..ONE_ARM
    },
    Fault {
        id: "no-way-to-clients",
        stage: &[("director", "true")],
        make: "ip link add wan2 type dummy; ip addr replace 203.0.113.1/24 dev wan2 && ip link set wan2 up && \
               ip route replace default via 203.0.113.254 dev wan2",
        blanks: &[("GATEWAY", "192.168.1.254")],
        ..ONE_ARM
    },
    Fault {
        id: "no-way-to-clients",
        stage: &[("director", "true")],
        make: "ip route del default",
        blanks: &[("GATEWAY", "192.168.1.254")],
        ..ONE_ARM
    },
    Fault {
        id: "no-way-to-clients",
        stage: &[("director", "true")],
        make: "ip route add blackhole 192.0.2.0/24",
        ..ONE_ARM
    },
    // The address's network is said to contain the clients.
    Fault {
        id: "no-way-to-clients",
        stage: &[("director", "true")],
        make: "ip addr del 192.168.1.100/32 dev eth0 && ip addr add 192.168.1.100/5 dev eth0",
        commands: 2,
        ..ONE_ARM
    },
    // The director's own address comes after that of the service.
    Fault {
        id: "vip-as-source",
        stage: &[("director", "true")],
        make: "ip addr flush dev eth0 && ip addr add 192.168.1.100/24 dev eth0 && ip addr add 192.168.1.1/24 dev eth0 && ip neigh flush all",
        commands: 3,
        ..ON_DIRECTOR
    },
    // The route to clients' network leads to a gateway that is gone.
    Fault {
        id: "no-way-back",
        stage: &[("rs1", "true")],
        make: "ip route add 192.0.2.0/24 via 192.168.1.253",
        ..BEHIND_ROUTER
    },
    Fault {
        id: "no-way-back",
        stage: &[("rs1", "true")],
        make: "ip route add 192.0.2.0/24 dev eth0",
        ..BEHIND_ROUTER
    },
    // The other end of the tunnel is another machine.
    Fault {
        id: "tunnel-down",
        stage: &[("rs1", "true")],
        make: "ip addr add 192.0.2.100/32 dev lo && ip link set tunl0 down && \
               ip link add tun1 type ipip local 198.51.100.11 remote 198.51.100.99 && ip link set tun1 up && \
               sysctl -w net.ipv4.conf.tun1.rp_filter=0",
        ..TUNNEL
    },
    Fault {
        id: "tunnel-down",
        stage: &[("rs1", "modprobe ip_gre && ip link set gre0 up")],
        make: "ip addr add 192.0.2.100/32 dev lo && ip link set tunl0 down",
        ..TUNNEL
    },
    // A rule does what rp_filter would.
    Fault {
        id: "server-filter",
        stage: &[("rs1", "true")],
        make: "iptables-legacy -t raw -A PREROUTING -m rpfilter --invert -j DROP",
        ..TUNNEL
    },
    // A link behind the director is shorter, and nobody is told so.
    Fault {
        id: "filter-icmp",
        kind: Kind::Masquerade,
        stage: &[("director", "ip link set eth1 mtu 1400")],
        make: "iptables-legacy -A OUTPUT -p icmp -j DROP",
        probe: Some(("client", "ip route flush cache; HEADERS=4000 get 192.0.2.100 80 4")),
        healthy: SHARED,
        ..ON_DIRECTOR
    },
    // A UDP server that does not say which address it answers from.
    Fault {
        id: "udp-source",
        stage: super::cluster::UDP_SERVERS,
        make: "for pid in $(ip netns pids rs1); do [ $(cat /proc/$pid/comm) != udp ] || kill $pid; done; \
               udp answer 0.0.0.0 53 rs1 </dev/null >/dev/null 2>&1",
        options: "-r 192.168.1.100 --port 53/udp --director 192.168.1.1",
        probe: Some(("client", "udp ask 192.168.1.100 53 4 2>/dev/null | sort | xargs")),
        ..ON_SERVER
    },
    // The packets that arrive have a header of their own.
    Fault {
        id: "tunnel-down",
        stage: &[
            ("rs1", "modprobe fou && ip fou add port 5555 gue"),
            ("director", "ipvsadm -e -t 192.0.2.100:80 -r 198.51.100.11 -i --tun-type gue --tun-port 5555"),
        ],
        make: "ip fou del port 5555 && ip fou add port 5555 ipproto 4",
        options: "-r 192.0.2.100 -i --tun-type gue --tun-port 5555 --port 80",
        ..TUNNEL
    },
    // The address is on a dummy interface, and in no network of the director.
    Fault {
        id: "rp-filter",
        kind: Kind::RoutingBehindRouter,
        stage: &[
            ("router", "ip route add 203.0.113.100/32 via 192.168.1.1"),
            ("rs1", "ip addr add 203.0.113.100/32 dev lo"),
            ("rs2", "ip addr add 203.0.113.100/32 dev lo"),
            (
                "director",
                "ip link add vips type dummy && ip link set vips up && ip addr add 203.0.113.100/32 dev vips && \
                 printf '%s\n' -C '-A -t 203.0.113.100:80 -s rr' '-a -t 203.0.113.100:80 -r 192.168.1.11' \
                 '-a -t 203.0.113.100:80 -r 192.168.1.12' | ipvsadm -R && ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
            ),
        ],
        make: "sysctl -w net.ipv4.conf.eth0.rp_filter=1 && ip route replace default via 198.51.100.254",
        probe: Some(("client", "get 203.0.113.100 80 4")),
        ..ON_DIRECTOR
    },
];
