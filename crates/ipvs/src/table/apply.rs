//! From the kernel's table to a desired one: all of it or nothing.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::ControlFlow::{Break, Continue};

use crate::change::Change;
use crate::client::Client;
use crate::error::{Error, Result};

use super::Table;
use super::back::{Back, Subject, back, forget_undone};

/// Why a desired table is not in effect, and what is.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApplyError {
    /// The kernel's table could not be read. Nothing was changed.
    Unread(Error),
    /// The table has no service, and the kernel's has some. Nothing was changed: whoever made the table may have failed.
    /// [`Table::emptied`], or a [`Change::Flush`], says that it is meant.
    Empty,
    /// The kernel would make something else of a change than what it says; see [`Change::check`]. Nothing was changed.
    Invalid {
        /// The change.
        change: Box<Change>,
        /// What is wrong with it.
        error: Error,
    },
    /// A change failed, and those made before it were undone: nothing is in effect.
    Undone {
        /// The changes that failed, and why.
        failed: Vec<(Option<Change>, Error)>,
        /// Whether the table is the one that it was when this gave up; otherwise another program has changed it meanwhile.
        is_as_before: bool,
        /// The changes that were not undone, for another program has changed since what they are about: that stays as it
        /// is now.
        kept: Vec<Change>,
    },
    /// A change failed, and so did undoing those made before it: the table is neither the old one nor the desired one.
    Partial {
        /// The changes that failed, and why.
        failed: Vec<(Option<Change>, Error)>,
        /// The changes that lead back, and why each could not be made, where the kernel said so.
        left: Vec<(Change, Option<Error>)>,
        /// The changes for which there is no way back, as with [`ApplyError::Undone`].
        kept: Vec<Change>,
    },
    /// A change failed, and the table cannot be read any more: it may be neither the old one nor the desired one.
    Unknown {
        /// The changes that failed, and why.
        failed: Vec<(Option<Change>, Error)>,
        /// Why it cannot be read.
        unread: Error,
    },
}

impl ApplyError {
    /// The changes that failed, and why; none in place of a change where the conversation with the kernel failed.
    pub fn failed(&self) -> &[(Option<Change>, Error)] {
        match self {
            Self::Unread(_) | Self::Empty | Self::Invalid { .. } => &[],
            Self::Undone { failed, .. } | Self::Partial { failed, .. } | Self::Unknown { failed, .. } => {
                failed
            }
        }
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.failed().first().map_or(String::new(), |(change, error)| match change {
            Some(change) => format!("{change}: {error}; "),
            None => format!("{error}; "),
        });
        match self {
            Self::Unread(error) => write!(f, "the table cannot be read: {error}"),
            Self::Empty => f.write_str("nothing was applied: the table has no service, and would delete all"),
            Self::Invalid { change, error } => write!(f, "nothing was applied: {change}: {error}"),
            Self::Undone { is_as_before: true, .. } => {
                write!(f, "{first}nothing was applied: the table is as before")
            }
            Self::Undone { kept, .. } => {
                write!(f, "{first}nothing was applied: another program has changed the table meanwhile")?;
                kept.iter()
                    .try_for_each(|change| write!(f, "; not undone, as it has changed this since: {change}"))
            }
            Self::Partial { left, .. } => write!(f, "{first}{} changes could not be undone", left.len()),
            Self::Unknown { unread, .. } => {
                write!(f, "{first}what is in effect is not known, as the table cannot be read: {unread}")
            }
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unread(error) | Self::Invalid { error, .. } => Some(error),
            _ => self.failed().first().map(|(_, error)| error as _),
        }
    }
}

impl Table {
    /// Makes the kernel's table this one, by the changes of [`Table::diff`]: all of them, or none. Where one fails, those
    /// made before it are undone, as the table that is read back tells: whatever still is as they left it. What another
    /// program has changed meanwhile stays as that program left it.
    /// Servers that are in both tables keep their connections and counters, and deletes begin when the rest is in effect.
    ///
    /// # Errors
    ///
    /// [`ApplyError`], which says what is in effect.
    pub fn apply(&self, client: &mut Client) -> Result<(), ApplyError> {
        self.apply_reopening(client, || None)
    }

    /// As [`Table::apply`]; before the table is read back, `reopen` may give another client for the rest, in case what
    /// went wrong is the socket.
    ///
    /// # Errors
    ///
    /// As [`Table::apply`].
    pub fn apply_reopening(
        &self,
        client: &mut Client,
        reopen: impl Fn() -> Option<Client>,
    ) -> Result<(), ApplyError> {
        let before = Self::read_for(client, self).map_err(ApplyError::Unread)?;
        if self.is_empty() && self.only.is_none() && !self.is_emptied && !before.is_empty() {
            return Err(ApplyError::Empty);
        }
        Attempt { client, reopen, desired: self, before, made: vec![], kept: vec![], failed: vec![] }.apply()
    }
}

/// What has been sent of the changes on the way.
struct Sent<'a> {
    client: &'a mut Client,
    count: usize,
    /// The positions of those that are not in effect.
    refused: HashSet<usize>,
    /// What was wrong: with a change that was refused, or where the conversation failed, after which nothing is sent.
    failed: Vec<(Option<Change>, Error)>,
    is_over: bool,
    /// An answer that was lost. The table will tell whether the change is in effect.
    unknown: Option<Error>,
}

impl<'a> Sent<'a> {
    fn by(client: &'a mut Client) -> Self {
        Self { client, count: 0, refused: HashSet::new(), failed: vec![], is_over: false, unknown: None }
    }

    fn is_failed(&self) -> bool {
        !self.failed.is_empty() || self.unknown.is_some()
    }

    fn send(&mut self, part: &mut Vec<Change>) {
        match self.client.apply_unchecked(part) {
            Ok(errors) => {
                for (at, error) in errors {
                    if matches!(error, Error::NoReply { .. }) {
                        self.unknown.get_or_insert(error);
                    } else {
                        self.refused.insert(self.count + at);
                        self.failed.push((part.get(at).copied(), error));
                    }
                }
            }
            // Any number of them may be in effect.
            Err(error) => {
                self.failed.push((None, error));
                self.is_over = true;
            }
        }
        self.count += part.len();
        part.clear();
    }
}

/// The way from one table to another, and back where it has no end.
struct Attempt<'a, R> {
    client: &'a mut Client,
    reopen: R,
    desired: &'a Table,
    /// The table without the changes that were made.
    before: Table,
    /// The changes that are in effect, or may be.
    made: Vec<Change>,
    /// Those of which another program has changed since what they are about.
    kept: Vec<Change>,
    /// What was wrong in the last round.
    failed: Vec<(Option<Change>, Error)>,
}

impl<R: Fn() -> Option<Client>> Attempt<'_, R> {
    fn apply(mut self) -> Result<(), ApplyError> {
        const ROUNDS: usize = 3;
        self.check()?;
        let mut from = None;
        for _ in 0..ROUNDS {
            self.failed = self.carry_out(from.as_ref());
            if self.failed.is_empty() {
                return Ok(());
            }
            let Ok(table) = self.table() else { break };
            // The answers alone may have been lost, and another program may have done what was refused.
            if table.each_step(self.desired, &mut |_, _| Break(())).is_continue() {
                return Ok(());
            }
            let before = self.way_back(&table);
            if before == self.before {
                break;
            }
            // Another program has changed the table since it was read: what was refused may not be any more.
            self.before = before;
            from = Some(table);
        }
        Err(self.go_back())
    }

    /// Refuses what the kernel would make something else of.
    fn check(&self) -> Result<(), ApplyError> {
        let mut invalid = Ok(());
        let _ = self.before.each_step(self.desired, &mut |change, _| match change.check() {
            Ok(()) => Continue(()),
            Err(error) => {
                invalid = Err(ApplyError::Invalid { change: Box::new(change), error });
                Break(())
            }
        });
        invalid
    }

    /// Carries out the changes that lead from a table, or from the one before, to the desired one, and returns what was
    /// wrong. They are made while they are sent, for they are as large as the tables.
    fn carry_out(&mut self, from: Option<&Table>) -> Vec<(Option<Change>, Error)> {
        const PART: usize = 2048;
        let from = from.unwrap_or(&self.before);
        let mut sent = Sent::by(self.client);
        let mut part: Vec<Change> = Vec::new();
        let mut is_away = false;
        let _ = from.each_step(self.desired, &mut |change, takes_away| {
            if takes_away != is_away || part.len() == PART {
                sent.send(&mut part);
                // What takes something away begins only when what is before it is in effect.
                if sent.is_over || takes_away != is_away && sent.is_failed() {
                    return Break(());
                }
                is_away = takes_away;
            }
            part.push(change);
            Continue(())
        });
        if !sent.is_over {
            sent.send(&mut part);
        }
        let Sent { count, refused, mut failed, unknown, .. } = sent;
        failed.extend(unknown.map(|error| (None, error)));
        if !failed.is_empty() {
            let steps = from.diff(self.desired).into_iter().take(count).enumerate();
            self.made.extend(steps.filter(|(at, _)| !refused.contains(at)).map(|(_, change)| change));
        }
        failed
    }

    /// Undoes what was made, and tells how the table is then: as it has been read, not by what has been sent.
    fn go_back(mut self) -> ApplyError {
        const ATTEMPTS: usize = 3;
        let mut refused: HashMap<Subject, Error> = HashMap::new();
        let mut attempt = 0;
        loop {
            match self.table() {
                Ok(table) => {
                    let steps = table.diff(&self.way_back(&table));
                    if steps.is_empty() {
                        let is_as_before = self.kept.is_empty() && table.diff(&self.before).is_empty();
                        return ApplyError::Undone { failed: self.failed, is_as_before, kept: self.kept };
                    }
                    if attempt == ATTEMPTS {
                        let left = steps.into_iter();
                        let left =
                            left.map(|change| (change, refused.remove(&Subject::from(&change)))).collect();
                        return ApplyError::Partial { failed: self.failed, left, kept: self.kept };
                    }
                    // Where the conversation fails, the table will tell what is in effect.
                    if let Ok(errors) = self.client.apply_unchecked(&steps) {
                        forget_undone(&mut self.made, &steps, &errors, &self.before);
                        let subject = |at: usize| steps.get(at).map(Subject::from);
                        refused = errors
                            .into_iter()
                            .filter_map(|(at, error)| Some((subject(at)?, error)))
                            .collect();
                    } else {
                        refused.clear();
                    }
                }
                Err(unread) if attempt == ATTEMPTS => {
                    return ApplyError::Unknown { failed: self.failed, unread };
                }
                Err(_) => {}
            }
            attempt += 1;
        }
    }

    /// The table to which the way back leads from the present one.
    fn way_back(&mut self, table: &Table) -> Table {
        let Back { table, kept } = back(table, &self.made, &self.before);
        let known: HashSet<Subject> = self.kept.iter().map(Subject::from).collect();
        self.kept.extend(kept.into_iter().filter(|change| !known.contains(&Subject::from(change))));
        table
    }

    /// The table as it is now.
    fn table(&mut self) -> Result<Table> {
        if let Some(client) = (self.reopen)() {
            *self.client = client;
        }
        Table::read_for(self.client, self.desired)
    }
}
