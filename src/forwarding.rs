//! How packets reach a real server: forwarding methods, tunnels, and the tunnels' checksums.

use std::fmt;
use std::str::FromStr;

use crate::error::InvalidValue;
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
    /// A number that this library does not know.
    Other(u8),
}

impl ForwardingMethod {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Masquerade => IP_VS_CONN_F_MASQ,
            Self::Local => IP_VS_CONN_F_LOCALNODE,
            Self::Tunnel(_) => IP_VS_CONN_F_TUNNEL,
            Self::DirectRouting => IP_VS_CONN_F_DROUTE,
            Self::Other(number) => u32::from(number),
        }
    }
}

impl fmt::Display for ForwardingMethod {
    /// `masquerade`, `local`, `direct_routing`, or `tunnel:` and which: `tunnel:ipip`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Masquerade => "masquerade".to_owned(),
            Self::Local => "local".to_owned(),
            Self::DirectRouting => "direct_routing".to_owned(),
            Self::Tunnel(tunnel) => format!("tunnel:{tunnel}"),
            Self::Other(number) => format!("method-{number}"),
        })
    }
}

impl FromStr for ForwardingMethod {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes; `tunnel` alone is IP in IP.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let other = || text.strip_prefix("method-")?.parse().ok().map(Self::Other);
        let tunnel = || text.strip_prefix("tunnel:")?.parse().ok().map(Self::Tunnel);
        match text {
            "masquerade" => Some(Self::Masquerade),
            "local" => Some(Self::Local),
            "direct_routing" => Some(Self::DirectRouting),
            "tunnel" => Some(Self::Tunnel(Tunnel::Ipip)),
            _ => tunnel().or_else(other),
        }
        .ok_or_else(|| {
            InvalidValue::new(
                "the forwarding method",
                text,
                "such as: direct_routing, masquerade, tunnel:ipip",
            )
        })
    }
}

/// How a packet is wrapped (kernel: `IPVS_DEST_ATTR_TUN_TYPE`; before 5.3 only the first).
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
    /// A number that this library does not know.
    Other(u8),
}

impl Tunnel {
    pub(crate) fn parts(self) -> (u8, u16, u16) {
        match self {
            Self::Ipip => (IP_VS_CONN_F_TUNNEL_TYPE_IPIP, 0, 0),
            Self::Gue { port, checksum } => (IP_VS_CONN_F_TUNNEL_TYPE_GUE, port, checksum.flags()),
            Self::Gre { checksum } => (IP_VS_CONN_F_TUNNEL_TYPE_GRE, 0, checksum.flags()),
            Self::Other(kind) => (kind, 0, 0),
        }
    }

    pub(crate) fn from_parts(kind: u8, port: u16, flags: u16) -> Self {
        let checksum = Checksum::from_flags(flags);
        match kind {
            IP_VS_CONN_F_TUNNEL_TYPE_IPIP => Self::Ipip,
            IP_VS_CONN_F_TUNNEL_TYPE_GUE => Self::Gue { port, checksum },
            IP_VS_CONN_F_TUNNEL_TYPE_GRE => Self::Gre { checksum },
            kind => Self::Other(kind),
        }
    }
}

impl fmt::Display for Tunnel {
    /// As `ipvsadm -L --tun-info` has it: `ipip`, `gue:6080:-c`, `gre:+c`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Ipip => "ipip".to_owned(),
            Self::Gue { port, checksum } => format!("gue:{port}:{checksum}"),
            Self::Gre { checksum } => format!("gre:{checksum}"),
            Self::Other(kind) => format!("tunnel-{kind}"),
        })
    }
}

impl FromStr for Tunnel {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes; without a checksum there is none.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let parts: Vec<&str> = text.split(':').collect();
        let known = match parts[..] {
            ["ipip"] => Some(Self::Ipip),
            ["gre"] => Some(Self::Gre { checksum: Checksum::Off }),
            ["gre", checksum] => checksum.parse().ok().map(|checksum| Self::Gre { checksum }),
            ["gue", port] => port.parse().ok().map(|port| Self::Gue { port, checksum: Checksum::Off }),
            ["gue", port, checksum] => port
                .parse()
                .ok()
                .zip(checksum.parse().ok())
                .map(|(port, checksum)| Self::Gue { port, checksum }),
            _ => text.strip_prefix("tunnel-").and_then(|kind| kind.parse().ok()).map(Self::Other),
        };
        known
            .ok_or_else(|| InvalidValue::new("the tunnel", text, "such as: ipip, gue:6080, gue:6080:+c, gre"))
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
    /// Both bits or unknown ones, which the kernel stores as well.
    Other(u16),
}

impl Checksum {
    fn flags(self) -> u16 {
        match self {
            Self::Off => IP_VS_TUNNEL_ENCAP_FLAG_NOCSUM,
            Self::On => IP_VS_TUNNEL_ENCAP_FLAG_CSUM,
            Self::Remote => IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM,
            Self::Other(flags) => flags,
        }
    }

    fn from_flags(flags: u16) -> Self {
        match flags {
            IP_VS_TUNNEL_ENCAP_FLAG_NOCSUM => Self::Off,
            IP_VS_TUNNEL_ENCAP_FLAG_CSUM => Self::On,
            IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM => Self::Remote,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Checksum {
    /// As `ipvsadm -L --tun-info` has it: `-c`, `+c`, `r+c`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Off => "-c".to_owned(),
            Self::On => "+c".to_owned(),
            Self::Remote => "r+c".to_owned(),
            Self::Other(flags) => format!("checksum-{flags}"),
        })
    }
}

impl FromStr for Checksum {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let other = || text.strip_prefix("checksum-")?.parse().ok().map(Self::Other);
        match text {
            "-c" => Some(Self::Off),
            "+c" => Some(Self::On),
            "r+c" => Some(Self::Remote),
            _ => other(),
        }
        .ok_or_else(|| InvalidValue::new("the checksum", text, "it is -c, +c or r+c"))
    }
}
