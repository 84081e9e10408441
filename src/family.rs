//! Address families.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::InvalidValue;

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
