//! Addresses of this machine, and routes to others.

use std::net::IpAddr;

/// An address of this machine.
#[allow(clippy::struct_field_names, reason = "an address, less what belongs to it, is called no better")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
    pub(crate) link: u32,
    /// It is not used, because another machine has it or may have it.
    pub(crate) is_void: bool,
    /// Its scope is this machine (`scope host`).
    pub(crate) is_of_host: bool,
}

impl Address {
    /// Whether the network of this address contains another.
    pub(crate) fn spans(&self, other: IpAddr) -> bool {
        let differ = |own: u128, other: u128, bits: u8| {
            (own ^ other).checked_shr(u32::from(bits - self.prefix.min(bits)))
        };
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                differ(own.to_bits().into(), other.to_bits().into(), 32) == Some(0)
            }
            // Shifting by all 128 bits leaves 0.
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                differ(own.to_bits(), other.to_bits(), 128).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// An address for a test, whose interface comes later.
    #[cfg(test)]
    pub(crate) fn network(address: IpAddr, prefix: u8) -> Self {
        Self { address, prefix, link: 0, is_void: false, is_of_host: false }
    }

    pub(crate) fn is_single(&self) -> bool {
        self.prefix == full_prefix(self.address)
    }
}

/// The result of a route lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// There is no route.
    Unreachable,
    /// An address of this machine.
    Local,
    /// A neighbour on the link.
    OnLink(u32),
    /// Through a gateway on the link.
    Via(IpAddr, u32),
}

impl Route {
    /// The interface that packets leave by.
    pub(crate) fn link(self) -> Option<u32> {
        match self {
            Self::OnLink(link) | Self::Via(_, link) => Some(link),
            Self::Unreachable | Self::Local => None,
        }
    }
}

/// The prefix length of a single address.
pub(crate) fn full_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
