//! Sync daemons, which tell a backup director of the master's connections.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::error::InvalidValue;
use crate::name::InterfaceName;
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::read_error::ReadError;
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
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Master, Self::Backup];

    fn number(self) -> u32 {
        match self {
            Self::Master => IP_VS_STATE_MASTER,
            Self::Backup => IP_VS_STATE_BACKUP,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

impl fmt::Display for DaemonState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DaemonState {
    type Err = InvalidValue;

    /// `master` or `backup`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let known = Self::ALL.into_iter().find(|state| state.name() == text);
        known.ok_or_else(|| InvalidValue::new("the sync daemon's state", text, "it is master or backup"))
    }
}

/// A sync daemon. Where a number is 0 or there is no group, the kernel takes its own value.
///
/// ```
/// use ipvs::{DaemonState, SyncDaemon};
///
/// let master = SyncDaemon::new(DaemonState::Master, "eth0".parse()?, 7);
/// assert_eq!(master.port, 0); // the kernel takes SyncDaemon::DEFAULT_PORT
/// assert_eq!(master.with_port(9000).port, 9000);
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
    /// The multicast group; none for [`Self::DEFAULT_GROUP`] (`IPVS_DAEMON_ATTR_MCAST_GROUP`, `…_GROUP6`).
    pub group: Option<IpAddr>,
    /// The UDP port; 0 for [`Self::DEFAULT_PORT`] (`IPVS_DAEMON_ATTR_MCAST_PORT`).
    pub port: u16,
    /// The time to live of the packets; 0 for [`Self::DEFAULT_TTL`] (`IPVS_DAEMON_ATTR_MCAST_TTL`).
    pub ttl: u8,
}

impl SyncDaemon {
    /// The multicast group that the kernel takes where there is none: 224.0.0.81.
    pub const DEFAULT_GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
    /// The UDP port that the kernel takes for 0.
    pub const DEFAULT_PORT: u16 = 8848;
    /// The time to live that the kernel takes for 0.
    pub const DEFAULT_TTL: u8 = 1;

    /// A daemon that leaves all else to the kernel.
    pub fn new(state: DaemonState, interface: InterfaceName, sync_id: u32) -> Self {
        Self { state, interface, sync_id, max_length: 0, group: None, port: 0, ttl: 0 }
    }

    with_methods! {
        /// This daemon on another interface.
        with_interface(interface: InterfaceName);
        /// This daemon with another limit of its messages, in bytes; 0 for what the interface carries.
        with_max_length(max_length: u16);
        /// This daemon with another UDP port; 0 for [`Self::DEFAULT_PORT`].
        with_port(port: u16);
        /// This daemon with another time to live of its packets; 0 for [`Self::DEFAULT_TTL`].
        with_ttl(ttl: u8);
    }

    /// This daemon with another multicast group.
    #[must_use]
    pub fn with_group(self, group: IpAddr) -> Self {
        Self { group: Some(group), ..self }
    }

    /// This daemon with the kernel's own values in place of a missing group, port and time to live.
    pub(crate) fn with_defaults(self) -> Self {
        let or = |value, default| if value == 0 { default } else { value };
        Self {
            group: self.group.or(Some(Self::DEFAULT_GROUP)),
            port: or(self.port, Self::DEFAULT_PORT),
            ttl: if self.ttl == 0 { Self::DEFAULT_TTL } else { self.ttl },
            ..self
        }
    }

    /// Whether the kernel takes it as it is; see [`Change::check`](crate::Change::check).
    pub(crate) fn check(&self) -> Result<(), InvalidValue> {
        if self.sync_id > 255 {
            let remedy = "a number from 0 to 255, as its messages have room for";
            return Err(InvalidValue::new("the sync id", &self.sync_id.to_string(), remedy));
        }
        Ok(())
    }

    /// Writes the content of a daemon nest.
    pub(crate) fn write(&self, nest: &mut Writer) {
        let Self { state, interface, sync_id, max_length, group, port, ttl } = *self;
        nest.u32(IPVS_DAEMON_ATTR_STATE, state.number());
        nest.name(IPVS_DAEMON_ATTR_MCAST_IFN, interface.as_bytes());
        nest.u32(IPVS_DAEMON_ATTR_SYNC_ID, sync_id);
        if max_length != 0 {
            nest.u16(IPVS_DAEMON_ATTR_SYNC_MAXLEN, max_length);
        }
        if port != 0 {
            // The one port that is not in network byte order.
            nest.u16(IPVS_DAEMON_ATTR_MCAST_PORT, port);
        }
        if ttl != 0 {
            nest.u8(IPVS_DAEMON_ATTR_MCAST_TTL, ttl);
        }
        match group {
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
    pub(crate) fn read_id(nest: &[u8]) -> Result<DaemonState, ReadError> {
        let state = attributes(nest).flatten().find(|attribute| attribute.kind == IPVS_DAEMON_ATTR_STATE);
        let number = state.ok_or("no side of a sync daemon")?.u32()?;
        DaemonState::from_number(number).ok_or_else(|| "neither master nor backup".into())
    }

    /// Reads the content of a daemon nest.
    pub(crate) fn read(nest: &[u8]) -> Result<Self, ReadError> {
        let mut state = None;
        let mut interface = &b""[..];
        let (mut sync_id, mut max_length, mut group, mut port, mut ttl) = (0, 0, None, 0, 0);
        for attribute in attributes(nest) {
            let attribute = attribute?;
            match attribute.kind {
                IPVS_DAEMON_ATTR_STATE => state = DaemonState::from_number(attribute.u32()?),
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
        let interface = InterfaceName::new(interface)?;
        Ok(Self { state, interface, sync_id, max_length, group, port, ttl })
    }
}
