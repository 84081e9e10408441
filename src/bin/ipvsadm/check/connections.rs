//! The director's connections, counted by what they tell of the servers.

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;
use std::net::SocketAddr;

use ipvs::{Connection, Connections, DestinationEntry, DestinationId, Protocol, ServiceId};

use super::Table;

/// The kernel before 6.14 takes ever longer for each row: more are not looked at.
const ROWS: usize = 20_000;
/// The kernel keeps a connection in `SYN_RECV` for a minute after its last packet. One that had none for two seconds
/// waits in vain.
const STUCK: u64 = 58;

/// What was counted, by service and server.
#[derive(Debug, Default)]
pub(crate) struct Count {
    stuck: HashMap<(ServiceId, DestinationId), usize>,
    all: HashMap<(ServiceId, DestinationId), usize>,
    orphans: BTreeMap<(ServiceId, SocketAddr), usize>,
}

impl Count {
    /// How many connections to a server stay in `SYN_RECV`, and how many there are.
    pub(crate) fn stuck(&self, service: &ServiceId, server: &DestinationId) -> (usize, usize) {
        let of = |counts: &HashMap<_, usize>| counts.get(&(*service, *server)).copied().unwrap_or(0);
        (of(&self.stuck), of(&self.all))
    }

    /// Servers that are in no service any more and still have open connections, and how many.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = (&ServiceId, &SocketAddr, usize)> {
        self.orphans.iter().map(|((service, server), count)| (service, server, *count))
    }

    fn take(&mut self, row: &Connection<'_>, table: &HashMap<ServiceId, Vec<DestinationId>>) {
        let protocol = match row.protocol {
            "TCP" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            _ => return,
        };
        // A client without a port is a template of persistence.
        if row.client.port() == 0 {
            return;
        }
        let service = |port| ServiceId::Address { protocol, address: row.service.ip(), port };
        let known = [service(row.service.port()), service(0)];
        let Some((service, servers)) = known.iter().find_map(|id| table.get_key_value(id)) else { return };
        let is_whole = service.port() != 0;
        let wanted = |id: &&DestinationId| {
            id.address == row.destination.ip() && (!is_whole || id.port == row.destination.port())
        };
        if let Some(server) = servers.iter().find(wanted) {
            *self.all.entry((*service, *server)).or_default() += 1;
            if row.state == "SYN_RECV" && row.expires <= STUCK {
                *self.stuck.entry((*service, *server)).or_default() += 1;
            }
        } else if matches!(row.state, "ESTABLISHED" | "UDP") {
            *self.orphans.entry((*service, row.destination)).or_default() += 1;
        }
    }
}

/// Counts the connections of a table's services.
pub(crate) fn count(table: &Table) -> ipvs::Result<Count> {
    count_rows(table, Connections::open()?)
}

pub(crate) fn count_rows(table: &Table, mut rows: Connections<impl BufRead>) -> ipvs::Result<Count> {
    let ids = |servers: &[DestinationEntry]| servers.iter().map(|server| server.destination.id).collect();
    let table = table.iter().map(|(entry, servers)| (entry.service.id, ids(servers))).collect();
    let mut count = Count::default();
    for _ in 0..ROWS {
        let Some(row) = rows.next_row()? else { break };
        count.take(&row, &table);
    }
    Ok(count)
}
