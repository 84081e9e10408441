//! Faults of the connection tracking, and of what was mistyped.

use super::{Fault, ON_DIRECTOR};
use crate::cluster::Kind;

/// Fills the table of the connection tracking with connections of this machine's own, and says that it is full. Only the first
/// network namespace may do that.
const FILL: &str = "busybox nsenter --net=/proc/1/ns/net sysctl -w net.netfilter.nf_conntrack_max=65536 && \
    (perl -MSocket -e '\
    socket my $l, AF_INET, SOCK_STREAM, 6; bind $l, sockaddr_in(9999, INADDR_LOOPBACK); listen $l, 400; my @all; \
    for (1 .. 250) { socket my $s, AF_INET, SOCK_STREAM, 6; connect $s, sockaddr_in(9999, INADDR_LOOPBACK); push @all, $s } \
    sleep 40' </dev/null >/dev/null 2>&1 &) && \
    for i in $(seq 300); do [ $(cat /proc/sys/net/netfilter/nf_conntrack_count) -gt 240 ] && break; sleep 0.1; done && \
    [ $(cat /proc/sys/net/netfilter/nf_conntrack_count) -gt 240 ] && sleep 0.5 && \
    busybox nsenter --net=/proc/1/ns/net sysctl -w net.netfilter.nf_conntrack_max=240";

pub(super) const FAULTS: [Fault; 6] = [
    Fault {
        id: "conntrack-full",
        stage: &[("director", "iptables-legacy -A INPUT -m state --state ESTABLISHED -j ACCEPT")],
        make: FILL,
        blanks: &[("sysctl -w ", "busybox nsenter --net=/proc/1/ns/net sysctl -w ")],
        cuts_off: true,
        ..ON_DIRECTOR
    },
    // A rule for other connections replaces the senders of directly routed packets, too.
    Fault {
        id: "client-translated",
        kind: Kind::RoutingBehindRouter,
        stage: &[("director", "iptables-legacy -t nat -A POSTROUTING -o eth0 -j MASQUERADE")],
        make: "sysctl -w net.ipv4.vs.conntrack=1",
        ..ON_DIRECTOR
    },
    Fault {
        id: "syn-proxy",
        stage: &[("director", "true")],
        make: "iptables-legacy -t raw -A PREROUTING -d 192.168.1.100 -p tcp --syn -j CT --notrack && \
               sysctl -w net.netfilter.nf_conntrack_tcp_loose=0 && \
               iptables-legacy -A INPUT -d 192.168.1.100 -p tcp -m state --state INVALID,UNTRACKED -j SYNPROXY --sack-perm --timestamp",
        ..ON_DIRECTOR
    },
    Fault {
        id: "syn-proxy",
        kind: Kind::Masquerade,
        stage: &[(
            "director",
            "sysctl -w net.ipv4.vs.conntrack=1 net.netfilter.nf_conntrack_tcp_loose=0 && \
             iptables-legacy -t raw -A PREROUTING -d 192.0.2.100 -p tcp --syn -j CT --notrack && \
             iptables-legacy -A INPUT -d 192.0.2.100 -p tcp -m state --state INVALID,UNTRACKED -j SYNPROXY --sack-perm --timestamp",
        )],
        make: "sysctl -w net.ipv4.vs.conntrack=0",
        ..ON_DIRECTOR
    },
    // The table has another address than the director.
    Fault {
        id: "vip-missing",
        stage: &[("director", "true")],
        make: "printf '%s\n' -C '-A -t 192.168.1.110:80 -s rr' '-a -t 192.168.1.110:80 -r 192.168.1.11' '-a -t 192.168.1.110:80 -r 192.168.1.12' | \
               ipvsadm -R && rm /etc/sysconfig/ipvsadm",
        ..ON_DIRECTOR
    },
    Fault {
        id: "protocol-unusual",
        stage: &[("director", "true")],
        make: "printf '%s\n' -C '-A -u 192.168.1.100:80 -s rr' '-a -u 192.168.1.100:80 -r 192.168.1.11' '-a -u 192.168.1.100:80 -r 192.168.1.12' | \
               ipvsadm -R && rm /etc/sysconfig/ipvsadm",
        ..ON_DIRECTOR
    },
];
