//! `-R`: lines of stdin carried out as they arrive.
//!
//! What has arrived goes to the kernel together, and nothing waits for more: whoever writes rule by rule into a pipe
//! sees each in effect at once, and a file takes a few calls of the kernel.

use std::io::{Read, Write};

use ipvs::Change;

use crate::command::Command;
use crate::messages::{self, Failure, Result, STATUS_REFUSED};
use crate::report;
use crate::rule;
use crate::run::Session;

/// Carries out the lines of `input`. With `replace` all of them are read first: if one cannot be understood nothing
/// is changed, else the table is cleared before them.
pub(crate) fn restore(
    session: &mut Session,
    mut input: impl Read,
    replace: bool,
    out: &mut impl Write,
) -> Result<()> {
    if !replace {
        return Lines::new(session, out).stream(input);
    }
    let mut whole = Vec::new();
    input.read_to_end(&mut whole).map_err(|error| unread(&error))?;
    check(session, &whole)?;
    session.run(&Command::Change(Change::Flush), out)?;
    Lines::new(session, out).stream(&whole[..])
}

/// Reports every line that cannot be understood.
fn check(session: &mut Session, whole: &[u8]) -> Result<()> {
    let mut wrong: Option<Failure> = None;
    for (index, line) in whole.split(|byte| *byte == b'\n').enumerate() {
        let words = words(line, index == 0);
        if let Some(Err(failure)) = parse(session, &words) {
            report(&at_line(index + 1, &failure.message));
            wrong.get_or_insert(said(failure.status));
        }
    }
    wrong.map_or(Ok(()), Err)
}

fn words(line: &[u8], is_first: bool) -> Vec<&[u8]> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    rule::words(if is_first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line })
}

/// What the words of a line ask for; nothing if there are none.
fn parse(session: &mut Session, words: &[&[u8]]) -> Option<Result<Command>> {
    if words.is_empty() {
        return None;
    }
    let command = match Command::parse(&session.program, words, &mut session.resolver) {
        Ok(Command::Restore { .. }) => {
            let word = words.first().copied();
            Err(messages::try_help(&session.program, word, "a restore cannot hold another"))
        }
        command => command,
    };
    Some(command)
}

fn at_line(line: usize, message: &str) -> String {
    format!("line {line}: {message}")
}

fn unread(error: &std::io::Error) -> Failure {
    let reason = error.raw_os_error().map_or(error.to_string(), messages::system);
    messages::value(format!("cannot read the rules from stdin: {reason}"))
}

/// The lines so far.
struct Lines<'a, W> {
    session: &'a mut Session,
    out: &'a mut W,
    /// Changes that have arrived but are not in effect yet, and their lines.
    changes: Vec<Change>,
    numbers: Vec<usize>,
    number: usize,
    any_refused: bool,
}

/// Whether there is more to do.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

impl<'a, W: Write> Lines<'a, W> {
    fn new(session: &'a mut Session, out: &'a mut W) -> Self {
        Self { session, out, changes: Vec::new(), numbers: Vec::new(), number: 0, any_refused: false }
    }

    fn stream(mut self, mut input: impl Read) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        let mut arrived = Vec::new();
        loop {
            let length = match input.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                result => result.map_err(|error| unread(&error))?,
            };
            arrived.extend_from_slice(buffer.get(..length).unwrap_or_default());
            // At the end, what is left is a line without its newline.
            let end = match arrived.iter().rposition(|byte| *byte == b'\n') {
                _ if length == 0 => arrived.len(),
                Some(newline) => newline + 1,
                None => 0,
            };
            let lines = arrived.get(..end).unwrap_or_default();
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                if self.line(line)? == Then::End {
                    return Ok(());
                }
            }
            self.carry_out()?;
            arrived.drain(..end);
            if length == 0 {
                break;
            }
        }
        if self.any_refused { Err(said(STATUS_REFUSED)) } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8]) -> Result<Then> {
        self.number += 1;
        let words = words(line, self.number == 1);
        match parse(self.session, &words) {
            None => Ok(Then::GoOn),
            Some(Ok(Command::Change(change))) => {
                self.changes.push(change);
                self.numbers.push(self.number);
                Ok(Then::GoOn)
            }
            Some(command) => {
                // What it prints, and what is wrong with it, comes after the lines before it.
                self.carry_out()?;
                match command.and_then(|command| self.session.run(&command, self.out).map(|()| command)) {
                    Ok(Command::Help | Command::Version) => Ok(Then::End),
                    Ok(_) => Ok(Then::GoOn),
                    Err(failure) => self.failed(self.number, &failure).map(|()| Then::GoOn),
                }
            }
        }
    }

    /// Puts the changes that have arrived into effect.
    fn carry_out(&mut self) -> Result<()> {
        let changes = std::mem::take(&mut self.changes);
        let numbers = std::mem::take(&mut self.numbers);
        let refused =
            self.session.client.apply_all(&changes).map_err(|error| messages::refused(&error, None))?;
        for (at, error) in refused {
            let failure = messages::refused(&error, changes.get(at));
            self.failed(numbers.get(at).copied().unwrap_or(0), &failure)?;
        }
        Ok(())
    }

    /// Reports what was wrong with a line; the rest goes on, or ends with the same status.
    fn failed(&mut self, line: usize, failure: &Failure) -> Result<()> {
        if !failure.message.is_empty() {
            report(&at_line(line, &failure.message));
        }
        self.any_refused = true;
        if failure.restore_goes_on { Ok(()) } else { Err(said(failure.status)) }
    }
}

/// A failure that has been reported.
fn said(status: u8) -> Failure {
    Failure { status, message: String::new(), restore_goes_on: false }
}
