//! The saved table: whether it exists, can be read, and agrees with the kernel's.
//!
//! No fix loses a rule: before a file that has more than the table is overwritten, it is copied, and a table that has
//! no more than the file is restored from it.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ipvs::{Change, Destination, DestinationId, ServiceId};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::saved::{Fault, Saved, SavedFile};
use crate::check::facts::table::Table;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, Step};
use crate::check::verdict::Examined;
use crate::files::backup;
use crate::supervisors::Supervisors;
use crate::{format, messages, shell};

const SAVE_MISSING: Kind = Kind::warning("save-missing", "the table is lost with the next restart");
const SAVE_UNREADABLE: Kind = Kind::warning("save-unreadable", "the table cannot be restored from it");
const SAVE_NAMES: Kind =
    Kind::warning("save-names", "the restored table depends on what the names resolve to then");
const SAVE_STALE: Kind = Kind::warning("save-stale", "the next restart restores a different table");

/// What it finds, and how.
pub(super) const CHECK: OfDirector =
    Check { kinds: &[SAVE_MISSING, SAVE_UNREADABLE, SAVE_NAMES, SAVE_STALE], run: saved };

/// The file that the table is saved in.
fn saved(director: &Examined<'_>) -> Vec<Finding> {
    let Some(file) = &director.saved else { return Vec::new() };
    let path = file.path.as_path();
    let finding = match &file.content {
        Ok(content) => examine(file, content, &director.table, director.supervisors),
        Err(error) if error.kind() == ErrorKind::NotFound => (!director.table.is_empty()).then(|| {
            found(SAVE_MISSING, path, "the table is saved nowhere", Step::Save(path.to_owned()).into())
        }),
        Err(error) => {
            let what = format!("it cannot be read: {}", messages::reason(error));
            let list = shell::line([&b"ls"[..], b"-ld", b"--", path.as_os_str().as_bytes()]);
            Some(found(SAVE_UNREADABLE, path, &what, Fix::look(list)))
        }
    };
    finding.into_iter().collect()
}

/// What is wrong with a file that was read; none if nothing is.
fn examine(file: &SavedFile, saved: &Saved, table: &Table, supervisors: Supervisors) -> Option<Finding> {
    let path = file.path.as_path();
    let mut steps = file.current.diff(&saved.table);
    steps.retain(|step| !is_drained(step, table, &file.drained));
    let difference = Difference::of(&steps, table);
    let Some((fault, what)) = &saved.fault else {
        return steps.first().map(format::line).map(|first| {
            let [save, restore] = [Step::Save(path.to_owned()), Step::Restore(path.to_owned())]
                .map(|step| Fix::from(step).command());
            let what =
                format!("{difference}, the first: {first}; keep the table: {save}; keep the file: {restore}");
            found(SAVE_STALE, path, &what, difference.fix(path, saved, supervisors))
        });
    };
    let entries = table.len() + table.iter().map(|(_, servers)| servers.len()).sum::<usize>();
    let (kind, fix) = match fault {
        // The lines stay in the file, commented out.
        Fault::Unreadable => {
            let is_rules = saved.wrong.len() <= FEW.min(saved.rules);
            let comment = || Step::CommentOut { path: path.to_owned(), lines: saved.wrong.clone() }.into();
            (SAVE_UNREADABLE, is_rules.then(comment))
        }
        // The table may contain the lines with names, if it has enough entries.
        Fault::Name => {
            let has_all = difference.missing == 0 && entries >= saved.table.entries() + saved.names;
            (SAVE_NAMES, (has_all && !backup::is_of_others(path)).then(|| save_with_copy(path)))
        }
    };
    Some(found(kind, path, what, fix.filter(|_| path.is_file()).unwrap_or_else(|| show_diff(path))))
}

fn found(kind: Kind, path: &Path, what: &str, fix: Fix) -> Finding {
    kind.at(&path.display(), what, fix)
}

/// With more invalid lines, the file is probably not a saved table.
const FEW: usize = 8;

/// How many entries differ between a table and a file, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Difference {
    /// In the file only.
    missing: usize,
    /// In the table only.
    extra: usize,
    /// In both, with different values.
    other: usize,
    /// Of these, servers that have weight 0 in the table: they are being drained.
    draining: usize,
}

impl Difference {
    /// From the steps that turn the table into that of the file.
    fn of(steps: &[Change], table: &Table) -> Self {
        let mut difference = Self::default();
        for step in steps {
            match step {
                Change::AddService(_) | Change::AddDestination { .. } | Change::StartDaemon(_) => {
                    difference.missing += 1;
                }
                // With an empty table nobody has set timeouts.
                Change::SetTimeouts(_) if table.is_empty() => difference.missing += 1,
                Change::DeleteService(_) | Change::DeleteDestination { .. } | Change::StopDaemon { .. } => {
                    difference.extra += 1;
                }
                change => {
                    difference.other += 1;
                    difference.draining += usize::from(is_draining(change, table));
                }
            }
        }
        difference
    }

    /// The fix, which loses no rule of the file or the table.
    fn fix(self, path: &Path, saved: &Saved, supervisors: Supervisors) -> Fix {
        match self {
            _ if !path.is_file() || supervisors.fill_table.is_some() => show_diff(path),
            // Restoring the file would undo the draining.
            Self { draining: 1.., .. } => show_diff(path),
            Self { missing: 0, other: 0, .. } if !saved.has_comments => Step::Save(path.to_owned()).into(),
            // Who owns the folder could lead the copy elsewhere.
            Self { missing: 0, .. } if backup::is_of_others(path) => show_diff(path),
            Self { missing: 0, .. } => save_with_copy(path),
            Self { extra: 0, other: 0, .. } => Step::Restore(path.to_owned()).into(),
            _ => show_diff(path),
        }
    }
}

/// Whether a change only brings back a server that `--drain` took out.
fn is_drained(
    change: &Change,
    table: &Table,
    drained: &HashMap<(ServiceId, DestinationId), Destination>,
) -> bool {
    let is_noted = |id: &ServiceId, server: &Destination| drained.contains_key(&(*id, server.id));
    match change {
        Change::AddDestination { service, destination } => is_noted(service, destination),
        Change::EditDestination { service, destination } => {
            let now = find(table, service, destination.id);
            let only_weight = now.is_some_and(|now| {
                now.weight == 0 && Destination { weight: destination.weight, ..now } == *destination
            });
            only_weight && is_noted(service, destination)
        }
        _ => false,
    }
}

/// A server of a table.
fn find(table: &Table, service: &ServiceId, server: DestinationId) -> Option<Destination> {
    let servers =
        table.iter().filter(|(entry, _)| entry.service.id == *service).flat_map(|(_, servers)| servers);
    servers.map(|entry| entry.destination).find(|entry| entry.id == server)
}

/// Whether a change gives a server of weight 0 a weight again.
fn is_draining(change: &Change, table: &Table) -> bool {
    let Change::EditDestination { service: id, destination: desired } = change else { return false };
    desired.weight > 0 && find(table, id, desired.id).is_some_and(|now| now.weight == 0)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missing, extra, other, draining } = *self;
        let parts = [
            (missing, "only in the file"),
            (extra, "only in the table"),
            (other, "with other values"),
            (draining, "with weight 0 in the table, which no --drain has noted"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}"));
        let parts = parts.collect::<Vec<_>>().join(", ");
        write!(f, "file and table differ by {} ({parts})", missing + extra + other)
    }
}

/// Saves the table after a copy of the file.
fn save_with_copy(path: &Path) -> Fix {
    Fix(vec![Step::Copy(path.to_owned()), Step::Save(path.to_owned())])
}

/// Shows every invalid line, or all differences.
fn show_diff(path: &Path) -> Fix {
    let words = ["ipvsadm", "-R", "--diff", "--file"].map(str::as_bytes);
    Fix::look(shell::line(words.into_iter().chain([path.as_os_str().as_bytes()])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_said_in_words() {
        for ((missing, extra, other, draining), text) in [
            ((1, 0, 0, 0), "file and table differ by 1 (1 only in the file)"),
            ((0, 2, 0, 0), "file and table differ by 2 (2 only in the table)"),
            (
                (3, 1, 2, 1),
                "file and table differ by 6 (3 only in the file, 1 only in the table, 2 with other values, \
                 1 with weight 0 in the table, which no --drain has noted)",
            ),
        ] {
            assert_eq!(Difference { missing, extra, other, draining }.to_string(), text);
        }
    }
}
