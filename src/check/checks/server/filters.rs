//! What a real server's own filter drops: what the director sends, and the answers.

use std::net::IpAddr;

use ipvs::Family;

use crate::check::checks::discovery::neighbours;
use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::answers;
use crate::check::facts::machine::Machine;
use crate::check::facts::protocols::{IPIP, TCP, UDP};
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::dropped::dropped;
use crate::check::firewall::rules::{ACK, ALL, ARRIVING, LEAVING, Packet, SYN};
use crate::check::firewall::ruleset::Ruleset;
use crate::check::server::Server;
use crate::command::{Method, RealServer};

const SERVER_FILTER: Kind = Kind::error(
    "server-filter",
    "this server drops what the director sends, or its own answers: clients time out",
);

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[SERVER_FILTER], run };

fn run(server: &Server) -> Vec<Finding> {
    on_server(&server.role, &server.machine, &server.rules)
}

/// What a real server's own filter drops: what the director sends, and the answers.
fn on_server(role: &RealServer, machine: &Machine, rules: &Ruleset) -> Vec<Finding> {
    let mut findings = Vec::new();
    if role.vip.is_ipv6() && role.director.is_none_or(|director| director.is_ipv6()) {
        let to = role.director.unwrap_or(role.vip);
        let near = machine.on_links(to).map(|link| Some(link.name.clone()));
        let found = neighbours(rules, &near.collect::<Vec<_>>());
        findings.extend(
            found.into_iter().map(|(at, what, fix)| SERVER_FILTER.at(&format!("{at}, ICMPv6"), what, fix)),
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
    // Answers leave by another interface than a tunnel's.
    let back: Vec<Option<u32>> = machine.routes.answers.iter().map(|route| route.link()).collect();
    let is_astray = tunnel.is_some_and(|tunnel| {
        !back.is_empty() && back.iter().all(|link| link.is_some_and(|link| link != tunnel.index))
    });
    let requests = ends.iter().map(|to| Packet {
        to: Some(*to),
        to_port: Some(port),
        has_way_back: is_astray.then_some(false),
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
            findings.push(SERVER_FILTER.at(&at, what, fix));
        }
    }
    findings
}
