//! Faults of the director's settings.

use super::{Fault, ON_DIRECTOR, SECOND_ALONE};
use crate::cluster::Kind;

/// Whether the director counts what a client does.
const COUNTS: &str = "count() { ipvsadm -L -n --stats --exact | awk '/^TCP/ { print $3 }'; }
    before=$(count); busybox nsenter --net=/run/netns/client get 192.168.1.100 80 2 >/dev/null; sleep 3
    [ $(count) -gt $before ] && echo counts";

/// Whether the other director learns of what a client does.
const LEARNS: &str = "count() { ipvsadm -L -n -c | wc -l; }
    before=$(count); busybox nsenter --net=/run/netns/client get 192.168.1.100 80 2 >/dev/null
    for i in 1 2 3 4 5; do sleep 1; [ $(count) -gt $before ] && echo learns && exit; done";

pub(super) const FAULTS: [Fault; 10] = [
    Fault {
        id: "ip-forward",
        kind: Kind::Masquerade,
        make: "sysctl -w net.ipv4.ip_forward=0",
        ..ON_DIRECTOR
    },
    Fault {
        id: "ip-forward",
        kind: Kind::Masquerade6,
        make: "sysctl -w net.ipv6.conf.all.forwarding=0",
        ..ON_DIRECTOR
    },
    Fault {
        id: "send-redirects",
        kind: Kind::MasqueradeOneArm,
        make: "sysctl -w net.ipv4.conf.eth0.send_redirects=1",
        probe: Some(("client", "PAUSE=0.3 get 192.168.1.100 80 4")),
        // Servers remember what they were told.
        then: &[("rs1", "ip route flush cache"), ("rs2", "ip route flush cache")],
        ..ON_DIRECTOR
    },
    Fault {
        id: "rp-filter",
        kind: Kind::RoutingBehindRouter,
        make: "sysctl -w net.ipv4.conf.eth0.rp_filter=1 && ip route replace default via 198.51.100.254",
        ..ON_DIRECTOR
    },
    Fault {
        id: "expire-nodest-conn",
        stage: &[
            ("rs1", "udp answer 192.168.1.100 53 rs1 >/dev/null 2>&1"),
            ("rs2", "udp answer 192.168.1.100 53 rs2 >/dev/null 2>&1"),
            (
                "director",
                "ipvsadm -A -u 192.168.1.100:53 -s rr && ipvsadm -a -u 192.168.1.100:53 -r 192.168.1.11",
            ),
        ],
        make: "ipvsadm -a -u 192.168.1.100:53 -r 192.168.1.12 && ipvsadm -d -u 192.168.1.100:53 -r 192.168.1.11:53",
        probe: Some(("client", "udp ask 192.168.1.100 53 1 5000")),
        healthy: "rs1",
        cured: "rs2",
        ..ON_DIRECTOR
    },
    Fault {
        id: "expire-quiescent-template",
        stage: &[(
            "director",
            "ipvsadm -E -t 192.168.1.100:80 -s rr -p 60 && ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12 -w 0",
        )],
        make: "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12 -w 1 && ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -w 0",
        healthy: "rs1 rs1 rs1 rs1",
        cured: SECOND_ALONE,
        ..ON_DIRECTOR
    },
    Fault {
        id: "conn-reuse-mode",
        stage: &[("director", "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12 -w 0")],
        make: "sysctl -w net.ipv4.vs.conn_reuse_mode=0 && ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12 -w 1 && \
               ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -w 0",
        probe: Some(("client", "get 192.168.1.100 80 1 5000")),
        healthy: "rs1",
        cured: "rs2",
        ..ON_DIRECTOR
    },
    Fault {
        id: "conn-reuse-mode",
        kind: Kind::Masquerade,
        stage: &[("director", "ipvsadm -e -t 192.0.2.100:80 -r 10.0.0.12:8080 -m -w 0")],
        make: "sysctl -w net.ipv4.vs.conn_reuse_mode=0 && ipvsadm -e -t 192.0.2.100:80 -r 10.0.0.12:8080 -m -w 1 && \
               ipvsadm -e -t 192.0.2.100:80 -r 10.0.0.11:8080 -m -w 0",
        probe: Some(("client", "get 192.0.2.100 80 1 5000")),
        healthy: "rs1",
        cured: "rs2",
        ..ON_DIRECTOR
    },
    Fault {
        id: "counters-frozen",
        make: "sysctl -w net.ipv4.vs.run_estimation=0",
        probe: Some(("director", COUNTS)),
        healthy: "counts",
        cured: "counts",
        ..ON_DIRECTOR
    },
    Fault {
        id: "sync-link-down",
        stage: &[
            ("director", "ipvsadm --start-daemon master --mcast-interface eth1 --syncid 1"),
            ("backup", "ipvsadm --start-daemon backup --mcast-interface eth1 --syncid 1"),
        ],
        make: "ip link set eth1 down",
        probe: Some(("backup", LEARNS)),
        healthy: "learns",
        cured: "learns",
        ..ON_DIRECTOR
    },
];
