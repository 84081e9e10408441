//! `-R --diff` and `-R --apply`: from the kernel's table to that of the lines, touching only what differs.

use std::io::Write;

use ipvs::{Change, Client, Error};

use crate::command::Command;
use crate::keep;
use crate::list::text::Texts;
use crate::messages::{self, Failure, Result, STATUS_REFUSED};
use crate::refusal;
use crate::report;
use crate::restore::{at_line, said};
use crate::rule;
use crate::state::{State, Step};

/// The table that lines make of an empty one. Every line that has no place in it is reported.
pub(crate) fn wanted(commands: &[(usize, Command)]) -> Result<State> {
    let mut state = State::default();
    let mut wrong: Option<Failure> = None;
    for (line, command) in commands {
        if let Err(failure) = made(&mut state, command, *line) {
            report(&at_line(*line, &failure.message));
            wrong.get_or_insert(said(failure.status));
        }
    }
    wrong.map_or(Ok(state), Err)
}

/// Does what a line asks for to a table that is made of lines.
pub(crate) fn made(state: &mut State, command: &Command, line: usize) -> Result<()> {
    let Command::Change(asked) = command else {
        return Err(messages::value("only lines that change the table lead to one"));
    };
    let change = keep::complete(asked, &state.before(&asked.change))?;
    state.apply(&change, line).map_err(|errno| {
        messages::refused(&Error::Kernel { operation: change.operation(), errno }, Some(&change))
    })
}

/// Prints the lines that lead to `wanted`, and says whether there are any.
pub(crate) fn show(client: &mut Client, wanted: &State, out: &mut impl Write) -> Result<bool> {
    let steps = live(client, wanted)?.steps_to(wanted);
    let mut texts = Texts::numeric();
    let written = steps.iter().try_for_each(|step| rule::change(out, &step.change, &mut texts));
    written.map_err(|error| messages::unwritten(&error))?;
    Ok(!steps.is_empty())
}

/// Carries out what leads to `wanted`. If the kernel refuses a step, those already made are undone.
pub(crate) fn apply(client: &mut Client, wanted: &State) -> Result<()> {
    let before = live(client, wanted)?;
    let steps = before.steps_to(wanted);
    // What takes something away comes last, and only when the rest is in effect.
    let takes_away =
        |step: &Step| matches!(step.change, Change::DeleteService(_) | Change::DeleteDestination(..));
    let (stay, go) = steps.split_at(steps.iter().position(takes_away).unwrap_or(steps.len()));
    let mut done = Vec::new();
    for steps in [stay, go] {
        let changes: Vec<Change> = steps.iter().map(|step| step.change).collect();
        let refused = client.apply_all(&changes).map_err(|error| messages::refused(&error, None))?;
        let was_refused = |at: usize| refused.iter().any(|(refused, _)| *refused == at);
        done.extend(
            changes.iter().enumerate().filter(|(at, _)| !was_refused(*at)).map(|(_, change)| *change),
        );
        if refused.is_empty() {
            continue;
        }
        for (at, error) in &refused {
            if let Some(step) = steps.get(*at) {
                report(&told(step, error));
            }
        }
        return undo(client, &before.undo(&done));
    }
    Ok(())
}

fn live(client: &mut Client, wanted: &State) -> Result<State> {
    State::live(client, wanted).map_err(|error| messages::refused(&error, None))
}

/// What the kernel has against a step.
fn told(step: &Step, error: &Error) -> String {
    let message = refusal::refused(error, Some(&step.change)).message;
    match step.line {
        Some(line) => at_line(line, &message),
        None => format!("{}: {message}", rule::line(&step.change)),
    }
}

/// Takes back what was done, and ends as a refusal does.
fn undo(client: &mut Client, changes: &[Change]) -> Result<()> {
    let left = client.apply_all(changes).map_err(|error| messages::refused(&error, None))?;
    if left.is_empty() {
        report("nothing was applied: the table is as before");
    }
    for (at, error) in &left {
        if let Some(change) = changes.get(*at) {
            let message = refusal::refused(error, Some(change)).message;
            report(&format!("could not be undone: {}: {message}", rule::line(change)));
        }
    }
    Err(said(STATUS_REFUSED))
}
