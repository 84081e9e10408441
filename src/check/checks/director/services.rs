//! Services that nobody serves.

use ipvs::{Change, DestinationEntry, Service, ServiceId};

use crate::check::checks::fixes::{examine, log_of, set_weight};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::table::all_zero;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, Step};
use crate::check::verdict::{Examined, Problem, Verdict};

const SUPERVISOR_IDLE: Kind = Kind::error(
    "supervisor-idle",
    "it makes its services when it starts, and not again: clients are not served",
);
const NO_SERVER: Kind = Kind::error("no-server", "every client is refused");
const ALL_WEIGHTS_ZERO: Kind = Kind::error(
    "all-weights-zero",
    "a server of weight 0 gets no new connections: every new client is refused",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[SUPERVISOR_IDLE, NO_SERVER, ALL_WEIGHTS_ZERO], run };

fn run(director: &Examined<'_>) -> Vec<Finding> {
    [supervisor_idle(director), no_server(director), all_weights_zero(director)].concat()
}

/// A supervisor with services that runs beside an empty table.
fn supervisor_idle(director: &Examined<'_>) -> Vec<Finding> {
    let idle = director.idle_supervisor.filter(|_| director.table.is_empty());
    idle.map(|name| {
        let what = format!("{name} runs and has services in its configuration, and the table is empty");
        SUPERVISOR_IDLE.at(&name, what, Step::Restart(name.into()))
    })
    .into_iter()
    .collect()
}

fn no_server(director: &Examined<'_>) -> Vec<Finding> {
    let empty = director.services().filter(|(_, servers)| servers.is_empty() && !director.is_of_kubernetes());
    empty
        .map(|(service, _)| {
            // Servers of another port of the address may serve this one too.
            let is_sibling = |other: &Service| match (service.id, other.id) {
                (
                    ServiceId::Address { protocol, address, .. },
                    ServiceId::Address { protocol: other_protocol, address: other_address, .. },
                ) => (protocol, address) == (other_protocol, other_address),
                _ => false,
            };
            let sibling =
                director.services().find(|(other, servers)| !servers.is_empty() && is_sibling(other));
            let servers = sibling.map_or(&[][..], |(_, servers)| servers);
            let same: Fix = servers
                .iter()
                .map(|server| {
                    let mut destination = server.destination;
                    destination.id.port = service.id.port();
                    Change::AddDestination { service: service.id, destination }
                })
                .collect();
            let fix = if same.is_empty() { Step::NewServer(service.id).into() } else { same };
            let fix = director.supervisors.fill_table.map_or(fix, log_of);
            NO_SERVER.of_service(&service.id, "the service has no real server", fix)
        })
        .collect()
}

fn all_weights_zero(director: &Examined<'_>) -> Vec<Finding> {
    let is_idle = |servers: &[DestinationEntry]| all_zero(servers) && !director.is_of_kubernetes();
    let idle = director.verdicts().filter(|(_, servers, _)| is_idle(servers));
    let finding = |(service, servers, verdicts): (&Service, &[DestinationEntry], &[Verdict])| {
        let usable = servers.iter().zip(verdicts).filter(|(_, verdict)| verdict.problem.is_none());
        let earlier = |server: &DestinationEntry| {
            director.weights.get(&(service.id, server.destination.id)).copied().unwrap_or(1)
        };
        let back: Fix = usable.map(|(server, _)| set_weight(&service.id, server, earlier(server))).collect();
        let first = servers.first().zip(verdicts.first().and_then(|verdict| verdict.problem.as_ref()));
        let (what, fix) = match first {
            Some((server, Problem { trouble, what })) if back.is_empty() => {
                (format!("all real servers have weight 0, and {what}"), examine(*trouble, server))
            }
            _ => ("all real servers have weight 0".to_owned(), back),
        };
        ALL_WEIGHTS_ZERO.of_service(&service.id, what, director.supervisors.fill_table.map_or(fix, log_of))
    };
    idle.map(finding).collect()
}
