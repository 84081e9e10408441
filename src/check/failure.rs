//! How a check fails: its statuses, and the sentences for what could not be seen, read or written.

use std::io;

use crate::messages::{self, Failure, warning};

/// There are findings.
pub(crate) const STATUS_FINDINGS: u8 = 1;
/// The check could not be done.
pub(crate) const STATUS_NOT_CHECKED: u8 = 2;

pub(crate) fn check_failure(message: String) -> Failure {
    Failure { status: STATUS_NOT_CHECKED, message, continue_restore: false }
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err calls")]
pub(crate) fn refused(error: ipvs::Error) -> Failure {
    check_failure(messages::refused(&error, None).message)
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err calls")]
pub(crate) fn unread(error: io::Error) -> Failure {
    check_failure(format!("cannot read the routes: {}", messages::reason(&error)))
}

/// Findings that could not be written must not look like findings.
pub(crate) fn unwritten(error: &io::Error) -> Failure {
    let failure = messages::write_error(error);
    if failure.status == STATUS_FINDINGS { check_failure(failure.message) } else { failure }
}

/// What is not known of a director from which processes are hidden.
pub(crate) const HIDDEN: &str =
    "whether a program such as keepalived manages this director: processes are hidden from this one";

/// Says what no finding is about because it could not be seen.
pub(crate) fn report_unseen(unseen: &[String]) {
    for what in unseen.iter().filter(|_| !messages::is_quiet()) {
        messages::report(&warning::not_seen(what));
    }
}
