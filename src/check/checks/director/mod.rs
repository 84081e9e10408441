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
mod mistyped;
mod reachability;
mod reverse_path;
mod saved;
mod services;
mod source;
mod standby;
mod sync;
mod thresholds;
mod too_long;
mod tracking;
mod translated;
mod uplinks;
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
    mistyped::CHECK,
    marks::CHECK,
    filters::CHECK,
    tracking::CHECK,
    too_long::CHECK,
    source::CHECK,
    reachability::CHECK,
    masqueraded::CHECK,
    translated::CHECK,
    uplinks::CHECK,
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
