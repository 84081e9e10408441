//! The answers of a real server: which addresses they come from, and the gateways that they leave by.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::address::{Address, Route};
use super::machine::{LinkKind, Machine};
use super::routes::Hop;
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

/// The gateways of answers that do not answer themselves.
pub(crate) fn silent_gateways(machine: &Machine) -> BTreeSet<(IpAddr, u32)> {
    let hops = machine.routes.spread().into_iter().flat_map(|route| &route.hops);
    let answers = machine.routes.answers.iter().filter_map(|route| silent(machine, *route));
    answers.chain(hops.filter_map(|hop| silent_hop(machine, *hop))).collect()
}

pub(crate) fn silent(machine: &Machine, route: Route) -> Option<(IpAddr, u32)> {
    let Route::Via(gateway, link) = route else { return None };
    let mut known = machine.neighbours.of(gateway).filter(|neighbour| neighbour.link == link);
    known.next().filter(|neighbour| neighbour.is_silent).map(|_| (gateway, link))
}

pub(crate) fn silent_hop(machine: &Machine, hop: Hop) -> Option<(IpAddr, u32)> {
    silent(machine, Route::Via(hop.gateway?, hop.link))
}
