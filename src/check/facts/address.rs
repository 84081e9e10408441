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

    /// A network that is no interface's.
    pub(crate) fn network(address: IpAddr, prefix: u8) -> Self {
        Self { address, prefix, link: 0, is_void: false, is_of_host: false }
    }

    pub(crate) fn is_single(&self) -> bool {
        self.prefix == full_prefix(self.address)
    }
}

/// The networks that addresses from one to another consist of.
pub(crate) fn networks_between(first: IpAddr, last: IpAddr) -> Option<Vec<Address>> {
    let (mut at, end, bits) = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits().into(), last.to_bits().into(), 32_u8),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits(), last.to_bits(), 128),
        _ => return None,
    };
    let mut networks = Vec::new();
    while at <= end {
        // The largest network that begins here, and is not longer than the rest.
        let fits = |size: &u8| at.trailing_zeros() >= u32::from(*size) && end - at >= (1 << size) - 1;
        let size = (0..bits).rev().find(fits).unwrap_or(0);
        let address = if bits == 32 {
            std::net::Ipv4Addr::from_bits(u32::try_from(at).ok()?).into()
        } else {
            std::net::Ipv6Addr::from_bits(at).into()
        };
        networks.push(Address::network(address, bits - size));
        let Some(next) = at.checked_add(1 << size) else { break };
        at = next;
    }
    Some(networks)
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
