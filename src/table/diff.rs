//! The changes that lead from one table to another, in an order that leaves no service without a server.

use crate::change::Change;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::DestinationId;
use crate::family::Family;
use crate::service_id::ServiceId;

use super::{Table, replaced};

impl Table {
    /// The changes that lead from this table to `desired`: those that take nothing away come first, so that no service
    /// is without a server in between, and then those that do.
    ///
    /// A sync daemon is stopped just before another is started in its place, and both before anything is deleted: what
    /// is refused until then is undone without a loss. Servers of another family than their service's and a daemon
    /// exclude each other, so a daemon stops before such a server is added, and starts when the last of them is gone.
    pub fn diff(&self, desired: &Self) -> Vec<Change> {
        let put = self.steps_that_put(desired);
        let (stop, start) = self.daemon_steps(desired);
        let is_mixed = |change: &Change| match change {
            Change::AddDestination { service: id, destination: server }
            | Change::EditDestination { service: id, destination: server } => is_mixed(id, &server.id),
            _ => false,
        };
        let (early, late) = if put.iter().any(is_mixed) { (stop, vec![]) } else { (vec![], stop) };
        let (mixed, gone) = self.steps_away(desired);
        let (before, after) = if start.is_empty() { (vec![], mixed) } else { (mixed, vec![]) };
        early.into_iter().chain(put).chain(late).chain(before).chain(start).chain(gone).chain(after).collect()
    }

    /// The changes that add and edit.
    fn steps_that_put(&self, desired: &Self) -> Vec<Change> {
        let mut steps = Vec::new();
        for (id, new) in &desired.services {
            let old = self.services.get(id);
            match old {
                None => steps.push(Change::AddService(new.service)),
                Some(old) if old.service != new.service => {
                    steps.push(Change::EditService(new.service));
                }
                Some(_) => {}
            }
            for destination in new.destinations.iter() {
                let change = match old.and_then(|old| old.destinations.get(&destination.id)) {
                    None => Change::AddDestination { service: *id, destination: *destination },
                    Some(old) if old != destination => {
                        Change::EditDestination { service: *id, destination: *destination }
                    }
                    Some(_) => continue,
                };
                steps.push(change);
            }
        }
        // Timeouts that this table does not speak of may be any.
        let old = self.timeouts.unwrap_or_default();
        if let Some(new) = desired.timeouts.filter(|new| replaced(old, *new) != old) {
            steps.push(Change::SetTimeouts(new));
        }
        steps
    }

    /// The changes that delete what `desired` does not have: those by which a server of another family than its
    /// service's goes, and the others.
    fn steps_away(&self, desired: &Self) -> (Vec<Change>, Vec<Change>) {
        let (mut mixed, mut others) = (Vec::new(), Vec::new());
        for (id, old) in self.services.iter().filter(|(id, _)| desired.speaks_of(id)) {
            let servers = || old.destinations.iter().map(|destination| destination.id);
            let mut push = |change, is_mixed| {
                if is_mixed { &mut mixed } else { &mut others }.push(change);
            };
            match desired.services.get(id) {
                None => push(Change::DeleteService(*id), servers().any(|server| is_mixed(id, &server))),
                Some(new) => {
                    for server in servers().filter(|server| !new.destinations.contains_key(server)) {
                        push(
                            Change::DeleteDestination { service: *id, destination: server },
                            is_mixed(id, &server),
                        );
                    }
                }
            }
        }
        (mixed, others)
    }

    /// The changes that stop sync daemons, and those that start some.
    fn daemon_steps(&self, desired: &Self) -> (Vec<Change>, Vec<Change>) {
        let (mut stop, mut start) = (Vec::new(), Vec::new());
        for (side, new) in &desired.daemons {
            let running = self.daemons.get(side).copied().flatten();
            if new.zip(running).is_some_and(|(new, running)| is_satisfied(&new, &running)) {
                continue;
            }
            if let Some(running) = running {
                stop.push(Change::StopDaemon { state: *side, sync_id: running.sync_id });
            }
            if let Some(new) = new {
                start.push(Change::StartDaemon(*new));
            }
        }
        (stop, start)
    }
}

/// Whether a server is of another family than its service, which only tunnels can be.
fn is_mixed(id: &ServiceId, server: &DestinationId) -> bool {
    Family::from(server.address) != id.family()
}

/// Whether a daemon that runs is the one that is desired, where what is not said is the kernel's choice.
pub(super) fn is_satisfied(desired: &SyncDaemon, running: &SyncDaemon) -> bool {
    let chosen = desired.with_defaults();
    let max_length = if desired.max_length == 0 { running.max_length } else { held(&chosen) };
    chosen.with_max_length(max_length) == *running
}

/// What the kernel makes of a longest message that is asked for: no backup has room for less than 1024 bytes, and no
/// more goes into a packet than 65535 less the headers of UDP and IP, whatever the interface carries.
fn held(desired: &SyncDaemon) -> u16 {
    let least = if desired.state == DaemonState::Backup { 1024 } else { 1 };
    let headers = if desired.group.is_some_and(|group| group.is_ipv6()) { 8 + 40 } else { 8 + 20 };
    desired.max_length.clamp(least, u16::MAX - headers)
}
