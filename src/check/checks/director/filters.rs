//! Packets that the director's packet filter certainly drops.

use std::net::IpAddr;

use ipvs::ServiceId;

use crate::check::checks::discovery::neighbours;
use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::dropped::{accept, chain, dropped, named};
use crate::check::firewall::packets::wires;
use crate::check::firewall::rules::{ARRIVING, Packet, Target};
use crate::check::firewall::ruleset::Dropped;
use crate::check::firewall::{SCHEDULED, packets};
use crate::check::fix::Fix;
use crate::check::verdict::{Examined, Verdict};

const FILTER_INPUT: Kind =
    Kind::error("filter-input", "clients' packets do not get as far as the service: clients are not served");
const FILTER_OUTPUT: Kind =
    Kind::error("filter-output", "the director drops packets on their way to servers: clients time out");
const FILTER_FORWARD: Kind = Kind::error(
    "filter-forward",
    "answers of masqueraded servers pass the director, which drops them: clients time out",
);
/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[FILTER_INPUT, FILTER_OUTPUT, FILTER_FORWARD], run };

fn run(director: &Examined<'_>) -> Vec<Finding> {
    [neighbour_discovery(director), requests(director), forwarded(director), answers(director)].concat()
}

/// The same on the director, for addresses in its networks.
fn neighbour_discovery(director: &Examined<'_>) -> Vec<Finding> {
    let machine = &director.machine;
    let mut vips: Vec<IpAddr> = director.vips().into_iter().filter(IpAddr::is_ipv6).collect();
    vips.sort();
    let mut near = vips.iter().filter(|vip| machine.on_link(**vip).is_some());
    let Some(vip) = near.next() else { return Vec::new() };
    let wires: Vec<_> = wires(machine, *vip).collect();
    let found = neighbours(&director.rules, &wires).into_iter();
    found
        .map(|(at, what, fix)| {
            let kind = if at == "INPUT" { FILTER_INPUT } else { FILTER_OUTPUT };
            kind.at(&"ICMPv6", what, fix)
        })
        .collect()
}

/// Clients' packets that do not get as far as IPVS.
fn requests(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rules = &director.rules;
    let is_open = rules.is_open(&ARRIVING);
    if is_open && !rules.has_redirects() {
        return findings;
    }
    for (service, servers) in director.services() {
        let is_one_sided = packets::is_one_sided(servers);
        let mut packets = packets::requests(&director.machine, rules, service);
        packets.retain(|packet| packet.is_local == Some(true));
        let drops = |packets: &[Packet]| {
            if is_open { None } else { dropped(rules, &ARRIVING, SCHEDULED, packets) }
        };
        let later = || drops(&packets::later(&director.machine, &packets, is_one_sided));
        let found = drops(&packets).or_else(later).or_else(|| redirected(director, &packets));
        findings.extend(found.map(|(what, fix)| FILTER_INPUT.of_service(&service.id, what, fix)));
    }
    findings
}

/// A rule that gives clients' packets another destination before IPVS sees them, unless that is another service.
fn redirected(director: &Director, packets: &[Packet]) -> Option<(String, Fix)> {
    let all: Option<Vec<(Dropped<'_>, Target)>> =
        packets.iter().map(|packet| director.rules.redirects(packet)).collect();
    let all = all?;
    let is_service = |target: &Target, packet: &Packet| {
        let port = target.port.or(packet.to_port);
        director.table.iter().any(|(entry, _)| match entry.service.id {
            ServiceId::Address { address, port: of, .. } => {
                (of == 0 || port == Some(of)) && target.address.is_none_or(|to| to == address)
            }
            ServiceId::Fwmark { .. } => true,
        })
    };
    if all.iter().zip(packets).any(|((_, target), packet)| is_service(target, packet)) {
        return None;
    }
    let ((redirected, _), packet) = (all.first()?, packets.first()?);
    let what =
        format!("{} gets another destination in {}: {}", named(packet), chain(redirected), redirected.text());
    Some((what, accept(*redirected, packet)))
}

/// Packets to servers that the director drops.
fn forwarded(director: &Examined<'_>) -> Vec<Finding> {
    of_servers(director, FILTER_OUTPUT, |verdict| verdict.to_server.as_ref())
}

/// Answers of masqueraded servers that the director drops.
fn answers(director: &Examined<'_>) -> Vec<Finding> {
    of_servers(director, FILTER_FORWARD, |verdict| verdict.from_server.as_ref())
}

/// A finding for each service with servers whose packets are dropped; its command lets those of all of them pass.
fn of_servers(
    director: &Examined<'_>,
    kind: Kind,
    dropped: fn(&Verdict) -> Option<&(String, Fix)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, _, verdicts) in director.verdicts() {
        let all: Vec<&(String, Fix)> = verdicts.iter().filter_map(dropped).collect();
        let mut fix = Fix::default();
        for step in all.iter().flat_map(|(_, fix)| &fix.0) {
            // With direct routing it is the same for all servers.
            if !fix.0.contains(step) {
                fix.0.push(step.clone());
            }
        }
        findings.extend(all.first().map(|(what, _)| kind.of_service(&service.id, what, fix)));
    }
    findings
}
