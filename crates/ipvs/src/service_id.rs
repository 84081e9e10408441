//! What tells one virtual service from another: a protocol, address and port, or a firewall mark.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::str::FromStr;

use crate::error::InvalidValue;
use crate::family::Family;
use crate::model::Unnamed;
use crate::netlink::attr::Writer;
use crate::netlink::uapi::*;

/// The transport protocol of a service. Protocols are ordered by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `IPPROTO_TCP`
    Tcp,
    /// `IPPROTO_UDP`
    Udp,
    /// `IPPROTO_SCTP`
    Sctp,
    /// A number that this library has no name for. The kernel stores it but schedules nothing.
    Other(Unnamed<u16>),
}

impl Protocol {
    /// The protocol's number, as in `/etc/protocols`.
    pub fn number(self) -> u16 {
        match self {
            Self::Tcp => IPPROTO_TCP,
            Self::Udp => IPPROTO_UDP,
            Self::Sctp => IPPROTO_SCTP,
            Self::Other(number) => number.get(),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.pad("TCP"),
            Self::Udp => f.pad("UDP"),
            Self::Sctp => f.pad("SCTP"),
            Self::Other(number) => f.pad(&format!("protocol-{}", number.get())),
        }
    }
}

impl FromStr for Protocol {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes, in letters of either case.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let number = || Some(Self::from(text.strip_prefix("protocol-")?.parse::<u16>().ok()?));
        [Self::Tcp, Self::Udp, Self::Sctp]
            .into_iter()
            .find(|known| known.to_string().eq_ignore_ascii_case(text))
            .or_else(number)
            .ok_or_else(|| InvalidValue::new("the protocol", text, "it is TCP, UDP or SCTP"))
    }
}

impl From<u16> for Protocol {
    fn from(number: u16) -> Self {
        match number {
            IPPROTO_TCP => Self::Tcp,
            IPPROTO_UDP => Self::Udp,
            IPPROTO_SCTP => Self::Sctp,
            other => Self::Other(Unnamed(other)),
        }
    }
}

impl Ord for Protocol {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Protocol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What tells one virtual service from another: which packets belong to it.
///
/// Services are ordered as a listing shows them: those with addresses before those with firewall marks, IPv4 before
/// IPv6, then by protocol number, address and port, each as a number.
///
/// ```
/// use ipvs::{Family, ServiceId};
///
/// let web = ServiceId::tcp("192.0.2.1".parse().unwrap(), 80);
/// let marked = ServiceId::fwmark(7, Family::V4).unwrap();
/// assert_eq!(web.to_string(), "TCP 192.0.2.1:80");
/// assert_eq!("TCP 192.0.2.1:80".parse(), Ok(web));
/// assert!(web < marked);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceId {
    /// Packets of a protocol to a virtual address (VIP) and port.
    Address {
        /// The protocol.
        protocol: Protocol,
        /// The virtual address.
        address: IpAddr,
        /// The port; 0 stands for all ports and needs persistence.
        port: u16,
    },
    /// Packets that a firewall rule has marked.
    Fwmark {
        /// The mark.
        mark: NonZero<u32>,
        /// The family of the packets. The same mark may have a service for each.
        family: Family,
    },
}

impl ServiceId {
    /// The service of a protocol on a socket address, or on an address with a port. Of an IPv6 socket address the scope and the
    /// flow do not count.
    ///
    /// ```
    /// use ipvs::{Protocol, ServiceId};
    ///
    /// let web: std::net::SocketAddr = "192.0.2.1:80".parse().unwrap();
    /// assert_eq!(ServiceId::new(Protocol::Tcp, web), ServiceId::tcp(web.ip(), 80));
    /// assert_eq!(ServiceId::new(Protocol::Udp, ([192, 0, 2, 1], 53)).to_string(), "UDP 192.0.2.1:53");
    /// ```
    pub fn new(protocol: Protocol, socket: impl Into<SocketAddr>) -> Self {
        let socket = socket.into();
        Self::Address { protocol, address: socket.ip(), port: socket.port() }
    }

    /// The TCP service on this address and port.
    pub fn tcp(address: IpAddr, port: u16) -> Self {
        Self::Address { protocol: Protocol::Tcp, address, port }
    }

    /// The UDP service on this address and port.
    pub fn udp(address: IpAddr, port: u16) -> Self {
        Self::Address { protocol: Protocol::Udp, address, port }
    }

    /// The SCTP service on this address and port.
    pub fn sctp(address: IpAddr, port: u16) -> Self {
        Self::Address { protocol: Protocol::Sctp, address, port }
    }

    /// The service of a firewall mark; none for mark 0, which unmarked packets have.
    pub fn fwmark(mark: u32, family: Family) -> Option<Self> {
        NonZero::new(mark).map(|mark| Self::Fwmark { mark, family })
    }

    /// The family of its packets.
    pub fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::from(*address),
            Self::Fwmark { family, .. } => *family,
        }
    }

    /// The port, 0 for a firewall mark.
    pub fn port(&self) -> u16 {
        match self {
            Self::Address { port, .. } => *port,
            Self::Fwmark { .. } => 0,
        }
    }

    /// Its parts in the order in which they decide between two services.
    fn rank(&self) -> (u32, Family, u16, Option<IpAddr>, u16) {
        match *self {
            Self::Address { protocol, address, port } => {
                (0, Family::from(address), protocol.number(), Some(address), port)
            }
            Self::Fwmark { mark, family } => (mark.get(), family, 0, None, 0),
        }
    }

    /// Writes the part of a service nest that names the service.
    pub(crate) fn write(&self, nest: &mut Writer) {
        nest.family(IPVS_SVC_ATTR_AF, self.family());
        match *self {
            Self::Address { protocol, address, port } => {
                nest.u16(IPVS_SVC_ATTR_PROTOCOL, protocol.number());
                nest.address(IPVS_SVC_ATTR_ADDR, address);
                nest.port(IPVS_SVC_ATTR_PORT, port);
            }
            Self::Fwmark { mark, .. } => nest.u32(IPVS_SVC_ATTR_FWMARK, mark.get()),
        }
    }
}

impl Ord for ServiceId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for ServiceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match *self {
            Self::Address { protocol, address, port } => {
                format!("{protocol} {}", SocketAddr::new(address, port))
            }
            Self::Fwmark { mark, family: Family::V4 } => format!("FWM {mark}"),
            Self::Fwmark { mark, family: Family::V6 } => format!("FWM {mark} IPv6"),
        })
    }
}

impl FromStr for ServiceId {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes: `TCP 192.0.2.1:80`, `UDP [2001:db8::1]:53`, `FWM 7`, `FWM 7 IPv6`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let words: Vec<&str> = text.split(' ').collect();
        let mark = |mark: &str, family| Self::fwmark(mark.parse().ok()?, family);
        match words[..] {
            ["FWM", number] => mark(number, Family::V4),
            ["FWM", number, "IPv6"] => mark(number, Family::V6),
            [protocol, address] => protocol.parse().ok().and_then(|protocol| {
                let address: SocketAddr = address.parse().ok()?;
                Some(Self::Address { protocol, address: address.ip(), port: address.port() })
            }),
            _ => None,
        }
        .ok_or_else(|| InvalidValue::new("the service", text, "such as: TCP 192.0.2.1:80, FWM 7, FWM 7 IPv6"))
    }
}
