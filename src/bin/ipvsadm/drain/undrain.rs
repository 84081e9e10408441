//! `--undrain`: brings back the servers that drains have noted.

use std::io::Write;

use ipvs::{Change, Client, Destination, ServiceId};

use super::notes::Notes;
use crate::command::Which;
use crate::messages::{self, Failure, Result, STATUS_REFUSED, report};
use crate::refusal;
use crate::rules::replace;

/// Brings back the noted servers that are meant, with the weights that they had.
pub(crate) fn undrain(client: &mut Client, which: &Which, out: &mut impl Write) -> Result<()> {
    let _lock = replace::lock()?;
    let mut notes = Notes::read().map_err(|error| messages::unreadable_notes(&error))?;
    let mut servers = notes.all();
    servers.retain(|(service, server)| which.includes(service, &server.id));
    if servers.is_empty() {
        return Err(messages::nothing_noted(&which.word(), notes.path()));
    }
    let mut any_refused = false;
    let mut written = Ok(());
    for (service, server) in servers {
        match bring_back(client, &service, server) {
            Ok(line) => {
                notes.remove(&service, &server.id);
                // The others are brought back, and what is back is noted no more, even if nobody can be told.
                written = written.and_then(|()| writeln!(out, "{line}"));
            }
            Err(failure) => {
                any_refused = true;
                report(&messages::about(&format!("{service} -> {}", server.id), &failure.message));
            }
        }
    }
    if any_refused {
        notes.write().unwrap_or_else(|why| report(&messages::notes_stay(&why).message));
        return Err(Failure::reported(STATUS_REFUSED));
    }
    notes.write().map_err(|why| messages::notes_stay(&why))?;
    written.map_err(|error| messages::write_error(&error))
}

/// Brings back a server, and returns the line that says so.
pub(super) fn bring_back(client: &mut Client, service: &ServiceId, noted: Destination) -> Result<String> {
    let servers = client.destinations(service).map_err(|error| messages::refused(&error, None))?;
    let now = servers.iter().map(|entry| entry.destination).find(|now| now.id == noted.id);
    let at = format!("{service} -> {}", noted.id);
    let change = match now {
        Some(now) if now.weight > 0 => return Ok(messages::in_use_already(&at, now.weight)),
        // It stays as others have made it meanwhile, but for its weight.
        Some(now) => {
            Change::EditDestination { service: *service, destination: now.with_weight(noted.weight) }
        }
        None => Change::AddDestination { service: *service, destination: noted },
    };
    client.apply(&change).map_err(|error| refusal::refused(&error, Some(&change)))?;
    Ok(messages::back(&at, noted.weight))
}
