//! What is wrong with a drain, said before it begins: what would make the wait vain, and whom it would send elsewhere. Many
//! servers or services are named together: a line for a kind.

use std::collections::HashMap;

use ipvs::{Destination, SchedulerFlags, Service, ServiceId};

use super::targets::{Listing, Target};
use crate::command::Drain;
use crate::format;
use crate::messages::warning;
use crate::netns;
use crate::places::{Hashing, Share};
use crate::supervisors::Supervisors;

/// The warnings, each once; `setting` reads one below `net.ipv4.vs`.
pub(super) fn warnings(
    listing: &Listing,
    targets: &[Target],
    drain: &Drain,
    supervisors: Supervisors,
    setting: impl Fn(&str) -> Option<u32>,
) -> Vec<String> {
    let is_off = |name: &str| setting(name) == Some(0);
    let set = |name: &str, value: u32| netns::command(format!("sysctl -w net.ipv4.vs.{name}={value}"));
    let mut warnings = Vec::new();
    if let Some(program) = supervisors.fill_table {
        warnings.push(warning::supervised(program));
    } else if supervisors.are_hidden {
        warnings.push(warning::MAY_BE_SUPERVISED.to_owned());
    }
    let weightless = targets.iter().filter(|target| target.noted.weight == 0).map(Target::to_string);
    warnings.extend(Several::of(weightless).map(|servers| warning::weightless_before(&servers.to_string())));
    if is_off("expire_quiescent_template") {
        warnings.extend(persistence(targets, drain, &set("expire_quiescent_template", 1)));
    }
    if is_off("conn_reuse_mode") && is_off("expire_nodest_conn") {
        warnings.push(warning::ports_are_reused(&set("conn_reuse_mode", 1)));
    }
    warnings.extend(hashing(listing, targets));
    warnings
}

/// The first of some, and how many more there are.
struct Several {
    first: String,
    more: usize,
}

impl Several {
    fn of(mut names: impl Iterator<Item = String>) -> Option<Self> {
        let first = names.next()?;
        Some(Self { first, more: names.count() })
    }
}

impl std::fmt::Display for Several {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.more {
            0 => f.write_str(&self.first),
            more => write!(f, "{} and {more} more", self.first),
        }
    }
}

/// What the clients of persistent services do, whom the kernel sends to a server of weight 0.
fn persistence(targets: &[Target], drain: &Drain, fix: &str) -> Vec<String> {
    let of = |target: &Target| Some((target.service.id, target.service.persistence?.timeout));
    let mut services: Vec<(ServiceId, u32)> = targets.iter().filter_map(of).collect();
    services.dedup();
    let named = |services: &mut dyn Iterator<Item = &(ServiceId, u32)>| {
        Several::of(services.map(|(id, _)| id.to_string()))
    };
    let longest = services.iter().map(|(_, timeout)| *timeout).max().unwrap_or_default();
    let all = named(&mut services.iter());
    let mut warnings: Vec<String> = all
        .map(|services| warning::clients_come_back(&services.to_string(), longest, fix))
        .into_iter()
        .collect();
    let Some(seconds) = drain.wait else { return warnings };
    // The kernel keeps who came from where for that long after the last connection.
    let with_clients = targets.iter().filter(|target| target.server.persistent_connections > 0);
    let mut short: Vec<(ServiceId, u32)> =
        with_clients.filter_map(of).filter(|(_, timeout)| seconds < *timeout).collect();
    short.dedup();
    let longest = short.iter().map(|(_, timeout)| *timeout).max().unwrap_or_default();
    let short = named(&mut short.iter());
    warnings.extend(short.map(|services| warning::short_wait(&services.to_string(), seconds, longest)));
    warnings
}

/// What schedulers that have a table of places do: they refuse clients, and send those of other servers elsewhere.
fn hashing(listing: &Listing, targets: &[Target]) -> Vec<String> {
    let servers: HashMap<ServiceId, &Vec<_>> =
        listing.iter().map(|(service, servers)| (service.id, servers)).collect();
    let (mut refusing, mut hopeless, mut moving) = (Vec::new(), Vec::new(), Vec::new());
    for of_service in targets.chunk_by(|one, next| one.service.id == next.service.id) {
        let Some(first) = of_service.first() else { continue };
        let Some(hashing) = Hashing::of(&first.service) else { continue };
        let before: Vec<Destination> = servers
            .get(&first.service.id)
            .into_iter()
            .flat_map(|servers| servers.iter())
            .map(|entry| entry.destination)
            .collect();
        let moved = moved_by(hashing, &before, of_service);
        match hashing {
            _ if before.len() == of_service.len() => {}
            Hashing::Destination => hopeless.push((first.service, moved.deleted)),
            hashing if hashing.refuses() => refusing.push((first.service, moved.deleted)),
            _ => {}
        }
        if moved.weightless.is_some_and(|share| !share.is_none()) {
            moving.push((first.service, moved.weightless));
        }
    }
    let mut warnings = Vec::new();
    warnings.extend(kind(&refusing, |service, name, share| {
        let fallback = format::flags_line(service, service.scheduler_flags | SchedulerFlags::FLAG_1);
        warning::refused_while_drained(name, &service.scheduler, share, &fallback)
    }));
    warnings.extend(kind(&hopeless, |_, name, share| warning::refused_whatever(name, share)));
    warnings.extend(kind(&moving, |_, name, share| warning::others_move(name, share)));
    warnings
}

/// A line about services of a kind, with the largest share of clients.
pub(super) fn kind(
    services: &[(Service, Option<Share>)],
    line: impl Fn(&Service, &str, Option<Share>) -> String,
) -> Option<String> {
    let (first, _) = services.first()?;
    let name = Several::of(services.iter().map(|(service, _)| service.id.to_string()))?.to_string();
    let largest = services.iter().filter_map(|(_, share)| *share).max();
    Some(line(first, &name, largest))
}

/// Which share of the clients of other servers goes elsewhere.
struct Moved {
    /// When the drained ones get weight 0.
    weightless: Option<Share>,
    /// When they are deleted.
    deleted: Option<Share>,
}

fn moved_by(hashing: Hashing, before: &[Destination], targets: &[Target]) -> Moved {
    let ids: Vec<_> = targets.iter().map(Target::id).collect();
    let is_target = |server: &Destination| ids.contains(&server.id);
    let weight = |server: &Destination| if is_target(server) { server.with_weight(0) } else { *server };
    let weightless: Vec<_> = before.iter().map(weight).collect();
    let deleted: Vec<_> = before.iter().filter(|server| !is_target(server)).copied().collect();
    Moved {
        weightless: hashing.moved(before, &weightless, &ids),
        deleted: hashing.moved(before, &deleted, &ids),
    }
}
