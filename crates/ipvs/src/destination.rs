//! Real servers (the kernel says destinations): what they are, how they are written to and read from attributes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::error::InvalidValue;
use crate::family::Family;
use crate::forwarding::{Checksum, ForwardingMethod, Tunnel, TunnelKind};
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::read_error::ReadError;
use crate::netlink::uapi::*;
use crate::stats::Stats;

/// What tells one real server of a service from another. Ordered by family, address and port, each as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct DestinationId {
    /// The server's own address (RIP). It may be of another family than the service's only behind a tunnel.
    pub address: IpAddr,
    /// The port connections go to. Direct routing and tunnels do not change ports: there it is the service's, or 0
    /// with a firewall mark.
    pub port: u16,
}

impl DestinationId {
    /// The real server with this address and port.
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }

    /// Writes the part of a destination nest that names the server.
    pub(crate) fn write(&self, nest: &mut Writer) {
        nest.family(IPVS_DEST_ATTR_ADDR_FAMILY, Family::from(self.address));
        nest.address(IPVS_DEST_ATTR_ADDR, self.address);
        nest.port(IPVS_DEST_ATTR_PORT, self.port);
    }
}

impl From<SocketAddr> for DestinationId {
    /// Of an IPv6 socket address the scope and the flow do not count.
    fn from(socket: SocketAddr) -> Self {
        Self { address: socket.ip(), port: socket.port() }
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&SocketAddr::new(self.address, self.port).to_string())
    }
}

impl FromStr for DestinationId {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes: `192.0.2.11:80`, `[2001:db8::11]:80`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let socket: SocketAddr =
            text.parse().map_err(|_| InvalidValue::new("the real server", text, "such as: 192.0.2.11:80"))?;
        Ok(Self { address: socket.ip(), port: socket.port() })
    }
}

/// A real server of a virtual service.
///
/// ```
/// use ipvs::{Destination, ForwardingMethod};
///
/// let server = Destination::new("192.0.2.11".parse().unwrap(), 80, ForwardingMethod::DirectRouting);
/// assert_eq!(server.weight, 1);
/// assert_eq!(server.with_weight(3).weight, 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Which server it is.
    pub id: DestinationId,
    /// How packets reach it.
    pub forwarding: ForwardingMethod,
    /// Its share of the connections compared with the other servers', 0 to 2,147,483,647; 0 takes no new ones.
    /// Schedulers multiply weights: values above 65,535 may overflow there.
    pub weight: u32,
    /// With this many connections it gets no more (kernel: `IPVS_DEST_ATTR_U_THRESH`); 0 is no limit.
    pub upper_threshold: u32,
    /// Below this many connections a server that was full gets new ones again; 0 stands for three quarters of
    /// the upper threshold, and no higher value than that one is taken (`IPVS_DEST_ATTR_L_THRESH`).
    pub lower_threshold: u32,
}

impl Destination {
    /// The highest weight that a kernel takes, and the highest threshold that a line of the tool or a document in JSON may
    /// have.
    pub const HIGHEST: u32 = i32::MAX.unsigned_abs();

    /// A server of weight 1 without thresholds.
    pub fn new(address: IpAddr, port: u16, forwarding: ForwardingMethod) -> Self {
        let id = DestinationId { address, port };
        Self { id, forwarding, weight: 1, upper_threshold: 0, lower_threshold: 0 }
    }

    /// The same on a socket address, or on an address with a port.
    ///
    /// ```
    /// use ipvs::{Destination, ForwardingMethod};
    ///
    /// let server: std::net::SocketAddr = "192.0.2.11:80".parse().unwrap();
    /// assert_eq!(Destination::at(server, ForwardingMethod::Masquerade).id.to_string(), "192.0.2.11:80");
    /// ```
    pub fn at(socket: impl Into<SocketAddr>, forwarding: ForwardingMethod) -> Self {
        let socket = socket.into();
        Self::new(socket.ip(), socket.port(), forwarding)
    }

    with_methods! {
        /// This server, reached in another way.
        with_forwarding(forwarding: ForwardingMethod);
        /// This server with another weight; 0 takes no new connections.
        with_weight(weight: u32);
        /// This server with another upper threshold; 0 is no limit.
        with_upper_threshold(upper_threshold: u32);
        /// This server with another lower threshold; 0 stands for three quarters of the upper one.
        with_lower_threshold(lower_threshold: u32);
    }

    /// Whether the kernel takes it as it is; see [`Change::check`](crate::Change::check).
    pub(crate) fn check(&self) -> Result<(), InvalidValue> {
        match self.forwarding {
            ForwardingMethod::Other(number) if number.get() > IP_VS_CONN_F_FWD_MASK => {
                Err(InvalidValue::new(
                    "the forwarding method",
                    &number.get().to_string(),
                    "the kernel keeps numbers up to 7",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Writes the content of a destination nest.
    pub(crate) fn write(&self, nest: &mut Writer) {
        let Self { id, forwarding, weight, upper_threshold, lower_threshold } = *self;
        id.write(nest);
        nest.u32(IPVS_DEST_ATTR_FWD_METHOD, forwarding.number());
        nest.u32(IPVS_DEST_ATTR_WEIGHT, weight);
        if let ForwardingMethod::Tunnel(tunnel) = forwarding {
            nest.u8(IPVS_DEST_ATTR_TUN_TYPE, tunnel.kind().number());
            nest.port(IPVS_DEST_ATTR_TUN_PORT, tunnel.port().unwrap_or_default());
            nest.u16(IPVS_DEST_ATTR_TUN_FLAGS, tunnel.checksum().unwrap_or_default().flags());
        }
        nest.u32(IPVS_DEST_ATTR_U_THRESH, upper_threshold);
        nest.u32(IPVS_DEST_ATTR_L_THRESH, lower_threshold);
    }
}

/// A real server as the kernel has it, with its connections and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DestinationEntry {
    /// Its configuration.
    pub destination: Destination,
    /// Connections in the state ESTABLISHED (kernel: `IPVS_DEST_ATTR_ACTIVE_CONNS`).
    pub active_connections: u32,
    /// Connections in all other states, and those of UDP (`IPVS_DEST_ATTR_INACT_CONNS`).
    pub inactive_connections: u32,
    /// Clients that come back to this server (`IPVS_DEST_ATTR_PERSIST_CONNS`).
    pub persistent_connections: u32,
    /// Its counters and rates.
    pub stats: Stats,
}

impl DestinationEntry {
    /// A server that no connection went to yet.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            active_connections: 0,
            inactive_connections: 0,
            persistent_connections: 0,
            stats: Stats::default(),
        }
    }

    /// Writes the content of a destination nest, as the kernel does.
    #[cfg(feature = "fake-kernel")]
    pub(crate) fn write(&self, nest: &mut Writer) {
        let Self { destination, active_connections, inactive_connections, persistent_connections, stats } =
            self;
        destination.write(nest);
        nest.u32(IPVS_DEST_ATTR_ACTIVE_CONNS, *active_connections);
        nest.u32(IPVS_DEST_ATTR_INACT_CONNS, *inactive_connections);
        nest.u32(IPVS_DEST_ATTR_PERSIST_CONNS, *persistent_connections);
        nest.nest(IPVS_DEST_ATTR_STATS64, |nest| stats.write(nest));
    }

    /// Reads the content of a destination nest of a service of `family`, which is the server's own where a kernel
    /// before 3.18 does not say.
    pub(crate) fn read(nest: &[u8], mut family: Family) -> Result<Self, ReadError> {
        let (mut address, mut port, mut method, mut tunnel) = (None, 0, 0, (0, 0, 0));
        let (mut weight, mut upper_threshold, mut lower_threshold) = (0, 0, 0);
        let (mut active_connections, mut inactive_connections, mut persistent_connections) = (0, 0, 0);
        let (mut stats, mut stats64) = (None, None);
        for attribute in attributes(nest) {
            let attribute = attribute?;
            match attribute.kind {
                IPVS_DEST_ATTR_ADDR => address = Some(attribute.address()?),
                IPVS_DEST_ATTR_PORT => port = attribute.port()?,
                IPVS_DEST_ATTR_FWD_METHOD => method = attribute.u32()?,
                IPVS_DEST_ATTR_WEIGHT => weight = attribute.u32()?,
                IPVS_DEST_ATTR_U_THRESH => upper_threshold = attribute.u32()?,
                IPVS_DEST_ATTR_L_THRESH => lower_threshold = attribute.u32()?,
                IPVS_DEST_ATTR_ACTIVE_CONNS => active_connections = attribute.u32()?,
                IPVS_DEST_ATTR_INACT_CONNS => inactive_connections = attribute.u32()?,
                IPVS_DEST_ATTR_PERSIST_CONNS => persistent_connections = attribute.u32()?,
                IPVS_DEST_ATTR_ADDR_FAMILY => family = attribute.family()?.unwrap_or(family),
                IPVS_DEST_ATTR_TUN_TYPE => tunnel.0 = attribute.u8()?,
                IPVS_DEST_ATTR_TUN_PORT => tunnel.1 = attribute.port()?,
                IPVS_DEST_ATTR_TUN_FLAGS => tunnel.2 = attribute.u16()?,
                IPVS_DEST_ATTR_STATS => stats = Some(attribute.value),
                IPVS_DEST_ATTR_STATS64 => stats64 = Some(attribute.value),
                _ => {} // of a newer kernel
            }
        }
        let id =
            DestinationId { address: family.address(address.ok_or("real server without an address")?), port };
        let forwarding = match ForwardingMethod::from(method) {
            ForwardingMethod::Tunnel(_) => ForwardingMethod::Tunnel(Tunnel::new(
                TunnelKind::from(tunnel.0),
                tunnel.1,
                Checksum::from(tunnel.2),
            )),
            other => other,
        };
        let destination = Destination { id, forwarding, weight, upper_threshold, lower_threshold };
        Ok(Self {
            destination,
            active_connections,
            inactive_connections,
            persistent_connections,
            stats: Stats::read(stats64.or(stats))?,
        })
    }
}
