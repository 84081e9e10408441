//! The answers of a real server: whether they have a way to clients at all.

use ipnet::IpNet;

use crate::check::checks::fixes::{default_route, delete_route, restore_route};
use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::address::Route;
use crate::check::facts::answers::{hop_of, silent, silent_hop};
use crate::check::facts::machine::{LinkKind, Machine, TcpState};
use crate::check::facts::question::Way;
use crate::check::facts::routes::{Hop, RouteEntry, RouteEntryKind};
use crate::check::finding::{Finding, Kind, counted};
use crate::check::fix::GATEWAY;
use crate::check::server::Server;
use crate::command::{Method, RealServer};

const NO_WAY_BACK: Kind = Kind::error(
    "no-way-back",
    "answers to clients outside this server's networks do not leave it: they time out",
);

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[NO_WAY_BACK], run };

fn run(server: &Server) -> Vec<Finding> {
    way_back(&server.role, &server.machine).into_iter().collect()
}

/// One of several gateways does not answer: the answers to some clients are lost.
fn silent_among_others(machine: &Machine) -> Option<Finding> {
    let route = machine.routes.spread()?;
    // The kernel leaves out gateways that do not answer: with IPv6, and with this setting.
    if route.to.is_ipv6() || machine.sysctl("net/ipv4/fib_multipath_use_neigh") == Some(1) {
        return None;
    }
    let answers = |hop: &Hop| silent_hop(machine, *hop).is_none();
    let (good, bad): (Vec<Hop>, Vec<Hop>) = route.hops.iter().partition(|hop| answers(hop));
    let (gateway, link) = silent_hop(machine, *bad.first()?)?;
    good.first()?;
    let what = format!(
        "of {} gateways, {gateway} does not answer on {} (ip neigh)",
        route.hops.len(),
        machine.name(link)
    );
    let fix = restore_route(machine, &route.with_hops(&good));
    Some(NO_WAY_BACK.at(&"default route", what, fix))
}

/// Whether clients may be in this server's networks, as the VIP is, or it has routes to them.
fn is_among_clients(role: &RealServer, machine: &Machine) -> bool {
    let is_far = |route: &RouteEntry| {
        (route.gateway.is_some() || !route.hops.is_empty()) && route.to.is_ipv4() == role.vip.is_ipv4()
    };
    machine.on_link(role.vip).is_some() || machine.routes.all.iter().any(is_far)
}

/// A route to some clients alone that leads nowhere: to a gateway that is gone, to nobody, or to a network that they are not in.
fn astray(machine: &Machine) -> Option<Finding> {
    machine.waiting.iter().find_map(|(client, way)| {
        let Way::Leaves { gateway, link, table } = *way else { return None };
        let name = machine.name(link);
        let is_it = |route: &&RouteEntry| {
            route.prefix > 0
                && route.table == table
                && !route.is_automatic
                && (route.gateway, route.link) == (gateway, Some(link))
                && IpNet::new(route.to, route.prefix).is_ok_and(|network| network.contains(client))
        };
        let route = machine.routes.all.iter().filter(is_it).max_by_key(|route| route.prefix)?;
        let is_nowhere = machine.link(link).is_some_and(|link| link.kind == LinkKind::Dummy);
        let why = match (silent(machine, hop_of(*client, *way)), gateway) {
            _ if is_nowhere => format!("leads to {name}, behind which is nobody"),
            (Some((hop, _)), Some(_)) => {
                format!("leads to {hop}, which does not answer on {name} (ip neigh)")
            }
            (Some(_), None) => format!("makes it a neighbour on {name}, which does not answer (ip neigh)"),
            (None, _) => return None,
        };
        let network = format!("{}/{}", route.to, route.prefix);
        let what = format!("{client} waits for answers, and the route to {network} {why}");
        Some(NO_WAY_BACK.at(&network, what, delete_route(route)))
    })
}

/// Whether clients in this server's networks are served: then it may be for them alone, and others that it could not answer may be
/// packets with forged senders.
fn serves_neighbours(role: &RealServer, machine: &Machine) -> bool {
    machine.connections.iter().any(|connection| {
        connection.local.ip() == role.vip
            && role.port.is_none_or(|port| port == connection.local.port())
            && connection.state != TcpState::Opening
            && machine.on_link(connection.remote.ip()).is_some()
    })
}

/// How it is known that a server without a default route has clients outside its networks; none if it is not.
fn why_far_clients_matter(role: &RealServer, machine: &Machine) -> Option<String> {
    let dropped = machine.without_route;
    if dropped > 0 && !serves_neighbours(role, machine) {
        let dropped = counted(dropped, "connection");
        return Some(format!(
            "and this server has dropped {dropped} of clients because no route leads to them (nstat -az TcpExtListenDrops)"
        ));
    }
    let is_cut_off = role.director.is_some_and(|director| machine.route(director) == Route::Unreachable);
    let vip = role.vip;
    (!is_among_clients(role, machine) && is_cut_off)
        .then(|| format!("{vip} is in no network of this server, and the director cannot be reached"))
}

/// A route that drops packets (blackhole, unreachable, prohibit), where clients came whom no route leads back to.
fn barred(role: &RealServer, machine: &Machine) -> Option<Finding> {
    const LOCAL: u32 = 255; // broadcasts and the like
    let dropped = Some(machine.without_route).filter(|dropped| *dropped > 0)?;
    let is_barrier = |route: &&RouteEntry| {
        route.kind == RouteEntryKind::Other
            && route.table != LOCAL
            && route.prefix > 0
            && route.to.is_ipv4() == role.vip.is_ipv4()
            && !route.to.is_multicast()
    };
    let route = machine.routes.all.iter().find(is_barrier)?;
    let network = format!("{}/{}", route.to, route.prefix);
    let what = format!(
        "a route drops packets to {network}, and this server has dropped {} of clients because no route leads to them",
        counted(dropped, "connection")
    );
    let fix = delete_route(route);
    Some(NO_WAY_BACK.at(&network, what, fix))
}

/// No route for answers to remote clients, or one through a gateway that does not answer. With masquerading the gateway
/// is the director.
fn way_back(role: &RealServer, machine: &Machine) -> Option<Finding> {
    let answers = &machine.routes.answers;
    if let Some(finding) = barred(role, machine).or_else(|| astray(machine)) {
        return Some(finding);
    }
    if role.method == Method::Masquerade || answers.is_empty() {
        return None;
    }
    if answers.iter().all(|route| *route == Route::Unreachable) {
        let what = why_far_clients_matter(role, machine)?;
        let fix = default_route(role.vip, GATEWAY, None);
        let what = format!("there is no default route, {what}");
        return Some(NO_WAY_BACK.at(&"default route", what, fix));
    }
    if let Some(finding) = silent_among_others(machine) {
        return Some(finding);
    }
    let (gateway, link) = answers.first().and_then(|route| silent(machine, *route))?;
    if !answers.iter().all(|route| silent(machine, *route).is_some()) {
        return None;
    }
    let is_it =
        |route: &&RouteEntry| route.prefix == 0 && (route.gateway, route.link) == (Some(gateway), Some(link));
    let route = machine.routes.all.iter().find(is_it)?;
    // Nobody is logged in through it.
    let fix = restore_route(machine, route).through_another();
    let what = format!("the gateway {gateway} does not answer on {} (ip neigh)", machine.name(link));
    Some(NO_WAY_BACK.at(&"default route", what, fix))
}
