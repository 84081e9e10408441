//! Prints a walk, for people and for programs.

use std::io::{self, Write};

use super::Walk;
use super::stage::{Step, Verdict};
use crate::json;
use crate::messages::printable;

/// Writes a walk: a line for each stage, whose reasons are below each other; or as a JSON object.
pub(super) fn show(out: &mut impl Write, walk: &Walk, as_json: bool, width: Option<usize>) -> io::Result<()> {
    if as_json {
        json::write(&mut *out, walk)?;
        return writeln!(out);
    }
    let server = walk.server.as_ref().map_or(String::new(), |server| format!(" -> {server}"));
    writeln!(out, "{} -> {}{server}", walk.client, walk.service)?;
    for step in &walk.stages {
        stage(out, step, width)?;
    }
    writeln!(out, "{}", walk.end)?;
    if let Some(next) = &walk.next {
        writeln!(out, "  {next}")?;
    }
    walk.moves.as_ref().map_or(Ok(()), |moves| moves.write(out))
}

fn stage(out: &mut impl Write, step: &Step, width: Option<usize>) -> io::Result<()> {
    const FRONT: usize = 21;
    let verdict = match step.verdict {
        Verdict::Passes => "passes",
        Verdict::Stops => "STOPS",
        Verdict::Unknown => "?",
    };
    let mark = if step.verdict == Verdict::Stops { '>' } else { ' ' };
    let room = width.map(|width| width.saturating_sub(FRONT).max(20));
    let mut front = format!("{mark} {:<9} {verdict:<8} ", step.stage.name());
    for reason in &step.by {
        for line in lines(&printable(reason), room) {
            writeln!(out, "{}", format!("{front}{line}").trim_end())?;
            front = " ".repeat(FRONT);
        }
    }
    if step.by.is_empty() {
        writeln!(out, "{}", front.trim_end())?;
    }
    if let Some(fix) = &step.fix {
        writeln!(out, "{}fix: {}", " ".repeat(FRONT), fix.command())?;
    }
    Ok(())
}

/// A text in lines that are no longer than the room on a terminal, broken between words.
fn lines(text: &str, room: Option<usize>) -> Vec<String> {
    let Some(room) = room else { return vec![text.to_owned()] };
    crate::lines::wrapped(text, room)
}
