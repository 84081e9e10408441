//! `-R --json`: a table in JSON, as `-S --json` and `-L --json` write it.

use std::io::Write;

use ipvs::{Change, Client, SyncDaemon, Table};

use crate::command::{Restore, RestoreMode};
use crate::format;
use crate::messages::{self, Failure, Result, STATUS_REFUSED, report};
use crate::notes;
use crate::refusal;
use crate::rules::{apply, replace};
use crate::session::Session;

/// Whether an input is a document rather than lines: no rule begins like this.
pub(crate) fn is_document(input: &[u8]) -> bool {
    input.trim_ascii_start().first().is_some_and(|first| b"{[".contains(first))
}

/// Reads a whole document.
pub(crate) fn read(input: &[u8]) -> Result<Table> {
    let mut deserializer = serde_json::Deserializer::from_slice(input);
    let table = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        messages::invalid_document(Some(&*path).filter(|path| *path != "."), &error.into_inner())
    })?;
    deserializer.end().map_err(|error| messages::invalid_document(None, &error))?;
    Ok(table)
}

/// Why `-R` would refuse a document that was written of the kernel's table; none if it takes it. Other programs can make
/// values that this one does not.
pub(crate) fn refusal(document: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Table>(document) {
        Err(error) => {
            let why = error.to_string();
            Some(why.split(" at line ").next().unwrap_or_default().to_owned())
        }
        Ok(table) => {
            let mut refused = Table::default().diff(&table).into_iter().filter_map(|it| it.check().err());
            refused.next().map(|error| error.to_string())
        }
    }
}

/// The changes that make the table of a document from an empty one beside sync daemons that may run.
pub(crate) fn changes(input: &[u8]) -> Result<Vec<Change>> {
    let desired = read(input)?;
    let stopped = desired.stopped_daemons().map(|state| Change::StopDaemon { state, sync_id: 0 });
    Ok(stopped.chain(Table::default().diff(&desired)).collect())
}

/// The changes that make the table of a document from an empty one. Of the daemons that it stops those that run are
/// stopped.
fn changes_beside(client: &mut Client, desired: &Table) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    if desired.stopped_daemons().next().is_some() {
        let running = client.daemons().map_err(|error| messages::refused(&error, None))?;
        let is_stopped = |daemon: &&SyncDaemon| desired.stopped_daemons().any(|state| state == daemon.state);
        let stop = |daemon: &SyncDaemon| Change::StopDaemon { state: daemon.state, sync_id: daemon.sync_id };
        changes.extend(running.iter().filter(is_stopped).map(stop));
    }
    changes.extend(Table::default().diff(desired));
    Ok(changes)
}

/// Carries out a document.
pub(crate) fn restore(
    session: &mut Session,
    restore: &Restore,
    input: &[u8],
    out: &mut impl Write,
) -> Result<()> {
    let desired = read(input)?;
    match restore.mode {
        RestoreMode::Stream => {
            let client = session.client()?;
            let changes = changes_beside(client, &desired)?;
            change_all(client, &changes)
        }
        RestoreMode::Replace => {
            let _lock = replace::lock()?;
            let client = session.client()?;
            let changes = changes_beside(client, &desired)?;
            replace::stop_running_daemons(client, &changes)?;
            change_all(client, &[&[Change::Flush], &changes[..]].concat())
        }
        RestoreMode::Diff | RestoreMode::Apply => {
            apply::reach(session.client()?, restore, &desired, &mut apply::Numbers::new, out)
        }
    }
}

/// Carries out every change that the kernel accepts, and reports the others.
fn change_all(client: &mut Client, changes: &[Change]) -> Result<()> {
    let refused = client.apply_all(changes).map_err(|error| messages::refused(&error, None))?;
    notes::follow(changes, &refused);
    for (at, error) in &refused {
        let Some(change) = changes.get(*at) else { continue };
        let failure = refusal::refused(error, Some(change));
        report(&format!("{}: {}", format::line(change), failure.message));
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::reported(STATUS_REFUSED)) }
}
