//! The checks of a real server.

mod address;
mod answers;
mod arp;
mod filters;
mod gateway;
mod listener;
mod place;
mod redirected;
mod reverse_path;
mod tracking;
mod tunnels;
mod udp_source;

use crate::check::checks::value::OfServer;

/// Settings of ARP come first, so that the commands, run in order, never let two machines answer for the address.
pub(super) const CHECKS: &[OfServer] = &[
    arp::CHECK,
    address::CHECK,
    reverse_path::CHECK,
    tunnels::CHECK,
    answers::CHECK,
    gateway::CHECK,
    listener::CHECK,
    filters::CHECK,
    tracking::CHECK,
    udp_source::CHECK,
];
