//! Errors of files, lines and tables.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::Duration;

use ipvs::Change;

use super::{Failure, STATUS_LIST, path, printable, reason, value};

pub(crate) const ONLY_CHANGES: &str = "only lines that change the table are allowed here";
pub(crate) const NO_RULE: &str = "there is no rule in the input; a line with -C makes the table empty";
pub(crate) const CLEARED: &str = "there is no rule in the input: the table is cleared";
pub(crate) const AS_BEFORE: &str = "nothing was applied: the table is as before";
pub(crate) const CHANGED_MEANWHILE: &str =
    "nothing was applied: another program has changed the table meanwhile; apply it again";
pub(crate) const NEITHER: &str = "the table is neither the old one nor that of the input; with the same input ipvsadm -R --apply continues instead";
pub(crate) const NOT_IN_A_FILE: &str =
    "nothing was written to a file; ipvsadm -S > FILE does, or ipvsadm -S --file FILE";

/// A message about a line of a restore.
pub(crate) fn at_line(line: usize, message: &str) -> String {
    format!("line {line}: {message}")
}

/// Another restore holds the lock.
pub(crate) fn locked(waited: Duration, lock: &str) -> Failure {
    value(format!(
        "another ipvsadm has been restoring a table for {} s; when it has ended, try again: fuser {lock}",
        waited.as_secs()
    ))
}

pub(crate) fn cannot_read_file(file: &Path, error: &io::Error) -> Failure {
    value(format!("cannot read '{}': {}", path(file), reason(error)))
}

pub(crate) fn cannot_read_rules(error: &io::Error) -> Failure {
    value(format!("cannot read the rules: {}", reason(error)))
}

/// A document that is no table: where in it, if that is known, and on which line.
pub(crate) fn invalid_document(path: Option<&str>, error: &serde_json::Error) -> Failure {
    let at = path.map_or(String::new(), |path| format!("{}: ", printable(path)));
    value(format!(
        "the input is no table in JSON: {at}{}; docs/schema.json says what is (in packages /usr/share/doc/ipvsadm-rs/schema.json)",
        printable(&error.to_string())
    ))
}

pub(crate) fn cannot_read_table(why: &str) -> Failure {
    value(format!("cannot read the table: {why}"))
}

/// A file that could not be written, and the reason, if known.
pub(crate) fn cannot_write_file(file: &Path, error: &io::Error, hint: Option<&impl Display>) -> Failure {
    let mut message = format!("cannot write '{}': {}", path(file), reason(error));
    if let Some(hint) = hint {
        message = format!("{message}; {hint}");
    }
    Failure { status: STATUS_LIST, message, continue_restore: false }
}

/// The table could not be read after a failed apply.
pub(crate) fn perhaps_neither(why: &str) -> String {
    format!(
        "the table may be neither the old one nor that of the input, and cannot be read: {why}; with the same input \
         ipvsadm -R --diff shows what is missing, and ipvsadm -R --apply does it"
    )
}

/// A change needed for an undo that failed.
pub(crate) fn not_undone(refusal: Option<&str>, command: &str) -> String {
    let refusal = refusal.map_or(String::new(), |refusal| format!(": {refusal}"));
    format!("could not be undone{refusal}; this undoes it: {command}")
}

/// Changes that were not undone, because another program has changed since what they are about; none where there are none.
pub(crate) fn left_to_others(changes: &[Change]) -> Option<String> {
    let first = changes.first()?;
    let more = changes.len().checked_sub(1).filter(|more| *more > 0);
    let more = more.map_or(String::new(), |more| format!(", and {more} more"));
    Some(format!("not undone, as another program has changed the same since: {first}{more}"))
}

/// Rules that were saved, but whose lines make others; none where there are none.
pub(crate) fn not_restored(rules: &[String], is_in_json: bool) -> Option<String> {
    let (first, more) = first_of(rules)?;
    let json = if is_in_json { "can save it" } else { "does not save all of it either" };
    Some(format!("no line can restore this rule as it is: {first}{more}; ipvsadm -S --json {json}"))
}

/// Parts of a save that `-R` refuses.
pub(crate) fn refused_later(parts: &[String]) -> Option<String> {
    let (first, more) = first_of(parts)?;
    Some(format!("ipvsadm -R refuses what was saved of this as it is: {first}{more}"))
}

/// The first of some, and how many more there are.
fn first_of(all: &[String]) -> Option<(&str, String)> {
    let (first, rest) = all.split_first()?;
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    Some((first, more))
}

/// Names that would not resolve back from a save.
pub(crate) fn saved_as_numbers(names: &[String]) -> String {
    format!(
        "saved as numbers: these names do not resolve back to the same address or port: {}",
        names.join(", ")
    )
}
