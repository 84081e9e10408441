//! Shared by `ipvsadm` and its siblings `ipvsadm-save` and `ipvsadm-restore`.

use std::io;

/// The option before the name of the sibling that `ipvsadm` stands in for. Other versions do not accept it.
pub(crate) const AS: &str = "--as";

/// The C library's text for a system error.
pub(crate) fn reason(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}
