//! A question about the way of a packet, and what the kernel answers.

use std::net::IpAddr;

/// A packet whose way is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) to: IpAddr,
    pub(crate) from: Option<IpAddr>,
    /// The interface that it arrives on; none for a packet of this machine itself.
    pub(crate) arrives: Option<u32>,
    pub(crate) mark: Option<u32>,
    pub(crate) protocol: u8,
    pub(crate) from_port: Option<u16>,
    pub(crate) to_port: Option<u16>,
}

impl Question {
    /// One about which nothing else is known than where it goes to, from this machine.
    pub(crate) fn to(to: IpAddr) -> Self {
        Self { to, from: None, arrives: None, mark: None, protocol: 0, from_port: None, to_port: None }
    }
}

/// What the kernel does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is for this machine, by a route of this table.
    Local {
        table: u32,
    },
    Leaves {
        gateway: Option<IpAddr>,
        link: u32,
        table: u32,
    },
    /// None: with the kernel's reason.
    Refused(Refusal),
}

/// Why the kernel would drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `ENETUNREACH`
    NoRoute,
    /// `EHOSTUNREACH`: a route of the type unreachable, or it would be forwarded and must not be.
    Unreachable,
    /// `EACCES`: a route of the type prohibit.
    Prohibited,
    /// `EXDEV`: `rp_filter`.
    ReversePath,
    /// `EINVAL`: a blackhole route, or a packet that comes in with an address of this machine.
    Invalid,
    Other(i32),
}
