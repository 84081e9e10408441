//! Address families.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::InvalidValue;
use crate::netlink::attr::{Attribute, Writer};
use crate::netlink::read_error::ReadError;
use crate::netlink::uapi::{AF_INET, AF_INET6};

/// The address family of a service or of a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 (`AF_INET`)
    V4,
    /// IPv6 (`AF_INET6`)
    V6,
}

impl From<IpAddr> for Family {
    fn from(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl FromStr for Family {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes, in letters of either case.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let known =
            [Self::V4, Self::V6].into_iter().find(|known| known.to_string().eq_ignore_ascii_case(text));
        known.ok_or_else(|| InvalidValue::new("the address family", text, "it is IPv4 or IPv6"))
    }
}

impl Family {
    /// The address in the kernel's 16 bytes.
    pub(crate) fn address(self, bytes: [u8; 16]) -> IpAddr {
        match self {
            Self::V4 => {
                let [a, b, c, d, ..] = bytes;
                IpAddr::from([a, b, c, d])
            }
            Self::V6 => IpAddr::from(bytes),
        }
    }
}

impl Writer {
    pub(crate) fn family(&mut self, kind: u16, family: Family) {
        self.u16(
            kind,
            match family {
                Family::V4 => AF_INET,
                Family::V6 => AF_INET6,
            },
        );
    }
}

impl Attribute<'_> {
    pub(crate) fn family(&self) -> Result<Option<Family>, ReadError> {
        Ok(match self.u16()? {
            AF_INET => Some(Family::V4),
            AF_INET6 => Some(Family::V6),
            _ => None,
        })
    }
}
