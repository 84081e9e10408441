//! `-R`: carries out lines of stdin, or of a file, as they arrive.
//!
//! Everything that has arrived is sent to the kernel together, without waiting for more: rules written one by one
//! into a pipe take effect at once, and a file needs only a few system calls.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use ipvs::{Change, Client};

use crate::command::{ChangeRequest, Command, Restore, RestoreMode};
use crate::files::atomic_file;
use crate::format;
use crate::messages::{self, Failure, Result, STATUS_REFUSED, STATUS_VALUE, at_line, report};
use crate::notes;
use crate::refusal;
use crate::rules::apply;
use crate::rules::document;
use crate::rules::lines::{commands, drained, each_command, expect_names, parse, words};
use crate::rules::replace;
use crate::session::Session;

/// Carries out a line that is not a plain change.
type Run<W> = fn(&mut Session, &Command, &mut W) -> Result<()>;

/// Carries out the lines of the input in the requested mode.
pub(crate) fn restore<W: Write>(
    session: &mut Session,
    restore: &Restore,
    out: &mut W,
    run: Run<W>,
) -> Result<()> {
    let mut input = open(restore)?;
    if restore.json {
        let whole = read_whole(&mut input)?;
        // For lines too, a difference may be printed as JSON.
        if document::is_document(&whole) || restore.mode != RestoreMode::Diff {
            return document::restore(session, restore, &whole, out);
        }
        input = Box::new(Cursor::new(whole));
    }
    match restore.mode {
        RestoreMode::Stream => Lines::new(session, out, run).stream(input),
        RestoreMode::Replace => {
            let whole = read_whole(&mut input)?;
            // All lines are read first: if one cannot be parsed, nothing is changed.
            let daemons = daemons_of(&whole, session)?;
            let _lock = replace::lock()?;
            replace::stop_running_daemons(session.client()?, &daemons)?;
            run(session, &Command::Change(ChangeRequest::complete(Change::Flush)), out)?;
            Lines::new(session, out, run).stream(&whole[..])
        }
        RestoreMode::Diff | RestoreMode::Apply => {
            let whole = read_whole(&mut input)?;
            let made = apply::made_of(&whole, &session.program, &mut session.resolver)?;
            refuse_without_rules(session.client()?, &made)?;
            let desired = made.desired()?;
            let program = session.program.clone();
            let (client, resolver) = session.client_and_resolver()?;
            apply::reach(client, restore, &desired, &mut || apply::numbers(&whole, &program, resolver), out)?;
            if restore.mode == RestoreMode::Apply && !restore.dry {
                let drained: Vec<Change> = whole.split(|byte| *byte == b'\n').filter_map(drained).collect();
                take_over(session, &drained)?;
            }
            Ok(())
        }
    }
}

/// Notes what was drained when the table was saved.
fn take_over(session: &mut Session, drained: &[Change]) -> Result<()> {
    if drained.is_empty() {
        return Ok(());
    }
    notes::saved::take_over(session.client()?, drained).map_err(|error| messages::refused(&error, None))
}

/// Refuses an input without services if the table has some: the program that wrote it may have failed. The full save
/// of an empty table has only settings, and may be restored to an empty table.
fn refuse_without_rules(client: &mut Client, made: &apply::Made) -> Result<()> {
    if made.has_rule {
        return Ok(());
    }
    let is_empty_table = client.services().map_err(|error| apply::read_failure(&error))?.is_empty();
    if is_empty_table && !made.is_empty { Ok(()) } else { Err(messages::value(messages::NO_RULE)) }
}

/// The changes of sync daemons in lines. Refuses lines that are not changes before the table is cleared for them: `-v` would
/// end the restore midway, and `--dry-run` would load nothing.
fn daemons_of(whole: &[u8], session: &mut Session) -> Result<Vec<Change>> {
    let (mut daemons, mut strays, mut is_empty) = (Vec::new(), Vec::new(), true);
    each_command(whole, &session.program, &mut session.resolver, |line, command| {
        is_empty = false;
        match command {
            Command::Change(request) => {
                let change = request.change;
                daemons.extend(
                    matches!(change, Change::StartDaemon(_) | Change::StopDaemon { .. }).then_some(change),
                );
            }
            _ => strays.push(line),
        }
    })?;
    for line in &strays {
        report(&at_line(*line, messages::ONLY_CHANGES));
    }
    if !strays.is_empty() {
        return Err(Failure::reported(STATUS_VALUE));
    }
    if is_empty {
        report(messages::CLEARED);
    }
    Ok(daemons)
}

/// Prints what would be carried out; needs no kernel.
pub(crate) fn show(restore: &Restore, session: &mut Session, out: &mut impl Write) -> Result<()> {
    let whole = read_whole(&mut open(restore)?)?;
    let changes = if restore.json { document::changes(&whole)? } else { changes_of_lines(&whole, session)? };
    let clear = (restore.mode == RestoreMode::Replace).then_some(Change::Flush);
    format::changes(out, clear.iter().chain(&changes)).map_err(|error| messages::write_error(&error))
}

/// The changes that lines ask for, where no line needs the current table.
fn changes_of_lines(whole: &[u8], session: &mut Session) -> Result<Vec<Change>> {
    let commands = commands(whole, &session.program, &mut session.resolver)?;
    let keeps = |request: &ChangeRequest| request.keep.is_some();
    let kept = commands.iter().find(
        |(_, command)| matches!(command, Command::Change(request) | Command::Show(request) if keeps(request)),
    );
    if let Some((line, _)) = kept {
        return Err(messages::value(at_line(*line, messages::KEEP_UNREAD)));
    }
    let change = |(_, command): &(usize, Command)| match command {
        Command::Change(request) | Command::Show(request) => Some(request.change),
        _ => None,
    };
    Ok(commands.iter().filter_map(change).collect())
}

fn open(restore: &Restore) -> Result<Box<dyn Read>> {
    atomic_file::open(restore.file.as_deref()).map_err(|error| {
        messages::cannot_read_file(restore.file.as_deref().unwrap_or(Path::new("-")), &error)
    })
}

fn read_whole(input: &mut impl Read) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    input.read_to_end(&mut whole).map_err(|error| read_failure(&error))?;
    Ok(whole)
}

fn read_failure(error: &std::io::Error) -> Failure {
    messages::cannot_read_rules(error)
}

/// State of a streaming restore.
struct Lines<'a, W> {
    session: &'a mut Session,
    out: &'a mut W,
    run: Run<W>,
    /// Changes that have arrived but are not in effect yet, and their line numbers.
    changes: Vec<Change>,
    numbers: Vec<usize>,
    number: usize,
    any_refused: bool,
    /// Servers that were drained when the lines were saved.
    drained: Vec<Change>,
}

/// Whether to read more lines.
#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    End,
}

impl<'a, W: Write> Lines<'a, W> {
    fn new(session: &'a mut Session, out: &'a mut W, run: Run<W>) -> Self {
        Self {
            session,
            out,
            run,
            changes: Vec::new(),
            numbers: Vec::new(),
            number: 0,
            any_refused: false,
            drained: Vec::new(),
        }
    }

    fn stream(mut self, mut input: impl Read) -> Result<()> {
        let mut buffer = vec![0; 1 << 14];
        let mut arrived = Vec::new();
        loop {
            let length = match input.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                result => result.map_err(|error| read_failure(&error))?,
            };
            let new = buffer.get(..length).unwrap_or_default();
            let before = arrived.len(); // an incomplete line
            arrived.extend_from_slice(new);
            // At the end of the input, the rest is a line without its newline.
            let end = match new.iter().rposition(|byte| *byte == b'\n') {
                _ if length == 0 => arrived.len(),
                Some(newline) => before + newline + 1,
                None => 0,
            };
            let lines = arrived.get(..end).unwrap_or_default();
            expect_names(lines, &self.session.program, &mut self.session.resolver);
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                if self.line(line)? == Next::End {
                    return Ok(());
                }
            }
            self.carry_out()?;
            arrived.drain(..end);
            if length == 0 {
                break;
            }
        }
        take_over(self.session, &self.drained)?;
        if self.any_refused { Err(Failure::reported(STATUS_REFUSED)) } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8]) -> Result<Next> {
        self.number += 1;
        let words = words(line, self.number == 1);
        match parse(&self.session.program, &mut self.session.resolver, &words) {
            None => {
                self.drained.extend(drained(line));
                Ok(Next::Continue)
            }
            // A line with `--keep` needs the lines before it in effect.
            Some(Ok(Command::Change(request))) if request.keep.is_none() => {
                self.changes.push(request.change);
                self.numbers.push(self.number);
                Ok(Next::Continue)
            }
            Some(command) => {
                // Its output and errors come after those of the lines before it.
                self.carry_out()?;
                match command
                    .and_then(|command| (self.run)(self.session, &command, self.out).map(|()| command))
                {
                    Ok(Command::Help(_) | Command::Version) => Ok(Next::End),
                    Ok(_) => Ok(Next::Continue),
                    Err(failure) => self.failed(self.number, &failure).map(|()| Next::Continue),
                }
            }
        }
    }

    /// Sends the changes that have arrived to the kernel.
    fn carry_out(&mut self) -> Result<()> {
        let (mut changes, mut numbers) =
            (std::mem::take(&mut self.changes), std::mem::take(&mut self.numbers));
        let refused =
            self.session.client()?.apply_all(&changes).map_err(|error| messages::refused(&error, None))?;
        notes::follow(&changes, &refused);
        for (at, error) in refused {
            let failure = refusal::refused(&error, changes.get(at));
            self.failed(numbers.get(at).copied().unwrap_or(0), &failure)?;
        }
        // Reusing memory is cheaper than allocating.
        changes.clear();
        numbers.clear();
        (self.changes, self.numbers) = (changes, numbers);
        Ok(())
    }

    /// Reports an error in a line, and returns whether to continue.
    fn failed(&mut self, line: usize, failure: &Failure) -> Result<()> {
        if !failure.message.is_empty() {
            report(&at_line(line, &failure.message));
        }
        self.any_refused = true;
        if failure.continue_restore { Ok(()) } else { Err(Failure::reported(failure.status)) }
    }
}
