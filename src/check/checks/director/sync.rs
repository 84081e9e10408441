//! A sync daemon that cannot send or receive.

use ipvs::{Change, SyncDaemon};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, Step};
use crate::check::verdict::Examined;

const SYNC_LINK_DOWN: Kind =
    Kind::warning("sync-link-down", "the other director learns of no connection: a failover breaks them all");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[SYNC_LINK_DOWN], run: sync };

/// A sync daemon that cannot send or receive.
fn sync(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for daemon in &director.daemons {
        // Interface names that are not UTF-8 are not read.
        let Ok(name) = std::str::from_utf8(daemon.interface.as_bytes()) else { continue };
        let link = director.machine.links.iter().find(|link| link.name == name);
        let (how, fix) = match link {
            Some(link) if link.is_up => continue,
            Some(_) => ("which is down", Step::bring_up(name).into()),
            None => ("which is gone", restart(daemon)),
        };
        findings.push(SYNC_LINK_DOWN.at(
            &name,
            format!("the sync daemon ({}) is on {name}, {how}", daemon.state),
            fix,
        ));
    }
    findings
}

/// Restarts a daemon on another interface, which the user fills in.
fn restart(daemon: &SyncDaemon) -> Fix {
    let stop = Change::StopDaemon { state: daemon.state, sync_id: daemon.sync_id };
    Fix(vec![Step::Table(stop), Step::NewDaemon(*daemon)])
}
