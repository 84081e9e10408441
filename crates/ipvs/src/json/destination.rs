//! Real servers: their configuration, their connections and counters.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text;
use super::{refuse, required, within};
use crate::destination::{Destination, DestinationEntry, DestinationId};
use crate::error::InvalidValue;
use crate::forwarding::{Checksum, ForwardingMethod, Tunnel, TunnelKind};
use crate::stats::{Counters, Stats};

/// Every key that a real server may have. A [`Destination`] has none of what the kernel counts.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DestinationObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarding: Option<Method>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<Tunnel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_connections: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inactive_connections: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persistent_connections: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Counters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<Counters>,
}

/// A forwarding method by its name; which tunnel it is stands in another object.
struct Method(ForwardingMethod);

impl Method {
    fn text(&self) -> Cow<'static, str> {
        self.0.name().map_or_else(|| Cow::Owned(self.0.to_string()), Cow::Borrowed)
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, "the name of a forwarding method", Self::text, |name| {
            ForwardingMethod::from_name(name).map(Self).ok_or_else(|| {
                let remedy = "it is direct_routing, tunnel, masquerade or local";
                InvalidValue::new("the forwarding method", name, remedy)
            })
        })
    }
}

/// A tunnel: its kind, and what tunnels of that kind have.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TunnelObject {
    r#type: TunnelKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<Checksum>,
}

by_way_of!(TunnelObject: Tunnel);

impl From<Tunnel> for TunnelObject {
    fn from(tunnel: Tunnel) -> Self {
        Self { r#type: tunnel.kind(), port: tunnel.port(), checksum: tunnel.checksum() }
    }
}

impl TryFrom<TunnelObject> for Tunnel {
    type Error = String;

    fn try_from(object: TunnelObject) -> Result<Self, String> {
        let TunnelObject { r#type: kind, port, checksum } = object;
        let tunnel = Tunnel::new(kind, port.unwrap_or_default(), checksum.unwrap_or_default());
        if kind == TunnelKind::Gue {
            let remedy = "a number from 1 to 65535";
            let valid = required(port, "port")? != 0;
            valid.then_some(()).ok_or_else(|| InvalidValue::new("the port", "0", remedy).to_string())?;
        }
        // A kind without a name may have either.
        let is_known = !matches!(kind, TunnelKind::Other(_));
        for (key, is_there, has_one) in [
            ("port", port.is_some(), tunnel.port().is_some()),
            ("checksum", checksum.is_some(), tunnel.checksum().is_some()),
        ] {
            if is_known && is_there && !has_one {
                return Err(format!("a tunnel of type {kind} has no `{key}`"));
            }
        }
        Ok(tunnel)
    }
}

by_way_of!(DestinationObject: Destination, DestinationEntry);

impl From<Destination> for DestinationObject {
    fn from(destination: Destination) -> Self {
        let Destination { id, forwarding, weight, upper_threshold, lower_threshold } = destination;
        let DestinationId { address, port } = id;
        let tunnel = match forwarding {
            ForwardingMethod::Tunnel(tunnel) => Some(tunnel),
            _ => None,
        };
        Self {
            address: Some(address),
            port: Some(port),
            forwarding: Some(Method(forwarding)),
            tunnel,
            weight: Some(weight),
            upper_threshold: Some(upper_threshold),
            lower_threshold: Some(lower_threshold),
            ..Self::default()
        }
    }
}

impl From<DestinationEntry> for DestinationObject {
    fn from(entry: DestinationEntry) -> Self {
        let DestinationEntry {
            destination,
            active_connections,
            inactive_connections,
            persistent_connections,
            stats: Stats { total, rate },
        } = entry;
        Self {
            active_connections: Some(active_connections),
            inactive_connections: Some(inactive_connections),
            persistent_connections: Some(persistent_connections),
            stats: Some(total),
            rates: Some(rate),
            ..Self::from(destination)
        }
    }
}

impl DestinationObject {
    /// The server, without its connections and counters.
    fn destination(&self) -> Result<Destination, String> {
        let Method(named) = *required(self.forwarding.as_ref(), "forwarding")?;
        let forwarding = match (named, self.tunnel) {
            (ForwardingMethod::Tunnel(_), Some(tunnel)) => ForwardingMethod::Tunnel(tunnel),
            (_, Some(_)) => return Err("`tunnel` is for servers whose `forwarding` is tunnel".to_owned()),
            (named, None) => named,
        };
        let weight = self.weight.unwrap_or(1);
        let [upper_threshold, lower_threshold] =
            [self.upper_threshold, self.lower_threshold].map(Option::unwrap_or_default);
        for (what, number) in [
            ("the weight", weight),
            ("the upper threshold", upper_threshold),
            ("the lower threshold", lower_threshold),
        ] {
            within(what, number, 0..=Destination::HIGHEST)?;
        }
        Ok(Destination {
            id: DestinationId {
                address: required(self.address, "address")?,
                port: required(self.port, "port")?,
            },
            forwarding,
            weight,
            upper_threshold,
            lower_threshold,
        })
    }
}

impl TryFrom<DestinationObject> for Destination {
    type Error = String;

    fn try_from(object: DestinationObject) -> Result<Self, String> {
        let DestinationObject {
            address: _,
            port: _,
            forwarding: _,
            tunnel: _,
            weight: _,
            upper_threshold: _,
            lower_threshold: _,
            active_connections,
            inactive_connections,
            persistent_connections,
            stats,
            rates,
        } = &object;
        refuse(&[
            ("active_connections", active_connections.is_some()),
            ("inactive_connections", inactive_connections.is_some()),
            ("persistent_connections", persistent_connections.is_some()),
            ("stats", stats.is_some()),
            ("rates", rates.is_some()),
        ])?;
        object.destination()
    }
}

/// A server of a table; its connections and counters are ignored.
#[derive(Deserialize)]
#[serde(try_from = "DestinationObject")]
pub(super) struct Listed(pub(super) Destination);

impl TryFrom<DestinationObject> for Listed {
    type Error = String;

    fn try_from(object: DestinationObject) -> Result<Self, String> {
        object.destination().map(Self)
    }
}

impl TryFrom<DestinationObject> for DestinationEntry {
    type Error = String;

    fn try_from(object: DestinationObject) -> Result<Self, String> {
        Ok(Self {
            active_connections: object.active_connections.unwrap_or_default(),
            inactive_connections: object.inactive_connections.unwrap_or_default(),
            persistent_connections: object.persistent_connections.unwrap_or_default(),
            stats: Stats { total: object.stats.unwrap_or_default(), rate: object.rates.unwrap_or_default() },
            destination: object.destination()?,
        })
    }
}
