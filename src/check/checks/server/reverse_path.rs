//! `rp_filter` on the interface where the director's packets arrive.

use ipnet::IpNet;

use crate::check::checks::strict::{RP_FILTER, strict_rp_filter};
use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::facts::routes::{RouteEntry, RouteEntryKind};
use crate::check::finding::Finding;
use crate::check::server::Server;
use crate::command::{Method, RealServer};

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[RP_FILTER], run };

fn run(server: &Server) -> Vec<Finding> {
    let Server { role, machine, .. } = server;
    let wire = if role.method == Method::Masquerade { None } else { wire(role, machine) };
    wire.and_then(|link| strict_rp_filter(machine, role.vip, link)).into_iter().collect()
}

/// The interface on which the director's packets arrive.
fn wire<'a>(role: &RealServer, machine: &'a Machine) -> Option<&'a Link> {
    let by_director =
        role.director.filter(|_| role.method != Method::Tunnel).map(|director| machine.route(director));
    let by_director = match by_director {
        Some(Route::OnLink(link)) => machine.link(link).filter(|link| link.kind == LinkKind::Ethernet),
        _ => None,
    };
    by_director.or_else(|| machine.on_link(role.vip)).or_else(|| {
        // An interface may have a route to the network, and no address in it.
        let spans = |route: &&RouteEntry| {
            route.prefix > 0
                && route.gateway.is_none()
                && route.kind == RouteEntryKind::Unicast
                && IpNet::new(route.to, route.prefix).is_ok_and(|network| network.contains(&role.vip))
        };
        let mut routes = machine.routes.all.iter().filter(spans);
        routes.find_map(|route| {
            machine.link(route.link?).filter(|link| link.is_up && link.kind == LinkKind::Ethernet)
        })
    })
}
