//! `--drain` and `--undrain`: take real servers out of service without cutting a connection, and bring them back.
//!
//! `targets` are the servers that are meant, `obstacles` what would make the wait vain, `wait` the wait itself, `progress` what is
//! shown meanwhile, `interruption` the signals. From the notes (`crate::notes`) `undrain` brings them back.

mod interruption;
mod obstacles;
mod progress;
mod targets;
#[cfg(test)]
mod tests;
mod undrain;
mod wait;

use std::io::Write;
use std::path::Path;

use ipvs::{Change, Client};

use crate::change::warnings;
use crate::command::Drain;
use crate::format;
use crate::messages::{self, Failure, Result, report};
use crate::notes::{Note, Notes, State};
use crate::refusal;
use crate::rules::{lines, replace};
use crate::supervisors::Supervisors;
use crate::sysctl;

use interruption::Interruptions;
use progress::{Progress, stderr_is_terminal};
use targets::Target;
use wait::{End, Wait};

pub(crate) use undrain::undrain;

/// Some servers are not out of service as they were to be: the wait is over, or another program has acted.
const STATUS_NOT_DRAINED: u8 = 1;
/// What a shell adds to the number of the signal that ended a program.
const STATUS_OF_SIGNALS: u8 = 128;

/// Drains servers: weight 0, wait, delete.
pub(crate) fn drain(client: &mut Client, drain: &Drain, out: &mut impl Write) -> Result<()> {
    // From here on a signal ends the wait, and not the program without a word.
    let interruptions = Interruptions::catch().map_err(|error| messages::cannot_wait(&error))?;
    let Begun { targets, refused, is_noted } = begin(client, drain)?;
    let wait = Wait::new(drain, Progress::new(stderr_is_terminal(), drain.quiet), is_noted);
    let (end, left) = wait.run(client, targets, &interruptions, out);
    let reason = match end {
        End::Drained => return refused.map_or(Ok(()), Err),
        End::Ended(failure) => return Err(failure),
        End::TimeOver(seconds) => messages::waited(seconds),
        End::Interrupted(_) => messages::INTERRUPTED.to_owned(),
        End::Failed(ref failure) => failure.message.clone(),
    };
    for (target, connections) in &left {
        let connections = connections.to_string();
        report(&messages::not_drained(&reason, &target.to_string(), &connections, &back(&target.edit())));
    }
    Err(match end {
        End::Interrupted(signal) => Failure::reported(STATUS_OF_SIGNALS.saturating_add(signal)),
        End::Failed(failure) if left.is_empty() => failure,
        _ => Failure::reported(STATUS_NOT_DRAINED),
    })
}

/// A drain that has begun.
struct Begun {
    /// The servers that have weight 0 now.
    targets: Vec<Target>,
    /// What the kernel said first of others.
    refused: Option<Failure>,
    is_noted: bool,
}

/// Finds the servers, notes them, and gives them weight 0. Those that the kernel refuses to change are reported, and the others
/// are drained.
fn begin(client: &mut Client, drain: &Drain) -> Result<Begun> {
    let known = Notes::read().unwrap_or_else(|_| Notes::unknown());
    let listing = targets::read(client, drain.which.service.as_ref())?;
    let first = targets::find_all(&listing, drain, &known)?;
    if warnings::are_shown(drain.quiet) {
        let supervisors = Supervisors::running(Path::new("/proc"));
        let setting = |name: &str| sysctl::read(&format!("net/ipv4/vs/{name}"));
        for warning in obstacles::warnings(&listing, &first, drain, supervisors, setting) {
            report(&warning);
        }
    }
    // Of two drains at once, each would take the other's server for one that remains.
    let lock = replace::lock()?;
    let mut notes = Notes::read();
    let over = notes.as_ref().map_or(Ok(Vec::new()), |notes| over(client, notes))?;
    if let Ok(notes) = &mut notes {
        notes.replace_all(&over);
    }
    let listing = targets::read_again(client, &first)?;
    let targets = targets::find_all(&listing, drain, notes.as_ref().unwrap_or(&known))?;
    // Before anything is changed: whatever happens then, --undrain knows the weights.
    let written = Notes::update(|notes| {
        notes.replace_all(&over);
        for target in &targets {
            notes.add(&target.service.id, target.noted, State::Waiting);
        }
    });
    if let Err(why) = &written {
        report(&messages::warning::not_noted(why));
    }
    let is_noted = written.is_ok();
    let edits: Vec<Change> = targets.iter().map(Target::stop).collect();
    let refused = client.apply_all(&edits).map_err(|error| messages::perhaps_weightless(&error))?;
    drop(lock);
    let mut targets: Vec<Option<Target>> = targets.into_iter().map(Some).collect();
    let mut first = None;
    for (at, error) in &refused {
        let failure = refusal::refused(error, edits.get(*at));
        let target = targets.get_mut(*at).and_then(Option::take);
        let name = target.map_or(String::new(), |target| target.to_string());
        report(&messages::about(&name, &failure.message));
        first.get_or_insert(Failure::reported(failure.status));
    }
    Ok(Begun { targets: targets.into_iter().flatten().collect(), refused: first, is_noted })
}

/// The notes that the table has overtaken, with what remains of each.
fn over(client: &mut Client, notes: &Notes) -> Result<Vec<(Note, Option<Note>)>> {
    let mut over = Vec::new();
    let mut servers = undrain::Reading::default();
    for note in notes.all() {
        let left = note.by_table(servers.of(client, note)?);
        if left != Some(*note) {
            over.push((*note, left));
        }
    }
    Ok(over)
}

/// The command line that brings a server back.
fn back(change: &Change) -> String {
    match change {
        // Another program may have made a server that no line can express; the note has all of it.
        Change::AddDestination { service, destination }
        | Change::EditDestination { service, destination }
            if !lines::comes_back(change) =>
        {
            format::undrain_line(service, &destination.id)
        }
        change => format::command_line(change),
    }
}
