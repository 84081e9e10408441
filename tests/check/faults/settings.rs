//! Faults of the director's settings.

use super::{Fault, ON_DIRECTOR, SECOND_ALONE};
use crate::cluster::Kind;

/// Whether the director's counters show a client's requests.
const COUNTS: &str = "count() { ipvsadm -L -n --stats --exact | awk '/^TCP/ { print $3 }'; }
    before=$(count); busybox nsenter --net=/run/netns/client get 192.168.1.100 80 2 >/dev/null; sleep 3
    [ $(count) -gt $before ] && echo counts";

/// Whether the other director learns of a client's connections.
const LEARNS: &str = "count() { ipvsadm -L -n -c | wc -l; }
    before=$(count); busybox nsenter --net=/run/netns/client get 192.168.1.100 80 2 >/dev/null
    for i in 1 2 3 4 5; do sleep 1; [ $(count) -gt $before ] && echo learns && exit; done";

/// A router beside the director advertises itself: `router INTERFACE`.
const ROUTER: &str = r"cat >/run/check/bin/router <<'END'
#!/usr/bin/perl
use Socket qw(:DEFAULT AF_INET6 SOCK_RAW inet_pton pack_sockaddr_in6);
my $index = int `ip -o link show $ARGV[0]`;
socket my $icmp, AF_INET6, SOCK_RAW, 58 or die;
setsockopt $icmp, 41, 17, pack 'i', $index or die; # IPV6_MULTICAST_IF
setsockopt $icmp, 41, 18, pack 'i', 255 or die; # IPV6_MULTICAST_HOPS
my $advertisement = pack 'CCnCCnNN', 134, 0, 0, 64, 0, 1800, 0, 0;
send $icmp, $advertisement, 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, 'ff02::1'), $index) or die;
END
chmod +x /run/check/bin/router";

pub(super) const FAULTS: [Fault; 19] = [
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
    // On for all, off for the interface.
    Fault {
        id: "ip-forward",
        kind: Kind::Masquerade,
        make: "sysctl -w net.ipv4.conf.eth1.forwarding=0",
        ..ON_DIRECTOR
    },
    // The default route was learned from a router: logins from elsewhere use it.
    Fault {
        id: "ip-forward",
        kind: Kind::Masquerade6,
        stage: &[
            ("director", "sysctl -w net.ipv6.conf.all.forwarding=0"),
            ("client", ROUTER),
            // Its link-local address becomes usable after a while.
            (
                "client",
                "for i in 1 2 3 4 5 6 7 8; do router eth0 && ip -n director -6 route | grep '^default.* ra ' && exit; sleep 0.5; done; false",
            ),
            ("client", "ip addr add 2001:db8:9::10/128 dev lo && sysctl -w net.ipv6.conf.all.forwarding=1"),
            ("director", "sysctl -w net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.all.forwarding=1"),
        ],
        make: "sysctl -w net.ipv6.conf.all.forwarding=0 net.ipv6.conf.eth0.accept_ra=1 && \
               ip -6 route flush proto ra && busybox nsenter --net=/run/netns/client router eth0 && sleep 0.5",
        probe: Some((
            "client",
            "get 2001:db8::100 80 4; busybox ping -c 1 -W 1 -I 2001:db8:9::10 2001:db8::1 | grep -c '^64 bytes'",
        )),
        healthy: "rs1 rs1 rs2 rs2\n1",
        fixed: "rs1 rs1 rs2 rs2\n1",
        ..ON_DIRECTOR
    },
    Fault {
        id: "send-redirects",
        kind: Kind::MasqueradeOneArm,
        make: "sysctl -w net.ipv4.conf.eth0.send_redirects=1",
        probe: Some(("client", "PAUSE=0.3 get 192.168.1.100 80 4")),
        // Servers remember redirects.
        then: &[("rs1", "ip route flush cache"), ("rs2", "ip route flush cache")],
        ..ON_DIRECTOR
    },
    Fault {
        id: "rp-filter",
        kind: Kind::RoutingBehindRouter,
        make: "sysctl -w net.ipv4.conf.eth0.rp_filter=1 && ip route replace default via 198.51.100.254",
        ..ON_DIRECTOR
    },
    // The kernel drops the router's ARP requests, and does not count them.
    Fault {
        id: "rp-filter",
        kind: Kind::RoutingBehindRouter,
        stage: &[("director", "true")],
        make: "sysctl -w net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.all.arp_ignore=1 && ip route add 192.168.1.254/32 dev eth1",
        probe: Some((
            "router",
            "ip neigh flush all; busybox nsenter --net=/run/netns/client get 192.168.1.100 80 4",
        )),
        ..ON_DIRECTOR
    },
    Fault {
        id: "drop-packet",
        make: "sysctl -w net.ipv4.vs.am_droprate=1 net.ipv4.vs.drop_packet=3 && sleep 1.5",
        // IPVS looks at the setting each second.
        then: &[("director", "sleep 1.5")],
        ..ON_DIRECTOR
    },
    Fault {
        id: "timeout-short",
        make: "ipvsadm --set 1 0 0",
        probe: Some(("client", "PAUSE=2.5 get 192.168.1.100 80 1 | sed s/rs./page/")),
        healthy: "page",
        fixed: "page",
        ..ON_DIRECTOR
    },
    // Both directors serve.
    Fault {
        id: "backup-only",
        stage: &[
            (
                "backup",
                "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.vs.backup_only=1",
            ),
            ("backup", "ip addr add 192.168.1.100/32 dev lo"),
            ("backup", "start httpd -f -p 80 -h /run/check/rs2"),
            ("director", "start httpd -f -p 80 -h /run/check/rs1"),
            (
                "director",
                "printf '%s\n' -C '-A -t 192.168.1.100:80 -s rr' '-a -t 192.168.1.100:80 -r 192.168.1.1' \
                 '-a -t 192.168.1.100:80 -r 192.168.1.2' | ipvsadm -R && ipvsadm -S --full --file /etc/sysconfig/ipvsadm && \
                 ipvsadm --start-daemon master --mcast-interface eth1",
            ),
            (
                "backup",
                "ipvsadm -R --file /etc/sysconfig/ipvsadm && ipvsadm --start-daemon backup --mcast-interface eth1",
            ),
        ],
        at: "backup",
        make: "sysctl -w net.ipv4.vs.backup_only=0",
        ..ON_DIRECTOR
    },
    // The address has come here, and the daemon is still that of the standby.
    Fault {
        id: "backup-only",
        make: "sysctl -w net.ipv4.vs.backup_only=1 && ipvsadm --start-daemon backup --mcast-interface eth1",
        ..ON_DIRECTOR
    },
    // A second daemon changes nothing.
    Fault {
        id: "backup-only",
        stage: &[(
            "director",
            "ipvsadm --start-daemon master --mcast-interface eth1 && ipvsadm --start-daemon backup --mcast-interface eth1 && \
             ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
        )],
        make: "sysctl -w net.ipv4.vs.backup_only=1",
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
        fixed: "rs2",
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
        fixed: SECOND_ALONE,
        ..ON_DIRECTOR
    },
    Fault {
        id: "conn-reuse-mode",
        stage: &[("director", "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12 -w 0")],
        make: "sysctl -w net.ipv4.vs.conn_reuse_mode=0 && ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12 -w 1 && \
               ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -w 0",
        probe: Some(("client", "get 192.168.1.100 80 1 5000")),
        healthy: "rs1",
        fixed: "rs2",
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
        fixed: "rs2",
        ..ON_DIRECTOR
    },
    Fault {
        id: "counters-frozen",
        make: "sysctl -w net.ipv4.vs.run_estimation=0",
        probe: Some(("director", COUNTS)),
        healthy: "counts",
        fixed: "counts",
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
        fixed: "learns",
        ..ON_DIRECTOR
    },
    Fault {
        id: "sync-link-down",
        stage: &[
            ("director", "ipvsadm --start-daemon master --mcast-interface eth1 --syncid 1"),
            ("backup", "ipvsadm --start-daemon backup --mcast-interface eth1 --syncid 1"),
        ],
        make: "ip link del eth1",
        probe: Some(("backup", LEARNS)),
        healthy: "learns",
        fixed: "learns",
        blanks: &[("INTERFACE", "eth0")],
        then: &[(
            "backup",
            "ipvsadm --stop-daemon backup; ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 1",
        )],
        ..ON_DIRECTOR
    },
];
