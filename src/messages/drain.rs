//! Sentences of `--drain` and `--undrain`: what is in effect, and how to go on.

use std::fmt::Display;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use ipvs::{DestinationId, Error, ServiceId};

use super::{Failure, STATUS_LIST, STATUS_REFUSED, path, reason, value};

pub(crate) const INTERRUPTED: &str = "interrupted";

pub(crate) fn waited(seconds: u32) -> String {
    format!("after {seconds} s")
}

pub(crate) fn cannot_wait(error: &io::Error) -> Failure {
    value(format!("cannot wait for signals: {}", reason(error)))
}

/// It is not known which servers have weight 0 now.
pub(crate) fn perhaps_weightless(error: &Error) -> Failure {
    let message = format!(
        "{}; servers may have weight 0 now: ipvsadm --undrain brings them back",
        super::refused(error, None).message
    );
    Failure { status: STATUS_REFUSED, message, continue_restore: false }
}

/// A sentence about one of several servers.
pub(crate) fn about(server: &str, sentence: &str) -> String {
    format!("{server}: {sentence}")
}

pub(crate) fn no_service_to_drain(service: &ServiceId) -> Failure {
    Failure {
        status: STATUS_REFUSED,
        message: format!("No such service: '{service}'; ipvsadm -L -n lists them"),
        continue_restore: false,
    }
}

pub(crate) fn no_server_to_drain(server: &str) -> Failure {
    let message = format!("No such destination: '{server}'; ipvsadm -L -n lists them");
    Failure { status: STATUS_REFUSED, message, continue_restore: false }
}

/// A name that stands for several addresses.
pub(crate) fn several_addresses(what: &str, addresses: &[Ipv4Addr]) -> Failure {
    let addresses: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
    value(format!(
        "the name of the {what} stands for several addresses: '{}'; name one of them",
        addresses.join(", ")
    ))
}

/// The last server that gets new connections.
pub(crate) fn last_server(service: &ServiceId, server: &DestinationId) -> Failure {
    value(format!(
        "{service} would have no server for new connections without this one: '{server}'; \
         add or bring back another first, or add --force"
    ))
}

/// A server that is deleted, and the line that brings it back.
pub(crate) fn drained(server: &str, back: &str) -> String {
    format!("{server} is drained and deleted; this brings it back: {back}")
}

/// A server that is drained, and stays for the sake of the others' clients.
pub(crate) fn drained_and_left(server: &str, moved: &impl Display, delete: &str, back: &str) -> String {
    format!(
        "{server} is drained, and stays in the table with weight 0: without it {moved} of the other servers' clients would go \
         elsewhere; this deletes it: {delete}; this brings it back: {back}"
    )
}

/// A server that still has connections, and stays.
pub(crate) fn not_drained(reason: &str, server: &str, connections: &str, back: &str) -> String {
    format!(
        "{reason}: {server} has {connections}, and stays in the table with weight 0; --drain again waits on, and this \
         brings it back: {back}"
    )
}

/// Another program has given it a weight.
pub(crate) fn back_in_use(server: &str, weight: u32) -> String {
    format!(
        "{server} was given weight {weight} by another program: it gets new connections, stays in the table, and is \
         drained no longer"
    )
}

/// Another program has deleted it.
pub(crate) fn deleted_meanwhile(server: &str, left: u32, back: &str) -> String {
    let connections = if left == 0 { String::new() } else { format!(" with {left} connections") };
    format!("{server} was deleted by another program{connections}; this brings it back: {back}")
}

pub(crate) fn unreadable_notes(error: &io::Error) -> Failure {
    value(format!("cannot read what drains have noted: {}; ipvsadm -a brings a server back", reason(error)))
}

/// Notes, or their folder, that others could have written.
pub(crate) fn others_can_write(file: &Path, owner: u32, is_own: bool) -> String {
    let file = path(file);
    let why =
        if is_own { "can be written by others".to_owned() } else { format!("belongs to the user {owner}") };
    format!("'{file}' {why}, who would decide what comes back: look what is in it, and remove it")
}

/// A file that is not what it should be.
pub(crate) fn no_notes(file: &Path, why: &str) -> String {
    format!("'{}' holds no notes of drained servers: {why}; remove it", path(file))
}

/// Servers are back, but the notes were not changed.
pub(crate) fn notes_stay(why: &str) -> Failure {
    let message = format!(
        "the servers are back, but still noted as drained: {why}; ipvsadm --undrain again clears the notes"
    );
    Failure { status: STATUS_LIST, message, continue_restore: false }
}

/// No drain has noted it.
pub(crate) fn nothing_noted(server: &str, notes: &Path) -> Failure {
    let server = if server.is_empty() { "any server" } else { server };
    value(format!(
        "nothing to undrain: '{server}'; ipvsadm -a or -e brings a server back (notes of drains: {})",
        path(notes)
    ))
}

pub(crate) fn in_use_already(server: &str, weight: u32) -> String {
    format!("{server} has weight {weight} already, and is left as it is")
}

pub(crate) fn back(server: &str, weight: u32) -> String {
    format!("{server} is back with weight {weight}")
}
