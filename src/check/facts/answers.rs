//! The answers of a real server: which addresses they come from, and the gateways that they leave by.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::address::{Address, Route};
use super::machine::{Connection, LinkKind, Machine, TcpState};
use super::protocols::TCP;
use super::question::{Question, Way};
use super::routes::Hop;
use super::rtnetlink::Routing;
use crate::command::{Method, RealServer};

/// The server's own addresses on Ethernet interfaces.
pub(crate) fn own<'a>(role: &RealServer, machine: &'a Machine) -> impl Iterator<Item = &'a Address> {
    let vip = role.vip;
    let is_local =
        |address: IpAddr| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    machine.addresses.iter().filter(move |own| {
        own.address != vip
            && own.address.is_ipv4() == vip.is_ipv4()
            && !is_local(own.address)
            && machine.link(own.link).is_some_and(|link| link.kind == LinkKind::Ethernet)
    })
}

/// The source addresses of answers to clients, as they leave this server; none if the kernel chooses.
pub(crate) fn sources(role: &RealServer, machine: &Machine) -> Vec<Option<IpAddr>> {
    if role.method != Method::Masquerade {
        return vec![Some(role.vip).filter(|vip| machine.holders(*vip).next().is_some())];
    }
    let own: Vec<&Address> = own(role, machine).collect();
    let is_near = |own: &&&Address| role.director.is_some_and(|director| own.spans(director));
    let near: Vec<&Address> = own.iter().filter(is_near).copied().collect();
    let chosen = if near.is_empty() { own } else { near };
    chosen.into_iter().map(|own| Some(own.address)).collect()
}

/// The ways of answers to clients of the service that wait for them. What the kernel does not tell is not known.
pub(crate) fn ways(role: &RealServer, machine: &Machine, routing: &mut Routing) -> Vec<(IpAddr, Way)> {
    const MOST: usize = 16;
    let is_waiting = |it: &&Connection| {
        it.state == TcpState::Opening
            && (it.local.ip() == role.vip || role.method == Method::Masquerade)
            && role.port.is_none_or(|port| port == it.local.port())
            && machine.listeners.iter().any(|listener| listener.is_tcp && listener.port == it.local.port())
    };
    let waiting: BTreeSet<(IpAddr, SocketAddr)> =
        machine.connections.iter().filter(is_waiting).map(|it| (it.remote.ip(), it.local)).collect();
    let mut ask = |(client, local): (IpAddr, SocketAddr)| {
        let question = Question {
            from: Some(local.ip()),
            protocol: TCP,
            from_port: Some(local.port()),
            ..Question::to(client)
        };
        Some((client, routing.ask(&question).ok()?))
    };
    waiting.into_iter().take(MOST).filter_map(&mut ask).collect()
}

/// The gateways of answers that do not answer themselves.
pub(crate) fn silent_gateways(machine: &Machine) -> BTreeSet<(IpAddr, u32)> {
    let hops = machine.routes.spread().into_iter().flat_map(|route| &route.hops);
    let answers = machine.routes.answers.iter().filter_map(|route| silent(machine, *route));
    let of_waiting =
        machine.waiting.iter().filter_map(|(client, way)| silent(machine, hop_of(*client, *way)));
    answers.chain(hops.filter_map(|hop| silent_hop(machine, *hop))).chain(of_waiting).collect()
}

/// The way to a client, through the neighbour that is its next hop.
pub(crate) fn hop_of(client: IpAddr, way: Way) -> Route {
    match way {
        Way::Leaves { gateway, link, .. } => Route::Via(gateway.unwrap_or(client), link),
        Way::Local { .. } | Way::Refused(_) => Route::Unreachable,
    }
}

pub(crate) fn silent(machine: &Machine, route: Route) -> Option<(IpAddr, u32)> {
    let Route::Via(gateway, link) = route else { return None };
    let mut known = machine.neighbours.of(gateway).filter(|neighbour| neighbour.link == link);
    known.next().filter(|neighbour| neighbour.is_silent).map(|_| (gateway, link))
}

pub(crate) fn silent_hop(machine: &Machine, hop: Hop) -> Option<(IpAddr, u32)> {
    silent(machine, Route::Via(hop.gateway?, hop.link))
}
