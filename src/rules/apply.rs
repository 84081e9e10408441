//! `-R --diff` and `-R --apply`: from the kernel's table to that of the lines, changing only what differs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

use ipvs::{ApplyError, Change, Client, DaemonState, DestinationId, Error, ServiceId, Table};

use crate::change::current::Current;
use crate::change::keep;
use crate::command::{Command, Only, Restore, RestoreMode};
use crate::format;
use crate::json::Object;
use crate::messages::{
    self, Failure, Result, STATUS_DIFFERS, STATUS_LIST, STATUS_PARTIAL, STATUS_REFUSED, STATUS_VALUE,
    at_line, report,
};
use crate::notes;
use crate::refusal;
use crate::resolver::Resolver;
use crate::rules::lines::each_command;
use crate::rules::replace;
use crate::text::AddressFormatter;

/// What lines make, beginning with an empty table.
pub(crate) struct Made {
    table: Table,
    /// The lines that do not apply.
    wrong: Vec<(usize, Failure)>,
    /// Whether no line is a command.
    pub(crate) is_empty: bool,
    /// Whether a line is about services and their servers.
    pub(crate) has_rule: bool,
}

impl Made {
    /// The table. Every line that does not apply is reported.
    pub(crate) fn desired(self) -> Result<Table> {
        for (line, failure) in &self.wrong {
            report(&at_line(*line, &failure.message));
        }
        match self.wrong.first() {
            Some((_, failure)) => Err(Failure::reported(failure.status)),
            None => Ok(self.table),
        }
    }
}

/// What the lines make. Every line that cannot be parsed is reported.
pub(crate) fn made_of(whole: &[u8], program: &str, resolver: &mut Resolver) -> Result<Made> {
    let mut made = Made { table: Table::default(), wrong: Vec::new(), is_empty: true, has_rule: false };
    each_command(whole, program, resolver, |line, command| {
        made.is_empty = false;
        made.has_rule |= !is_setting(&command);
        if let Err(failure) = apply_line(&mut made.table, &command) {
            made.wrong.push((line, failure));
        }
    })?;
    Ok(made)
}

/// Whether a command is not about services and their servers.
fn is_setting(command: &Command) -> bool {
    use Change::{SetTimeouts, StartDaemon, StopDaemon, Zero};
    let Command::Change(request) = command else { return false };
    matches!(request.change, SetTimeouts(_) | StartDaemon(_) | StopDaemon { .. } | Zero(_))
}

/// Applies a line to a table made of lines.
pub(crate) fn apply_line(table: &mut Table, command: &Command) -> Result<()> {
    let Command::Change(request) = command else {
        return Err(messages::value(messages::ONLY_CHANGES));
    };
    let refused = |error: &Error, change: &Change| refusal::refused(error, Some(change));
    let change = keep::complete(request, &current(table, &request.change), refused)?;
    table.change(&change).map_err(|error| refusal::refused(&error, Some(&change)))
}

/// The current state, in a table made of lines, of the object that a change targets.
fn current(table: &Table, change: &Change) -> Current {
    let (id, server) = match change {
        Change::EditService(service) => (&service.id, None),
        Change::EditDestination { service: id, destination: server } => (id, Some(&server.id)),
        _ => return Current::default(),
    };
    let server = server.and_then(|server| table.destination(id, server));
    Current { service: table.service(id).copied(), server: server.copied() }
}

/// The last line about each object.
pub(crate) type Numbers = HashMap<Target, usize>;

/// Prints or applies the difference to `desired`, the table of lines whose `numbers` are asked for where some are refused.
pub(crate) fn reach(
    client: &mut Client,
    restore: &Restore,
    desired: &Table,
    numbers: &mut dyn FnMut() -> Numbers,
    out: &mut impl Write,
) -> Result<()> {
    let desired = &*limited(desired, &restore.only);
    if restore.mode == RestoreMode::Apply && !restore.dry {
        let _lock = replace::lock()?;
        apply(client, desired, numbers)?;
        notes::follow_table(desired, matches!(restore.only, Only::All));
        return Ok(());
    }
    let any = show(client, desired, restore.json, out)?;
    if any && restore.mode == RestoreMode::Diff { Err(Failure::reported(STATUS_DIFFERS)) } else { Ok(()) }
}

/// The table that speaks of the services alone that are to be touched.
fn limited<'a>(desired: &'a Table, only: &Only) -> Cow<'a, Table> {
    match only {
        Only::All => Cow::Borrowed(desired),
        Only::Listed => Cow::Owned(desired.clone().only(desired.services().map(|service| service.id))),
        Only::Named(services) => Cow::Owned(desired.clone().only(services.iter().copied())),
    }
}

/// Prints the changes that turn the current table into `desired`, as lines or as JSON, and returns whether there are any.
fn show(client: &mut Client, desired: &Table, json: bool, out: &mut impl Write) -> Result<bool> {
    let table = Table::read_for(client, desired).map_err(|error| read_failure(&error))?;
    let written = written(&table, desired, json, out);
    // A full disk shows only when the output is flushed.
    let written = written.and_then(|any| out.flush().map(|()| any));
    written.map_err(|error| before_any_change(messages::write_error(&error)))
}

/// Writes the changes one by one, for all of them are as large as the tables, and returns whether there are any.
fn written(table: &Table, desired: &Table, json: bool, out: &mut impl Write) -> std::io::Result<bool> {
    if !json {
        let mut formatter = AddressFormatter::numeric();
        return each(table, desired, |change| format::change(out, change, &mut formatter));
    }
    let mut object = Object::begin(&mut *out)?;
    let mut array = object.array("changes")?;
    let any = each(table, desired, |change| array.push(change))?;
    array.end()?;
    object.end()?;
    Ok(any)
}

/// Writes each change, as long as that succeeds.
fn each(
    table: &Table,
    desired: &Table,
    mut write: impl FnMut(&Change) -> std::io::Result<()>,
) -> std::io::Result<bool> {
    let (mut any, mut written) = (false, Ok(()));
    table.for_each_difference(desired, |change| {
        any = true;
        if written.is_ok() {
            written = write(&change);
        }
    });
    written.map(|()| any)
}

/// Applies the difference to `desired`: all of it or nothing.
fn apply(client: &mut Client, desired: &Table, numbers: &mut dyn FnMut() -> Numbers) -> Result<()> {
    // If the socket fails, another is opened.
    let Err(error) = desired.apply_reopening(client, || Client::open().ok()) else { return Ok(()) };
    if !error.failed().is_empty() {
        let lines = numbers();
        for (change, error) in error.failed() {
            report(&change.map_or_else(|| why(error), |change| refusal_text(&change, error, &lines)));
        }
    }
    match error {
        ApplyError::Unread(error) => Err(read_failure(&error)),
        ApplyError::Empty => Err(messages::value(messages::NO_RULE)),
        ApplyError::Invalid { change, error } => {
            report(&refusal_text(&change, &error, &numbers()));
            Err(Failure::reported(STATUS_VALUE))
        }
        ApplyError::Undone { is_as_before, kept, .. } => {
            left_to_others(&kept);
            report(if is_as_before { messages::AS_BEFORE } else { messages::CHANGED_MEANWHILE });
            Err(Failure::reported(STATUS_REFUSED))
        }
        ApplyError::Partial { left, kept, .. } => {
            left_to_others(&kept);
            not_undone(&left);
            Err(Failure::reported(STATUS_PARTIAL))
        }
        ApplyError::Unknown { unread, .. } => {
            report(&messages::perhaps_neither(&why(&unread)));
            Err(Failure::reported(STATUS_PARTIAL))
        }
        other => Err(messages::value(other.to_string())),
    }
}

pub(crate) fn read_failure(error: &Error) -> Failure {
    messages::cannot_read_table(&why(error))
}

/// Why the kernel could not be reached; the original says nothing in some cases.
fn why(error: &Error) -> String {
    match error {
        Error::Kernel { operation, errno } => {
            format!("{operation}: {}", messages::reason(&std::io::Error::from_raw_os_error(*errno)))
        }
        other => refusal::refused(other, None).message,
    }
}

/// A failure before anything was changed. Its status must differ from that of a difference.
fn before_any_change(failure: Failure) -> Failure {
    let is_listing = failure.status == STATUS_LIST;
    Failure { status: if is_listing { STATUS_VALUE } else { failure.status }, ..failure }
}

/// The object that a change targets.
pub(crate) type Target = (Option<ServiceId>, Option<DestinationId>, Option<DaemonState>);

/// The object of a change that a line can make.
fn target(change: &Change) -> Option<Target> {
    match change {
        Change::AddService(service) | Change::EditService(service) => Some((Some(service.id), None, None)),
        Change::AddDestination { service: id, destination: server }
        | Change::EditDestination { service: id, destination: server } => {
            Some((Some(*id), Some(server.id), None))
        }
        Change::SetTimeouts(_) => Some((None, None, None)),
        Change::StartDaemon(daemon) => Some((None, None, Some(daemon.state))),
        _ => None,
    }
}

/// The last line about each object. They have been parsed once, and are again where a message needs it.
pub(crate) fn numbers(whole: &[u8], program: &str, resolver: &mut Resolver) -> Numbers {
    let mut numbers = Numbers::new();
    let number = |line, command| {
        if let Command::Change(request) = command {
            numbers.extend(target(&request.change).map(|target| (target, line)));
        }
    };
    // A line that cannot be parsed was reported when they were read.
    let _ = each_command(whole, program, resolver, number);
    numbers
}

/// The kernel's refusal of a change.
fn refusal_text(change: &Change, error: &Error, lines: &Numbers) -> String {
    let message = refusal::refused(error, Some(change)).message;
    match target(change).and_then(|target| lines.get(&target)) {
        Some(line) => at_line(*line, &message),
        None => format!("{}: {message}", format::line(change)),
    }
}

/// Reports which changes were not undone, if any, for another program has changed the same since.
fn left_to_others(kept: &[Change]) {
    if let Some(message) = messages::left_to_others(kept) {
        report(&message);
    }
}

/// Reports what could not be undone, why, and the commands that do it.
fn not_undone(left: &[(Change, Option<Error>)]) {
    for (change, error) in left {
        let refusal = error.as_ref().map(|error| refusal::refused(error, Some(change)).message);
        report(&messages::not_undone(refusal.as_deref(), &format::command_line(change)));
    }
    report(messages::NEITHER);
}
