//! Reads what this machine is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

use super::address::Route;
use super::answers::{self, sources};
use super::machine::{Machine, Scheduled, default_route_probe};
use super::procfs;
use super::routes::{Lookup, RoutingRule, RoutingTables};
use super::rtnetlink::Routing;
use super::settings::Settings;
use crate::check::failure::{check_failure, unread};
use crate::command::RealServer;
use crate::messages::{self, Result};

/// Reads the state of this machine, with the routes to some addresses, and the default routes of their families; on a
/// real server the default route is that of answers from the VIP.
pub(crate) fn machine(destinations: &HashSet<IpAddr>, role: Option<&RealServer>) -> Result<Machine> {
    let mut routing = Routing::open().map_err(unread)?;
    let unread_sockets =
        |error: io::Error| check_failure(format!("cannot read the sockets: {}", messages::reason(&error)));
    let (listeners, connections) = procfs::sockets().map_err(unread_sockets)?;
    let links = routing.links().map_err(unread)?;
    let mut machine = Machine {
        settings: Settings::read(&links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>()),
        links: links.into(),
        addresses: routing.addresses().map_err(unread)?.into(),
        neighbours: routing.neighbours().map_err(unread)?.into(),
        lookups: BTreeMap::new(),
        routes: RoutingTables::default(),
        listeners,
        connections,
        complaints: if role.is_some() { 0 } else { procfs::complaints() },
        rp_filter_drops: procfs::rp_filter_drops(),
        waiting: Vec::new(),
        without_route: role.map_or(0, |role| procfs::connections_without_route(role.vip.is_ipv4())),
        twice: Vec::new(),
        has_ftp_helper: procfs::has_ftp_helper(),
        scheduled: role.map_or_else(Scheduled::default, |role| procfs::scheduled(role.vip.is_ipv4())),
    };
    // A new address of IPv6 is not used until nobody else turned out to have it.
    let waits = |machine: &Machine| destinations.iter().any(|to| machine.is_void(*to));
    for _ in 0..20 {
        if !waits(&machine) {
            break;
        }
        sleep(Duration::from_millis(100));
        machine.addresses = routing.addresses().map_err(unread)?.into();
    }
    // Its own addresses need no lookup.
    let (own, others): (Vec<_>, Vec<_>) =
        destinations.iter().partition(|to| machine.holders(**to).next().is_some() && !machine.is_void(**to));
    machine.lookups.extend(own.into_iter().map(|to| (to, Route::Local)));
    let probes: HashSet<IpAddr> = destinations.iter().map(|to| default_route_probe(*to)).collect();
    let vip = role.map(|role| role.vip).filter(|vip| machine.holders(*vip).next().is_some());
    let from = |to: &IpAddr| vip.filter(|vip| vip.is_ipv4() == to.is_ipv4());
    let packets: Vec<Lookup> = others
        .into_iter()
        .map(Lookup::to)
        .chain(probes.iter().map(|to| Lookup { from: from(to), ..Lookup::to(*to) }))
        .collect();
    let found = routing.look_up(&packets).map_err(unread)?;
    machine.lookups.extend(packets.iter().map(|packet| packet.to).zip(found));
    // The default route may leave by another interface than packets to its gateway itself.
    let gateway = |probe: &IpAddr| match machine.route(*probe) {
        Route::Via(gateway, _) if !machine.lookups.contains_key(&gateway) => Some(Lookup::to(gateway)),
        _ => None,
    };
    let gateways: Vec<Lookup> = probes.iter().filter_map(gateway).collect();
    let found = routing.look_up(&gateways).map_err(unread)?;
    machine.lookups.extend(gateways.iter().map(|packet| packet.to).zip(found));
    machine.routes = match role {
        Some(role) => {
            machine.waiting = answers::ways(role, &machine, &mut routing);
            routes_of(role, &machine, &mut routing).map_err(unread)?
        }
        // All routes may be as many as the Internet has.
        None => RoutingTables { rules: routing.rules().map_err(unread)?, ..RoutingTables::default() },
    };
    Ok(machine)
}

/// The routing tables of a real server, and the routes of its answers to remote clients: with each firewall mark,
/// and, if its port is unknown, from each port that a rule is about.
fn routes_of(role: &RealServer, machine: &Machine, routing: &mut Routing) -> io::Result<RoutingTables> {
    let (all, rules) = (routing.routes()?, routing.rules()?);
    let printed = |rule: &RoutingRule| (rule.mark, role.port.or(rule.port));
    let kinds: BTreeSet<_> = rules.iter().map(printed).chain([(None, role.port)]).collect();
    let packet = |from, (mark, port)| Lookup { to: default_route_probe(role.vip), from, port, mark };
    let packets: Vec<Lookup> = sources(role, machine)
        .into_iter()
        .flat_map(|from| kinds.iter().map(move |kind| packet(from, *kind)))
        .collect();
    Ok(RoutingTables { all, rules, answers: routing.look_up(&packets)? })
}
