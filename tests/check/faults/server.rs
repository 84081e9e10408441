//! Faults of a real server.

use super::{Fault, ON_SERVER, SHARED};
use crate::cluster::Kind;

/// How many machines answer when a client asks for the address: whose answer comes first gets the requests.
const ANSWERS: (&str, &str) =
    ("client", "busybox arping -c 2 -w 2 -I eth0 192.168.1.100 | grep -o '\\[.*\\]' | sort -u | wc -l");

const BEHIND_ROUTER: Fault = Fault { kind: Kind::RoutingBehindRouter, ..ON_SERVER };
const TUNNEL: Fault = Fault { kind: Kind::Tunnel, options: "-r 192.0.2.100 -i --port 80", ..ON_SERVER };

pub(super) const FAULTS: [Fault; 15] = [
    Fault {
        id: "arp-ignore",
        make: "sysctl -w net.ipv4.conf.all.arp_ignore=0",
        probe: Some(ANSWERS),
        healthy: "1",
        cured: "1",
        ..ON_SERVER
    },
    // 3 is higher and yet keeps quiet about other addresses only.
    Fault {
        id: "arp-ignore",
        make: "sysctl -w net.ipv4.conf.eth0.arp_ignore=3",
        options: "-r 192.168.1.100",
        probe: Some(ANSWERS),
        healthy: "1",
        cured: "1",
        ..ON_SERVER
    },
    // The server asks for the client, which has known the director for a while by then.
    Fault {
        id: "arp-announce",
        make: "sysctl -w net.ipv4.conf.all.arp_announce=0",
        probe: Some((
            "client",
            "get 192.168.1.100 80 1 >/dev/null; sleep 1.5; ip -n rs1 neigh flush dev eth0; ip -n rs2 neigh flush dev eth0
             get 192.168.1.100 80 4",
        )),
        // Neighbours remember what they learned.
        then: &[("client", "ip neigh flush dev eth0")],
        ..ON_SERVER
    },
    Fault {
        id: "server-vip-on-wire",
        make: "ip addr del 192.168.1.100/32 dev lo && ip addr add 192.168.1.100/32 dev eth0",
        probe: Some(ANSWERS),
        healthy: "1",
        cured: "1",
        ..ON_SERVER
    },
    Fault {
        id: "server-vip-mask",
        make: "ip addr del 192.168.1.100/32 dev lo && ip addr add 192.168.1.100/24 dev lo",
        cuts_off: true,
        ..ON_SERVER
    },
    Fault { id: "server-vip-missing", make: "ip addr del 192.168.1.100/32 dev lo", ..ON_SERVER },
    Fault {
        id: "server-vip-missing",
        kind: Kind::Routing6,
        make: "ip addr del 2001:db8::100/128 dev lo",
        options: "-r [2001:db8::100]:80",
        ..ON_SERVER
    },
    Fault { id: "server-vip-missing", make: "ip addr del 192.0.2.100/32 dev tunl0", ..TUNNEL },
    Fault { id: "tunnel-down", make: "ip link set tunl0 down", ..TUNNEL },
    Fault { id: "tunnel-rp-filter", make: "sysctl -w net.ipv4.conf.tunl0.rp_filter=1", ..TUNNEL },
    Fault {
        id: "rp-filter",
        make: "sysctl -w net.ipv4.conf.eth0.rp_filter=1 && ip route replace default via 198.51.100.254",
        ..BEHIND_ROUTER
    },
    Fault {
        id: "gateway-is-director",
        make: "ip route replace default via 192.168.1.1",
        blanks: &[("GATEWAY", "192.168.1.254")],
        ..BEHIND_ROUTER
    },
    Fault {
        id: "gateway-not-director",
        kind: Kind::MasqueradeOneArm,
        make: "ip route replace default via 192.168.1.254",
        options: "-r 192.168.1.100 -m --director 192.168.1.1",
        ..ON_SERVER
    },
    Fault {
        id: "no-listener",
        make: STOP_HTTPD,
        blanks: &[("systemctl restart SERVICE", "start httpd -f -p 80 -h /run/check/rs1")],
        ..ON_SERVER
    },
    Fault {
        id: "no-listener",
        kind: Kind::Masquerade,
        make: STOP_HTTPD,
        options: "-r 192.0.2.100 -m --port 8080",
        healthy: SHARED,
        blanks: &[("systemctl restart SERVICE", "start httpd -f -p 8080 -h /run/check/rs1")],
        ..ON_SERVER
    },
];

const STOP_HTTPD: &str =
    "for pid in $(ip netns pids rs1); do [ $(cat /proc/$pid/comm) != httpd ] || kill $pid; done; sleep 0.2";
