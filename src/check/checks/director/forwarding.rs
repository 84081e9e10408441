//! Requirements of masquerading: forwarding, and no redirects if clients and servers are behind one interface.

use std::net::IpAddr;

use ipvs::ForwardingMethod;

use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::facts::table::address;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, Setting};
use crate::check::verdict::Examined;

const IP_FORWARD: Kind =
    Kind::error("ip-forward", "the answers of masqueraded servers pass the director, which drops them");
const SEND_REDIRECTS: Kind = Kind::error(
    "send-redirects",
    "the director tells servers a shorter route to clients (ICMP redirect); answers that take it carry the server's own address",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[IP_FORWARD, SEND_REDIRECTS], run: forwarding };

/// Turns forwarding on, and keeps the default route: a forwarding kernel drops the one that it
/// learned from a router, unless `accept_ra` is 2.
fn enable_forwarding(machine: &Machine, server: IpAddr, path: String) -> Fix {
    let is_learned = matches!(
        machine.default_route(server),
        Route::Via(IpAddr::V6(gateway), _) if gateway.is_unicast_link_local()
    );
    let accepting = |link: &Link| format!("net/ipv6/conf/{}/accept_ra", link.name);
    let learning = machine.links.iter().filter(|link| {
        is_learned
            && link.is_up
            && link.kind == LinkKind::Ethernet
            && machine.sysctl(&accepting(link)) == Some(1)
    });
    let settings: Vec<_> = learning.map(|link| (accepting(link), 2)).chain([(path, 1)]).collect();
    Fix::set(settings)
}

/// Requirements of masquerading: forwarding, and no redirects if clients and servers are behind one interface.
fn forwarding(director: &Examined<'_>) -> Vec<Finding> {
    let machine = &director.machine;
    let mut findings = Vec::new();
    for (service, server) in director.servers() {
        let to = server.destination.id.address;
        if server.destination.forwarding != ForwardingMethod::Masquerade {
            continue;
        }
        if let Some(path) = machine.blocks_forwarding(to) {
            let name = Setting { path: path.clone(), value: 1 }.name();
            let what = format!("{name} is 0, and real servers are masqueraded");
            findings.push(IP_FORWARD.at(&name, what, enable_forwarding(machine, to, path)));
        }
        let Some(link) = machine.route(to).link().and_then(|link| machine.link(link)) else { continue };
        let is_shared = address(&service.id)
            .is_some_and(|vip| machine.holders(vip).any(|(_, place)| place.index == link.index));
        if to.is_ipv4() && is_shared && machine.effective(&link.name, "send_redirects") > 0 {
            let what = format!(
                "clients and masqueraded servers are both behind {}, and it sends ICMP redirects",
                link.name
            );
            let paths = ["all", &link.name].map(|name| (format!("net/ipv4/conf/{name}/send_redirects"), 0));
            findings.push(SEND_REDIRECTS.at(&link.name, what, Fix::set(paths)));
        }
    }
    findings
}
