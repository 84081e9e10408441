//! Sync daemons, which tell a backup director of the master's connections.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use netlink_packet_core::DecodeError;

use crate::error::InvalidValue;
use crate::name::InterfaceName;
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::uapi::*;

/// Which side of the synchronisation a daemon is. One of each may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DaemonState {
    /// Sends what connections there are.
    Master,
    /// Receives and keeps them.
    Backup,
}

impl DaemonState {
    fn number(self) -> u32 {
        match self {
            Self::Master => IP_VS_STATE_MASTER,
            Self::Backup => IP_VS_STATE_BACKUP,
        }
    }
}

impl fmt::Display for DaemonState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

impl FromStr for DaemonState {
    type Err = InvalidValue;

    /// `master` or `backup`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "master" => Ok(Self::Master),
            "backup" => Ok(Self::Backup),
            _ => Err(InvalidValue::new("the sync daemon's state", text, "it is master or backup")),
        }
    }
}

/// A sync daemon. Where a number is 0 or there is no group, the kernel takes its own value.
///
/// ```
/// use ipvs::{DaemonState, SyncDaemon};
///
/// let master = SyncDaemon::new(DaemonState::Master, "eth0".parse()?, 7);
/// assert_eq!(master.port, 0); // 8848, by the kernel
/// # Ok::<(), ipvs::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SyncDaemon {
    /// Which side it is.
    pub state: DaemonState,
    /// The interface that it sends to or hears from (kernel: `IPVS_DAEMON_ATTR_MCAST_IFN`).
    pub interface: InterfaceName,
    /// The number that both sides must have, 0 to 255 (`IPVS_DAEMON_ATTR_SYNC_ID`).
    pub sync_id: u32,
    /// The longest message, in bytes; 0 for what the interface carries (`IPVS_DAEMON_ATTR_SYNC_MAXLEN`).
    pub max_length: u16,
    /// The multicast group; none for 224.0.0.81 (`IPVS_DAEMON_ATTR_MCAST_GROUP`, `…_GROUP6`).
    pub group: Option<IpAddr>,
    /// The UDP port; 0 for 8848 (`IPVS_DAEMON_ATTR_MCAST_PORT`).
    pub port: u16,
    /// The time to live of the packets; 0 for 1 (`IPVS_DAEMON_ATTR_MCAST_TTL`).
    pub ttl: u8,
}

impl SyncDaemon {
    /// A daemon that leaves all else to the kernel.
    pub fn new(state: DaemonState, interface: InterfaceName, sync_id: u32) -> Self {
        Self { state, interface, sync_id, max_length: 0, group: None, port: 0, ttl: 0 }
    }

    /// Writes the content of a daemon nest.
    pub(crate) fn write(&self, nest: &mut Writer) {
        nest.u32(IPVS_DAEMON_ATTR_STATE, self.state.number());
        nest.name(IPVS_DAEMON_ATTR_MCAST_IFN, self.interface.as_bytes());
        nest.u32(IPVS_DAEMON_ATTR_SYNC_ID, self.sync_id);
        if self.max_length != 0 {
            nest.u16(IPVS_DAEMON_ATTR_SYNC_MAXLEN, self.max_length);
        }
        if self.port != 0 {
            // The one port that is not in network byte order.
            nest.u16(IPVS_DAEMON_ATTR_MCAST_PORT, self.port);
        }
        if self.ttl != 0 {
            nest.u8(IPVS_DAEMON_ATTR_MCAST_TTL, self.ttl);
        }
        match self.group {
            Some(IpAddr::V4(group)) => nest.bytes(IPVS_DAEMON_ATTR_MCAST_GROUP, &group.octets()),
            Some(IpAddr::V6(group)) => nest.bytes(IPVS_DAEMON_ATTR_MCAST_GROUP6, &group.octets()),
            None => {}
        }
    }

    /// Writes the part of a daemon nest that names a daemon to be stopped.
    pub(crate) fn write_id(state: DaemonState, sync_id: u32, nest: &mut Writer) {
        nest.u32(IPVS_DAEMON_ATTR_STATE, state.number());
        nest.u32(IPVS_DAEMON_ATTR_SYNC_ID, sync_id);
    }

    /// Reads the side of a daemon that is to be stopped.
    #[cfg(feature = "fake-kernel")]
    pub(crate) fn read_id(nest: &[u8]) -> Result<DaemonState, DecodeError> {
        let state = attributes(nest).flatten().find(|attribute| attribute.kind == IPVS_DAEMON_ATTR_STATE);
        let number = state.ok_or("no side of a sync daemon")?.u32()?;
        [DaemonState::Master, DaemonState::Backup]
            .into_iter()
            .find(|state| state.number() == number)
            .ok_or_else(|| "neither master nor backup".into())
    }

    /// Reads the content of a daemon nest.
    pub(crate) fn read(nest: &[u8]) -> Result<Self, DecodeError> {
        let mut state = None;
        let mut interface = &b""[..];
        let (mut sync_id, mut max_length, mut group, mut port, mut ttl) = (0, 0, None, 0, 0);
        for attribute in attributes(nest) {
            let attribute = attribute?;
            match attribute.kind {
                IPVS_DAEMON_ATTR_STATE => {
                    state = match attribute.u32()? {
                        IP_VS_STATE_MASTER => Some(DaemonState::Master),
                        IP_VS_STATE_BACKUP => Some(DaemonState::Backup),
                        _ => None,
                    }
                }
                IPVS_DAEMON_ATTR_MCAST_IFN => interface = attribute.name(),
                IPVS_DAEMON_ATTR_SYNC_ID => sync_id = attribute.u32()?,
                IPVS_DAEMON_ATTR_SYNC_MAXLEN => max_length = attribute.u16()?,
                IPVS_DAEMON_ATTR_MCAST_GROUP => group = Some(IpAddr::from(attribute.ipv4()?)),
                IPVS_DAEMON_ATTR_MCAST_GROUP6 => group = Some(IpAddr::from(attribute.address()?)),
                IPVS_DAEMON_ATTR_MCAST_PORT => port = attribute.u16()?,
                IPVS_DAEMON_ATTR_MCAST_TTL => ttl = attribute.u8()?,
                _ => {} // of a newer kernel
            }
        }
        let state = state.ok_or("sync daemon that is neither master nor backup")?;
        let interface = InterfaceName::new(interface).map_err(|error| error.to_string())?;
        Ok(Self { state, interface, sync_id, max_length, group, port, ttl })
    }
}
