//! The packets of clients, and the answers of masqueraded servers, as they pass the director's packet filter.

use std::net::IpAddr;

use ipvs::{DestinationEntry, Family, ForwardingMethod, Service, ServiceId, Tunnel};

use super::rules::{ACK, Packet, SYN};
use super::ruleset::Ruleset;
use crate::check::facts::address::Route;
use crate::check::facts::machine::{LinkKind, Machine};
use crate::check::facts::protocols::{GRE, IPIP, IPV6, TCP, UDP, number};

/// Neighbour solicitations and advertisements of IPv6.
pub(crate) const NEIGHBOURS: [(u8, u8); 2] = [(135, 0), (136, 0)];

/// The first packets of clients to a service, one for each interface that they may arrive on; with a firewall mark those that
/// rules say.
pub(crate) fn requests(machine: &Machine, rules: &Ruleset, service: &Service) -> Vec<Packet> {
    let packets = match service.id {
        ServiceId::Address { protocol, address, port } => {
            let to_port = Some(port).filter(|port| *port != 0);
            let request =
                |number| Packet { to: Some(address), to_port, ..Packet::of(service.id.family(), number) };
            number(protocol).map(request).into_iter().collect()
        }
        ServiceId::Fwmark { mark, family } => rules.marked(mark.get(), family),
    };
    let arriving = packets.into_iter().flat_map(|packet| {
        let links = match (&packet.arrives, packet.to) {
            (Some(link), _) => vec![Some(link.clone())],
            (None, Some(vip)) => wires(machine, vip).collect(),
            (None, None) => vec![None],
        };
        let is_local = packet.to.is_none_or(|vip| machine.route(vip) == Route::Local).then_some(true);
        let is_of_client = packet.protocol == TCP;
        let flags = is_of_client.then_some(SYN);
        links.into_iter().map(move |arrives| Packet {
            arrives,
            is_local,
            is_of_client,
            flags,
            state: Some("new"),
            ..packet.clone()
        })
    });
    arriving.collect()
}

/// Whether the connection tracking keeps the connections of IPVS; none if IPVS has no such setting.
pub(crate) fn is_tracked(machine: &Machine) -> Option<bool> {
    machine.sysctl("net/ipv4/vs/conntrack").map(|value| value != 0)
}

/// Whether servers of a service answer clients themselves, so that the director sees one side of their connections.
pub(crate) fn is_one_sided(servers: &[DestinationEntry]) -> bool {
    servers.iter().any(|server| {
        let it = server.destination;
        it.weight > 0
            && matches!(it.forwarding, ForwardingMethod::DirectRouting | ForwardingMethod::Tunnel(_))
    })
}

/// The packets after the first, as the connection tracking sees them where it does not take them as ESTABLISHED: it does not
/// keep the connection, and each is the first that it sees; or it does, and sees only one side of it.
pub(crate) fn later(machine: &Machine, first: &[Packet], is_one_sided: bool) -> Vec<Packet> {
    let is_strict = machine.sysctl("net/netfilter/nf_conntrack_tcp_loose") == Some(0);
    let state = match is_tracked(machine) {
        Some(false) if !is_strict => "new",
        Some(true) if !is_one_sided => return Vec::new(),
        Some(_) => "invalid",
        None => return Vec::new(),
    };
    let of_tcp = first.iter().filter(|packet| packet.protocol == TCP);
    of_tcp.map(|packet| Packet { flags: Some(ACK), state: Some(state), ..packet.clone() }).collect()
}

/// The packets of a service to a server, as they leave.
pub(crate) fn to_server(
    machine: &Machine,
    rules: &Ruleset,
    service: &Service,
    server: &DestinationEntry,
) -> Vec<Packet> {
    let (to, port) = (server.destination.id.address, server.destination.id.port);
    let Some(link) = machine.route(to).link() else { return Vec::new() };
    let state = (is_tracked(machine) == Some(false)).then_some("untracked");
    let leaving = |packet: Packet| Packet { leaves: Some(machine.name(link).to_owned()), state, ..packet };
    let tunnel = match server.destination.forwarding {
        ForwardingMethod::Tunnel(tunnel) => tunnel,
        method => {
            let is_masquerading = method == ForwardingMethod::Masquerade;
            let mut packets: Vec<Packet> = requests(machine, rules, service)
                .into_iter()
                .map(|request| Packet {
                    to: if is_masquerading { Some(to) } else { request.to },
                    to_port: Some(port).filter(|port| is_masquerading && *port != 0).or(request.to_port),
                    arrives: None,
                    is_local: None,
                    ..leaving(request)
                })
                .collect();
            packets.dedup();
            return packets;
        }
    };
    let (protocol, to_port) = match tunnel {
        // What is inside decides: IPv4 or IPv6.
        Tunnel::Ipip if service.id.family() == Family::V4 => (IPIP, None),
        Tunnel::Ipip => (IPV6, None),
        Tunnel::Gre { .. } => (GRE, None),
        Tunnel::Gue { port, .. } => (UDP, Some(port)),
        Tunnel::Other { .. } => return Vec::new(),
    };
    // What is around the packet is no part of that.
    vec![Packet {
        state: None,
        ..leaving(Packet { to: Some(to), to_port, ..Packet::of(Family::from(to), protocol) })
    }]
}

/// The answers of a masqueraded server, as they arrive, and as they leave with the address of the service.
pub(crate) fn from_server(
    machine: &Machine,
    rules: &Ruleset,
    service: &Service,
    server: &DestinationEntry,
) -> (Vec<Packet>, Vec<Packet>) {
    let (from, port) = (server.destination.id.address, server.destination.id.port);
    let link = machine.route(from).link();
    let Some(link) = link.filter(|_| server.destination.forwarding == ForwardingMethod::Masquerade) else {
        return (Vec::new(), Vec::new());
    };
    let mut forwarded = Vec::new();
    let mut sent = Vec::new();
    for request in requests(machine, rules, service) {
        let state = match (is_tracked(machine), request.protocol) {
            (Some(true), _) => Some("established"),
            (Some(false), TCP) => Some("invalid"),
            (Some(false), UDP) => Some("new"),
            _ => None,
        };
        let answer = Packet {
            from: Some(from),
            from_port: Some(port).filter(|port| *port != 0).or(request.to_port),
            flags: request.flags.map(|_| SYN | ACK),
            arrives: Some(machine.name(link).to_owned()),
            leaves: request.arrives,
            state,
            is_local: Some(false),
            ..Packet::of(Family::from(from), request.protocol)
        };
        sent.push(Packet {
            from: request.to,
            from_port: request.to_port,
            arrives: None,
            state: None,
            is_local: None,
            ..answer.clone()
        });
        forwarded.push(answer);
    }
    (forwarded, sent)
}

/// The names of the interfaces that clients of an address are behind: those that hold it, and that of the default
/// route; none for one that is not known.
pub(crate) fn wires(machine: &Machine, vip: IpAddr) -> impl Iterator<Item = Option<String>> {
    let on_wire = machine.holders(vip).filter(|(_, link)| link.kind == LinkKind::Ethernet);
    let mut names: Vec<Option<String>> = on_wire.map(|(_, link)| Some(link.name.clone())).collect();
    names.extend(machine.default_route(vip).link().map(|link| Some(machine.name(link).to_owned())));
    names.dedup();
    if names.is_empty() {
        names.push(None);
    }
    names.into_iter()
}
