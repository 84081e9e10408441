//! Faults of packet filters, on the director and on a real server.

use super::{Fault, ON_DIRECTOR, ON_SERVER};
use crate::cluster::Kind;

/// A client whose request has more than one packet of the longest kind.
const LONG: (&str, &str) =
    ("client", "ip neigh flush dev eth0; ip route flush cache; HEADERS=4000 get 192.0.2.100 80 4");

const TUNNEL: Fault = Fault { kind: Kind::Tunnel, ..ON_DIRECTOR };

pub(super) const FAULTS: [Fault; 13] = [
    Fault {
        id: "filter-input",
        make: "iptables-legacy -A INPUT -p tcp -m multiport --dports 80,443 -j REJECT",
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
