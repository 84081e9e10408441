//! Messages of the live view.

use std::io;

use ipvs::ServiceId;

use super::{Failure, STATUS_LIST, reason, value};

/// The module was there when the view began.
pub(crate) const UNLOADED: &str = "its module was unloaded meanwhile; this loads it: modprobe ip_vs";

/// The service to watch is not there.
pub(crate) fn no_such_service(id: &ServiceId) -> Failure {
    let message = format!("No such service: '{id}'; these are there: ipvsadm -Ln");
    Failure { status: STATUS_LIST, message, continue_restore: false }
}

/// The terminal cannot be used.
pub(crate) fn no_terminal(error: &io::Error) -> Failure {
    value(format!("cannot use the terminal: {}; without one: ipvsadm --watch | cat", reason(error)))
}

/// The terminal has no columns, or no rows.
pub(crate) fn no_size(columns: u16, rows: u16) -> Failure {
    value(format!("the size of the terminal is '{columns}x{rows}'; set it: stty cols 80 rows 24"))
}
