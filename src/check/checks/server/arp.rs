//! Settings of ARP: nobody but the director may answer for the VIP.

use super::place::{Place, wants_vip};
use crate::check::checks::fixes::set_arp;
use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::finding::{Finding, Kind};
use crate::check::server::Server;
use crate::command::{Method, RealServer};

const ARP_IGNORE: Kind =
    Kind::error("arp-ignore", "this server answers ARP for the VIP, so some clients bypass the director");
const ARP_ANNOUNCE: Kind = Kind::error(
    "arp-announce",
    "its own ARP requests name the VIP as their sender: neighbours learn it, and bypass the director",
);

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[ARP_IGNORE, ARP_ANNOUNCE], run };

fn run(server: &Server) -> Vec<Finding> {
    if wants_vip(server) == Place::Here { arp(&server.role, &server.machine) } else { Vec::new() }
}

/// The interfaces on which ARP requests for the address arrive.
fn arp_interfaces<'a>(role: &RealServer, machine: &'a Machine) -> Vec<&'a Link> {
    let mut indices: Vec<u32> = machine.on_links(role.vip).map(|link| link.index).collect();
    // With a tunnel, the address belongs to another network.
    if role.method != Method::Tunnel {
        indices.extend(role.director.and_then(|director| machine.route(director).link()));
        let near = role.director.into_iter().flat_map(|director| machine.on_links(director));
        indices.extend(near.map(|link| link.index));
        if indices.is_empty() {
            indices.extend(machine.default_route(role.vip).link());
        }
    }
    machine
        .links
        .iter()
        .filter(|link| indices.contains(&link.index) && link.kind == LinkKind::Ethernet)
        .collect()
}

fn arp(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let mut findings = Vec::new();
    if role.vip.is_ipv6() {
        return findings; // IPv6 never answers for addresses of other interfaces
    }
    for link in arp_interfaces(role, machine) {
        if !machine.is_quiet(role.vip, link) {
            let (what, fix) = set_arp(machine, link, "arp_ignore", 1);
            findings.push(ARP_IGNORE.at(&link.name, what, fix));
        }
        // The kernel treats a higher value as 0.
        if machine.effective(&link.name, "arp_announce") != 2 {
            let (what, fix) = set_arp(machine, link, "arp_announce", 2);
            findings.push(ARP_ANNOUNCE.at(&link.name, what, fix));
        }
    }
    findings
}
