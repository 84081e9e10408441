//! Small objects of numbers: counters, timeouts, persistence, and the ids of real servers. Their keys are the fields.

use std::net::IpAddr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::strict::Strict;
use super::within;
use crate::config::{Info, Timeouts, Version};
use crate::destination::DestinationId;
use crate::service::{Netmask, Persistence};
use crate::stats::{Counters, Stats};

/// Types that are read by way of an object with the same fields, which must fulfil a condition.
macro_rules! read_by {
    ($($object:ident: $kind:ty, $check:expr;)+) => {
        $(
            impl<'de> Deserialize<'de> for $kind {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let value = $object::deserialize(Strict(deserializer))?;
                    let check: fn(&Self) -> Result<(), String> = $check;
                    check(&value).map_err(D::Error::custom)?;
                    Ok(value)
                }
            }
        )+
    };
}

read_by! {
    CountersObject: Counters, |_| Ok(());
    StatsObject: Stats, |_| Ok(());
    InfoObject: Info, |_| Ok(());
    DestinationIdObject: DestinationId, |_| Ok(());
    TimeoutsObject: Timeouts, |Timeouts { tcp, tcp_fin, udp }| {
        [tcp, tcp_fin, udp].into_iter().try_for_each(|seconds| within("the timeout", *seconds, 0..=Timeouts::LONGEST))
    };
    PersistenceObject: Persistence, |Persistence { timeout, netmask: _ }| {
        within("the timeout", *timeout, 1..=Persistence::LONGEST)
    };
}

#[derive(Deserialize)]
#[serde(remote = "Counters", deny_unknown_fields)]
struct CountersObject {
    connections: u64,
    in_packets: u64,
    out_packets: u64,
    in_bytes: u64,
    out_bytes: u64,
}

#[derive(Deserialize)]
#[serde(remote = "Stats", deny_unknown_fields)]
struct StatsObject {
    #[serde(rename = "stats")]
    total: Counters,
    #[serde(rename = "rates")]
    rate: Counters,
}

#[derive(Deserialize)]
#[serde(remote = "Info", deny_unknown_fields)]
struct InfoObject {
    #[serde(rename = "ipvs")]
    version: Version,
    connection_table_size: u32,
}

#[derive(Deserialize)]
#[serde(remote = "DestinationId", deny_unknown_fields)]
struct DestinationIdObject {
    address: IpAddr,
    port: u16,
}

#[derive(Deserialize)]
#[serde(remote = "Timeouts", deny_unknown_fields)]
struct TimeoutsObject {
    #[serde(default)]
    tcp: u32,
    #[serde(default)]
    tcp_fin: u32,
    #[serde(default)]
    udp: u32,
}

#[derive(Deserialize)]
#[serde(remote = "Persistence", deny_unknown_fields)]
struct PersistenceObject {
    timeout: u32,
    netmask: Netmask,
}
