//! `-R --diff` and `-R --apply`: from the kernel's table to that of the lines, touching only what differs.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use ipvs::{Change, Client, Error};

use crate::command::Command;
use crate::keep;
use crate::list::text::Texts;
use crate::messages::{self, Failure, Result, STATUS_LIST, STATUS_PARTIAL, STATUS_REFUSED, STATUS_VALUE};
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
        refusal::refused(&Error::Kernel { operation: change.operation(), errno }, Some(&change))
    })
}

/// Prints the lines that lead to `wanted`, and says whether there are any.
pub(crate) fn show(client: &mut Client, wanted: &State, out: &mut impl Write) -> Result<bool> {
    let steps = live(client, wanted)?.steps_to(wanted);
    let mut texts = Texts::numeric();
    let mut written = steps.iter().try_for_each(|step| rule::change(out, &step.change, &mut texts));
    // Only what has been written tells a difference from a full disk.
    written = written.and_then(|()| out.flush());
    written.map_err(|error| could_not_look(messages::unwritten(&error)))?;
    Ok(!steps.is_empty())
}

/// Carries out what leads to `wanted`: all of it or nothing.
pub(crate) fn apply(client: &mut Client, wanted: &State) -> Result<()> {
    let before = live(client, wanted)?;
    Attempt { client, wanted, before, made: Vec::new() }.apply()
}

fn takes_away(step: &Step) -> bool {
    use Change::{DeleteDestination, DeleteService, StopDaemon};
    matches!(step.change, DeleteService(_) | DeleteDestination(..) | StopDaemon(..))
}

fn live(client: &mut Client, wanted: &State) -> Result<State> {
    State::live(client, wanted)
        .map_err(|error| messages::value(format!("cannot read the table: {}", why(&error))))
}

/// Why the kernel could not be talked to, of which the original says nothing in some cases.
fn why(error: &Error) -> String {
    match error {
        Error::Kernel { operation, errno } => {
            format!("{operation}: {}", messages::reason(&std::io::Error::from_raw_os_error(*errno)))
        }
        other => refusal::refused(other, None).message,
    }
}

/// A failure before anything was changed. Its status is not the one of a difference.
fn could_not_look(failure: Failure) -> Failure {
    let is_listing = failure.status == STATUS_LIST;
    Failure { status: if is_listing { STATUS_VALUE } else { failure.status }, ..failure }
}

/// What the kernel has against a step.
fn told(step: &Step, error: &Error) -> String {
    let message = refusal::refused(error, Some(&step.change)).message;
    match step.line {
        Some(line) => at_line(line, &message),
        None => format!("{}: {message}", rule::line(&step.change)),
    }
}

/// The way from one table to another, and back where it has no end.
struct Attempt<'a> {
    client: &'a mut Client,
    wanted: &'a State,
    /// The table without the changes that were made.
    before: State,
    /// The changes that are in effect, or may be.
    made: Vec<Change>,
}

impl Attempt<'_> {
    fn apply(mut self) -> Result<()> {
        const ROUNDS: usize = 3;
        let mut steps = self.before.steps_to(self.wanted);
        let mut complaints = Vec::new();
        for _ in 0..ROUNDS {
            complaints = self.carry_out(&steps);
            if complaints.is_empty() {
                return Ok(());
            }
            let Ok(table) = self.table() else { break };
            steps = table.steps_to(self.wanted);
            // The answers alone may have been lost, and another program may have done what was refused.
            if steps.is_empty() {
                return Ok(());
            }
            let before = table.without(&self.made, &self.before);
            if before == self.before {
                break;
            }
            // Another program has changed the table since it was read: what was refused may not be any more.
            self.before = before;
        }
        for complaint in complaints {
            report(&complaint);
        }
        self.go_back()
    }

    /// Carries out steps, and returns what was wrong.
    fn carry_out(&mut self, steps: &[Step]) -> Vec<String> {
        // What takes something away begins only when what is before it is in effect.
        for steps in steps.chunk_by(|step, next| takes_away(step) == takes_away(next)) {
            let changes: Vec<Change> = steps.iter().map(|step| step.change).collect();
            let complaints = match self.client.apply_all(&changes) {
                Ok(errors) => {
                    // Of what has no answer, the table will tell whether it is in effect.
                    let (unknown, refused): (Vec<_>, Vec<_>) =
                        errors.into_iter().partition(|(_, error)| matches!(error, Error::NoReply { .. }));
                    let positions: HashSet<usize> = refused.iter().map(|(at, _)| *at).collect();
                    let made = changes.iter().enumerate().filter(|(at, _)| !positions.contains(at));
                    self.made.extend(made.map(|(_, change)| *change));
                    let refused = refused.iter().filter_map(|(at, error)| Some(told(steps.get(*at)?, error)));
                    refused.chain(unknown.first().map(|(_, error)| why(error))).collect()
                }
                // Any number of them may be in effect.
                Err(error) => {
                    self.made.extend(changes);
                    vec![why(&error)]
                }
            };
            if !complaints.is_empty() {
                return complaints;
            }
        }
        Vec::new()
    }

    /// Undoes what was made, and tells how the table is then: as it has been read, not by what has been sent.
    fn go_back(&mut self) -> Result<()> {
        const ATTEMPTS: usize = 3;
        let mut refused = HashMap::new();
        for attempt in 0..=ATTEMPTS {
            match self.table() {
                Ok(table) => {
                    let back = table.steps_to(&table.without(&self.made, &self.before));
                    let back: Vec<Change> = back.iter().map(|step| step.change).collect();
                    if back.is_empty() {
                        report(self.untouched(&table));
                        return Err(said(STATUS_REFUSED));
                    }
                    if attempt == ATTEMPTS {
                        left(&back, &refused);
                    } else {
                        refused = self.client.apply_all(&back).unwrap_or_default().into_iter().collect();
                    }
                }
                Err(error) if attempt == ATTEMPTS => report(&format!(
                    "the table may be neither the old one nor that of the input, and cannot be read: {}; with the same \
                     input ipvsadm -R --diff shows what is missing, and ipvsadm -R --apply does it",
                    why(&error)
                )),
                Err(_) => {}
            }
        }
        Err(said(STATUS_PARTIAL))
    }

    /// The table as it is now, over another socket if there is one: what went wrong may have been this one.
    fn table(&mut self) -> ipvs::Result<State> {
        if let Ok(client) = Client::open() {
            *self.client = client;
        }
        State::live(self.client, self.wanted)
    }

    /// Nothing that was made is in effect any more.
    fn untouched(&self, table: &State) -> &'static str {
        if table.steps_to(&self.before).is_empty() {
            "nothing was applied: the table is as before"
        } else {
            "nothing was applied: another program has changed the table meanwhile; apply it again"
        }
    }
}

/// Tells what could not be undone, why, and the commands that do it.
fn left(back: &[Change], refused: &HashMap<usize, Error>) {
    for (at, change) in back.iter().enumerate() {
        let refusal = refused.get(&at).map(|error| refusal::refused(error, Some(change)).message);
        let refusal = refusal.map_or(String::new(), |refusal| format!(": {refusal}"));
        report(&format!("could not be undone{refusal}; this does it: {}", rule::command_line(change)));
    }
    report(
        "the table is neither the old one nor that of the input; with the same input ipvsadm -R --apply goes on instead",
    );
}
