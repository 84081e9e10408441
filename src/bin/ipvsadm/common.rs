//! What `ipvsadm` and its siblings `ipvsadm-save` and `ipvsadm-restore` have in common.

use std::io;

/// The word before the name of the sibling that an `ipvsadm` stands in for. No version but one that knows it takes it.
pub(crate) const AS: &str = "--as";

/// Why the system refused, in the C library's text alone.
pub(crate) fn reason(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}
