//! The checks of a director.

mod addresses;
mod balance;
mod counters;
mod draining;
mod dropped;
mod filters;
mod forwarding;
mod ftp;
mod gue_port;
mod hashed;
mod limits;
mod marks;
mod masks;
mod masqueraded;
mod reachability;
mod reverse_path;
mod saved;
mod services;
mod standby;
mod sync;
mod thresholds;
mod waiting;

use crate::check::checks::value::OfDirector;

/// Causes come before their effects.
pub(super) const CHECKS: &[OfDirector] = &[
    addresses::CHECK,
    services::CHECK,
    hashed::CHECK,
    balance::CHECK,
    ftp::CHECK,
    masks::CHECK,
    marks::CHECK,
    filters::CHECK,
    reachability::CHECK,
    masqueraded::CHECK,
    waiting::CHECK,
    gue_port::CHECK,
    thresholds::CHECK,
    forwarding::CHECK,
    reverse_path::CHECK,
    dropped::CHECK,
    standby::CHECK,
    limits::CHECK,
    draining::CHECK,
    counters::CHECK,
    sync::CHECK,
    saved::CHECK,
];
