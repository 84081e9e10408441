//! Whether a pair of directors that run sync daemons schedules each request once.

use std::net::IpAddr;

use ipvs::{DaemonState, DestinationEntry, Service};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind};
use crate::check::facts::table::address;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::Fix;
use crate::check::verdict::Examined;

const BACKUP_ONLY: Kind = Kind::error(
    "backup-only",
    "each request must be scheduled once, by the director that has the address: clients time out",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[BACKUP_ONLY], run: scheduling };

const PATH: &str = "net/ipv4/vs/backup_only";

/// A standby that is a real server too, and schedules what the other director sends to it again; and a director in use that
/// does not schedule.
fn scheduling(director: &Examined<'_>) -> Vec<Finding> {
    let runs_backup = director.daemons.iter().any(|daemon| daemon.state == DaemonState::Backup);
    match director.machine.sysctl(PATH) {
        Some(0) if runs_backup && director.daemons.len() == 1 => second(director).into_iter().collect(),
        // Whether the kernel schedules does not depend on a second daemon.
        Some(1..) if runs_backup => none(director).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn second(director: &Director) -> Option<Finding> {
    let machine = &director.machine;
    // The other director has the address on the network; this machine has it only to accept what is sent to it.
    let is_server = |vip: IpAddr| {
        let mut holders = machine.holders(vip).peekable();
        holders.peek().is_some() && holders.all(|(_, link)| link.kind != LinkKind::Ethernet)
    };
    let here = |server: &DestinationEntry| {
        machine.route(server.destination.id.address) == Route::Local && server.destination.weight > 0
    };
    let mut served = director.services().filter(|(service, servers)| {
        address(&service.id).is_some_and(is_server)
            && servers.iter().any(here)
            && servers.iter().any(|it| !here(it) && it.destination.weight > 0)
    });
    let finding = |(service, _): (&Service, &[DestinationEntry])| {
        let what =
            "this standby is a real server too, and schedules again what the other director sends to it";
        BACKUP_ONLY.of_service(&service.id, what, Fix::set([(PATH, 1)]))
    };
    served.next().map(finding)
}

/// The director answers for the address on a network, so clients' packets arrive here.
fn none(director: &Director) -> Option<Finding> {
    let machine = &director.machine;
    let is_in_use = |vip: IpAddr| {
        let on_wire = |link: &Link| {
            link.kind == LinkKind::Ethernet && link.is_up && link.has_carrier && !machine.is_silent(vip, link)
        };
        !machine.is_void(vip) && machine.holders(vip).any(|(_, link)| on_wire(link))
    };
    let mut used = director
        .services()
        .filter(|(service, servers)| !servers.is_empty() && address(&service.id).is_some_and(is_in_use));
    let (service, _) = used.next()?;
    let what = "net.ipv4.vs.backup_only is not 0 and a sync daemon runs here as backup, so this director schedules nothing, \
                though it has the address";
    Some(BACKUP_ONLY.of_service(&service.id, what, Fix::set([(PATH, 0)])))
}
