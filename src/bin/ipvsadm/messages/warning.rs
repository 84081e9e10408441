//! Warnings: a change was carried out, but may be a mistake. Each ends with the fix.

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
