//! `--check`: examines this machine, as a director or as a real server, and prints what is wrong, why it matters, and
//! the command that fixes it. It changes nothing.
//!
//! `machine` is the state of the machine, `finding` the table of findings; `director` and the files beside it, and
//! `real_server`, compute findings from the state; `show` prints them.

mod address;
mod balance;
mod beside;
mod connections;
mod director;
mod dropped;
mod filtered;
mod filters;
mod finding;
mod fix;
mod fixes;
mod hashed;
mod indexed;
mod limits;
mod listener;
mod machine;
mod masqueraded;
mod neighbours;
mod packets;
mod procfs;
mod real_server;
mod repair;
mod routes;
mod rtnetlink;
mod saved;
mod servers;
mod services;
mod settings;
mod show;
mod standby;
#[cfg(test)]
mod tests;
mod tunnels;
mod v6only;
mod wanted;
mod way;
mod way_back;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipvs::{Client, DestinationEntry, ServiceEntry, ServiceId, TableLoad};

use crate::command::{Check, RealServer};
use crate::messages::{self, Failure, Result};
use crate::supervisors::{self, Supervisors};

use address::Route;
use connections::Expiry;
use director::Director;
use finding::Finding;
use machine::{Machine, Scheduled, default_route_probe};
use repair::{Seen, repair};
pub(crate) use wanted::nobody_has;

use routes::{Packet, RoutingTables, Rule};
use rtnetlink::Routing;
pub(crate) use way::explain;

/// There are findings.
const STATUS_FINDINGS: u8 = 1;
/// The check could not be done.
const STATUS_NOT_CHECKED: u8 = 2;

/// A table: services with their servers.
type Table = Vec<(ServiceEntry, Vec<DestinationEntry>)>;

/// Each makes one kind of finding, or several that exclude each other; causes come before their effects.
const CHECKS: [fn(&Director) -> Vec<Finding>; 32] = [
    services::vips,
    services::twice,
    services::supervisor_idle,
    services::no_server,
    services::all_weights_zero,
    hashed::refusing,
    services::weights_ignored,
    services::persistent_one_packet,
    balance::unbalanced,
    balance::hash_weights,
    services::one_packet_masqueraded,
    services::ftp,
    services::masks,
    services::marks,
    filtered::neighbour_discovery,
    filtered::requests,
    filtered::forwarded,
    filtered::answers,
    filtered::too_long,
    servers::reachability,
    masqueraded::clients_beside,
    masqueraded::refusing,
    servers::syn_recv,
    servers::thresholds,
    settings::forwarding,
    settings::reverse_path,
    settings::dropped_arp,
    settings::dropped_connections,
    standby::scheduling,
    limits::connections,
    settings::draining,
    settings::estimation_and_sync,
];

impl Director {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(self)).collect();
        for finding in &mut findings {
            let of_table = finding.fix.is_of_table();
            if let Some(manager) = self.supervisors.fill_table.filter(|_| of_table) {
                let advice = ["; ", manager, " fills the table, so change its configuration, too"];
                finding.what.extend(advice);
            }
        }
        findings
    }
}

/// Checks this machine as a director.
pub(crate) fn director(client: &mut Client, check: &Check, out: &mut impl Write) -> Result<()> {
    let mut look = || look_at_director(client, check);
    match check.fix {
        Some(fix) => repair(look, check, fix, out),
        None => print(&look()?.findings, check, out),
    }
}

fn look_at_director(client: &mut Client, check: &Check) -> Result<Seen> {
    let mut table = whole_table(client).map_err(refused)?;
    table.sort_by_key(|(entry, _)| entry.service.id);
    let director = read_director(client, table, check.file.as_deref(), check.probe)?;
    let mut findings = director.findings();
    let manager = director.supervisors.fill_table;
    let saved = saved::findings(check.file.as_deref(), &director.table, director.supervisors, client);
    findings.extend(saved.map_err(refused)?);
    // What undoes a change is its difference.
    let table = check.fix.map(|_| ipvs::Table::read(client)).transpose().map_err(refused)?;
    Ok(Seen { findings: without_duplicates(findings), table, is_managed: manager.is_some() })
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err calls")]
fn refused(error: ipvs::Error) -> Failure {
    check_failure(messages::refused(&error, None).message)
}

/// All that is known of a director with a table.
fn read_director(client: &mut Client, table: Table, file: Option<&Path>, probe: bool) -> Result<Director> {
    let rules = filters::read();
    let mut addresses = addresses_of(&table);
    addresses.extend(rules.marked_addresses());
    let mut machine = read_machine(&addresses, None)?;
    if probe {
        neighbours::ask_for_addresses(&mut machine, &table);
    }
    let daemons = client.daemons().map_err(refused)?;
    let supervisors = Supervisors::running(Path::new("/proc"));
    if !daemons.is_empty() || supervisors.fill_table.is_some() {
        neighbours::ask_for_missing(&mut machine, &table);
    }
    let silent = neighbours::silent_hops(&machine, &table);
    neighbours::probe_again(&mut machine, &silent);
    let timeouts = client.timeouts().map_err(refused)?;
    let expiry = Expiry::new(timeouts, machine.sysctl("net/ipv4/vs/secure_tcp"));
    Ok(Director {
        daemons,
        timeouts: Some(timeouts),
        connections: connections::count(&table, expiry).map_err(refused)?,
        load: TableLoad::read().map_err(refused)?,
        estimating: std::fs::read_to_string("/proc/sys/net/ipv4/vs/est_cpulist").ok(),
        idle_supervisor: supervisors
            .fill_table
            .filter(|name| table.is_empty() && supervisors::has_services(name)),
        supervisors,
        weights: if table.iter().any(|(_, servers)| services::all_zero(servers)) {
            saved::weights(file)
        } else {
            HashMap::new()
        },
        rules,
        machine,
        table,
    })
}

/// All services with their servers, as in the kernel.
fn whole_table(client: &mut Client) -> ipvs::Result<Table> {
    let services = client.services()?;
    let with_servers = |entry: ServiceEntry| Ok((entry, client.destinations_or_none(&entry.service.id)?));
    services.into_iter().map(with_servers).collect()
}

/// Checks this machine as a real server; needs no IPVS.
pub(crate) fn real_server(role: &RealServer, check: &Check, out: &mut impl Write) -> Result<()> {
    let look = || look_at_server(role);
    match check.fix {
        Some(fix) => repair(look, check, fix, out),
        None => print(&look()?.findings, check, out),
    }
}

fn look_at_server(role: &RealServer) -> Result<Seen> {
    let destinations = [Some(role.vip), role.director].into_iter().flatten();
    let mut machine = read_machine(&destinations.collect(), Some(role))?;
    let silent = way_back::silent_gateways(&machine);
    neighbours::probe_again(&mut machine, &silent);
    let rules = filters::read();
    let mut findings = real_server::findings(role, &machine, &rules);
    findings.extend(filtered::on_server(role, &machine, &rules));
    Ok(Seen { findings: without_duplicates(findings), table: None, is_managed: false })
}

fn without_duplicates(mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut known = HashSet::new();
    findings.retain(|finding| known.insert((finding.id, finding.at.clone())));
    findings
}

fn print(findings: &[Finding], check: &Check, out: &mut impl Write) -> Result<()> {
    let written = show::show(out, findings, check.json, terminal_width()).and_then(|()| out.flush());
    written.map_err(|error| unwritten(&error))?;
    if findings.is_empty() { Ok(()) } else { Err(Failure::reported(STATUS_FINDINGS)) }
}

/// Findings that could not be written must not look like findings.
fn unwritten(error: &io::Error) -> Failure {
    let failure = messages::write_error(error);
    if failure.status == STATUS_FINDINGS { check_failure(failure.message) } else { failure }
}

/// The width of the terminal that the output goes to, if it does. `COLUMNS` says another, also for a pipe to a terminal.
fn terminal_width() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    if let Some(columns) = columns.filter(|columns| *columns > 0) {
        return Some(columns);
    }
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(match size.ws_col {
        0 => 80, // unknown
        columns => columns.into(),
    })
}

fn check_failure(message: String) -> Failure {
    Failure { status: STATUS_NOT_CHECKED, message, continue_restore: false }
}

/// The addresses whose routes matter: those of services and servers.
fn addresses_of(table: &Table) -> HashSet<IpAddr> {
    let services = table.iter().filter_map(|(entry, _)| address(&entry.service.id));
    let servers = table.iter().flat_map(|(_, servers)| servers).map(|entry| entry.destination.id.address);
    services.chain(servers).collect()
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err calls")]
fn unread(error: io::Error) -> Failure {
    check_failure(format!("cannot read the routes: {}", messages::reason(&error)))
}

/// The virtual address of a service; none for a firewall mark.
fn address(id: &ServiceId) -> Option<IpAddr> {
    match id {
        ServiceId::Address { address, .. } if !address.is_unspecified() => Some(*address),
        _ => None,
    }
}

/// Reads the state of this machine, with the routes to some addresses, and the default routes of their families; on a
/// real server the default route is that of answers from the VIP.
fn read_machine(destinations: &HashSet<IpAddr>, role: Option<&RealServer>) -> Result<Machine> {
    let mut routing = Routing::open().map_err(unread)?;
    let unread_sockets =
        |error: io::Error| check_failure(format!("cannot read the sockets: {}", messages::reason(&error)));
    let (listeners, connections) = procfs::sockets().map_err(unread_sockets)?;
    let mut machine = Machine {
        links: routing.links().map_err(unread)?.into(),
        addresses: routing.addresses().map_err(unread)?.into(),
        neighbours: routing.neighbours().map_err(unread)?.into(),
        lookups: BTreeMap::new(),
        routes: RoutingTables::default(),
        listeners,
        connections,
        rp_filter_drops: procfs::rp_filter_drops(),
        without_route: role.map_or(0, |role| procfs::connections_without_route(role.vip.is_ipv4())),
        twice: Vec::new(),
        has_ftp_helper: procfs::has_ftp_helper(),
        scheduled: role.map_or_else(Scheduled::default, |role| procfs::scheduled(role.vip.is_ipv4())),
        sysctls: procfs::sysctls(),
    };
    // A new address of IPv6 is not used until nobody else turned out to have it.
    let waits = |machine: &Machine| destinations.iter().any(|to| machine.is_void(*to));
    for _ in 0..20 {
        if !waits(&machine) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        machine.addresses = routing.addresses().map_err(unread)?.into();
    }
    // Its own addresses need no lookup.
    let (own, others): (Vec<_>, Vec<_>) =
        destinations.iter().partition(|to| machine.holders(**to).next().is_some() && !machine.is_void(**to));
    machine.lookups.extend(own.into_iter().map(|to| (to, Route::Local)));
    let probes: HashSet<IpAddr> = destinations.iter().map(|to| default_route_probe(*to)).collect();
    let vip = role.map(|role| role.vip).filter(|vip| machine.holders(*vip).next().is_some());
    let from = |to: &IpAddr| vip.filter(|vip| vip.is_ipv4() == to.is_ipv4());
    let packets: Vec<Packet> = others
        .into_iter()
        .map(Packet::to)
        .chain(probes.iter().map(|to| Packet { from: from(to), ..Packet::to(*to) }))
        .collect();
    let found = routing.look_up(&packets).map_err(unread)?;
    machine.lookups.extend(packets.iter().map(|packet| packet.to).zip(found));
    // The default route may leave by another interface than packets to its gateway itself.
    let gateway = |probe: &IpAddr| match machine.route(*probe) {
        Route::Via(gateway, _) if !machine.lookups.contains_key(&gateway) => Some(Packet::to(gateway)),
        _ => None,
    };
    let gateways: Vec<Packet> = probes.iter().filter_map(gateway).collect();
    let found = routing.look_up(&gateways).map_err(unread)?;
    machine.lookups.extend(gateways.iter().map(|packet| packet.to).zip(found));
    machine.routes = match role {
        Some(role) => routes_of(role, &machine, &mut routing).map_err(unread)?,
        // All routes may be as many as the Internet has.
        None => RoutingTables { rules: routing.rules().map_err(unread)?, ..RoutingTables::default() },
    };
    Ok(machine)
}

/// The routing tables of a real server, and the routes of its answers to remote clients: with each firewall mark,
/// and, if its port is unknown, from each port that a rule is about.
fn routes_of(role: &RealServer, machine: &Machine, routing: &mut Routing) -> io::Result<RoutingTables> {
    let (all, rules) = (routing.routes()?, routing.rules()?);
    let printed = |rule: &Rule| (rule.mark, role.port.or(rule.port));
    let kinds: BTreeSet<_> = rules.iter().map(printed).chain([(None, role.port)]).collect();
    let packet = |from, (mark, port)| Packet { to: default_route_probe(role.vip), from, port, mark };
    let packets: Vec<Packet> = way_back::sources(role, machine)
        .into_iter()
        .flat_map(|from| kinds.iter().map(move |kind| packet(from, *kind)))
        .collect();
    Ok(RoutingTables { all, rules, answers: routing.look_up(&packets)? })
}
