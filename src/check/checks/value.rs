//! What a check is.

use crate::check::finding::{Finding, Kind};
use crate::check::server::Server;
use crate::check::verdict::Examined;

/// A check: the kinds of findings that it makes, and how.
pub(super) struct Check<Run> {
    #[cfg_attr(not(test), allow(dead_code, reason = "the guides have them all"))]
    pub(super) kinds: &'static [Kind],
    pub(super) run: Run,
}

/// A check of a director.
pub(super) type OfDirector = Check<fn(&Examined<'_>) -> Vec<Finding>>;
/// A check of a real server.
pub(super) type OfServer = Check<fn(&Server) -> Vec<Finding>>;
