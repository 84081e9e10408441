//! The walk on a director.

use std::net::IpAddr;

use ipvs::{Client, DestinationEntry, ServiceEntry, ServiceId};

use super::super::director::Director;
use super::super::finding::{Finding, Severity};
use super::roads::Roads;
use super::stage::{Stage, Step, Verdict};
use super::{Flow, Walk, answer, arrival, end, moves, number, scheduled, server, to_server};
use crate::check::checks::fixes::method_words;
use crate::check::director;
use crate::check::facts::protocols;
use crate::check::facts::table::{Table, address};
use crate::check::failure::{refused, report_unseen};
use crate::check::firewall::packets;
use crate::command::Explain;
use crate::messages::Result;

/// The walk of a client's packet.
pub(super) fn walk(client: &mut Client, what: &Explain) -> Result<Walk> {
    let services = client.services().map_err(refused)?;
    let Some((entry, director)) = taken(client, what, &services)? else { return nobody(client, what) };
    report_unseen(&director.rules.unseen);
    let mut walk = Walk {
        client: end(what.client, what.client_port),
        service: entry.service.id.to_string(),
        server: None,
        stages: Vec::new(),
        end: String::new(),
        next: None,
        moves: None,
    };
    let servers = director.table.first().map_or(&[][..], |(_, servers)| servers);
    walk.moves = moves::of(what, &entry.service, servers)?;
    let Some(flow) = flow(what, &director, &entry) else {
        let mut step = Step::new(Stage::In);
        step.ask(
            "which packets carry the mark: no rule of a packet filter here says it in a way that can be read",
        );
        walk.stages.push(step);
        super::finish(&mut walk, &director.findings());
        return Ok(walk);
    };
    let mut roads = Roads::open(flow.client.is_ipv4())?;
    walk.stages.push(arrival::step(&director.machine, &director.rules, &flow, &mut roads)?);
    let (step, server) = match what.server {
        Some(wanted) => {
            let named = servers.iter().find(|server| is(server, wanted));
            (scheduled::named(&entry, servers, named, &end(wanted.0, wanted.1)), named)
        }
        None => scheduled::step(&entry, servers, &flow)?,
    };
    walk.stages.push(step);
    if let Some(server) = server {
        walk.server = Some(server.destination.id.to_string());
        beyond(&director, &entry, server, &flow, &mut roads, &mut walk)?;
    }
    super::finish(&mut walk, &director.findings());
    Ok(walk)
}

/// The stages behind IPVS.
fn beyond(
    director: &Director,
    entry: &ServiceEntry,
    chosen: &DestinationEntry,
    flow: &Flow,
    roads: &mut Roads,
    walk: &mut Walk,
) -> Result<()> {
    let service = &entry.service;
    walk.stages.push(to_server::step(director, service, chosen, flow, roads)?);
    let address = chosen.destination.id.address;
    let is_here = director.machine.holders(address).next().is_some();
    if is_here {
        walk.stages.extend(server::local(director, chosen, flow, roads)?);
        return Ok(());
    }
    let mut step = Step::new(Stage::OnServer);
    step.ask(format!("{address} knows"));
    walk.stages.push(step);
    walk.stages.push(answer::step(director, service, chosen, flow, roads)?);
    walk.next = Some(go_on(director, chosen, flow));
    Ok(())
}

/// The command that goes on on the server.
fn go_on(director: &Director, server: &DestinationEntry, flow: &Flow) -> String {
    let vips = director.vips();
    let address = server.destination.id.address;
    let option = match flow.protocol {
        protocols::UDP => "-u",
        protocols::SCTP => "--sctp-service",
        _ => "-t",
    };
    let is_local = |own: &IpAddr| matches!(own, IpAddr::V6(own) if own.is_unicast_link_local());
    let mut own = director.machine.own_addresses(address, &vips);
    own.retain(|own| !is_local(own));
    let method = method_words(server.destination.forwarding);
    let own = own.first().filter(|_| method != "-m" || own.len() == 1);
    let own = own.map_or(String::new(), |own| format!(" --director {own}"));
    let target = match server.destination.id.port {
        0 => address.to_string(),
        _ => server.destination.id.to_string(),
    };
    format!(
        "ssh {address} ipvsadm --explain {} {option} {} -r {target} {method}{own}",
        end(flow.client, flow.client_port),
        end(flow.vip, flow.port)
    )
}

/// Whether a server is the one that is named.
fn is(server: &DestinationEntry, (address, port): (IpAddr, Option<u16>)) -> bool {
    let id = server.destination.id;
    id.address == address && port.is_none_or(|port| port == id.port)
}

/// The service that takes the packet, and what is known about it: one of a mark that rules set comes before one of the
/// address, one of the port before one of all ports.
fn taken(
    client: &mut Client,
    what: &Explain,
    services: &[ServiceEntry],
) -> Result<Option<(ServiceEntry, Director)>> {
    let all_ports = match what.service {
        ServiceId::Address { protocol, address, .. } => {
            Some(ServiceId::Address { protocol, address, port: 0 })
        }
        ServiceId::Fwmark { .. } => None,
    };
    let find = |id: &ServiceId| services.iter().find(|entry| entry.service.id == *id);
    let by_address = find(&what.service).or_else(|| all_ports.as_ref().and_then(find));
    let table = by_address.map(|entry| table_of(client, entry)).transpose()?.unwrap_or_default();
    let director = director::read(client, table, None, false)?;
    let is_marked = |entry: &&ServiceEntry| match (entry.service.id, what.service) {
        (ServiceId::Fwmark { mark, family }, ServiceId::Address { protocol, address, port }) => {
            let packets = director.rules.marked(mark.get(), family);
            packets.iter().any(|packet| {
                packet.protocol == number(protocol)
                    && packet.to.is_none_or(|to| to == address)
                    && packet.to_port.is_none_or(|own| own == port)
            })
        }
        _ => false,
    };
    if let Some(marked) = services.iter().find(is_marked) {
        let table = table_of(client, marked)?;
        return Ok(Some((*marked, director::read(client, table, None, false)?)));
    }
    Ok(by_address.map(|entry| (*entry, director)))
}

fn table_of(client: &mut Client, entry: &ServiceEntry) -> Result<Table> {
    Ok(vec![(*entry, client.destinations_or_none(&entry.service.id).map_err(refused)?)])
}

/// The packet that is meant; none if it is not known which packets have the mark.
fn flow(what: &Explain, director: &Director, entry: &ServiceEntry) -> Option<Flow> {
    let of = |vip, port, protocol, mark| Flow {
        client: what.client,
        client_port: what.client_port,
        vip,
        port,
        protocol,
        mark,
    };
    let mark = match entry.service.id {
        ServiceId::Fwmark { mark, .. } => Some(mark.get()),
        ServiceId::Address { .. } => None,
    };
    match what.service {
        ServiceId::Address { protocol, address, port } => {
            Some(of(address, Some(port).filter(|port| *port != 0), number(protocol), mark))
        }
        ServiceId::Fwmark { .. } => {
            let marked = packets::requests(&director.machine, &director.rules, &entry.service);
            let packet = marked.iter().find(|packet| packet.to.is_some())?;
            Some(of(packet.to?, packet.to_port, packet.protocol, mark))
        }
    }
}

/// When no service takes it.
fn nobody(client: &mut Client, what: &Explain) -> Result<Walk> {
    let director = director::read(client, Vec::new(), None, false)?;
    let mut walk = Walk {
        client: end(what.client, what.client_port),
        service: what.service.to_string(),
        server: None,
        stages: Vec::new(),
        end: String::new(),
        next: None,
        moves: None,
    };
    if let (Some(vip), ServiceId::Address { protocol, port, .. }) = (address(&what.service), what.service) {
        let flow = Flow {
            client: what.client,
            client_port: what.client_port,
            vip,
            port: Some(port).filter(|port| *port != 0),
            protocol: number(protocol),
            mark: None,
        };
        let mut roads = Roads::open(vip.is_ipv4())?;
        walk.stages.push(arrival::step(&director.machine, &director.rules, &flow, &mut roads)?);
    }
    let mut step = Step::new(Stage::Ipvs);
    let service = ipvs::Service::new(what.service, ipvs::Scheduler::WLC);
    let fix = super::super::fix::Step::Table(ipvs::Change::AddService(service)).into();
    step.stop(
        "no service takes it; the packet goes on to a socket of this machine, or is refused",
        Some(fix),
    );
    walk.stages.push(step);
    super::finish(&mut walk, &[]);
    Ok(walk)
}

/// Adds what `--check` finds about a stage and the server that is meant, unless the walk knows better.
pub(super) fn add_findings(walk: &mut Walk, findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
        let of_server = finding.server.as_ref().is_none_or(|of| Some(of) == walk.server.as_ref());
        let Some(stage) = Stage::of_finding(finding).filter(|_| of_server) else { continue };
        // The kernel was asked with this client's addresses.
        if finding.id == "rp-filter" {
            continue;
        }
        let Some(step) = walk.stages.iter_mut().find(|step| step.stage == stage) else { continue };
        if step.fix.as_ref() == Some(&finding.fix) {
            continue; // the walk found it, too
        }
        let is_known = step.by.contains(&finding.what);
        let what = format!("{}: {}; {}", finding.id, finding.what, finding.why);
        if matches!(finding.id, "syn-recv" | "server-refuses") {
            step.note(what);
            step.fix.get_or_insert_with(|| finding.fix.clone());
        } else if step.verdict == Verdict::Stops && step.fix.is_none() {
            step.by.extend(Some(what).filter(|_| !is_known));
            step.fix = Some(finding.fix.clone());
        } else {
            step.stop(what, Some(finding.fix.clone()));
        }
    }
}
