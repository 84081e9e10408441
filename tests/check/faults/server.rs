//! Faults of a real server.

use super::{Fault, ON_SERVER, SHARED};
use crate::cluster::Kind;
use crate::twins::MIXED;

/// The web server of `rs1` is stopped; that for logins is not.
macro_rules! stop_httpd {
    () => {
        "for pid in $(ip netns pids rs1); do \
         tr '\\0' ' ' </proc/$pid/cmdline | grep -v ' 22 ' | grep -q ^httpd && kill $pid; done; sleep 0.2"
    };
}

const STOP_HTTPD: &str = stop_httpd!();

/// It is started again with other options, for a minute.
macro_rules! start_httpd {
    ($options:literal) => {
        concat!(
            "(timeout 60 httpd -f ",
            $options,
            " -h /run/check/rs1 </dev/null >/dev/null 2>&1 &); sleep 0.2"
        )
    };
}

/// How many machines answer ARP when a client requests the address; the first to answer gets the requests.
const ANSWERS: (&str, &str) =
    ("client", "busybox arping -c 2 -w 2 -I eth0 192.168.1.100 | grep -o '\\[.*\\]' | sort -u | wc -l");

/// The same when a router asks.
const ANSWERS_TO_ROUTER: (&str, &str) =
    ("router", "busybox arping -c 2 -w 2 -I eth1 192.168.1.100 | grep -o '\\[.*\\]' | sort -u | wc -l");

/// The servers send ARP requests to a client that knows the director, and whose kernel does not keep for a second what it has
/// just learned.
const LEARNS: (&str, &str) = (
    "client",
    "sysctl -q -w net.ipv4.neigh.eth0.locktime=0; get 192.168.1.100 80 1 >/dev/null
     ip -n rs1 neigh flush dev eth0; ip -n rs2 neigh flush dev eth0
     get 192.168.1.100 80 4",
);

/// The only address of the interface to the clients is the VIP; the director reaches the server through the other
/// one.
const VIP_ALONE: &str = "ip addr del 192.168.1.100/32 dev lo && ip addr flush dev eth0 && \
    ip addr add 192.168.1.100/24 dev eth0 && ip route add default via 192.168.1.254";

const BEHIND_ROUTER: Fault = Fault { kind: Kind::RoutingBehindRouter, ..ON_SERVER };
const TUNNEL: Fault = Fault { kind: Kind::Tunnel, options: "-r 192.0.2.100 -i --port 80", ..ON_SERVER };

pub(super) const FAULTS: [Fault; 42] = [
    Fault {
        id: "arp-ignore",
        make: "sysctl -w net.ipv4.conf.all.arp_ignore=0",
        probe: Some(ANSWERS),
        healthy: "1",
        fixed: "1",
        ..ON_SERVER
    },
    // 3 is higher, but only affects other addresses.
    Fault {
        id: "arp-ignore",
        make: "sysctl -w net.ipv4.conf.eth0.arp_ignore=3",
        options: "-r 192.168.1.100",
        probe: Some(ANSWERS),
        healthy: "1",
        fixed: "1",
        ..ON_SERVER
    },
    // The director is reached through another interface.
    Fault {
        id: "arp-ignore",
        make: "sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth1.arp_ignore=1",
        options: "-r 192.168.1.100 --director 198.51.100.1",
        probe: Some(ANSWERS_TO_ROUTER),
        healthy: "1",
        fixed: "1",
        ..BEHIND_ROUTER
    },
    Fault {
        id: "arp-announce",
        make: "sysctl -w net.ipv4.conf.all.arp_announce=0",
        probe: Some(LEARNS),
        // Neighbours remember what they learned.
        then: &[("client", "ip neigh flush dev eth0")],
        ..ON_SERVER
    },
    // 3 is higher, but has the effect of 0.
    Fault {
        id: "arp-announce",
        make: "sysctl -w net.ipv4.conf.eth0.arp_announce=3",
        probe: Some(LEARNS),
        then: &[("client", "ip neigh flush dev eth0")],
        ..ON_SERVER
    },
    Fault {
        id: "server-vip-on-wire",
        make: "ip addr del 192.168.1.100/32 dev lo && ip addr add 192.168.1.100/32 dev eth0",
        probe: Some(ANSWERS),
        healthy: "1",
        fixed: "1",
        commands: 2,
        ..ON_SERVER
    },
    // It was there before.
    Fault {
        id: "server-vip-on-wire",
        make: "ip addr add 192.168.1.100/32 dev eth0",
        probe: Some(ANSWERS),
        healthy: "1",
        fixed: "1",
        commands: 2,
        ..ON_SERVER
    },
    // The server's own address is the second of the VIP's network, and is removed with it.
    Fault {
        id: "server-vip-on-wire",
        make: "ip addr del 192.168.1.100/32 dev lo && ip addr flush dev eth0 && ip addr add 192.168.1.100/24 dev eth0 && \
               ip addr add 192.168.1.11/24 dev eth0 && ip route add default via 192.168.1.254",
        probe: Some(ANSWERS_TO_ROUTER),
        healthy: "1",
        fixed: "1",
        commands: 3,
        ..BEHIND_ROUTER
    },
    // With the last address of an interface, all its routes are removed.
    Fault {
        id: "server-vip-on-wire",
        make: VIP_ALONE,
        options: "-r 192.168.1.100 --director 198.51.100.1",
        probe: Some(ANSWERS_TO_ROUTER),
        healthy: "1",
        fixed: "1",
        commands: 5,
        ..BEHIND_ROUTER
    },
    Fault {
        id: "server-vip-on-wire",
        kind: Kind::Routing6,
        make: "ip addr del 2001:db8::100/128 dev lo && ip addr flush dev eth0 scope global && \
               ip addr add 2001:db8::100/64 dev eth0 nodad && ip addr add 2001:db8::11/64 dev eth0 nodad",
        options: "-r 2001:db8::100 --director 2001:db8::1",
        probe: Some((
            "client",
            "for i in 1 2 3; do ip neigh flush dev eth0; get 2001:db8::100 80 4; done | sort -u",
        )),
        commands: 2,
        ..ON_SERVER
    },
    Fault {
        id: "server-vip-mask",
        make: "ip addr del 192.168.1.100/32 dev lo && ip addr add 192.168.1.100/24 dev lo",
        cuts_off: true,
        commands: 2,
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
    // Hardened: the address goes with the setting.
    Fault {
        id: "server-vip-missing",
        kind: Kind::Routing6,
        make: "sysctl -w net.ipv6.conf.lo.disable_ipv6=1",
        options: "-r [2001:db8::100]:80",
        commands: 2,
        ..ON_SERVER
    },
    Fault { id: "server-vip-missing", make: "ip addr del 192.0.2.100/32 dev tunl0", ..TUNNEL },
    Fault { id: "tunnel-down", make: "ip link set tunl0 down", ..TUNNEL },
    // The other end of the tunnel is of another kind.
    Fault {
        id: "tunnel-down",
        stage: &[
            ("rs1", "modprobe ip_gre && ip link set gre0 up"),
            ("director", "ipvsadm -e -t 192.0.2.100:80 -r 198.51.100.11 -i --tun-type gre"),
        ],
        make: "ip link set gre0 down",
        options: "-r 192.0.2.100 -i --tun-type gre --port 80",
        ..TUNNEL
    },
    Fault {
        id: "tunnel-down",
        stage: &[
            ("rs1", "modprobe fou && ip fou add port 5555 gue"),
            ("director", "ipvsadm -e -t 192.0.2.100:80 -r 198.51.100.11 -i --tun-type gue --tun-port 5555"),
        ],
        make: "ip fou del port 5555",
        options: "-r 192.0.2.100 -i --tun-type gue --tun-port 5555 --port 80",
        ..TUNNEL
    },
    // IPv6 in IPv4 is taken by an interface of its own.
    Fault {
        id: "tunnel-down",
        stage: MIXED,
        make: "ip link set sit0 down",
        options: "-r 2001:db8::100 -i --port 80 --director 192.0.2.1",
        probe: Some(("client", "ip neigh flush dev eth0; get 2001:db8::100 80 4")),
        ..TUNNEL
    },
    Fault { id: "tunnel-rp-filter", make: "sysctl -w net.ipv4.conf.tunl0.rp_filter=1", ..TUNNEL },
    Fault {
        id: "rp-filter",
        make: "sysctl -w net.ipv4.conf.eth0.rp_filter=1 && ip route replace default via 198.51.100.254",
        ..BEHIND_ROUTER
    },
    Fault {
        id: "no-way-back",
        make: "ip route del default",
        options: "-r 192.0.2.100 -i --port 80 --director 192.0.2.1",
        blanks: &[("GATEWAY", "198.51.100.254")],
        ..TUNNEL
    },
    // The interface has a route to the network, and no address in it.
    Fault {
        id: "rp-filter",
        stage: &[("rs1", "true")],
        make: "ip addr flush dev eth0 && ip addr add 192.168.1.11/32 dev eth0 && ip route add 192.168.1.0/24 dev eth0 && \
               ip route replace default via 198.51.100.254 && sysctl -w net.ipv4.conf.eth0.rp_filter=1",
        ..BEHIND_ROUTER
    },
    // Both interfaces are in the director's network.
    Fault {
        id: "arp-ignore",
        stage: &[("rs1", "true")],
        make: "sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth1.arp_ignore=1 && \
               ip addr add 203.0.113.11/24 dev eth0 && ip addr add 203.0.113.12/24 dev eth1 && ip route replace 203.0.113.0/24 dev eth1 && \
               ip addr del 192.168.1.11/24 dev eth0 && ip addr add 192.168.1.11/32 dev eth0 && ip route add 192.168.1.0/24 dev eth0",
        options: "-r 192.168.1.100 --director 203.0.113.1",
        probe: Some(ANSWERS_TO_ROUTER),
        healthy: "1",
        fixed: "1",
        ..BEHIND_ROUTER
    },
    // It has the VIP's network, and so a way to some clients. The fix of another fault may have left `rp_filter` on.
    Fault {
        id: "no-way-back",
        stage: &[("rs1", "true")],
        make: "ip route del default",
        blanks: &[("GATEWAY", "192.168.1.254")],
        ..BEHIND_ROUTER
    },
    Fault {
        id: "no-way-back",
        make: "ip route replace default via 192.168.1.250",
        blanks: &[("GATEWAY", "192.168.1.254")],
        ..BEHIND_ROUTER
    },
    Fault { id: "no-way-back", make: "ip route add blackhole 192.0.2.0/24", ..BEHIND_ROUTER },
    // Of two gateways, one is gone; nearly all connections take it.
    Fault {
        id: "no-way-back",
        stage: &[("rs1", "sysctl -w net.ipv4.fib_multipath_hash_policy=1")],
        make: "ip route replace default mtu 1400 nexthop via 192.168.1.254 weight 1 nexthop via 192.168.1.250 weight 200",
        ..BEHIND_ROUTER
    },
    Fault {
        id: "gateway-is-director",
        make: "ip route replace default via 192.168.1.1",
        blanks: &[("GATEWAY", "192.168.1.254")],
        commands: 3,
        ..BEHIND_ROUTER
    },
    // The gateway is another address of the director; the rule of the previous fault would help.
    Fault {
        id: "gateway-is-director",
        stage: &[("rs1", "true")],
        make: "ip -n director addr replace 192.168.1.253/24 dev eth0 && busybox ping -c 1 192.168.1.1 && \
               ip route replace default via 192.168.1.253 && ! busybox ping -c 1 -W 1 192.0.2.10",
        blanks: &[("GATEWAY", "192.168.1.254")],
        ..BEHIND_ROUTER
    },
    Fault {
        id: "gateway-not-director",
        kind: Kind::MasqueradeOneArm,
        make: "ip route replace default via 192.168.1.254",
        options: "-r 192.168.1.100 -m --director 192.168.1.1",
        blanks: &[("PORT", "8080")],
        commands: 2,
        ..ON_SERVER
    },
    // The director forwards only connections that began with it: logins use the default route.
    Fault {
        id: "gateway-not-director",
        kind: Kind::MasqueradeOneArm,
        stage: &[(
            "director",
            "sysctl -w net.ipv4.vs.conntrack=1 net.netfilter.nf_conntrack_tcp_loose=0 && iptables-legacy -A FORWARD -m conntrack --ctstate INVALID -j DROP",
        )],
        make: "ip route replace default via 192.168.1.254",
        options: "-r 192.168.1.100 -m --port 8080 --director 192.168.1.1",
        commands: 2,
        ..ON_SERVER
    },
    Fault {
        id: "gateway-not-director",
        kind: Kind::Masquerade6,
        make: "ip -6 route del default",
        options: "-r 2001:db8::100 -m --port 8080 --director 2001:db8:1::1",
        ..ON_SERVER
    },
    Fault {
        id: "gateway-not-director",
        kind: Kind::Masquerade6,
        make: "ip -6 route replace default via 2001:db8:1::12",
        options: "-r 2001:db8::100 -m --port 8080 --director 2001:db8:1::1",
        commands: 2,
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
    // On all IPv6 addresses, without IPv4.
    Fault {
        id: "no-listener",
        stage: &[("rs1", "true")],
        make: concat!(stop_httpd!(), "; sysctl -w net.ipv6.bindv6only=1; ", start_httpd!("-p 80")),
        // The setting is that of the login daemon, too.
        cuts_off: true,
        blanks: &[(
            "systemctl restart SERVICE",
            concat!("{ ", stop_httpd!(), "; ", start_httpd!("-p 80"), "; }"),
        )],
        ..ON_SERVER
    },
    // On its own address alone.
    Fault {
        id: "no-listener",
        stage: &[("rs1", "true")],
        make: concat!("iptables-legacy -t nat -F; ", stop_httpd!(), "; ", start_httpd!("-p 192.168.1.11:80")),
        ..ON_SERVER
    },
    // On another port.
    Fault {
        id: "no-listener",
        stage: &[("rs1", "true")],
        make: concat!("iptables-legacy -t nat -F; ", stop_httpd!(), "; ", start_httpd!("-p 8080")),
        ..ON_SERVER
    },
    // An old rule sends the packets to another port.
    Fault {
        id: "no-listener",
        stage: &[("rs1", "true")],
        make: "iptables-legacy -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080",
        ..ON_SERVER
    },
    Fault {
        id: "no-listener",
        kind: Kind::Masquerade,
        stage: &[("rs1", "true")],
        make: "iptables-legacy -t nat -A PREROUTING -d 10.0.0.11 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.11:80",
        options: "-r 192.0.2.100 -m --port 8080 --director 10.0.0.1",
        ..ON_SERVER
    },
    // TCP for UDP.
    Fault {
        id: "no-listener",
        stage: super::cluster::UDP_SERVERS,
        make: concat!(
            "for pid in $(ip netns pids rs1); do [ $(cat /proc/$pid/comm) != udp ] || kill $pid; done; ",
            start_httpd!("-p 53")
        ),
        options: "-r 192.168.1.100 --port 53/udp --director 192.168.1.1",
        probe: Some(("client", "udp ask 192.168.1.100 53 4 | sort | xargs")),
        blanks: &[("systemctl restart SERVICE", "udp answer 192.168.1.100 53 rs1 >/dev/null 2>&1")],
        ..ON_SERVER
    },
];
