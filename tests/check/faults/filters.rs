//! Faults of packet filters, on the director and on a real server.

use super::{Fault, ON_DIRECTOR, ON_SERVER};
use crate::cluster::Kind;

/// A client whose request has more than one packet of the longest kind.
const LONG: (&str, &str) =
    ("client", "ip neigh flush dev eth0; ip route flush cache; HEADERS=4000 get 192.0.2.100 80 4");

const TUNNEL: Fault = Fault { kind: Kind::Tunnel, ..ON_DIRECTOR };

/// Nobody's rules, and nothing that IPVS remembers, is left of the fault before.
macro_rules! anew {
    ($rules:expr) => {
        concat!(
            "for table in filter mangle nat; do iptables-legacy -t $table -F; done; \
             for chain in INPUT OUTPUT FORWARD; do iptables-legacy -P $chain ACCEPT; done; ",
            $rules
        )
    };
}

pub(super) const FAULTS: [Fault; 27] = [
    Fault {
        id: "filter-input",
        make: "iptables-legacy -A INPUT -p tcp -m multiport --dports 80,443 -j REJECT",
        ..ON_DIRECTOR
    },
    // The connection tracking sees one side of the connections.
    Fault {
        id: "filter-input",
        stage: &[("director", "true")],
        make: "sysctl -w net.ipv4.vs.conntrack=1 && \
               iptables-legacy -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT && \
               iptables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP",
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-output",
        stage: &[("director", "true")],
        make: "sysctl -w net.ipv4.vs.conntrack=1 && iptables-legacy -A OUTPUT -m conntrack --ctstate INVALID -j DROP",
        ..ON_DIRECTOR
    },
    // A firewall for this machine alone.
    Fault {
        id: "filter-input",
        stage: &[(
            "director",
            "iptables-legacy -A INPUT -i lo -j ACCEPT && \
             iptables-legacy -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT && \
             iptables-legacy -A INPUT -p icmp -j ACCEPT && iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT",
        )],
        make: "iptables-legacy -P INPUT DROP",
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-input",
        kind: Kind::Routing6,
        make: "ip6tables-legacy -N web && ip6tables-legacy -A INPUT -j web && ip6tables-legacy -A web ! -i lo -p tcp --dport 80 -j DROP",
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-output",
        make: "iptables-legacy -A OUTPUT -p tcp -d 192.168.1.100 -j DROP",
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-output",
        kind: Kind::Masquerade,
        make: "iptables-legacy -A OUTPUT -d 10.0.0.0/24 -p tcp --dport 8080 -j DROP",
        ..ON_DIRECTOR
    },
    Fault { id: "filter-output", make: "iptables-legacy -A OUTPUT -p 4 -j DROP", ..TUNNEL },
    // As Docker sets it up.
    Fault {
        id: "filter-forward",
        kind: Kind::Masquerade,
        make: "iptables-legacy -P FORWARD DROP && iptables-legacy -N DOCKER-USER && iptables-legacy -A DOCKER-USER -j RETURN && \
               iptables-legacy -A FORWARD -j DOCKER-USER && \
               iptables-legacy -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT && \
               iptables-legacy -A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
        ..ON_DIRECTOR
    },
    // To the connection tracking, packets to servers belong to no connection.
    Fault {
        id: "filter-output",
        make: anew!(
            "iptables-legacy -A OUTPUT -o lo -j ACCEPT && iptables-legacy -A OUTPUT -p tcp --sport 22 -j ACCEPT && \
             iptables-legacy -A OUTPUT -m state --state NEW,ESTABLISHED,RELATED -j ACCEPT && iptables-legacy -P OUTPUT DROP"
        ),
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-output",
        make: anew!("iptables-legacy -t mangle -A POSTROUTING -p tcp -m multiport --dports 80,443 -j DROP"),
        ..ON_DIRECTOR
    },
    // Answers belong to no connection either: a router's usual rules.
    Fault {
        id: "filter-forward",
        kind: Kind::Masquerade,
        make: anew!(
            "iptables-legacy -A FORWARD -i eth0 -o eth1 -j ACCEPT && \
             iptables-legacy -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT && iptables-legacy -P FORWARD DROP"
        ),
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-forward",
        kind: Kind::Masquerade,
        make: anew!("iptables-legacy -t mangle -A POSTROUTING ! -o eth1 -s 192.0.2.100 -j DROP"),
        ..ON_DIRECTOR
    },
    // Packets after the first begin a connection again.
    Fault {
        id: "filter-input",
        make: anew!("iptables-legacy -A INPUT -p tcp ! --syn -m state --state NEW -j DROP"),
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-input",
        make: anew!("iptables-legacy -A INPUT -p tcp --syn -j REJECT"),
        cuts_off: true,
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-input",
        make: anew!("iptables-legacy -A INPUT -m iprange --dst-range 192.168.1.90-192.168.1.110 -j DROP"),
        ..ON_DIRECTOR
    },
    // Another program's port, as Docker publishes it.
    Fault {
        id: "filter-input",
        make: anew!(
            "iptables-legacy -t nat -N DOCKER && iptables-legacy -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER && \
             iptables-legacy -t nat -A DOCKER ! -i docker0 -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80"
        ),
        ..ON_DIRECTOR
    },
    // The packets of a mark, to any port but that of logins.
    Fault {
        id: "filter-input",
        kind: Kind::Marked,
        make: "iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT && iptables-legacy -P INPUT DROP",
        ..ON_DIRECTOR
    },
    Fault {
        id: "filter-output",
        kind: Kind::Marked,
        make: "iptables-legacy -A OUTPUT -d 192.168.1.100 -p tcp -j DROP",
        ..ON_DIRECTOR
    },
    // IPv6 finds neighbours by ICMP.
    Fault {
        id: "filter-input",
        kind: Kind::Routing6,
        stage: &[("client", "true")],
        make: "ip6tables-legacy -A INPUT -p tcp -j ACCEPT && ip6tables-legacy -P INPUT DROP && ip -6 neigh flush dev eth0",
        cuts_off: true,
        ..ON_DIRECTOR
    },
    Fault {
        id: "server-filter",
        kind: Kind::Routing6,
        stage: &[("rs1", "true")],
        make: "ip6tables-legacy -A OUTPUT -p ipv6-icmp -j REJECT && ip -6 neigh flush dev eth0 && ip -n director -6 neigh flush dev eth0",
        options: "-r 2001:db8::100",
        cuts_off: true,
        ..ON_SERVER
    },
    Fault {
        id: "filter-icmp",
        make: "iptables-legacy -A OUTPUT -p icmp -j DROP",
        probe: Some(LONG),
        ..TUNNEL
    },
    // Behind the router packets must be shorter still; the director has forgotten that the router said so.
    Fault {
        id: "filter-icmp",
        stage: &[("router", "ip link set eth1 mtu 1400")],
        make: "iptables-legacy -A INPUT -p icmp ! --icmp-type echo-request -j DROP && ip route flush cache",
        probe: Some(LONG),
        ..TUNNEL
    },
    Fault {
        id: "server-filter",
        make: "iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT && iptables-legacy -A INPUT -p icmp -j ACCEPT && \
               iptables-legacy -A INPUT -j DROP",
        ..ON_SERVER
    },
    Fault {
        id: "server-filter",
        make: "iptables-legacy -A OUTPUT -p tcp --sport 80 -o eth+ -j DROP",
        ..ON_SERVER
    },
    Fault {
        id: "server-filter",
        make: "iptables-legacy -A INPUT -p ipencap -j DROP",
        kind: Kind::Tunnel,
        options: "-r 192.0.2.100 -i --port 80",
        ..ON_SERVER
    },
    Fault {
        id: "server-filter",
        kind: Kind::Masquerade,
        make: "iptables-legacy -A INPUT -p tcp ! --dport 22 -j DROP",
        options: "-r 192.0.2.100 -m --port 8080 --director 10.0.0.1",
        ..ON_SERVER
    },
];
