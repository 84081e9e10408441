//! The connection tracking of a real server.

use crate::check::checks::full::{CONNTRACK_FULL, full_table};
use crate::check::checks::value::{Check, OfServer};
use crate::check::finding::Finding;
use crate::check::server::Server;

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[CONNTRACK_FULL], run };

fn run(server: &Server) -> Vec<Finding> {
    full_table(&server.machine)
}
