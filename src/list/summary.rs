//! `-L -c --summary`: how many connections each client, server, service or state has. Memory grows with the number of
//! these, not of the connections.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use ipvs::{Connection, DestinationId, ServiceId};
use serde::{Serialize, Serializer};

use super::columns::right;
use super::filter::{FilteredConnections, has_lost_its_service, is_ended, marked_service, protocol_of};
use crate::command::{CONNECTION_STATES, Summary, SummaryKey};
use crate::connections::Unsettled;
use crate::json::Object;
use crate::text::AddressFormatter;

/// What some connections have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
enum Group {
    Client {
        client: IpAddr,
    },
    Server(DestinationId),
    Service(ServiceId),
    /// The virtual address of connections that no service is for, such as those of ICMP.
    Other {
        #[serde(serialize_with = "lower")]
        protocol: Name,
        address: IpAddr,
        port: u16,
    },
    State {
        state: Name,
    },
    /// Persistence templates that have ended, at the address of their server or service: the kernel has forgotten the port.
    Ended {
        ended: IpAddr,
    },
}

/// A name of the kernel's.
type Name = Cow<'static, str>;

/// One of a few names, or another.
fn known(name: &str, names: &[&'static str]) -> Name {
    match names.iter().find(|known| **known == name) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(name.to_owned()),
    }
}

/// Protocols are in lower case, as those of services.
fn lower<S: Serializer>(name: &Name, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&name.to_ascii_lowercase())
}

impl Group {
    fn of(connection: &Connection<'_>, key: SummaryKey) -> Self {
        let parts = |end: SocketAddr| (end.ip(), end.port());
        match key {
            SummaryKey::Server if is_ended(connection) => Self::Ended { ended: connection.destination.ip() },
            SummaryKey::Service if has_lost_its_service(connection) => marked_service(connection)
                .map_or(Self::Ended { ended: connection.service.ip() }, Self::Service),
            SummaryKey::Client => Self::Client { client: connection.client.ip() },
            SummaryKey::Server => {
                let (address, port) = parts(connection.destination);
                Self::Server(DestinationId { address, port })
            }
            SummaryKey::State => Self::State { state: known(connection.state, &CONNECTION_STATES) },
            SummaryKey::Service => {
                let (address, port) = parts(connection.service);
                if let Some(protocol) = protocol_of(connection) {
                    return Self::Service(ServiceId::Address { protocol, address, port });
                }
                if let Some(id) = marked_service(connection) {
                    return Self::Service(id);
                }
                Self::Other { protocol: known(connection.protocol, &["ICMP", "ESP", "AH"]), address, port }
            }
        }
    }

    fn text<'a>(&'a self, formatter: &'a mut AddressFormatter<'_>) -> Cow<'a, str> {
        match self {
            Self::Client { client } => client.to_string().into(),
            Self::Server(DestinationId { address, port }) => formatter.endpoint(*address, *port, None).into(),
            Self::Service(id) => formatter.service(id).into(),
            Self::Other { protocol, address, port } => {
                format!("{protocol:<4} {}", formatter.endpoint(*address, *port, None)).into()
            }
            Self::State { state } => state.as_ref().into(),
            Self::Ended { ended } => format!("{ended} (templates that have ended)").into(),
        }
    }
}

/// A group and its number of connections, as JSON has them.
#[derive(Serialize)]
struct Counted {
    #[serde(flatten)]
    group: Group,
    connections: u64,
}

/// The groups that are shown, and how many there are in all.
struct Counts {
    connections: u64,
    groups: usize,
    largest: Vec<Counted>,
    settled: Result<(), Unsettled>,
}

fn count(connections: FilteredConnections<'_>, wanted: Summary) -> anyhow::Result<Counts> {
    let mut counts: HashMap<Group, u64> = HashMap::new();
    let settled = connections.for_each(|connection| {
        *counts.entry(Group::of(connection, wanted.key)).or_default() += 1;
        Ok(())
    })?;
    let groups = counts.len();
    let total = counts.values().sum();
    let mut largest: Vec<_> =
        counts.into_iter().map(|(group, connections)| Counted { group, connections }).collect();
    largest
        .sort_unstable_by(|a, b| (Reverse(a.connections), &a.group).cmp(&(Reverse(b.connections), &b.group)));
    if let Some(top) = wanted.top {
        largest.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    }
    Ok(Counts { connections: total, groups, largest, settled })
}

/// Writes a summary: always in numbers.
pub(super) fn list(
    out: &mut impl Write,
    connections: FilteredConnections<'_>,
    wanted: Summary,
) -> anyhow::Result<()> {
    let Counts { connections, groups, largest, settled } = count(connections, wanted)?;
    let (title, many) = match wanted.key {
        SummaryKey::Client => ("Client", "clients"),
        SummaryKey::Server => ("Server", "servers"),
        SummaryKey::Service => ("Service", "services"),
        SummaryKey::State => ("State", "states"),
    };
    writeln!(out, "IPVS connections by {} (connections={connections}, {many}={groups})", wanted.key.name())?;
    writeln!(out, "Connections {title}")?;
    let mut formatter = AddressFormatter::numeric();
    for Counted { group, connections } in &largest {
        right(out, *connections, 11)?;
        writeln!(out, " {}", group.text(&mut formatter))?;
    }
    Ok(settled?)
}

/// The same as JSON.
pub(super) fn list_json(
    out: &mut impl Write,
    connections: FilteredConnections<'_>,
    wanted: Summary,
) -> anyhow::Result<()> {
    let Counts { connections, groups, largest, settled } = count(connections, wanted)?;
    let mut object = Object::begin(out)?;
    object.field("summary", &wanted.key.name())?;
    object.field("connections", &connections)?;
    object.field("groups", &groups)?;
    object.field("largest", &largest)?;
    object.end()?;
    Ok(settled?)
}
