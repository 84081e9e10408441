//! `rp_filter` and `arp_filter` that drop clients' packets, or the question who has an address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::check::checks::strict::{RP_FILTER, strict_rp_filter};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::facts::routes::{RoutingRule, STANDARD_TABLES};
use crate::check::facts::table::address;
use crate::check::finding::Finding;
use crate::check::fix::Fix;
use crate::check::verdict::Examined;

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[RP_FILTER], run };

fn run(director: &Examined<'_>) -> Vec<Finding> {
    [reverse_path(director), dropped_arp(director)].concat()
}

/// `rp_filter` that drops clients' packets.
fn reverse_path(director: &Examined<'_>) -> Vec<Finding> {
    let machine = &director.machine;
    // With rules for sources, the route back is not the default route.
    if machine.routes.rules.iter().any(|rule| !STANDARD_TABLES.contains(&rule.table)) {
        return Vec::new();
    }
    // Packets arrive where ARP for the address is answered.
    let wire = |vip| {
        let mut holders = machine.holders(vip).map(|(_, link)| link);
        holders.find(|link| link.kind == LinkKind::Ethernet).or_else(|| machine.on_link(vip))
    };
    let vips = director.table.iter().filter_map(|(entry, _)| address(&entry.service.id));
    // Where they arrive is not known of an address that is in no network here.
    let is_in_use = |link: &&Link| link.kind == LinkKind::Ethernet && link.is_up && link.has_carrier;
    let wires =
        |vip| wire(vip).map_or_else(|| machine.links.iter().filter(is_in_use).collect(), |wire| vec![wire]);
    vips.flat_map(|vip| wires(vip).into_iter().filter_map(move |wire| strict_rp_filter(machine, vip, wire)))
        .collect()
}

/// ARP requests for an address that the kernel drops, without counting them, because the way back to the machine that asks is
/// by another interface: that machine is the router in the address's network, or any in it if there is none.
fn dropped_arp(director: &Examined<'_>) -> Vec<Finding> {
    const STRICT: u32 = 1;
    let machine = &director.machine;
    let is_standard = |rule: &RoutingRule| STANDARD_TABLES.contains(&rule.table);
    if !machine.routes.rules.iter().all(is_standard) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let vips: BTreeSet<IpAddr> = director.vips().into_iter().filter(IpAddr::is_ipv4).collect();
    for vip in vips {
        let mut holders = machine.holders(vip).map(|(_, link)| link);
        let Some(link) = holders.find(|link| link.kind == LinkKind::Ethernet && link.is_up) else { continue };
        let setting = match () {
            () if machine.effective(&link.name, "arp_filter") > 0 => "arp_filter",
            () if machine.effective(&link.name, "rp_filter") == STRICT => "rp_filter",
            () => continue,
        };
        let Some((router, other)) = router_elsewhere(machine, vip, link) else { continue };
        let what = format!(
            "{setting} drops ARP requests on {} from {router}, the router in the network of {vip}, whose route leaves by {}",
            link.name, other.name
        );
        let path = |name: &str| format!("net/ipv4/conf/{name}/{setting}");
        let fix = match setting {
            "rp_filter" => Fix::set([(path(&link.name), 2)]),
            _ => Fix::set([(path("all"), 0), (path(&link.name), 0)]),
        };
        findings.push(RP_FILTER.at(&link.name, what, fix));
    }
    findings
}

/// The router in the network of an address, and the interface by which this machine would answer it, if that is another
/// than the address is on and certainly does not answer for the address either.
fn router_elsewhere<'a>(machine: &'a Machine, vip: IpAddr, link: &Link) -> Option<(IpAddr, &'a Link)> {
    let Route::Via(router, _) = machine.default_route(vip) else { return None };
    if !machine.networks(vip).any(|own| own.link == link.index && own.spans(router)) {
        return None;
    }
    let Route::OnLink(other) = machine.route(router) else { return None };
    let other = machine.link(other).filter(|other| other.index != link.index)?;
    let has_it = machine.holders(vip).any(|(_, holder)| holder.index == other.index);
    let is_quiet = machine.is_quiet(vip, other);
    // One that shares the wire answers itself.
    let is_related = other.parent == Some(link.index) || link.parent == Some(other.index);
    (!has_it && is_quiet && !is_related).then_some((router, other))
}
