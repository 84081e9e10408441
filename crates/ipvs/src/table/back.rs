//! The way back from changes that did not come to their end: whatever still is as they left it is undone, and what
//! another program has changed since is that program's.

use std::collections::HashSet;

use crate::change::Change;
use crate::config::Timeouts;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::{Destination, DestinationId};
use crate::error::Error;
use crate::service::Service;
use crate::service_id::ServiceId;

use super::diff::is_satisfied;
use super::{Table, replaced};

/// Where the way back leads.
pub(super) struct Back {
    /// The current table without the changes.
    pub(super) table: Table,
    /// The changes that are not undone, for another program has changed since what they are about.
    pub(super) kept: Vec<Change>,
}

/// The way back from `current`, where `made` are in effect, or may be, to the table that was there `before`.
pub(super) fn back(current: &Table, made: &[Change], before: &Table) -> Back {
    let mut way = Way { current, before, table: current.clone() };
    // The servers of a new service go before it does.
    let mut kept: Vec<Change> =
        made.iter().rev().filter(|change| way.undo(change, made) == Whose::Theirs).copied().collect();
    way.restore_order(made);
    kept.reverse();
    kept.dedup_by_key(|change| Subject::from(&*change)); // a daemon is stopped and started
    Back { table: way.table, kept }
}

/// Whose the present state of something is that a change of ours was about.
#[derive(PartialEq, Eq)]
enum Whose {
    /// Ours, which is undone, or nobody's: the change is not in effect.
    Ours,
    /// Another program's.
    Theirs,
}

impl Whose {
    fn theirs_if(is_theirs: bool) -> Self {
        if is_theirs { Self::Theirs } else { Self::Ours }
    }
}

struct Way<'a> {
    current: &'a Table,
    before: &'a Table,
    /// The current table without the changes that have been undone so far.
    table: Table,
}

impl Way<'_> {
    /// Gives servers that were added again the order that they had.
    fn restore_order(&mut self, made: &[Change]) {
        for change in made {
            let Change::DeleteDestination { service: id, .. } = change else { continue };
            if let (Some(entry), Some(old)) = (self.table.services.get_mut(id), self.before.services.get(id))
            {
                if old.service.scheduler.depends_on_order() {
                    entry.destinations.order_as(&old.destinations);
                }
            }
        }
    }

    fn undo(&mut self, change: &Change, made: &[Change]) -> Whose {
        match change {
            Change::AddService(service) => self.undo_new_service(service),
            Change::EditService(service) => self.undo_edited_service(service),
            Change::DeleteService(id) => self.undo_deleted_service(id),
            Change::AddDestination { service, destination }
            | Change::EditDestination { service, destination } => {
                self.undo_server(service, &destination.id, Some(destination))
            }
            Change::DeleteDestination { service, destination } => {
                self.undo_server(service, destination, None)
            }
            Change::SetTimeouts(new) => self.undo_timeouts(*new),
            Change::StartDaemon(SyncDaemon { state, .. }) | Change::StopDaemon { state, .. } => {
                self.undo_daemon(*state, made)
            }
            Change::Flush | Change::Zero(_) => Whose::Ours, // never on the way from one table to another
        }
    }

    fn undo_new_service(&mut self, service: &Service) -> Whose {
        let id = &service.id;
        let Some(current) = self.current.services.get(id) else { return Whose::Ours };
        if self.before.services.contains(id) {
            return Whose::Ours; // another program had made it since, and the change is an edit
        }
        // With servers of another program the service is that program's, too.
        let is_empty = self.table.services.get(id).is_none_or(|entry| entry.destinations.is_empty());
        if current.service != *service || !is_empty {
            return Whose::Theirs;
        }
        self.table.services.remove(id);
        Whose::Ours
    }

    fn undo_edited_service(&mut self, service: &Service) -> Whose {
        let Some(old) = self.before.services.get(&service.id) else { return Whose::Ours };
        let Some(current) = self.current.services.get(&service.id) else { return Whose::Theirs };
        if current.service == *service {
            if let Some(entry) = self.table.services.get_mut(&service.id) {
                entry.service = old.service;
            }
            return Whose::Ours;
        }
        Whose::theirs_if(current.service != old.service)
    }

    fn undo_deleted_service(&mut self, id: &ServiceId) -> Whose {
        let Some(old) = self.before.services.get(id) else { return Whose::Ours };
        let Some(current) = self.current.services.get(id) else {
            self.table.services.insert(old.clone());
            return Whose::Ours;
        };
        Whose::theirs_if(current != old)
    }

    /// Undoes a change that has made a server what is given: none where the change took it away.
    fn undo_server(&mut self, id: &ServiceId, server: &DestinationId, ours: Option<&Destination>) -> Whose {
        let old = self.before.destination(id, server);
        let Some(current) = self.current.services.get(id) else {
            // Where the service was there before, and this change was made, another program has deleted it.
            return Whose::theirs_if(self.before.services.contains(id));
        };
        let current = current.destinations.get(server);
        if current == old {
            return Whose::Ours;
        }
        if current != ours {
            return Whose::Theirs;
        }
        if let Some(entry) = self.table.services.get_mut(id) {
            match old {
                Some(old) => entry.destinations.insert(*old),
                None => drop(entry.destinations.remove(server)),
            }
        }
        Whose::Ours
    }

    /// Each timeout by itself, for another program may have changed one alone.
    fn undo_timeouts(&mut self, new: Timeouts) -> Whose {
        let (Some(old), Some(current)) = (self.before.timeouts, self.current.timeouts) else {
            return Whose::Ours;
        };
        let ours = replaced(old, new);
        let pick = |ours, old, current| if current == ours { old } else { current };
        let back = Timeouts {
            tcp: pick(ours.tcp, old.tcp, current.tcp),
            tcp_fin: pick(ours.tcp_fin, old.tcp_fin, current.tcp_fin),
            udp: pick(ours.udp, old.udp, current.udp),
        };
        self.table.timeouts = Some(back);
        Whose::theirs_if(back != old)
    }

    /// A daemon that is replaced is none in between.
    fn undo_daemon(&mut self, side: DaemonState, made: &[Change]) -> Whose {
        let of = |table: &Table| table.daemons.get(&side).copied().flatten();
        let (old, current) = (of(self.before), of(self.current));
        let is_ours = made.iter().any(|change| match (change, &current) {
            (Change::StartDaemon(ours), Some(current)) => is_satisfied(ours, current),
            (Change::StopDaemon { state, .. }, None) => *state == side,
            _ => false,
        });
        if is_ours {
            self.table.daemons.insert(side, old);
        }
        Whose::theirs_if(!is_ours && current != old && current.is_some())
    }
}

/// What a change is about.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Service(ServiceId),
    Destination(ServiceId, DestinationId),
    Timeouts,
    Daemon(DaemonState),
    All,
}

impl From<&Change> for Subject {
    fn from(change: &Change) -> Self {
        match *change {
            Change::AddService(Service { id, .. })
            | Change::EditService(Service { id, .. })
            | Change::DeleteService(id)
            | Change::Zero(Some(id)) => Self::Service(id),
            Change::AddDestination { service, destination: Destination { id, .. } }
            | Change::EditDestination { service, destination: Destination { id, .. } }
            | Change::DeleteDestination { service, destination: id } => Self::Destination(service, id),
            Change::SetTimeouts(_) => Self::Timeouts,
            Change::StartDaemon(SyncDaemon { state, .. }) | Change::StopDaemon { state, .. } => {
                Self::Daemon(state)
            }
            Change::Flush | Change::Zero(None) => Self::All,
        }
    }
}

/// Takes out of `made` what `steps` of the way back have undone, `refused` of them excepted. Whatever another program
/// makes of it from now on is that program's, even where it looks like ours.
pub(super) fn forget_undone(
    made: &mut Vec<Change>,
    steps: &[Change],
    refused: &[(usize, Error)],
    before: &Table,
) {
    let positions: HashSet<usize> = refused.iter().map(|(at, _)| *at).collect();
    let is_refused = |at: &usize| positions.contains(at);
    let subjects = |is_wanted: &dyn Fn(&usize) -> bool| -> HashSet<Subject> {
        let steps = steps.iter().enumerate().filter(|(at, _)| is_wanted(at));
        steps.map(|(_, step)| Subject::from(step)).collect()
    };
    let (left, mut undone) = (subjects(&is_refused), subjects(&|at| !is_refused(at)));
    undone.retain(|subject| !left.contains(subject));
    // The servers of a deleted service come back one by one.
    for (_, step) in steps.iter().enumerate().filter(|(at, _)| !is_refused(at)) {
        if let Change::AddService(Service { id, .. }) = step {
            let servers = before.services.get(id).into_iter().flat_map(|entry| entry.destinations.iter());
            made.extend(
                servers.map(|server| Change::DeleteDestination { service: *id, destination: server.id }),
            );
        }
    }
    made.retain(|change| !undone.contains(&Subject::from(change)));
}
