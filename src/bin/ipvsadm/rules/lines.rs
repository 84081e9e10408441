//! Lines of a restore, parsed into commands.

use crate::cli::parse;
use ipvs::Change;

use crate::command::Command;
use crate::format;
use crate::messages::{self, Failure, Result, at_line, report};
use crate::resolver::Resolver;
use crate::text::AddressFormatter;

/// All commands with their line numbers. Every line that cannot be parsed is reported.
pub(crate) fn commands(
    whole: &[u8],
    program: &str,
    resolver: &mut Resolver,
) -> Result<Vec<(usize, Command)>> {
    let mut commands = Vec::new();
    let mut wrong: Option<Failure> = None;
    for (line, command) in parsed(whole, program, resolver) {
        match command {
            Ok(command) => commands.push((line, command)),
            Err(failure) => {
                report(&at_line(line, &failure.message));
                wrong.get_or_insert(Failure::reported(failure.status));
            }
        }
    }
    wrong.map_or(Ok(commands), Err)
}

/// The command of each line, with its number.
fn parsed(
    whole: &[u8],
    program: &str,
    resolver: &mut Resolver,
) -> impl Iterator<Item = (usize, Result<Command>)> {
    lines(whole).filter_map(|(number, words)| Some((number, parse(program, resolver, &words)?)))
}

/// The words of each line, with its number.
pub(crate) fn lines(whole: &[u8]) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
    let lines = whole.split(|byte| *byte == b'\n').enumerate();
    lines.map(|(index, line)| (index + 1, words(line, index == 0)))
}

pub(crate) fn words(line: &[u8], is_first: bool) -> Vec<&[u8]> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    format::words(if is_first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line })
}

/// The command of a line's words; none if there are none.
pub(crate) fn parse(program: &str, resolver: &mut Resolver, words: &[&[u8]]) -> Option<Result<Command>> {
    let first = words.first()?;
    Some(match parse::parse(program, words, resolver) {
        Ok(Command::Restore { .. }) => {
            Err(messages::try_help(program, Some(first), "a restore cannot contain another"))
        }
        Ok(Command::Check { .. }) => {
            Err(messages::try_help(program, Some(first), "a restore cannot contain a check"))
        }
        Ok(Command::Drain(_) | Command::Undrain(_)) => {
            Err(messages::try_help(program, Some(first), "a restore cannot contain a drain"))
        }
        command => command,
    })
}

/// Whether the line of a change makes the same change again. Other programs can make rules that no line can express,
/// such as a directly routed server with another port.
pub(crate) fn comes_back(change: &Change) -> bool {
    let mut line = Vec::new();
    if format::change(&mut line, change, &mut AddressFormatter::numeric()).is_err() {
        return false;
    }
    let parsed = parse("ipvsadm", &mut Resolver::default(), &words(&line, false));
    matches!(parsed, Some(Ok(Command::Change(request))) if request.change == *change)
}
