//! Sync daemons. What is left to the kernel is left out.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::within;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::error::InvalidValue;
use crate::name::InterfaceName;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DaemonObject {
    state: DaemonState,
    interface: InterfaceName,
    #[serde(default)]
    sync_id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_length: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u8>,
}

by_way_of!(DaemonObject: SyncDaemon);

impl From<SyncDaemon> for DaemonObject {
    fn from(daemon: SyncDaemon) -> Self {
        let SyncDaemon { state, interface, sync_id, max_length, group, port, ttl } = daemon;
        let some = |value: u16| Some(value).filter(|value| *value != 0);
        Self {
            state,
            interface,
            sync_id,
            max_length: some(max_length),
            group,
            port: some(port),
            ttl: Some(ttl).filter(|ttl| *ttl != 0),
        }
    }
}

impl TryFrom<DaemonObject> for SyncDaemon {
    type Error = String;

    fn try_from(object: DaemonObject) -> Result<Self, String> {
        let DaemonObject { state, interface, sync_id, max_length, group, port, ttl } = object;
        within("the sync id", sync_id, 0..=255)?;
        if let Some(group) = group.filter(|group| !group.is_multicast()) {
            return Err(InvalidValue::new("the group", &group.to_string(), "a multicast address").to_string());
        }
        for (what, number, most) in [
            ("the longest message", max_length, 65507),
            ("the port", port, u16::MAX),
            ("the time to live", ttl.map(u16::from), 255),
        ] {
            number.map_or(Ok(()), |number| within(what, number.into(), 1..=most.into()))?;
        }
        let (max_length, port) = (max_length.unwrap_or_default(), port.unwrap_or_default());
        Ok(Self { state, interface, sync_id, max_length, group, port, ttl: ttl.unwrap_or_default() })
    }
}
