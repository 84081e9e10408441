//! `--undrain`: brings back the servers that drains have noted.

use std::collections::HashMap;
use std::io::Write;

use ipvs::{Change, Client, Destination, DestinationId, Service, ServiceId};

use super::obstacles;
use crate::change::warnings;
use crate::command::Which;
use crate::messages::{self, Failure, Result, STATUS_REFUSED, report};
use crate::notes::{Note, Notes, Now};
use crate::places::{Hashing, Share};
use crate::refusal;
use crate::rules::replace;

/// Brings back the noted servers that are meant, with the weights that they had.
pub(crate) fn undrain(client: &mut Client, which: &Which, out: &mut impl Write) -> Result<()> {
    // A drain that waits takes it too, before it deletes.
    let lock = replace::lock()?;
    let notes = Notes::read().map_err(|error| messages::unreadable_notes(&error))?;
    let is_meant = |note: &&Note| which.includes(&note.service, &note.server.id);
    let meant: Vec<Note> = notes.all().filter(is_meant).copied().collect();
    let ends = bring_back(client, &meant)?;
    let stays = |end: &End| matches!(end, End::Refused(_));
    let written = Notes::update(|notes| {
        for (note, _) in ends.iter().filter(|(_, end)| !stays(end)) {
            notes.remove(&note.service, &note.server.id);
        }
    });
    drop(lock);
    let mut shown = Ok(());
    let (mut any, mut any_refused) = (false, false);
    for (note, end) in &ends {
        any |= *end != End::Over;
        match end {
            End::Over => {}
            // What is back is noted no more, even if nobody can be told.
            End::Done(line) => shown = shown.and_then(|()| writeln!(out, "{line}")),
            End::Refused(message) => {
                any_refused = true;
                report(&messages::about(&note.to_string(), message));
            }
        }
    }
    if any_refused {
        written.unwrap_or_else(|why| report(&messages::notes_stay(&why).message));
        return Err(Failure::reported(STATUS_REFUSED));
    }
    if !any {
        return Err(messages::nothing_noted(&which.word(), notes.path()));
    }
    written.map_err(|why| messages::notes_stay(&why))?;
    shown.map_err(|error| messages::write_error(&error))
}

/// What became of a noted server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The line that says so.
    Done(String),
    /// It was brought back before, and taken out again, or another hand took it out.
    Over,
    /// It stays out; why.
    Refused(String),
}

/// Brings servers back, and says what became of each.
pub(super) fn bring_back(client: &mut Client, notes: &[Note]) -> Result<Vec<(Note, End)>> {
    let mut ends = Vec::new();
    let mut changes = Vec::new();
    let mut servers = Reading::default();
    let mut moved = Vec::new();
    for of_service in notes.chunk_by(|one, next| one.service == next.service) {
        let mut added = Vec::new();
        for note in of_service {
            let now = servers.of(client, note)?;
            let (end, change) = plan(note, now, servers.servers.get(&note.server.id));
            if let Some(Change::AddDestination { destination, .. }) = change {
                added.push(destination);
            }
            changes.extend(change.map(|change| (ends.len(), change)));
            ends.push((*note, end));
        }
        moved.extend(servers.moved_by(&added));
    }
    let sentence = |service: &Service, name: &str, share: Option<Share>| {
        messages::warning::order_moves(name, &service.scheduler, share)
    };
    if warnings::are_shown(false) {
        if let Some(warning) = obstacles::kind(&moved, sentence) {
            report(&warning);
        }
    }
    let edits: Vec<Change> = changes.iter().map(|(_, change)| *change).collect();
    let refused = client.apply_all(&edits).map_err(|error| messages::refused(&error, None))?;
    for (at, error) in refused {
        let Some((of, change)) = changes.get(at) else { continue };
        if let Some((_, end)) = ends.get_mut(*of) {
            *end = End::Refused(refusal::refused(&error, Some(change)).message);
        }
    }
    Ok(ends)
}

/// The servers of one service after another, each service read once where its notes are together.
#[derive(Default)]
pub(super) struct Reading {
    id: Option<ServiceId>,
    /// None if it is not there.
    service: Option<Service>,
    /// In the kernel's order.
    list: Vec<Destination>,
    servers: HashMap<DestinationId, Destination>,
}

impl Reading {
    /// What the table says of a noted server.
    pub(super) fn of(&mut self, client: &mut Client, note: &Note) -> Result<Now> {
        if self.id != Some(note.service) {
            *self = Self::read(client, &note.service).map_err(|error| messages::refused(&error, None))?;
        }
        Ok(match (self.service, self.servers.get(&note.server.id)) {
            (None, _) => Now::NoService,
            (_, None) => Now::Gone,
            (_, Some(there)) => Now::Weight(there.weight),
        })
    }

    fn read(client: &mut Client, id: &ServiceId) -> ipvs::Result<Self> {
        let service = match client.service(id) {
            Err(error) if error.is_not_found() => return Ok(Self { id: Some(*id), ..Self::default() }),
            entry => Some(entry?.service),
        };
        let list: Vec<_> =
            client.destinations_or_none(id)?.into_iter().map(|entry| entry.destination).collect();
        let servers = list.iter().map(|server| (server.id, *server)).collect();
        Ok(Self { id: Some(*id), service, list, servers })
    }

    /// The share of the other servers' clients that servers send elsewhere which are added to the service, if that is more than
    /// none.
    fn moved_by(&self, added: &[Destination]) -> Option<(Service, Option<Share>)> {
        let service = self.service?;
        let after: Vec<_> = added.iter().rev().chain(&self.list).copied().collect();
        let added: Vec<_> = added.iter().map(|server| server.id).collect();
        let share = Hashing::of(&service)?.moved(&self.list, &after, &added)?;
        (!share.is_none()).then_some((service, Some(share)))
    }
}

/// What a note comes to, if the kernel takes the change.
fn plan(note: &Note, now: Now, there: Option<&Destination>) -> (End, Option<Change>) {
    let Note { service, server: noted, .. } = *note;
    if note.by_table(now).is_none() {
        return (End::Over, None);
    }
    let change = match there {
        Some(there) if there.weight > 0 => {
            return (End::Done(messages::in_use_already(&note.to_string(), there.weight)), None);
        }
        // It stays as others have made it meanwhile, but for its weight.
        Some(there) => Change::EditDestination { service, destination: there.with_weight(noted.weight) },
        None => Change::AddDestination { service, destination: noted },
    };
    (End::Done(messages::back(&note.to_string(), noted.weight)), Some(change))
}
