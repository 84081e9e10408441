//! The changes that lead from one table to another, in an order that leaves no service without a server.

use std::ops::ControlFlow::{self, Continue};

use crate::change::Change;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::{Destination, DestinationId};
use crate::family::Family;
use crate::service_id::ServiceId;

use super::{Entry, Table, replaced};

/// Takes a step on the way, and whether it takes something away; says whether to go on.
pub(super) type Take<'a> = &'a mut dyn FnMut(Change, bool) -> ControlFlow<()>;

/// The steps by which a server goes, and those by which something else does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    /// The server is of another family than its service.
    Mixed,
    Others,
}

impl Table {
    /// The changes that lead from this table to `desired`: those that take nothing away come first, so that no service
    /// is without a server in between, and then those that do.
    ///
    /// A sync daemon is stopped just before another is started in its place, and both before anything is deleted: what
    /// is refused until then is undone without a loss. Servers of another family than their service's and a daemon
    /// exclude each other, so a daemon stops before such a server is added, and starts when the last of them is gone.
    ///
    /// Where the scheduler [depends on the order](crate::Scheduler::depends_on_order) in which servers were added, and theirs
    /// is another, those that are to be newer are deleted and added again, one by one; the first of them stays.
    pub fn diff(&self, desired: &Self) -> Vec<Change> {
        let mut steps = Vec::new();
        self.for_each_difference(desired, |step| steps.push(step));
        steps
    }

    /// The changes of [`Table::diff`], one by one, for those who do not keep all of them.
    pub fn for_each_difference(&self, desired: &Self, mut take: impl FnMut(Change)) {
        let _ = self.each_step(desired, &mut |step, _| {
            take(step);
            Continue(())
        });
    }

    pub(super) fn each_step(&self, desired: &Self, take: Take<'_>) -> ControlFlow<()> {
        let (stop, start) = self.daemon_steps(desired);
        let is_early = !stop.is_empty() && self.puts_mixed(desired);
        let all = |steps: &[Change], takes_away: bool, take: Take<'_>| {
            steps.iter().try_for_each(|step| take(*step, takes_away))
        };
        if is_early {
            all(&stop, true, take)?;
        }
        self.steps_that_put(desired, take)?;
        if !is_early {
            all(&stop, true, take)?;
        }
        if !start.is_empty() {
            self.steps_away(desired, Away::Mixed, take)?;
            all(&start, false, take)?;
        }
        self.steps_away(desired, Away::Others, take)?;
        if start.is_empty() { self.steps_away(desired, Away::Mixed, take) } else { Continue(()) }
    }

    /// Whether a server of another family than its service's is added or edited.
    fn puts_mixed(&self, desired: &Self) -> bool {
        let found = self.steps_that_put(desired, &mut |step, _| match step {
            Change::AddDestination { service: id, destination: server }
            | Change::EditDestination { service: id, destination: server }
                if is_mixed(&id, &server.id) =>
            {
                ControlFlow::Break(())
            }
            _ => Continue(()),
        });
        found.is_break()
    }

    /// The changes that add and edit.
    fn steps_that_put(&self, desired: &Self, take: Take<'_>) -> ControlFlow<()> {
        for new in desired.services.iter() {
            let id = &new.service.id;
            let old = self.services.get(id);
            match old {
                None => take(Change::AddService(new.service), false)?,
                Some(old) if old.service != new.service => take(Change::EditService(new.service), false)?,
                Some(_) => {}
            }
            if new.service.scheduler.depends_on_order() {
                put_in_order(*id, old, new, take)?;
                continue;
            }
            for server in new.destinations.iter() {
                put(*id, old, server, take)?;
            }
        }
        // Timeouts that this table does not speak of may be any.
        let old = self.timeouts.unwrap_or_default();
        match desired.timeouts.filter(|new| replaced(old, *new) != old) {
            Some(new) => take(Change::SetTimeouts(new), false),
            None => Continue(()),
        }
    }

    /// The changes that delete what `desired` does not have.
    fn steps_away(&self, desired: &Self, which: Away, take: Take<'_>) -> ControlFlow<()> {
        let of = |is_mixed| if is_mixed { Away::Mixed } else { Away::Others };
        for old in self.services.iter().filter(|old| desired.speaks_of(&old.service.id)) {
            let id = &old.service.id;
            let mut servers = old.destinations.iter().map(|destination| destination.id);
            match desired.services.get(id) {
                None => {
                    if of(servers.any(|server| is_mixed(id, &server))) == which {
                        take(Change::DeleteService(*id), true)?;
                    }
                }
                Some(new) => {
                    let is_gone = |server: &DestinationId| !new.destinations.contains_key(server);
                    for server in servers.filter(is_gone).filter(|server| of(is_mixed(id, server)) == which) {
                        take(Change::DeleteDestination { service: *id, destination: server }, true)?;
                    }
                }
            }
        }
        Continue(())
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

/// The change that puts one server of a service in its place, if there is one to be made.
fn put(id: ServiceId, old: Option<&Entry>, server: &Destination, take: Take<'_>) -> ControlFlow<()> {
    match old.and_then(|old| old.destinations.get(&server.id)) {
        None => take(Change::AddDestination { service: id, destination: *server }, false),
        Some(old) if old != server => {
            take(Change::EditDestination { service: id, destination: *server }, false)
        }
        Some(_) => Continue(()),
    }
}

/// The changes that put the servers of a service in their places, in the order of their ages. A server that is to be newer
/// is added again; what takes it away for that moment takes away nothing.
fn put_in_order(id: ServiceId, old: Option<&Entry>, new: &Entry, take: Take<'_>) -> ControlFlow<()> {
    let wanted = new.destinations.by_age();
    let kept = old.map_or(0, |old| old.destinations.kept(&wanted));
    for (at, server) in wanted.into_iter().enumerate() {
        if at >= kept && old.is_some_and(|old| old.destinations.contains_key(&server.id)) {
            take(Change::DeleteDestination { service: id, destination: server.id }, false)?;
            take(Change::AddDestination { service: id, destination: *server }, false)?;
        } else {
            put(id, old, server, take)?;
        }
    }
    Continue(())
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
