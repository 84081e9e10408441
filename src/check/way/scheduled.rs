//! Ipvs: which server a packet is sent to: that of its connection or of its client's persistence, otherwise the one that the
//! scheduler chooses.

use std::net::{IpAddr, SocketAddr};

use ipvs::{
    Change, Connections, DestinationEntry, Netmask, Scheduler, SchedulerFlags, Service, ServiceEntry,
    ServiceId,
};

use super::super::finding::counted;
use super::super::fix::{self, Fix};
use super::Flow;
use super::choice::{Availability, Choices, Unknown, Verdict};
use super::stage::{Stage, Step};
use crate::check::facts::table::connections_of;
use crate::check::failure::refused;
use crate::messages::Result;

/// The step for a server that is named, whatever the scheduler would choose.
pub(super) fn named(
    entry: &ServiceEntry,
    servers: &[DestinationEntry],
    server: Option<&DestinationEntry>,
    name: &str,
) -> Step {
    let mut step = Step::new(Stage::Ipvs);
    step.note(format!("the service {}", entry.service.id));
    match server.map(|server| (server, Availability::of(server))) {
        None if servers.is_empty() => step.stop("it has no real server: refused", None),
        None => step.stop(format!("{name} is no real server of the service"), None),
        Some((server, availability)) => {
            let how = match availability {
                Availability::Available => "",
                Availability::Between => ", which takes new connections unless it was full before",
                Availability::Drained => ", which has weight 0: no new connections",
                Availability::Full => ", which is full (its upper threshold): no new connections",
            };
            step.note(format!("-r {}{how}", server.destination.id));
        }
    }
    step
}

/// The step, and the server; none if it is not known.
pub(super) fn step<'a>(
    entry: &ServiceEntry,
    servers: &'a [DestinationEntry],
    flow: &Flow,
) -> Result<(Step, Option<&'a DestinationEntry>)> {
    let mut step = Step::new(Stage::Ipvs);
    let service = &entry.service;
    step.note(format!("the service {}", service.id));
    let known = known(service, servers, flow)?;
    for connections in &known.connections {
        step.note(connections.clone());
    }
    if let Some((server, why)) = known.server {
        step.note(why);
        return Ok((step, servers.iter().find(|entry| is_at(entry, server))));
    }
    if servers.is_empty() {
        step.stop("it has no real server: refused", None);
        return Ok((step, None));
    }
    let choices = Choices::new(service, servers, &|_| None);
    let asked = super::choice::Flow { client: flow.client, port: flow.client_port, to: Some(flow.vip) };
    let chosen = judge(service, servers, &choices, &asked, &mut step);
    Ok((step, chosen))
}

fn is_at(entry: &DestinationEntry, server: SocketAddr) -> bool {
    entry.destination.id.address == server.ip()
}

/// What the scheduler does, in words.
fn judge<'a>(
    service: &Service,
    servers: &'a [DestinationEntry],
    choices: &Choices<'_>,
    flow: &super::choice::Flow,
    step: &mut Step,
) -> Option<&'a DestinationEntry> {
    let name = |at: usize| servers.get(at).map_or(String::new(), |entry| entry.destination.id.to_string());
    let place = choices.place(flow).map_or(String::new(), |place| format!(": bucket {place}"));
    let how = format!("{}{place}", service.scheduler);
    match choices.of(flow) {
        Verdict::Server(at) => {
            step.note(format!("{how} -> {}", name(at)));
            return servers.get(at);
        }
        Verdict::Refused(Some(at)) => {
            let why = match choices.availability(at) {
                Some(Availability::Full) => "is full (its upper threshold)",
                _ => "has weight 0",
            };
            let fix = fallback(service).filter(|_| servers.len() > 1);
            step.stop(format!("{how} -> {}, which {why}: refused", name(at)), fix);
        }
        Verdict::Refused(None) => step.stop(format!("{how}: no server takes new connections: refused"), None),
        Verdict::Unknown(what) => step.ask(format!("{how}: {}", unknown(what, &name, servers))),
    }
    None
}

/// The command that gives clients of a server that takes none another one.
fn fallback(service: &Service) -> Option<Fix> {
    let has_flag = matches!(service.scheduler, Scheduler::SH | Scheduler::MH);
    let scheduler_flags = service.scheduler_flags | SchedulerFlags::FLAG_1;
    has_flag.then(|| fix::Step::Table(Change::EditService(Service { scheduler_flags, ..*service })).into())
}

/// What would have to be known, and what is known instead.
fn unknown(what: Unknown, name: &dyn Fn(usize) -> String, servers: &[DestinationEntry]) -> String {
    match what {
        Unknown::LastWeight(at) => format!(
            "{} has weight 0, and mh goes on with the last other weight that it had, which no listing has",
            name(at)
        ),
        Unknown::BetweenThresholds(at) => {
            format!(
                "{} is between its thresholds: it takes new connections unless it was full before",
                name(at)
            )
        }
        Unknown::Port => "the client's port decides, too: give it as CLIENT:PORT".to_owned(),
        Unknown::Destination => "the address that packets are sent to decides".to_owned(),
        Unknown::Past | Unknown::Chance | Unknown::Scheduler => format!(
            "which server is next is in no listing; {}; -r SERVER shows the way to one",
            shares(servers)
        ),
    }
}

/// The share of new connections that each server gets.
fn shares(servers: &[DestinationEntry]) -> String {
    let open: Vec<&DestinationEntry> =
        servers.iter().filter(|server| Availability::of(server) != Availability::Drained).collect();
    let total: u64 = open.iter().map(|server| u64::from(server.destination.weight)).sum();
    let share = |server: &&DestinationEntry| {
        let weight = server.destination.weight;
        format!("{} {weight}/{total}", server.destination.id)
    };
    format!("by weight {}", open.iter().map(share).collect::<Vec<_>>().join(", "))
}

/// What the table of connections has of a client.
#[derive(Default)]
struct Known {
    connections: Vec<String>,
    /// The server that it is bound to, and by what.
    server: Option<(SocketAddr, String)>,
}

fn known(service: &Service, servers: &[DestinationEntry], flow: &Flow) -> Result<Known> {
    let mut known = Known::default();
    if servers.iter().all(|server| connections_of(server) == 0) {
        return Ok(known);
    }
    let mut rows = Connections::open().map_err(refused)?;
    let mut counts: Vec<(SocketAddr, u32)> = Vec::new();
    while let Some(row) = rows.next_row().map_err(refused)? {
        if row.client.port() == 0 && is_template(service, &row, flow) {
            let what = format!("persistence, for {} s -> {}", row.expires, row.destination);
            known.server.get_or_insert((row.destination, what));
        } else if row.client.ip() == flow.client && is_of_service(service, row.service, flow) {
            if Some(row.client.port()) == flow.client_port && row.client.port() != 0 {
                let what = format!("its connection, {} -> {}", row.state, row.destination);
                known.server = Some((row.destination, what));
            }
            match counts.iter_mut().find(|(server, _)| *server == row.destination) {
                Some((_, count)) => *count += 1,
                None => counts.push((row.destination, 1)),
            }
        }
    }
    let words =
        |(server, count): (SocketAddr, u32)| format!("it has {} with {server}", counted(count, "connection"));
    known.connections = counts.into_iter().map(words).collect();
    Ok(known)
}

fn is_of_service(service: &Service, to: SocketAddr, flow: &Flow) -> bool {
    match service.id {
        ServiceId::Address { address, port, .. } => to.ip() == address && (port == 0 || to.port() == port),
        ServiceId::Fwmark { .. } => to.ip() == flow.vip,
    }
}

/// Whether a row is the persistence of a client.
fn is_template(service: &Service, row: &ipvs::Connection<'_>, flow: &Flow) -> bool {
    let Some(persistence) = service.persistence else { return false };
    let is_client = match (persistence.netmask, flow.client, row.client.ip()) {
        (Netmask::V4(mask), IpAddr::V4(client), IpAddr::V4(own)) => {
            client.to_bits() & mask.to_bits() == own.to_bits()
        }
        (Netmask::V6(bits), IpAddr::V6(client), IpAddr::V6(own)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            client.to_bits() & mask == own.to_bits()
        }
        _ => false,
    };
    let is_service = match service.id {
        ServiceId::Address { address, .. } => row.service.ip() == address,
        ServiceId::Fwmark { mark, .. } => match row.service.ip() {
            IpAddr::V4(own) => own.to_bits() == mark.get(),
            IpAddr::V6(own) => u128::from(mark.get()) == own.to_bits(),
        },
    };
    is_client && is_service
}
