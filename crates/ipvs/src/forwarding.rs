//! How packets reach a real server: forwarding methods, tunnels, and the tunnels' checksums.

use std::fmt;
use std::str::FromStr;

use crate::error::InvalidValue;
use crate::model::Unnamed;
use crate::netlink::uapi::*;

/// How packets reach a real server (kernel: `IPVS_DEST_ATTR_FWD_METHOD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForwardingMethod {
    /// Addresses are translated (NAT); replies come back through the director.
    Masquerade,
    /// The server is the director itself.
    Local,
    /// Packets are wrapped and sent to the server, which answers the client itself.
    Tunnel(Tunnel),
    /// Packets are sent on unchanged in the same network segment (gatewaying); the server answers the client itself.
    DirectRouting,
    /// A number that this library has no name for.
    Other(Unnamed<u32>),
}

impl ForwardingMethod {
    /// The kernel's number for it.
    pub fn number(self) -> u32 {
        match self {
            Self::Masquerade => IP_VS_CONN_F_MASQ,
            Self::Local => IP_VS_CONN_F_LOCALNODE,
            Self::Tunnel(_) => IP_VS_CONN_F_TUNNEL,
            Self::DirectRouting => IP_VS_CONN_F_DROUTE,
            Self::Other(number) => number.get(),
        }
    }

    /// Its name; none for a number without one.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Masquerade => Some("masquerade"),
            Self::Local => Some("local"),
            Self::Tunnel(_) => Some("tunnel"),
            Self::DirectRouting => Some("direct_routing"),
            Self::Other(_) => None,
        }
    }

    /// What text has for it without its tunnel: a name, or `method-5`.
    pub(crate) fn from_name(text: &str) -> Option<Self> {
        let number = || text.strip_prefix("method-")?.parse::<u32>().ok().map(Self::from);
        let known = (0..=IP_VS_CONN_F_DROUTE).map(Self::from).find(|known| known.name() == Some(text));
        known.or_else(number)
    }
}

impl From<u32> for ForwardingMethod {
    /// The method with the kernel's number; a tunnel is IP in IP.
    fn from(number: u32) -> Self {
        match number {
            IP_VS_CONN_F_MASQ => Self::Masquerade,
            IP_VS_CONN_F_LOCALNODE => Self::Local,
            IP_VS_CONN_F_TUNNEL => Self::Tunnel(Tunnel::Ipip),
            IP_VS_CONN_F_DROUTE => Self::DirectRouting,
            other => Self::Other(Unnamed(other)),
        }
    }
}

impl fmt::Display for ForwardingMethod {
    /// `masquerade`, `local`, `direct_routing`, or `tunnel:` and which: `tunnel:ipip`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.name()) {
            (Self::Tunnel(tunnel), Some(name)) => f.pad(&format!("{name}:{tunnel}")),
            (_, Some(name)) => f.pad(name),
            (_, None) => f.pad(&format!("method-{}", self.number())),
        }
    }
}

impl FromStr for ForwardingMethod {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes; `tunnel` alone is IP in IP.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let tunnel = text.strip_prefix("tunnel:").and_then(|tunnel| tunnel.parse().ok());
        tunnel.map(Self::Tunnel).or_else(|| Self::from_name(text)).ok_or_else(|| {
            InvalidValue::new(
                "the forwarding method",
                text,
                "such as: direct_routing, masquerade, tunnel:ipip",
            )
        })
    }
}

/// How a packet is wrapped, and with what (kernel: `IPVS_DEST_ATTR_TUN_TYPE`; before 5.3 only the first).
///
/// ```
/// use ipvs::{Checksum, Tunnel};
///
/// let tunnel = Tunnel::gue(6080).with_checksum(Checksum::On);
/// assert_eq!(tunnel.to_string(), "gue:6080:+c");
/// assert_eq!("gue:6080:+c".parse(), Ok(tunnel));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tunnel {
    /// IP in IP
    #[default]
    Ipip,
    /// Generic UDP encapsulation
    Gue {
        /// The UDP port of the receiver, 1 to 65,535.
        port: u16,
        /// Checksums of the outer packet.
        checksum: Checksum,
    },
    /// Generic routing encapsulation
    Gre {
        /// Checksums of the outer packet.
        checksum: Checksum,
    },
    /// A kind that this library has no name for.
    Other {
        /// The kernel's number for it.
        kind: Unnamed<u8>,
        /// Its port, or 0.
        port: u16,
        /// Checksums of the outer packet.
        checksum: Checksum,
    },
}

impl Tunnel {
    /// A tunnel of generic UDP encapsulation to this port, without checksums.
    pub fn gue(port: u16) -> Self {
        Self::new(TunnelKind::Gue, port, Checksum::Off)
    }

    /// A tunnel of generic routing encapsulation, without checksums.
    pub fn gre() -> Self {
        Self::new(TunnelKind::Gre, 0, Checksum::Off)
    }

    /// A tunnel of a kind, with the port and the checksums if tunnels of that kind have such.
    pub fn new(kind: TunnelKind, port: u16, checksum: Checksum) -> Self {
        match kind {
            TunnelKind::Ipip => Self::Ipip,
            TunnelKind::Gue => Self::Gue { port, checksum },
            TunnelKind::Gre => Self::Gre { checksum },
            TunnelKind::Other(kind) => Self::Other { kind, port, checksum },
        }
    }

    /// This tunnel with other checksums, if tunnels of its kind have such.
    #[must_use]
    pub fn with_checksum(self, checksum: Checksum) -> Self {
        Self::new(self.kind(), self.port().unwrap_or_default(), checksum)
    }

    /// Its kind.
    pub fn kind(self) -> TunnelKind {
        match self {
            Self::Ipip => TunnelKind::Ipip,
            Self::Gue { .. } => TunnelKind::Gue,
            Self::Gre { .. } => TunnelKind::Gre,
            Self::Other { kind, .. } => TunnelKind::Other(kind),
        }
    }

    /// Its port; none where it has no such thing.
    pub fn port(self) -> Option<u16> {
        match self {
            Self::Ipip | Self::Gre { .. } => None,
            Self::Gue { port, .. } => Some(port),
            Self::Other { port, .. } => Some(port).filter(|port| *port != 0),
        }
    }

    /// Its checksums; none where it has no such thing.
    pub fn checksum(self) -> Option<Checksum> {
        match self {
            Self::Ipip => None,
            Self::Gue { checksum, .. } | Self::Gre { checksum } => Some(checksum),
            Self::Other { checksum, .. } => Some(checksum).filter(|checksum| *checksum != Checksum::Off),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (kind, port, checksum) = match parts[..] {
            [kind] => (kind, None, None),
            [kind, port] if port.parse::<u16>().is_ok() => (kind, Some(port), None),
            [kind, checksum] => (kind, None, Some(checksum)),
            [kind, port, checksum] => (kind, Some(port), Some(checksum)),
            _ => return None,
        };
        let port: Option<u16> = port.map(str::parse).transpose().ok()?;
        let checksum: Option<Checksum> = checksum.map(str::parse).transpose().ok()?;
        let tunnel = Self::new(kind.parse().ok()?, port.unwrap_or_default(), checksum.unwrap_or_default());
        let has_parts = (port.is_none() || tunnel.port() == port)
            && (checksum.is_none() || tunnel.checksum() == checksum);
        let is_whole = port.is_some() || tunnel.kind() != TunnelKind::Gue;
        (has_parts && is_whole).then_some(tunnel)
    }
}

impl fmt::Display for Tunnel {
    /// As `ipvsadm -L --tun-info` has it: `ipip`, `gue:6080:-c`, `gre:+c`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port().map_or(String::new(), |port| format!(":{port}"));
        let checksum = self.checksum().map_or(String::new(), |checksum| format!(":{checksum}"));
        f.pad(&format!("{}{port}{checksum}", self.kind()))
    }
}

impl FromStr for Tunnel {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes; without a checksum there is none.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::parse(text)
            .ok_or_else(|| InvalidValue::new("the tunnel", text, "such as: ipip, gue:6080, gue:6080:+c, gre"))
    }
}

/// The kinds of tunnels there are (kernel: `IPVS_DEST_ATTR_TUN_TYPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TunnelKind {
    /// IP in IP
    #[default]
    Ipip,
    /// Generic UDP encapsulation
    Gue,
    /// Generic routing encapsulation
    Gre,
    /// A number that this library has no name for.
    Other(Unnamed<u8>),
}

impl TunnelKind {
    /// The kernel's number for it.
    pub fn number(self) -> u8 {
        match self {
            Self::Ipip => IP_VS_CONN_F_TUNNEL_TYPE_IPIP,
            Self::Gue => IP_VS_CONN_F_TUNNEL_TYPE_GUE,
            Self::Gre => IP_VS_CONN_F_TUNNEL_TYPE_GRE,
            Self::Other(number) => number.get(),
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Ipip => Some("ipip"),
            Self::Gue => Some("gue"),
            Self::Gre => Some("gre"),
            Self::Other(_) => None,
        }
    }
}

impl From<u8> for TunnelKind {
    fn from(number: u8) -> Self {
        match number {
            IP_VS_CONN_F_TUNNEL_TYPE_IPIP => Self::Ipip,
            IP_VS_CONN_F_TUNNEL_TYPE_GUE => Self::Gue,
            IP_VS_CONN_F_TUNNEL_TYPE_GRE => Self::Gre,
            other => Self::Other(Unnamed(other)),
        }
    }
}

impl fmt::Display for TunnelKind {
    /// `ipip`, `gue`, `gre`; `tunnel-9` for a number without a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("tunnel-{}", self.number())),
        }
    }
}

impl FromStr for TunnelKind {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let number = || text.strip_prefix("tunnel-")?.parse::<u8>().ok().map(Self::from);
        let known = [Self::Ipip, Self::Gue, Self::Gre].into_iter().find(|known| known.name() == Some(text));
        known
            .or_else(number)
            .ok_or_else(|| InvalidValue::new("the kind of tunnel", text, "it is ipip, gue or gre"))
    }
}

/// Checksums of a tunnel's outer packet (kernel: `IPVS_DEST_ATTR_TUN_FLAGS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Checksum {
    /// None
    #[default]
    Off,
    /// A checksum
    On,
    /// Remote checksum offload
    Remote,
    /// Flags that this library has no name for, or several at once, which the kernel stores as well.
    Other(Unnamed<u16>),
}

impl Checksum {
    /// The kernel's flags for it.
    pub fn flags(self) -> u16 {
        match self {
            Self::Off => IP_VS_TUNNEL_ENCAP_FLAG_NOCSUM,
            Self::On => IP_VS_TUNNEL_ENCAP_FLAG_CSUM,
            Self::Remote => IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM,
            Self::Other(flags) => flags.get(),
        }
    }
}

impl From<u16> for Checksum {
    /// The checksums with these flags of the kernel's.
    fn from(flags: u16) -> Self {
        match flags {
            IP_VS_TUNNEL_ENCAP_FLAG_NOCSUM => Self::Off,
            IP_VS_TUNNEL_ENCAP_FLAG_CSUM => Self::On,
            IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM => Self::Remote,
            other => Self::Other(Unnamed(other)),
        }
    }
}

impl fmt::Display for Checksum {
    /// As `ipvsadm -L --tun-info` has it: `-c`, `+c`, `r+c`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("-c"),
            Self::On => f.pad("+c"),
            Self::Remote => f.pad("r+c"),
            Self::Other(flags) => f.pad(&format!("checksum-{}", flags.get())),
        }
    }
}

impl FromStr for Checksum {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let number = || text.strip_prefix("checksum-")?.parse::<u16>().ok().map(Self::from);
        match text {
            "-c" => Some(Self::Off),
            "+c" => Some(Self::On),
            "r+c" => Some(Self::Remote),
            _ => number(),
        }
        .ok_or_else(|| InvalidValue::new("the checksum", text, "it is -c, +c or r+c"))
    }
}
