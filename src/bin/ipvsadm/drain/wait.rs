//! The wait until drained servers have no connections, and their deletion.

use std::io::Write;
use std::time::{Duration, Instant};

use ipvs::{Change, Client, DestinationEntry};

use super::interruption::Interruptions;
use super::notes::Notes;
use super::progress::{Connections, Progress};
use super::targets::Target;
use super::{STATUS_NOT_DRAINED, back};
use crate::command::Drain;
use crate::messages::{self, Failure, Result, report};
use crate::refusal;

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

pub(super) fn see(entry: Option<&DestinationEntry>, ignore_inactive: bool) -> Seen {
    let Some(entry) = entry else { return Seen::Gone };
    let connections = Connections::of(entry);
    match (entry.destination.weight, connections.awaited(ignore_inactive)) {
        (0, 0) => Seen::Free,
        (0, _) => Seen::Waiting(connections),
        (weight, _) => Seen::BackInUse(weight),
    }
}

/// A wait for some servers.
pub(super) struct Wait {
    ignore_inactive: bool,
    /// The longest; none for any.
    seconds: Option<u32>,
    progress: Progress,
    /// Another program has acted, or a line could not be written: reported, and the wait goes on.
    failure: Option<Failure>,
    /// Those that have connections, with what they had when they were last looked at.
    left: Vec<(Target, Connections)>,
}

impl Wait {
    pub(super) fn new(drain: &Drain, progress: Progress) -> Self {
        let (ignore_inactive, seconds) = (drain.ignore_inactive, drain.wait);
        Self { ignore_inactive, seconds, progress, failure: None, left: Vec::new() }
    }

    /// Waits, deletes each server when it has no connections, and returns those that are left in the table.
    pub(super) fn run(
        mut self,
        client: &mut Client,
        targets: Vec<Target>,
        interruptions: &Interruptions,
        out: &mut impl Write,
    ) -> (End, Vec<(Target, Connections)>) {
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
            self.progress.show(&sum, sum.awaited(self.ignore_inactive), waited, rest);
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

    /// Looks at each server once.
    pub(super) fn step(&mut self, client: &mut Client, out: &mut impl Write) -> Result<()> {
        let mut left = std::mem::take(&mut self.left).into_iter();
        while let Some((mut target, before)) = left.next() {
            let result = self.look(client, &mut target, before, out);
            if let Ok(Some(connections)) = result {
                self.left.push((target, connections));
            }
            if let Err(failure) = result {
                self.left.push((target, before));
                self.left.extend(left);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Looks at a server, deletes it if it is free, and returns its connections if it is to be waited for.
    fn look(
        &mut self,
        client: &mut Client,
        target: &mut Target,
        before: Connections,
        out: &mut impl Write,
    ) -> Result<Option<Connections>> {
        let id = target.service.id;
        let servers = client.destinations(&id).map_err(|error| messages::refused(&error, None))?;
        let entry = servers.iter().find(|entry| entry.destination.id == target.id());
        let seen = see(entry, self.ignore_inactive);
        if let (Some(entry), Seen::Waiting(_) | Seen::Free) = (entry, seen) {
            // What others change meanwhile is kept when it is brought back.
            let now = entry.destination.with_weight(target.noted.weight);
            if now != target.noted {
                target.noted = now;
                Notes::renew(&target.service, now);
            }
        }
        match seen {
            Seen::Waiting(connections) => return Ok(Some(connections)),
            Seen::Free => {
                let delete = Change::DeleteDestination { service: id, destination: target.id() };
                match client.apply(&delete) {
                    Err(error) if error.is_not_found() => self.gone(target, Connections::default()),
                    Err(error) => return Err(refusal::refused(&error, Some(&delete))),
                    Ok(()) => self.drained(target, out),
                }
            }
            Seen::Gone => self.gone(target, before),
            Seen::BackInUse(weight) => {
                self.not_drained();
                self.progress.clear();
                report(&messages::back_in_use(&target.to_string(), weight));
            }
        }
        Ok(None)
    }

    fn drained(&mut self, target: &Target, out: &mut impl Write) {
        self.progress.clear();
        let line = messages::drained(&target.to_string(), &back(&target.add()));
        if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
            // The line is worth more than its place.
            report(&line);
            self.failure.get_or_insert(messages::write_error(&error));
        }
    }

    fn not_drained(&mut self) {
        self.failure.get_or_insert(Failure::reported(STATUS_NOT_DRAINED));
    }

    /// Another program has deleted it: with connections that were waited for, it is not drained.
    fn gone(&mut self, target: &Target, before: Connections) {
        let awaited = before.awaited(self.ignore_inactive);
        if awaited > 0 {
            self.not_drained();
        }
        self.progress.clear();
        report(&messages::deleted_meanwhile(&target.to_string(), awaited, &back(&target.add())));
    }
}
