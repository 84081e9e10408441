//! The wait until drained servers have no connections, and their deletion.

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use ipvs::{Change, Client, DestinationEntry, DestinationId, Error, ServiceId};

use super::interruption::Interruptions;
use super::progress::{Awaits, Connections, Progress};
use super::targets::Target;
use super::{STATUS_NOT_DRAINED, back};
use crate::command::Drain;
use crate::format;
use crate::lines;
use crate::messages::{self, Failure, Result, report};
use crate::notes::{Notes, State};
use crate::places::{Hashing, Share};
use crate::refusal;
use crate::rules::replace;
use crate::sysctl;

/// How often the kernel is asked.
const STEP: Duration = Duration::from_secs(1);

/// How a wait has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Drained,
    /// Nothing is left to wait for, but not all is as it was to be, which was reported.
    Ended(Failure),
    TimeOver(u32),
    /// By this signal.
    Interrupted(u8),
    Failed(Failure),
}

/// What the kernel shows of a server that is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It still has connections.
    Waiting(Connections),
    /// It can be deleted.
    Free,
    /// Another program has deleted it, or its service.
    Gone,
    /// Another program has given it a weight.
    BackInUse(u32),
}

pub(super) fn see(entry: Option<&DestinationEntry>, awaits: Awaits) -> Seen {
    let Some(entry) = entry else { return Seen::Gone };
    let connections = Connections::of(entry);
    match (entry.destination.weight, connections.awaited(awaits)) {
        (0, 0) => Seen::Free,
        (0, _) => Seen::Waiting(connections),
        (weight, _) => Seen::BackInUse(weight),
    }
}

/// A server, and how far it is.
type ToNote = (Target, State);

/// Servers that are not deleted yet, with what they had when they were last looked at.
type Left = Vec<(Target, Connections)>;

/// Notes how far servers are, all of them at once. Where that cannot be written, which is said once, the first note stays.
fn note(servers: &[ToNote], is_noted: &mut bool) {
    if servers.is_empty() || !*is_noted {
        return;
    }
    let add = |notes: &mut Notes| {
        for (target, state) in servers {
            notes.add(&target.service.id, target.noted, *state);
        }
    };
    if let Err(why) = Notes::update(add) {
        *is_noted = false;
        report(&messages::warning::not_noted(&why));
    }
}

/// The servers of one service after another, each service read once where its servers are together.
#[derive(Default)]
struct Servers {
    service: Option<ServiceId>,
    /// In the kernel's order.
    list: Vec<DestinationEntry>,
    places: HashMap<DestinationId, usize>,
}

impl Servers {
    fn find(&mut self, client: &mut Client, target: &Target) -> Result<Option<DestinationEntry>> {
        let id = target.service.id;
        if self.service != Some(id) {
            self.list = client.destinations_or_none(&id).map_err(|error| messages::refused(&error, None))?;
            let places = self.list.iter().enumerate();
            self.places = places.map(|(at, entry)| (entry.destination.id, at)).collect();
            self.service = Some(id);
        }
        Ok(self.places.get(&target.id()).and_then(|at| self.list.get(*at)).copied())
    }

    /// The clients of other servers that the deletion of one would send elsewhere, where its weight of 0 sends its own to them.
    fn better_left(&self, target: &Target) -> Option<Share> {
        let hashing = Hashing::of(&target.service).filter(|hashing| !hashing.refuses())?;
        let servers: Vec<_> = self.list.iter().map(|entry| entry.destination).collect();
        let others: Vec<_> = servers.iter().filter(|server| server.id != target.id()).copied().collect();
        hashing.moved(&servers, &others, &[target.id()]).filter(|share| !share.is_none())
    }
}

/// The line about a server that is drained, and stays in the table.
fn drained_and_left(target: &Target, share: Share) -> String {
    let delete = format::command_line(&target.delete());
    messages::drained_and_left(&target.to_string(), &share, &delete, &back(&target.edit()))
}

/// A wait for some servers.
pub(super) struct Wait {
    awaits: Awaits,
    /// The longest; none for any.
    seconds: Option<u32>,
    progress: Progress,
    /// Another program has acted, or a line could not be written: reported, and the wait goes on.
    failure: Option<Failure>,
    /// Whether notes can be written.
    is_noted: bool,
    left: Left,
}

impl Wait {
    pub(super) fn new(drain: &Drain, progress: Progress, is_noted: bool) -> Self {
        let awaits = Awaits { inactive: !drain.ignore_inactive, persistent: true };
        let seconds = drain.wait;
        Self { awaits, seconds, progress, failure: None, is_noted, left: Vec::new() }
    }

    /// Waits, deletes each server when it has no connections, and returns those that are left in the table.
    pub(super) fn run(
        mut self,
        client: &mut Client,
        targets: Vec<Target>,
        interruptions: &Interruptions,
        out: &mut impl Write,
    ) -> (End, Left) {
        let begin = Instant::now();
        self.begin(targets);
        let end = loop {
            if let Err(failure) = self.step(client, out) {
                break End::Failed(failure);
            }
            if self.left.is_empty() {
                break self.failure.take().map_or(End::Drained, End::Ended);
            }
            let waited = begin.elapsed();
            let rest = self.seconds.map(|seconds| Duration::from_secs(seconds.into()).saturating_sub(waited));
            if let Some(seconds) = self.seconds.filter(|_| rest == Some(Duration::ZERO)) {
                break End::TimeOver(seconds);
            }
            let sum = self.left.iter().fold(Connections::default(), |sum, (_, one)| sum.and(*one));
            self.progress.show(&sum, sum.awaited(self.awaits), waited, rest);
            if let Some(signal) = interruptions.sleep(rest.map_or(STEP, |rest| rest.min(STEP))) {
                break End::Interrupted(signal);
            }
        };
        self.progress.clear();
        (end, self.left)
    }

    /// Takes the servers to wait for.
    pub(super) fn begin(&mut self, targets: Vec<Target>) {
        self.left = targets.into_iter().map(|target| (target, Connections::of(&target.server))).collect();
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> impl Iterator<Item = &(Target, Connections)> {
        self.left.iter()
    }

    /// Looks at each server once, and deletes those that are free.
    pub(super) fn step(&mut self, client: &mut Client, out: &mut impl Write) -> Result<()> {
        // It may be switched while the drain waits.
        self.awaits.persistent = sysctl::read("net/ipv4/vs/expire_quiescent_template") != Some(1);
        let targets = std::mem::take(&mut self.left);
        let (mut notes, free) = self.look(client, targets, out)?;
        let deleted = self.delete(client, free, out, &mut notes);
        note(&notes, &mut self.is_noted);
        deleted
    }

    /// Looks at servers, and returns what is to be noted, and those that are free. All others are reported, or left.
    fn look(
        &mut self,
        client: &mut Client,
        targets: Left,
        out: &mut impl Write,
    ) -> Result<(Vec<ToNote>, Left)> {
        let (mut notes, mut free) = (Vec::new(), Vec::new());
        let mut servers = Servers::default();
        let mut targets = targets.into_iter();
        while let Some((mut target, before)) = targets.next() {
            let entry = match servers.find(client, &target) {
                Ok(entry) => entry,
                Err(failure) => {
                    self.left.append(&mut free);
                    self.left.push((target, before));
                    self.left.extend(targets);
                    return Err(failure);
                }
            };
            let seen = see(entry.as_ref(), self.awaits);
            if let (Some(entry), Seen::Waiting(_) | Seen::Free) = (entry, seen) {
                // What others change meanwhile is kept when it is brought back.
                let now = entry.destination.with_weight(target.noted.weight);
                if now != target.noted {
                    target.noted = now;
                    notes.push((target, State::Waiting));
                }
            }
            match seen {
                Seen::Waiting(connections) => self.left.push((target, connections)),
                Seen::Free => match servers.better_left(&target) {
                    Some(share) => self.drained(&drained_and_left(&target, share), out),
                    None => free.push((target, before)),
                },
                Seen::Gone => {
                    self.gone(&target, before);
                    notes.push((target, State::Deleted));
                }
                Seen::BackInUse(weight) => {
                    self.not_drained();
                    self.progress.clear();
                    report(&messages::back_in_use(&target.to_string(), weight));
                    notes.push((target, State::Back));
                }
            }
        }
        Ok((notes, free))
    }

    /// Deletes servers that have been free, where they still are.
    fn delete(
        &mut self,
        client: &mut Client,
        free: Left,
        out: &mut impl Write,
        notes: &mut Vec<ToNote>,
    ) -> Result<()> {
        if free.is_empty() {
            return Ok(());
        }
        // --undrain brings none back meanwhile.
        let Ok(_lock) = replace::lock() else {
            self.left.extend(free);
            return Ok(());
        };
        let (again, free) = self.look(client, free, out)?;
        notes.extend(again);
        notes.extend(free.iter().map(|(target, _)| (*target, State::Deleting)));
        // Before they are deleted, so that the notes are true wherever this ends.
        note(notes, &mut self.is_noted);
        notes.clear();
        let delete = |(target, _): &(Target, Connections)| target.delete();
        let deletes: Vec<Change> = free.iter().map(delete).collect();
        let refused = match client.apply_all(&deletes) {
            Ok(refused) => refused,
            Err(error) => {
                self.left.extend(free);
                return Err(messages::refused(&error, None));
            }
        };
        let mut refused: HashMap<usize, Error> = refused.into_iter().collect();
        let mut failure = None;
        for (at, (target, before)) in free.into_iter().enumerate() {
            match refused.remove(&at) {
                None => self.drained(&messages::drained(&target.to_string(), &back(&target.add())), out),
                Some(error) if error.is_not_found() => self.gone(&target, Connections::default()),
                Some(error) => {
                    failure.get_or_insert(refusal::refused(&error, deletes.get(at)));
                    self.left.push((target, before));
                    notes.push((target, State::Waiting));
                    continue;
                }
            }
            notes.push((target, State::Deleted));
        }
        failure.map_or(Ok(()), Err)
    }

    fn drained(&mut self, line: &str, out: &mut impl Write) {
        self.progress.clear();
        if let Err(error) =
            writeln!(out, "{}", lines::told(line, lines::width_if_terminal(&std::io::stdout())))
                .and_then(|()| out.flush())
        {
            // The line is worth more than its place.
            report(line);
            self.failure.get_or_insert(messages::write_error(&error));
        }
    }

    fn not_drained(&mut self) {
        self.failure.get_or_insert(Failure::reported(STATUS_NOT_DRAINED));
    }

    /// Another program has deleted it: with connections that were waited for, it is not drained.
    fn gone(&mut self, target: &Target, before: Connections) {
        let awaited = before.awaited(self.awaits);
        if awaited > 0 {
            self.not_drained();
        }
        self.progress.clear();
        report(&messages::deleted_meanwhile(&target.to_string(), awaited, &back(&target.add())));
    }
}
