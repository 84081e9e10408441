//! The model in JSON, or in another format that describes itself: feature `serde`.
//!
//! The types of the model derive their traits from the objects here. Keys are lower snake case, numbers are numbers, and
//! what does not apply is left out. Unknown keys and values that the model does not allow are refused.

mod change;
mod connection;
mod daemon;
mod destination;
mod service;
mod table;
mod text;

pub(crate) use change::ChangeObject;
pub(crate) use daemon::DaemonObject;
pub(crate) use destination::{DestinationObject, TunnelObject};
pub(crate) use service::ServiceObject;

/// Refuses the first of these keys that is there.
fn refuse(keys: &[(&str, bool)]) -> Result<(), String> {
    let there = keys.iter().find(|(_, is_there)| *is_there);
    there.map_or(Ok(()), |(key, _)| Err(format!("unknown field `{key}`")))
}

/// The value of a key that must be there.
fn required<T>(value: Option<T>, key: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("missing field `{key}`"))
}
