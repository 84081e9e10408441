//! A UDP server on all addresses, whose answers have this server's own address instead of the VIP.

use ipvs::{Family, Protocol};

use crate::check::checks::fixes::restore_route;
use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::machine::LinkKind;
use crate::check::facts::routes::{MAIN, RouteEntry, RouteEntryKind};
use crate::check::finding::{Finding, Kind, counted};
use crate::check::fix::{Fix, Step, words};
use crate::check::server::Server;
use crate::command::Method;

const UDP_SOURCE: Kind =
    Kind::error("udp-source", "clients asked the VIP, and ignore answers from another address");

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[UDP_SOURCE], run };

fn run(server: &Server) -> Vec<Finding> {
    astray(server).into_iter().collect()
}

fn astray(server: &Server) -> Option<Finding> {
    let Server { role, machine, udp, .. } = server;
    let port = role.port.filter(|_| role.method != Method::Masquerade)?;
    let of = |is_tcp| machine.listeners.iter().filter(move |it| it.port == port && it.is_tcp == is_tcp);
    let is_udp = match role.protocol {
        Some(protocol) => protocol == Protocol::Udp,
        None => of(true).next().is_none(),
    };
    let is_on_all = of(false).any(|it| it.address.is_unspecified());
    let is_bound = of(false).any(|it| it.address == role.vip);
    let source = udp.source.filter(|source| *source != role.vip)?;
    // Some programs answer from the address that was asked; then nobody refuses their answers.
    if !is_udp || !is_on_all || is_bound || udp.refused == 0 || machine.holders(role.vip).next().is_none() {
        return None;
    }
    let what = format!(
        "the socket on UDP port {port} is bound to all addresses, so its answers come from {source}; others have refused {} of this \
         server (nstat -az IcmpInDestUnreachs)",
        counted(udp.refused, "packet")
    );
    Some(UDP_SOURCE.at(&port, what, by_routes(server, port)))
}

/// A table for the port's answers, whose routes give them the VIP as source.
fn by_routes(server: &Server, port: u16) -> Fix {
    let Server { role, machine, .. } = server;
    let table = machine.routes.free_table();
    let is_used = |route: &&RouteEntry| {
        let mut links = route.link.iter().chain(route.hops.iter().map(|hop| &hop.link));
        route.table == MAIN
            && route.kind == RouteEntryKind::Unicast
            && route.to.is_ipv4() == role.vip.is_ipv4()
            && links.any(|link| machine.link(*link).is_some_and(|link| link.kind == LinkKind::Ethernet))
    };
    let mut used: Vec<&RouteEntry> = machine.routes.all.iter().filter(is_used).collect();
    // Routes to networks first, because gateways are reached through them.
    used.sort_by_key(|route| route.gateway.is_some() || !route.hops.is_empty());
    let route = |route: &RouteEntry| {
        let from = RouteEntry { table, source: Some(role.vip), is_automatic: false, ..route.clone() };
        Step::from(restore_route(machine, &from))
    };
    let rule = words(&format!("ipproto udp sport {port} lookup {table}"));
    let rule = Step::Rule { family: Family::from(role.vip), words: rule };
    used.into_iter().map(route).chain([rule]).collect()
}
