//! Messages of the live view.

use std::io;

use super::{Failure, reason, value};

/// The module was there when the view began.
pub(crate) const UNLOADED: &str = "its module was unloaded meanwhile; this loads it: modprobe ip_vs";

/// The terminal cannot be used.
pub(crate) fn no_terminal(error: &io::Error) -> Failure {
    value(format!("cannot use the terminal: {}; without one: ipvsadm --watch | cat", reason(error)))
}

/// The terminal has no columns, or no rows.
pub(crate) fn no_size(columns: u16, rows: u16) -> Failure {
    value(format!("the size of the terminal is '{columns}x{rows}'; set it: stty cols 80 rows 24"))
}
