//! Lines of a restore, parsed into commands.

use crate::cli::parse;
use ipvs::Change;

use crate::command::Command;
use crate::format;
use crate::lookup::Wait;
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
    each_command(whole, program, resolver, |line, command| commands.push((line, command)))?;
    Ok(commands)
}

/// As [`commands`], one by one, for commands take more memory than their lines. Behind a line that cannot be parsed none is
/// handed on.
pub(crate) fn each_command(
    whole: &[u8],
    program: &str,
    resolver: &mut Resolver,
    mut take: impl FnMut(usize, Command),
) -> Result<()> {
    expect_names(whole, program, resolver);
    let mut wrong: Option<Failure> = None;
    for (line, command) in parsed(whole, program, resolver) {
        match command {
            Ok(command) if wrong.is_none() => take(line, command),
            Ok(_) => {}
            Err(failure) => {
                report(&at_line(line, &failure.message));
                wrong.get_or_insert(Failure::reported(failure.status));
            }
        }
    }
    wrong.map_or(Ok(()), Err)
}

/// The command of each line, with its number.
fn parsed(
    whole: &[u8],
    program: &str,
    resolver: &mut Resolver,
) -> impl Iterator<Item = (usize, Result<Command>)> {
    lines(whole).filter_map(|(number, words)| Some((number, parse(program, resolver, &words)?)))
}

/// Looks up the names in lines, all at once, before the lines are parsed.
pub(crate) fn expect_names(whole: &[u8], program: &str, resolver: &mut Resolver) {
    let mut collector = Resolver::collector();
    for (_, words) in lines(whole).filter(|(_, words)| may_have_names(words)) {
        // What is wrong with a line is said where it is carried out.
        let _ = parse(program, &mut collector, &words);
    }
    resolver.expect(collector.take_skipped(), Wait::SinceAnAnswer, false);
}

/// Whether some words may have the name of a host or a port. Most lines are all numbers, and need no second look.
fn may_have_names(words: &[&[u8]]) -> bool {
    /// Their values are names of something else.
    const OTHERS: [&[u8]; 8] = [
        b"-s",
        b"--scheduler",
        b"-b",
        b"--sched-flags",
        b"--pe",
        b"--mcast-interface",
        b"--tun-type",
        b"--start-daemon",
    ];
    let is_number = |word: &[u8]| word.iter().all(|byte| byte.is_ascii_hexdigit() || b".:[]/".contains(byte));
    let mut before: &[u8] = b"";
    words.iter().any(|word| {
        let is_attached =
            word.starts_with(b"-") && word.len() > 2 && (!word.starts_with(b"--") || word.contains(&b'='));
        let is_other = word.starts_with(b"-") || OTHERS.contains(&before) || is_number(word);
        before = word;
        is_attached || !is_other
    })
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

/// How a comment of a full save begins that names a server which a drain has taken out, by the line that brings it back.
pub(crate) const DRAINED: &[u8] = b"# drained: ";

/// The change in such a comment; none in any other line.
pub(crate) fn drained(line: &[u8]) -> Option<Change> {
    let words = format::words(line.strip_prefix(DRAINED)?);
    match parse("ipvsadm", &mut Resolver::numbers_only(), &words)? {
        Ok(Command::Change(request)) => Some(request.change),
        _ => None,
    }
}

/// The command of a line's words; none if there are none.
pub(crate) fn parse(program: &str, resolver: &mut Resolver, words: &[&[u8]]) -> Option<Result<Command>> {
    let first = words.first()?;
    Some(match parse::parse(program, words, resolver) {
        Ok(Command::Restore { .. }) => {
            Err(messages::try_help(program, Some(first), "a restore cannot contain another"))
        }
        Ok(Command::Check(_) | Command::Ask(_)) => {
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
