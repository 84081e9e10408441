//! The version, the size of the connection table, and the timeouts.

use std::fmt;
use std::str::FromStr;

use crate::error::InvalidValue;
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::read_error::ReadError;
use crate::netlink::uapi::*;

/// What the kernel says of its IPVS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Info {
    /// Its version, 1.2.1 for many years now.
    #[cfg_attr(feature = "serde", serde(rename = "ipvs"))]
    pub version: Version,
    /// The number of buckets of the table of connections (kernel: `IPVS_INFO_ATTR_CONN_TAB_SIZE`). It is the table's
    /// current size and may change since kernel 7.1.
    pub connection_table_size: u32,
}

impl Info {
    pub(crate) fn read(top: &[u8]) -> Result<Self, ReadError> {
        let mut info = Self::default();
        for attribute in attributes(top) {
            let attribute = attribute?;
            match attribute.kind {
                IPVS_INFO_ATTR_VERSION => {
                    let packed = attribute.u32()?;
                    let byte = |shift: u32| u8::try_from(packed >> shift & 0xff).unwrap_or(0);
                    info.version = Version { major: byte(16), minor: byte(8), patch: byte(0) };
                }
                IPVS_INFO_ATTR_CONN_TAB_SIZE => info.connection_table_size = attribute.u32()?,
                _ => {}
            }
        }
        Ok(info)
    }
}

/// A version of IPVS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// 1 in 1.2.1
    pub major: u8,
    /// 2 in 1.2.1
    pub minor: u8,
    /// 1 in 1.2.1
    pub patch: u8,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.major, self.minor, self.patch))
    }
}

impl FromStr for Version {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes: `1.2.1`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let numbers: Result<Vec<u8>, _> = text.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([major, minor, patch]) => Ok(Self { major: *major, minor: *minor, patch: *patch }),
            _ => Err(InvalidValue::new("the version", text, "such as: 1.2.1")),
        }
    }
}

/// For how long connections are remembered without a packet, in seconds.
///
/// In a change, 0 leaves a value as it is; the kernel refuses more than 2,147,483 (it counts in ticks, of which some
/// kernels have 1,000 a second). The kernel's own values are [`Timeouts::KERNEL`].
///
/// ```
/// use ipvs::Timeouts;
///
/// let change = Timeouts::default().with_tcp_fin(30); // and the others stay
/// assert_eq!(change.tcp, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Timeouts {
    /// TCP sessions (kernel: `IPVS_CMD_ATTR_TIMEOUT_TCP`).
    pub tcp: u32,
    /// TCP sessions after a FIN (`IPVS_CMD_ATTR_TIMEOUT_TCP_FIN`).
    pub tcp_fin: u32,
    /// UDP (`IPVS_CMD_ATTR_TIMEOUT_UDP`).
    pub udp: u32,
}

impl Timeouts {
    /// The values that a kernel starts with: 900, 120 and 300 seconds.
    pub const KERNEL: Self = Self { tcp: 900, tcp_fin: 120, udp: 300 };
    /// The longest timeout, in seconds, that a line of the tool or a document in JSON may have: 31 days.
    pub const LONGEST: u32 = 31 * 24 * 3600;

    with_methods! {
        /// These timeouts with another one for TCP sessions.
        with_tcp(tcp: u32);
        /// These timeouts with another one for TCP sessions after a FIN.
        with_tcp_fin(tcp_fin: u32);
        /// These timeouts with another one for UDP.
        with_udp(udp: u32);
    }

    pub(crate) fn write(&self, top: &mut Writer) {
        let Self { tcp, tcp_fin, udp } = *self;
        top.u32(IPVS_CMD_ATTR_TIMEOUT_TCP, tcp);
        top.u32(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, tcp_fin);
        top.u32(IPVS_CMD_ATTR_TIMEOUT_UDP, udp);
    }

    pub(crate) fn read(top: &[u8]) -> Result<Self, ReadError> {
        let mut timeouts = Self::default();
        for attribute in attributes(top) {
            let attribute = attribute?;
            match attribute.kind {
                IPVS_CMD_ATTR_TIMEOUT_TCP => timeouts.tcp = attribute.u32()?,
                IPVS_CMD_ATTR_TIMEOUT_TCP_FIN => timeouts.tcp_fin = attribute.u32()?,
                IPVS_CMD_ATTR_TIMEOUT_UDP => timeouts.udp = attribute.u32()?,
                _ => {}
            }
        }
        Ok(timeouts)
    }
}
