//! The ways from this director to clients that wait in vain for masqueraded servers, whose answers pass it: the kernel is asked
//! for them, with all its rules and tables.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use ipvs::{DestinationEntry, DestinationId, ForwardingMethod, Protocol, ServiceId};

use super::address::Address;
use super::connections::Count;
use super::machine::{Link, LinkKind, Machine};
use super::neighbours;
use super::protocols::{TCP, UDP};
use super::question::{Question, Way};
use super::routes::{RouteEntry, RouteEntryKind};
use super::rtnetlink::Routing;
use super::table::{Table, address};

/// So many connections without an answer are no accident.
const MANY: usize = 3;

/// How a server's answer to a client goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientWay {
    pub(crate) service: ServiceId,
    pub(crate) server: DestinationId,
    pub(crate) client: IpAddr,
    pub(crate) vip: IpAddr,
    /// From the address of the service.
    pub(crate) way: Way,
    /// The same as the packet comes from the server, which is what counts without `snat_reroute`.
    pub(crate) unrouted: Way,
    /// Routes that drop packets to the client, and default routes by the network of the service's address; only where the way is
    /// of no use.
    pub(crate) routes: Vec<RouteEntry>,
}

/// Asks the kernel. What it does not tell is not known.
pub(crate) fn read(table: &Table, connections: &Count, machine: &mut Machine) -> Vec<ClientWay> {
    const MOST_OF_SERVER: usize = 3;
    const MOST: usize = 64;
    let mut asked: Vec<(ServiceId, DestinationId, IpAddr, IpAddr)> = Vec::new();
    for (entry, servers) in table {
        let id = entry.service.id;
        let Some(vip) = address(&id) else { continue };
        let of_server = |server: &DestinationEntry| {
            let server = server.destination.id;
            (server, connections.unanswered(&id, &server))
        };
        let waiting: Vec<_> = servers.iter().filter(|server| is_masqueraded(server)).map(of_server).collect();
        // The servers have the way back in common.
        if waiting.iter().map(|(_, clients)| clients.len()).sum::<usize>() < MANY {
            continue;
        }
        for (server, clients) in waiting {
            let clients: BTreeSet<IpAddr> = clients.into_iter().collect();
            asked.extend(clients.into_iter().take(MOST_OF_SERVER).map(|client| (id, server, client, vip)));
        }
    }
    asked.truncate(MOST);
    if asked.is_empty() {
        return Vec::new();
    }
    let Ok(mut routing) = Routing::open() else { return Vec::new() };
    let mut found: Vec<ClientWay> =
        asked.into_iter().filter_map(|asked| ask(&mut routing, machine, asked)).collect();
    let hops: BTreeSet<(IpAddr, u32)> = found.iter().filter_map(|it| it.silent_hop(machine)).collect();
    neighbours::probe_again(machine, &hops);
    if found.iter().any(|it| it.is_dead(machine) || it.is_elsewhere(machine)) {
        let all = routing.routes().unwrap_or_default();
        for it in &mut found {
            it.routes = all.iter().filter(|route| it.matters(machine, route)).cloned().collect();
        }
    }
    found
}

fn is_masqueraded(server: &DestinationEntry) -> bool {
    server.destination.weight > 0 && server.destination.forwarding == ForwardingMethod::Masquerade
}

fn ask(
    routing: &mut Routing,
    machine: &Machine,
    (service, server, client, vip): (ServiceId, DestinationId, IpAddr, IpAddr),
) -> Option<ClientWay> {
    let is_udp = matches!(service, ServiceId::Address { protocol: Protocol::Udp, .. });
    let port = Some(service.port()).filter(|port| *port != 0);
    let plain = Question {
        from: Some(vip),
        protocol: if is_udp { UDP } else { TCP },
        from_port: port,
        ..Question::to(client)
    };
    let from_server = Question {
        from: Some(server.address),
        arrives: machine.route(server.address).link(),
        from_port: Some(server.port).filter(|port| *port != 0).or(port),
        ..plain
    };
    let (way, unrouted) = (routing.ask(&plain).ok()?, routing.ask(&from_server).ok()?);
    Some(ClientWay { service, server, client, vip, way, unrouted, routes: Vec::new() })
}

impl ClientWay {
    /// The interface to the network of the service's address.
    pub(crate) fn home<'a>(&self, machine: &'a Machine) -> Option<&'a Link> {
        let mut holders = machine.holders(self.vip).map(|(_, link)| link);
        machine.on_link(self.vip).or_else(|| holders.find(|link| link.kind == LinkKind::Ethernet))
    }

    /// The neighbour that packets to the client are sent to, if it did not answer.
    pub(crate) fn silent_hop(&self, machine: &Machine) -> Option<(IpAddr, u32)> {
        let Way::Leaves { gateway, link, .. } = self.way else { return None };
        let hop = gateway.unwrap_or(self.client);
        let mut known = machine.neighbours.of(hop).filter(|neighbour| neighbour.link == link);
        known.next().filter(|neighbour| neighbour.is_silent).map(|_| (hop, link))
    }

    /// The address of the service, if its prefix makes the client one of its network, and another address of this machine does not.
    pub(crate) fn too_wide<'a>(&self, machine: &'a Machine) -> Option<(&'a Address, &'a Link)> {
        let Way::Leaves { gateway: None, link, .. } = self.way else { return None };
        let (place, holder) = machine
            .holders(self.vip)
            .find(|(place, holder)| holder.index == link && !place.is_single() && place.spans(self.client))?;
        let is_narrower = |own: &Address| {
            own.link == link && own.address != self.vip && own.spans(self.vip) && !own.spans(self.client)
        };
        machine.addresses.iter().any(is_narrower).then_some((place, holder))
    }

    /// Whether the way certainly does not lead to the client.
    pub(crate) fn is_dead(&self, machine: &Machine) -> bool {
        match self.way {
            Way::Local { .. } => false,
            Way::Refused(_) => true,
            Way::Leaves { gateway, link, .. } => {
                machine.link(link).is_some_and(|link| link.kind == LinkKind::Dummy)
                    || self.silent_hop(machine).is_some()
                        && (gateway.is_some() || self.too_wide(machine).is_some())
            }
        }
    }

    /// Whether the answer leaves by another interface than that to the network of its own address.
    pub(crate) fn is_elsewhere(&self, machine: &Machine) -> bool {
        let Way::Leaves { link, .. } = self.way else { return false };
        self.home(machine).is_some_and(|home| home.index != link)
    }

    fn matters(&self, machine: &Machine, route: &RouteEntry) -> bool {
        let is_barrier = route.kind == RouteEntryKind::Other
            && route.prefix > 0
            && IpNet::new(route.to, route.prefix).is_ok_and(|network| network.contains(&self.client))
            && !route.to.is_multicast();
        let home = self.home(machine).map(|link| link.index);
        let is_default = route.prefix == 0 && route.gateway.is_some() && route.link == home;
        route.to.is_ipv4() == self.vip.is_ipv4() && (is_barrier || is_default)
    }
}
