//! Warnings: a change was carried out, but may be a mistake. Each ends with the fix.

use std::fmt::Display;

use ipvs::{DestinationId, Scheduler};

/// A port that direct routing and tunnels ignore.
pub(crate) fn port(typed: u16, method: &str, server: &DestinationId) -> String {
    format!(
        "warning: the port '{typed}' was dropped, the server is {server}: with {method} it has the service's port; \
         -m maps ports"
    )
}

/// The same for a service by firewall mark.
pub(crate) fn marked_port(typed: u16, method: &str) -> String {
    format!(
        "warning: the port '{typed}' has no effect: with {method} packets keep their destination port; -m maps ports"
    )
}

/// Services were deleted that a program makes when it starts, and not again.
pub(crate) fn made_once(program: &str) -> String {
    format!(
        "warning: {program} runs, and makes the services of its configuration only when it starts; this makes them again: \
         systemctl restart {program}"
    )
}

/// A weight without effect, and the command that gives it one.
pub(crate) fn weight(weight: u32, scheduler: &Scheduler, edit: &str) -> String {
    format!(
        "warning: the weight '{weight}' has no effect: scheduler {scheduler} ignores every weight except 0; \
         this changes it: {edit}"
    )
}

/// The forwarding method was changed.
pub(crate) fn method(old: &str, new: &str) -> String {
    format!("warning: '{old}' was changed to {new}: open connections keep {old}; {old} changes it back")
}

/// Options left out of an edit, with old and new values; none if nothing was reset.
pub(crate) fn reset(command: &str, words: &[(String, String)]) -> Option<String> {
    let was_and_is: Vec<String> = words.iter().map(|(was, is)| format!("'{was}' to {is}")).collect();
    let list = (!words.is_empty()).then(|| was_and_is.join(", "))?;
    Some(format!(
        "warning: {command} reset options that were left out: {list}; --keep changes only those that are given"
    ))
}

/// A service that goes to one server.
pub(crate) fn unbalanced(why: &str, fix: &str) -> String {
    format!("warning: {why}; this spreads them: {fix}")
}

/// A one-packet service with a masqueraded server.
pub(crate) fn answers_untranslated(server: &DestinationId, fix: &str) -> String {
    format!(
        "warning: with -o nothing translates the answers of a masqueraded server: those of {server} reach clients with its \
         own address; use -g or -i, or this: {fix}"
    )
}

/// Weights that are too large for the table of `sh`.
pub(crate) fn hash_weights(why: &str, fix: &str) -> String {
    format!("warning: {why}; this gives the same shares with smaller ones: {fix}")
}

/// Another program fills the table.
pub(crate) fn supervised(program: &str) -> String {
    format!(
        "warning: {program} fills this table by its own configuration, and may bring the server back or delete it: \
         drain it there"
    )
}

/// Another program may fill the table.
pub(crate) const MAY_BE_SUPERVISED: &str = "warning: other processes are hidden from this one: if a program such as keepalived fills \
    this table, it may bring the server back or delete it: drain it there";

/// What a check could not see, and so says nothing about.
pub(crate) fn not_seen(what: &str) -> String {
    format!("warning: not seen: {what}")
}

/// A server that gets no new connections before it is drained.
pub(crate) fn weightless_before(server: &str) -> String {
    format!("warning: {server} had weight 0 before, and is brought back with it; -w sets another")
}

/// Persistence sends clients to a server of weight 0.
pub(crate) fn clients_come_back(service: &str, timeout: u32, fix: &str) -> String {
    format!(
        "warning: persistence of {service}: clients come back to a drained server until they have stayed away for \
         {timeout} s; this sends them to the others: {fix}"
    )
}

/// A wait that is shorter than the persistence.
pub(crate) fn short_wait(service: &str, wait: u32, timeout: u32) -> String {
    format!(
        "warning: the kernel keeps the persistent clients of {service} for {timeout} s, longer than the wait of \
         {wait} s; --wait {timeout} or more"
    )
}

/// Clients that reuse a port stay with the server.
pub(crate) fn ports_are_reused(fix: &str) -> String {
    format!(
        "warning: a client that uses a port again comes back to a drained server; this sends it to the others: {fix}"
    )
}

/// The drain goes on without a note.
pub(crate) fn not_noted(why: &str) -> String {
    format!("warning: --undrain will not know of this drain: {why}; the line that brings it back is printed")
}

/// A note stays of a server that is back, or out for good.
pub(crate) fn still_noted(why: &str) -> String {
    format!(
        "warning: a server that this changed is still noted as drained: {why}; ipvsadm --undrain may bring it back"
    )
}

/// A scheduler refuses the clients of a server of weight 0, unless it has a flag.
pub(crate) fn refused_while_drained(
    service: &str,
    scheduler: &Scheduler,
    moved: Option<impl Display>,
    fallback: &str,
) -> String {
    let then = moved.map_or(String::new(), |share| {
        format!(", and when it is deleted {share} of the other servers' clients go elsewhere")
    });
    format!(
        "warning: {service}: {scheduler} refuses the clients of a server of weight 0 while it is drained{then}; before the drain, \
         this sends them to other servers instead: {fallback}"
    )
}

/// The same where there is no such flag.
pub(crate) fn refused_whatever(service: &str, moved: Option<impl Display>) -> String {
    let then = moved.map_or(String::new(), |share| {
        format!(", and when it is deleted {share} of the other servers' destinations go elsewhere")
    });
    format!(
        "warning: {service}: dh refuses the clients of a server of weight 0 while it is drained{then}; it has no way around that, \
         another scheduler has"
    )
}

/// A weight of 0 gives places of a scheduler's table back.
pub(crate) fn others_move(service: &str, moved: Option<impl Display>) -> String {
    let share = moved.map_or(String::new(), |share| format!("{share} of "));
    format!(
        "warning: {service}: with weight 0 the server has one place in the table of sh instead of as many as its weight: {share}the \
         other servers' clients go elsewhere now, and come back with its weight; where all weights are 1 nobody does"
    )
}

/// A server that is added again is the first in the order.
pub(crate) fn order_moves(service: &str, scheduler: &Scheduler, moved: Option<impl Display>) -> String {
    let share = moved.map_or(String::new(), |share| format!("{share} of "));
    format!(
        "warning: {service}: a server that is added again stands first in the order by which {scheduler} chooses: {share}the \
         other servers' clients go elsewhere"
    )
}

/// What was drained when the table was saved is not noted.
pub(crate) fn not_taken_over(why: &str) -> String {
    format!(
        "warning: --undrain will not know of servers that were drained when this was saved: {why}; the comments name them"
    )
}
