//! Faults of the table, and of the routes to its addresses and servers.

use super::{Fault, ON_DIRECTOR, SECOND_ALONE};
use crate::cluster::Kind;

pub(super) const UDP_SERVERS: &[(&str, &str)] = &[
    ("rs1", "udp answer 192.168.1.100 53 rs1 >/dev/null 2>&1"),
    ("rs2", "udp answer 192.168.1.100 53 rs2 >/dev/null 2>&1"),
    (
        "director",
        "printf '%s\n' '-A -u 192.168.1.100:53 -s rr -o' '-a -u 192.168.1.100:53 -r 192.168.1.11' \
         '-a -u 192.168.1.100:53 -r 192.168.1.12' | ipvsadm -R",
    ),
];

const SECOND_PORT: &[(&str, &str)] = &[
    ("rs1", "start httpd -f -p 8080 -h /run/check/rs1"),
    ("rs2", "start httpd -f -p 8080 -h /run/check/rs2"),
    (
        "director",
        "printf '%s\n' '-A -t 192.168.1.100:8080 -s rr' '-a -t 192.168.1.100:8080 -r 192.168.1.11' \
         '-a -t 192.168.1.100:8080 -r 192.168.1.12' | ipvsadm -R",
    ),
];

/// Eight clients at once, with enough time for those that wait.
const CROWD: &str =
    "for i in 1 2 3 4 5 6 7 8; do get 192.168.1.100 80 1 & done | sort | uniq -c | xargs; sleep 3";

/// The same, outside.
const CROWD_OUTSIDE: &str =
    "for i in 1 2 3 4 5 6 7 8; do get 192.0.2.100 80 1 & done | sort | uniq -c | xargs; sleep 2.5";

pub(super) const FAULTS: [Fault; 43] = [
    Fault {
        id: "gue-port",
        kind: Kind::Tunnel,
        stage: &[
            ("rs1", "modprobe fou && ip fou add port 5555 gue"),
            ("director", "ipvsadm -e -t 192.0.2.100:80 -r 198.51.100.11 -i --tun-type gue --tun-port 5555"),
        ],
        // 5555 with its bytes swapped.
        make: "ipvsadm -e -t 192.0.2.100:80 -r 198.51.100.11 -i --tun-type gue --tun-port 45845",
        ..ON_DIRECTOR
    },
    Fault { id: "vip-missing", make: "ip addr del 192.168.1.100/32 dev eth0", ..ON_DIRECTOR },
    Fault {
        id: "vip-missing",
        kind: Kind::Routing6,
        make: "ip addr del 2001:db8::100/128 dev eth0",
        ..ON_DIRECTOR
    },
    Fault {
        id: "vip-missing",
        make: "ip addr del 192.168.1.100/32 dev eth0 && ip link set eth0 down",
        ..ON_DIRECTOR
    },
    Fault { id: "vip-link-down", make: "ip link set eth0 down", ..ON_DIRECTOR },
    // Another machine had the address when this one got it.
    Fault {
        id: "vip-void",
        kind: Kind::Routing6,
        make: "ip -n rs1 addr add 2001:db8::100/128 dev eth0 nodad && ip addr del 2001:db8::100/128 dev eth0 && \
               ip addr add 2001:db8::100/128 dev eth0 && \
               for i in $(seq 30); do ip addr show dev eth0 dadfailed | grep -q :100/ && break; sleep 0.1; done && \
               ip -n rs1 addr del 2001:db8::100/128 dev eth0",
        ..ON_DIRECTOR
    },
    Fault {
        id: "vip-on-loopback",
        make: "ip addr del 192.168.1.100/32 dev eth0 && ip addr add 192.168.1.100/32 dev lo && \
               sysctl -w net.ipv4.conf.all.arp_ignore=1",
        ..ON_DIRECTOR
    },
    Fault {
        id: "vip-on-loopback",
        kind: Kind::Routing6,
        make: "ip addr del 2001:db8::100/128 dev eth0 && ip addr add 2001:db8::100/128 dev lo",
        ..ON_DIRECTOR
    },
    Fault {
        id: "vip-on-other-link",
        make: "sysctl -w net.ipv4.conf.all.arp_ignore=1 && ip addr del 192.168.1.100/32 dev eth0 && \
               ip addr add 192.168.1.100/32 dev eth1",
        ..ON_DIRECTOR
    },
    Fault { id: "vip-unanswered", make: "sysctl -w net.ipv4.conf.eth0.arp_ignore=8", ..ON_DIRECTOR },
    // An earlier fault may have put the address on another interface, too.
    Fault {
        id: "vip-unanswered",
        make: "sysctl -w net.ipv4.conf.all.arp_ignore=3 && ip addr flush to 192.168.1.100/32 && \
               ip addr add 192.168.1.100/32 dev eth0 scope host",
        ..ON_DIRECTOR
    },
    // A real server answers for the address.
    Fault {
        id: "vip-twice",
        make: "busybox nsenter --net=/run/netns/rs1 sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0",
        options: "--probe",
        probe: Some((
            "client",
            "busybox arping -c 2 -w 2 -I eth0 192.168.1.100 | grep -o '\\[.*\\]' | sort -u | wc -l",
        )),
        healthy: "1",
        fixed: "1",
        // That check prints the fix there.
        blanks: &[(
            "ssh 192.168.1.11 ipvsadm --check -r 192.168.1.100 -g --port 80 --director 192.168.1.1",
            "busybox nsenter --net=/run/netns/rs1 sysctl -w net.ipv4.conf.all.arp_ignore=1",
        )],
        ..ON_DIRECTOR
    },
    Fault {
        id: "no-server",
        stage: SECOND_PORT,
        make: "printf '%s\n' '-d -t 192.168.1.100:8080 -r 192.168.1.11' '-d -t 192.168.1.100:8080 -r 192.168.1.12' | ipvsadm -R",
        probe: Some(("client", "get 192.168.1.100 8080 4")),
        ..ON_DIRECTOR
    },
    // The weights that are saved come back.
    Fault {
        id: "all-weights-zero",
        stage: &[(
            "director",
            "ipvsadm -E -t 192.168.1.100:80 -s wrr && ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -w 3 && \
             ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
        )],
        healthy: "rs1 rs1 rs1 rs2",
        fixed: "rs1 rs1 rs1 rs2",
        make: "printf '%s\n' '-e -t 192.168.1.100:80 -r 192.168.1.11 -w 0' '-e -t 192.168.1.100:80 -r 192.168.1.12 -w 0' | ipvsadm -R",
        ..ON_DIRECTOR
    },
    // The client has one server, by its address.
    Fault {
        id: "clients-refused",
        stage: &[("director", "ipvsadm -E -t 192.168.1.100:80 -s sh")],
        make: "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12 -g -w 0",
        healthy: "rs2 rs2 rs2 rs2",
        fixed: "rs1 rs1 rs1 rs1",
        ..ON_DIRECTOR
    },
    Fault {
        id: "weights-ignored",
        make: "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -g -w 3",
        fixed: "rs1 rs1 rs1 rs2",
        ..ON_DIRECTOR
    },
    Fault {
        id: "persistent-one-packet",
        stage: UDP_SERVERS,
        make: "ipvsadm -E -u 192.168.1.100:53 -s rr -o -p 60",
        probe: Some(("client", "udp ask 192.168.1.100 53 4 | sort | xargs")),
        ..ON_DIRECTOR
    },
    Fault {
        id: "all-to-one",
        stage: UDP_SERVERS,
        make: "ipvsadm -E -u 192.168.1.100:53 -s wlc -o",
        probe: Some(("client", "udp ask 192.168.1.100 53 4 | sort | xargs")),
        ..ON_DIRECTOR
    },
    Fault { id: "all-to-one", make: "ipvsadm -E -t 192.168.1.100:80 -s dh", ..ON_DIRECTOR },
    // All 256 places of the table are those of the server that was added last.
    Fault {
        id: "hash-weights",
        stage: &[("director", "ipvsadm -E -t 192.168.1.100:80 -s sh -b sh-port")],
        make: "printf '%s\n' '-e -t 192.168.1.100:80 -r 192.168.1.11 -w 300' '-e -t 192.168.1.100:80 -r 192.168.1.12 -w 300' | \
               ipvsadm -R",
        probe: Some(("client", "get 192.168.1.100 80 40 | tr ' ' '\n' | sort -u | xargs")),
        healthy: "rs1 rs2",
        fixed: "rs1 rs2",
        commands: 2,
        ..ON_DIRECTOR
    },
    Fault {
        id: "mask-of-all",
        make: "ipvsadm -E -t 192.168.1.100:80 -s rr -p 60 -M 0.0.0.0 && ipvsadm -Z",
        probe: Some((
            "client",
            "(get 192.168.1.100 80 1; busybox nsenter --net=/run/netns/backup get 192.168.1.100 80 1) | sort | xargs",
        )),
        healthy: "rs1 rs2",
        fixed: "rs1 rs2",
        ..ON_DIRECTOR
    },
    Fault { id: "mark-unset", kind: Kind::Marked, make: "iptables-legacy -t mangle -F", ..ON_DIRECTOR },
    // In a chain that clients' packets do not pass.
    Fault {
        id: "mark-unset",
        kind: Kind::Marked,
        stage: &[("director", "true")],
        make: "iptables-legacy -t mangle -F && iptables-legacy -t mangle -A OUTPUT -d 192.168.1.100 -p tcp -j MARK --set-mark 1",
        ..ON_DIRECTOR
    },
    // For another address.
    Fault {
        id: "mark-unset",
        kind: Kind::Marked,
        stage: &[("director", "true")],
        make: "iptables-legacy -t mangle -F && iptables-legacy -t mangle -A PREROUTING -d 192.168.1.200 -p tcp -j MARK --set-mark 1",
        ..ON_DIRECTOR
    },
    // Another rule sets another mark afterwards.
    Fault {
        id: "mark-unset",
        kind: Kind::Marked,
        stage: &[("director", "true")],
        make: "iptables-legacy -t mangle -F && \
               iptables-legacy -t mangle -A PREROUTING -d 192.168.1.100 -p tcp --dport 80 -j MARK --set-mark 1 && \
               iptables-legacy -t mangle -A PREROUTING -d 192.168.1.100 -p tcp -j MARK --set-mark 2",
        ..ON_DIRECTOR
    },
    Fault {
        id: "syn-recv",
        kind: Kind::Marked,
        stage: &[("rs1", "true")],
        make: "ip -n rs1 addr del 192.168.1.100/32 dev lo",
        probe: Some(("client", CROWD)),
        healthy: "4 rs1 4 rs2",
        fixed: "8 rs2",
        ..ON_DIRECTOR
    },
    // Somebody has cleared the table beside keepalived, which makes nothing again.
    Fault {
        id: "supervisor-idle",
        stage: &[("director", "true")],
        make: "echo 'virtual_server 192.168.1.100 80 { }' >/etc/keepalived/keepalived.conf && \
               ln -sf $(command -v sleep) /run/keepalived && (/run/keepalived 30 </dev/null >/dev/null 2>&1 &) && ipvsadm -C",
        // What it does when it starts.
        blanks: &[("systemctl restart keepalived", "ipvsadm -R --file /etc/sysconfig/ipvsadm")],
        ..ON_DIRECTOR
    },
    // Answers find no connection.
    Fault {
        id: "one-packet-masqueraded",
        kind: Kind::Masquerade,
        stage: &[
            ("rs1", "udp answer 10.0.0.11 53 rs1 </dev/null >/dev/null 2>&1"),
            ("rs2", "udp answer 10.0.0.12 53 rs2 </dev/null >/dev/null 2>&1"),
            (
                "director",
                "ipvsadm -A -u 192.0.2.100:53 -s rr && ipvsadm -a -u 192.0.2.100:53 -r 10.0.0.11 -m && \
                 ipvsadm -a -u 192.0.2.100:53 -r 10.0.0.12 -m && ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
            ),
        ],
        make: "ipvsadm -E -u 192.0.2.100:53 -s rr -o && ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
        probe: Some(("client", "udp ask 192.0.2.100 53 4 2>/dev/null | sort -u | wc -l")),
        healthy: "1",
        fixed: "1",
        then: &[("director", "ipvsadm -S --full --file /etc/sysconfig/ipvsadm")],
        ..ON_DIRECTOR
    },
    // The data connection of FTP is to a port that belongs to the service, too.
    Fault {
        id: "ftp-data",
        stage: &[
            ("rs1", "start httpd -f -p 21 -h /run/check/rs1"),
            ("rs1", "start httpd -f -p 2121 -h /run/check/rs1"),
            ("rs2", "start httpd -f -p 21 -h /run/check/rs2"),
            ("rs2", "start httpd -f -p 2121 -h /run/check/rs2"),
            (
                "director",
                "ipvsadm -A -t 192.168.1.100:21 -s rr -p 600 && ipvsadm -a -t 192.168.1.100:21 -r 192.168.1.11 -g && \
                 ipvsadm -a -t 192.168.1.100:21 -r 192.168.1.12 -g && ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
            ),
        ],
        make: "ipvsadm -E -t 192.168.1.100:21 -s rr && ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
        probe: Some((
            "client",
            "for i in 1 2 3 4; do [ $(get 192.168.1.100 21 1) = $(get 192.168.1.100 2121 1) ] && echo same; done | wc -l",
        )),
        healthy: "4",
        fixed: "4",
        then: &[("director", "ipvsadm -S --full --file /etc/sysconfig/ipvsadm")],
        ..ON_DIRECTOR
    },
    Fault {
        id: "mark-unset",
        kind: Kind::Routing6,
        stage: &[(
            "director",
            "ip6tables-legacy -t mangle -A PREROUTING -d 2001:db8::100 -p tcp -j MARK --set-mark 1 && \
             printf '%s\n' -C '-A -f 1 -6 -s rr' '-a -f 1 -6 -r [2001:db8::11]:0 -g' '-a -f 1 -6 -r [2001:db8::12]:0 -g' | \
             ipvsadm -R && ipvsadm -S --full --file /etc/sysconfig/ipvsadm",
        )],
        make: "ip6tables-legacy -t mangle -F",
        ..ON_DIRECTOR
    },
    Fault {
        id: "server-behind-gateway",
        kind: Kind::RoutingBehindRouter,
        make: "ip route add 192.168.1.11/32 via 192.168.1.254",
        ..ON_DIRECTOR
    },
    // Another machine's address.
    Fault {
        id: "server-behind-gateway",
        kind: Kind::RoutingBehindRouter,
        make: "ipvsadm -a -t 192.168.1.100:80 -r 203.0.113.11 -g",
        ..ON_DIRECTOR
    },
    // The server is in another network, so a tunnel is needed, which it must decapsulate.
    Fault {
        id: "server-behind-gateway",
        kind: Kind::RoutingBehindRouter,
        stage: &[
            ("rs1", "modprobe ipip && ip link set tunl0 up && sysctl -w net.ipv4.conf.tunl0.rp_filter=0"),
            ("director", "ip link set eth1 down && ipvsadm -d -t 192.168.1.100:80 -r 192.168.1.11"),
        ],
        make: "ipvsadm -a -t 192.168.1.100:80 -r 198.51.100.11 -g",
        healthy: SECOND_ALONE,
        then: &[("director", "ipvsadm -e -t 192.168.1.100:80 -r 198.51.100.11 -i -w 1")],
        ..ON_DIRECTOR
    },
    Fault { id: "server-unreachable", make: "ip route add blackhole 192.168.1.11/32", ..ON_DIRECTOR },
    Fault {
        id: "server-unreachable",
        make: "ipvsadm -a -t 192.168.1.100:80 -r 192.168.111.13 -g",
        ..ON_DIRECTOR
    },
    Fault {
        id: "server-silent",
        make: "ip -n rs1 link set eth0 down && ip neigh flush dev eth0",
        fixed: SECOND_ALONE,
        ..ON_DIRECTOR
    },
    Fault {
        id: "server-is-director",
        make: "ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.1 -g",
        then: &[("director", "ipvsadm -d -t 192.168.1.100:80 -r 192.168.1.1")],
        ..ON_DIRECTOR
    },
    Fault {
        id: "server-is-director",
        make: "ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.1 -i",
        then: &[("director", "ipvsadm -d -t 192.168.1.100:80 -r 192.168.1.1")],
        ..ON_DIRECTOR
    },
    Fault {
        id: "syn-recv",
        // Connections of earlier clients would count.
        stage: &[("rs1", "true")],
        make: "ip -n rs1 addr del 192.168.1.100/32 dev lo",
        probe: Some(("client", CROWD)),
        healthy: "4 rs1 4 rs2",
        fixed: "8 rs2",
        ..ON_DIRECTOR
    },
    // Its answers take another gateway; it answers the director.
    Fault {
        id: "syn-recv",
        kind: Kind::Masquerade,
        stage: &[("rs1", "true")],
        make: "get 10.0.0.11 8080 1 && ip -n rs1 route replace default via 10.0.0.12",
        probe: Some(("client", CROWD_OUTSIDE)),
        healthy: "4 rs1 4 rs2",
        fixed: "8 rs2",
        ..ON_DIRECTOR
    },
    // A server that is a client too.
    Fault {
        id: "client-beside",
        kind: Kind::Masquerade,
        stage: &[(
            "director",
            "ipvsadm -d -t 192.0.2.100:80 -r 10.0.0.12:8080 && sysctl -w net.ipv4.vs.conntrack=1 && \
             iptables-legacy -t nat -A POSTROUTING -s 10.0.0.0/24 -d 10.0.0.11 -p tcp -j MASQUERADE",
        )],
        make: "iptables-legacy -t nat -F && sysctl -w net.ipv4.vs.conntrack=0",
        probe: Some((
            "rs2",
            "for i in 1 2 3; do get 192.0.2.100 80 1 & done | sort | uniq -c | xargs; sleep 2.5",
        )),
        healthy: "3 rs1",
        fixed: "3 rs1",
        ..ON_DIRECTOR
    },
    Fault {
        id: "server-refuses",
        kind: Kind::Masquerade,
        stage: &[("rs1", "true")],
        make: "for pid in $(ip netns pids rs1); do [ $(cat /proc/$pid/comm) != httpd ] || kill $pid; done; ipvsadm -Z",
        probe: Some(("client", CROWD_OUTSIDE)),
        healthy: "4 rs1 4 rs2",
        fixed: "8 rs2",
        ..ON_DIRECTOR
    },
    // The two earlier connections count. Thresholds stay, and would count those of the next fault.
    Fault {
        id: "threshold-reached",
        stage: &[("director", "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -g -x 100")],
        make: "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -g -x 3 -y 1",
        ..ON_DIRECTOR
    },
];
