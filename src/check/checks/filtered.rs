//! Packets that a packet filter certainly drops: on the director and on a real server.

use std::net::IpAddr;

use ipvs::{DestinationEntry, Family, ForwardingMethod, Service, ServiceId};

use crate::check::director::Director;
use crate::check::facts::answers;
use crate::check::facts::machine::Machine;
use crate::check::facts::protocols::{ICMP, ICMP6, IPIP, TCP, UDP};
use crate::check::facts::table::address;
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::SCHEDULED;
use crate::check::firewall::dropped::{accept, chain, dropped, named};
use crate::check::firewall::packets::{self, NEIGHBOURS, wires};
use crate::check::firewall::rules::{ACK, Hook, Packet, SYN, Target};
use crate::check::firewall::ruleset::{Dropped, Ruleset};
use crate::check::fix::Fix;
use crate::command::{Method, RealServer};

/// "Fragmentation needed".
const TOO_LONG: (u8, u8) = (3, 4);

/// All chains.
const ALL: i32 = i32::MAX;

const ARRIVING: [Hook; 2] = [Hook::Prerouting, Hook::Input];
const FORWARDED: [Hook; 2] = [Hook::Prerouting, Hook::Forward];
const SENT: [Hook; 1] = [Hook::Postrouting];
const LEAVING: [Hook; 2] = [Hook::Output, Hook::Postrouting];

/// Clients' packets that do not get as far as IPVS.
pub(crate) fn requests(director: &Director) -> Vec<Finding> {
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
        findings.extend(found.map(|(what, fix)| Kind::FilterInput.of_service(&service.id, what, fix)));
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

/// Neighbour discovery of IPv6 that a packet filter drops: nobody learns who has an address.
fn neighbours(rules: &Ruleset, wires: &[Option<String>]) -> Vec<(&'static str, String, Fix)> {
    let mut findings = Vec::new();
    for (at, hooks, is_in) in [("INPUT", &ARRIVING[..], true), ("OUTPUT", &LEAVING, false)] {
        if rules.is_open(hooks) {
            continue;
        }
        let found = NEIGHBOURS.iter().find_map(|kind| {
            let packets: Vec<Packet> = wires
                .iter()
                .map(|link| Packet {
                    icmp: Some(*kind),
                    state: Some("untracked"),
                    arrives: link.clone().filter(|_| is_in),
                    leaves: link.clone().filter(|_| !is_in),
                    ..Packet::of(Family::V6, ICMP6)
                })
                .collect();
            dropped(rules, hooks, ALL, &packets)
        });
        findings.extend(found.map(|(what, fix)| {
            (
                at,
                format!("{what}; IPv6 finds the Ethernet address of a neighbour by it, as IPv4 does by ARP"),
                fix,
            )
        }));
    }
    findings
}

/// The same on the director, for addresses in its networks.
pub(crate) fn neighbour_discovery(director: &Director) -> Vec<Finding> {
    let machine = &director.machine;
    let mut vips: Vec<IpAddr> = director.vips().into_iter().filter(IpAddr::is_ipv6).collect();
    vips.sort();
    let mut near = vips.iter().filter(|vip| machine.on_link(**vip).is_some());
    let Some(vip) = near.next() else { return Vec::new() };
    let wires: Vec<_> = wires(machine, *vip).collect();
    let found = neighbours(&director.rules, &wires).into_iter();
    found
        .map(|(at, what, fix)| {
            let kind = if at == "INPUT" { Kind::FilterInput } else { Kind::FilterOutput };
            kind.at(&"ICMPv6", what, fix)
        })
        .collect()
}

/// Packets to servers that the director drops.
pub(crate) fn forwarded(director: &Director) -> Vec<Finding> {
    of_servers(director, Kind::FilterOutput, to_server)
}

/// Answers of masqueraded servers that the director drops.
pub(crate) fn answers(director: &Director) -> Vec<Finding> {
    of_servers(director, Kind::FilterForward, from_server)
}

/// A finding for each service with servers whose packets are dropped; its command lets those of all of them pass.
fn of_servers(
    director: &Director,
    kind: Kind,
    dropped: fn(&Director, &Service, &DestinationEntry) -> Option<(String, Fix)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let used = servers.iter().filter(|server| server.destination.weight > 0);
        let all: Vec<(String, Fix)> = used.filter_map(|server| dropped(director, service, server)).collect();
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

/// What drops the packets to a server, and the fix.
pub(crate) fn to_server(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(String, Fix)> {
    if director.rules.is_open(&LEAVING) {
        return None;
    }
    let first = packets::to_server(&director.machine, &director.rules, service, server);
    let drops = |packets: &[Packet]| dropped(&director.rules, &LEAVING, ALL, packets);
    // What is around a packet in a tunnel is no part of a connection.
    let is_direct = server.destination.forwarding == ForwardingMethod::DirectRouting;
    let is_tracked = packets::is_tracked(&director.machine) == Some(true);
    let later = || drops(&packets::later(&director.machine, &first, true));
    drops(&first).or_else(|| if is_direct && is_tracked { later() } else { None })
}

/// What drops the answers of a masqueraded server, and the fix.
pub(crate) fn from_server(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(String, Fix)> {
    let rules = &director.rules;
    if rules.is_open(&FORWARDED) && rules.is_open(&SENT) {
        return None;
    }
    let (forwarded, sent) = packets::from_server(&director.machine, rules, service, server);
    dropped(rules, &FORWARDED, ALL, &forwarded).or_else(|| dropped(rules, &SENT, ALL, &sent))
}

/// The messages that say how long packets through a tunnel may be: to clients, and to this director.
pub(crate) fn too_long(director: &Director) -> Vec<Finding> {
    let is_tunnelled = |server: &DestinationEntry| {
        matches!(server.destination.forwarding, ForwardingMethod::Tunnel(_))
            && server.destination.id.address.is_ipv4()
            && server.destination.weight > 0
    };
    let machine = &director.machine;
    let tunnelled = director.servers().find(|(_, server)| is_tunnelled(server));
    let is_silent = machine.sysctl("net/ipv4/vs/pmtu_disc") == Some(0);
    let Some((service, server)) = tunnelled.filter(|_| !is_silent) else { return Vec::new() };
    let Some(vip) = address(&service.id).filter(IpAddr::is_ipv4) else { return Vec::new() };
    let message = Packet { icmp: Some(TOO_LONG), ..Packet::of(Family::V4, ICMP) };
    let to_clients: Vec<Packet> =
        wires(machine, vip).map(|leaves| Packet { leaves, ..message.clone() }).collect();
    let from_servers = Packet {
        arrives: machine
            .route(server.destination.id.address)
            .link()
            .map(|link| machine.name(link).to_owned()),
        is_local: Some(true),
        ..message
    };
    let mut findings = Vec::new();
    for (at, hooks, packets) in
        [("OUTPUT", &LEAVING[..], to_clients), ("INPUT", &ARRIVING, vec![from_servers])]
    {
        if let Some((what, fix)) = dropped(&director.rules, hooks, ALL, &packets) {
            let what = format!("{what}; packets through a tunnel must be shorter by its header");
            findings.push(Kind::FilterIcmp.at(&at, what, fix));
        }
    }
    findings
}

/// What a real server's own filter drops: what the director sends, and the answers.
pub(crate) fn on_server(role: &RealServer, machine: &Machine, rules: &Ruleset) -> Vec<Finding> {
    let mut findings = Vec::new();
    if role.vip.is_ipv6() && role.director.is_none_or(|director| director.is_ipv6()) {
        let to = role.director.unwrap_or(role.vip);
        let near = machine.on_links(to).map(|link| Some(link.name.clone()));
        let found = neighbours(rules, &near.collect::<Vec<_>>());
        findings.extend(
            found
                .into_iter()
                .map(|(at, what, fix)| Kind::ServerFilter.at(&format!("{at}, ICMPv6"), what, fix)),
        );
    }
    let Some(port) = role.port else { return findings };
    let listens = |is_tcp| machine.listeners.iter().any(|it| it.port == port && it.is_tcp == is_tcp);
    let protocol = if !listens(true) && listens(false) { UDP } else { TCP };
    let packet = || Packet::of(Family::from(role.vip), protocol);
    let near = role.director.and_then(|director| machine.route(director).link());
    let near = near.map(|link| machine.name(link).to_owned());
    let is_ipip = role.method == Method::Tunnel && role.vip.is_ipv4();
    let tunnel = machine.links.iter().find(|link| is_ipip && link.name == "tunl0" && link.is_up);
    let arrives = match role.method {
        Method::Tunnel => tunnel.map(|link| link.name.clone()),
        _ => near.clone(),
    };
    // The addresses that clients' packets have here.
    let ends: Vec<IpAddr> = match role.method {
        Method::Masquerade => answers::sources(role, machine).into_iter().flatten().collect(),
        _ => vec![role.vip],
    };
    let requests = ends.iter().map(|to| Packet {
        to: Some(*to),
        to_port: Some(port),
        arrives: arrives.clone(),
        state: Some("new"),
        flags: (protocol == TCP).then_some(SYN),
        is_local: Some(true),
        ..packet()
    });
    let outer = answers::own(role, machine).filter(|_| tunnel.is_some()).map(|own| Packet {
        to: Some(own.address),
        arrives: near.clone(),
        is_local: Some(true),
        ..Packet::of(Family::V4, IPIP)
    });
    let by_route = machine.routes.answers.iter().filter_map(|route| machine.link(route.link()?));
    let mut leaving: Vec<Option<String>> =
        by_route.chain(machine.on_links(role.vip)).map(|link| Some(link.name.clone())).collect();
    if leaving.is_empty() {
        leaving.push(None);
    }
    let answers = ends.iter().flat_map(|from| {
        leaving.iter().map(|leaves| Packet {
            from: Some(*from),
            from_port: Some(port),
            leaves: leaves.clone(),
            state: Some("established"),
            flags: (protocol == TCP).then_some(SYN | ACK),
            ..packet()
        })
    });
    for (at, hooks, packets) in [
        ("INPUT", &ARRIVING[..], outer.collect::<Vec<_>>()),
        ("INPUT", &ARRIVING, requests.collect()),
        ("OUTPUT", &LEAVING, answers.collect()),
    ] {
        if let Some((what, fix)) = dropped(rules, hooks, ALL, &packets) {
            findings.push(Kind::ServerFilter.at(&at, what, fix));
        }
    }
    findings
}
