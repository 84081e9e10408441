//! `--undrain`: brings back the servers that drains have noted.

use std::collections::HashMap;
use std::io::Write;

use ipvs::{Change, Client, Destination, DestinationId, ServiceId};

use crate::command::Which;
use crate::messages::{self, Failure, Result, STATUS_REFUSED, report};
use crate::notes::{Note, Notes, Now};
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
    for note in notes {
        let now = servers.of(client, note)?;
        let (end, change) = plan(note, now, servers.server(&note.server.id));
        changes.extend(change.map(|change| (ends.len(), change)));
        ends.push((*note, end));
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
    service: Option<ServiceId>,
    /// None of a service that is not there.
    servers: Option<HashMap<DestinationId, Destination>>,
}

impl Reading {
    /// What the table says of a noted server.
    pub(super) fn of(&mut self, client: &mut Client, note: &Note) -> Result<Now> {
        if self.service != Some(note.service) {
            self.servers = match client.checked_destinations(&note.service) {
                Err(error) if error.is_not_found() => None,
                entries => {
                    let entries = entries.map_err(|error| messages::refused(&error, None))?;
                    let destinations = entries.into_iter().map(|entry| entry.destination);
                    Some(destinations.map(|destination| (destination.id, destination)).collect())
                }
            };
            self.service = Some(note.service);
        }
        Ok(match (&self.servers, self.server(&note.server.id)) {
            (None, _) => Now::NoService,
            (_, None) => Now::Gone,
            (_, Some(there)) => Now::Weight(there.weight),
        })
    }

    /// A server of the service that was read last.
    fn server(&self, id: &DestinationId) -> Option<&Destination> {
        self.servers.as_ref()?.get(id)
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
