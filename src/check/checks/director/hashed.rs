//! Schedulers that choose by a hash, and refuse the clients of a server that takes none.

use ipvs::{DestinationEntry, SchedulerFlags, Service};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::table::is_full;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::Step;
use crate::check::verdict::Examined;
use crate::places::Hashing;

const CLIENTS_REFUSED: Kind =
    Kind::error("clients-refused", "each client of that server is refused, though others could take it");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[CLIENTS_REFUSED], run: refusing };

/// Servers of weight 0, or full, whose clients are refused while others could take them. Where nobody could, that is another
/// finding.
fn refusing(director: &Examined<'_>) -> Vec<Finding> {
    let closed = |entry: &DestinationEntry| entry.destination.weight == 0 || is_full(entry);
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let Some(hashing) = Hashing::of(service).filter(|hashing| hashing.refuses()) else { continue };
        let Some(first) = servers.iter().find(|entry| closed(entry)) else { continue };
        let count = servers.iter().filter(|entry| closed(entry)).count();
        if count == servers.len() || !hashing.may_fall_back() && first.destination.weight > 0 {
            continue;
        }
        let state = if first.destination.weight == 0 { "has weight 0" } else { "is full" };
        let more = if count > 1 { format!(", and so are {} more", count - 1) } else { String::new() };
        let what = format!(
            "{} {state}{more}, and {} sends its clients to no other",
            first.destination.id, service.scheduler
        );
        findings.push(CLIENTS_REFUSED.of_service(&service.id, what, remedy(service, hashing, first)));
    }
    findings
}

/// The flag that sends its clients to others, or its end.
fn remedy(service: &Service, hashing: Hashing, server: &DestinationEntry) -> Step {
    if hashing.may_fall_back() {
        let scheduler_flags = service.scheduler_flags | SchedulerFlags::FLAG_1;
        return Step::SchedulerFlags(Service { scheduler_flags, ..*service });
    }
    Step::Drain { service: service.id, server: server.destination.id }
}
