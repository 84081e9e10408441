//! Connections, which are written only: they borrow from the line that was read. And totals.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::strict::Strict;
use crate::connection::Connection;
use crate::stats::{Counters, Stats};
use crate::totals::Totals;

/// An end of a connection.
#[derive(Serialize)]
struct End {
    address: IpAddr,
    port: u16,
}

impl From<SocketAddr> for End {
    fn from(end: SocketAddr) -> Self {
        Self { address: end.ip(), port: end.port() }
    }
}

#[derive(Serialize)]
struct Engine<'a> {
    name: Bytes<'a>,
    data: Bytes<'a>,
}

/// Bytes as text; those that are no UTF-8 are replaced.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(self.0))
    }
}

/// Text in lower case.
struct Lower<'a>(&'a str);

impl fmt::Display for Lower<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| f.write_char(letter.to_ascii_lowercase()))
    }
}

impl Serialize for Connection<'_> {
    /// The protocol as a service has it, the ends as objects, the rest as the kernel has it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { protocol, client, service, destination, state, expires, engine } = *self;
        let mut object = serializer.serialize_struct("Connection", 7)?;
        match protocol {
            "TCP" => object.serialize_field("protocol", "tcp")?,
            "UDP" => object.serialize_field("protocol", "udp")?,
            other => object.serialize_field("protocol", &Lower(other).to_string())?,
        }
        object.serialize_field("client", &End::from(client))?;
        object.serialize_field("service", &End::from(service))?;
        object.serialize_field("server", &End::from(destination))?;
        object.serialize_field("state", state)?;
        object.serialize_field("expires", &expires)?;
        match engine {
            Some((name, data)) => {
                let engine = Engine { name: Bytes(name), data: Bytes(data) };
                object.serialize_field("engine", &engine)?;
            }
            None => object.skip_field("engine")?,
        }
        object.end()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TotalsObject {
    stats: Counters,
    rates: Counters,
    per_cpu: Vec<CpuObject>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CpuObject {
    cpu: u32,
    stats: Counters,
}

impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { stats: Stats { total, rate }, per_cpu } = self;
        let per_cpu = per_cpu.iter().map(|(cpu, stats)| CpuObject { cpu: *cpu, stats: *stats }).collect();
        TotalsObject { stats: *total, rates: *rate, per_cpu }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Totals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let TotalsObject { stats, rates, per_cpu } = TotalsObject::deserialize(Strict(deserializer))?;
        let per_cpu = per_cpu.into_iter().map(|CpuObject { cpu, stats }| (cpu, stats)).collect();
        Ok(Self { stats: Stats { total: stats, rate: rates }, per_cpu })
    }
}
