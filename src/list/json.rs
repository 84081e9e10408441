//! `-L --json`: the listing as one line of JSON. It is written as it is read, so memory does not grow with the table.

use std::io::Write;

use ipvs::{Client, Info, ServiceEntry, TableLoad};
use serde::{Serialize, Serializer};

use super::filter::FilteredConnections;
use super::{ListedServer, Order, destinations, services, summary};
use crate::command::{Connections, List, ListTarget};
use crate::json::Object;
use crate::progress::Progress;

/// Writes a listing.
pub(super) fn list(out: &mut impl Write, list: &List, client: &mut Client, info: Info) -> anyhow::Result<()> {
    match list.what {
        ListTarget::Table => {
            let services = services(client, list.sorted)?;
            table(out, list, client, info, &services)
        }
        ListTarget::Service(id) => {
            let entry = client.service(&id)?;
            table(out, list, client, info, &[entry])
        }
        ListTarget::Connections(Connections { filter, summary, .. }) => {
            let connections = FilteredConnections::new(filter, client)?;
            match summary {
                Some(wanted) => summary::list_json(out, connections, wanted),
                None => self::connections(out, connections),
            }
        }
        ListTarget::Timeouts => one(out, "timeouts", &client.timeouts()?),
        ListTarget::Daemons => one(out, "daemons", &client.daemons()?),
    }
}

/// A service with its real servers.
#[derive(Serialize)]
struct Service<'a> {
    #[serde(flatten)]
    entry: &'a ServiceEntry,
    servers: Servers<'a>,
}

struct Servers<'a>(&'a [ListedServer]);

impl Serialize for Servers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ListedServer::entry))
    }
}

fn table(
    out: &mut impl Write,
    list: &List,
    client: &mut Client,
    info: Info,
    services: &[ServiceEntry],
) -> anyhow::Result<()> {
    let mut object = Object::begin(out)?;
    object.field("ipvs", &info.version.to_string())?;
    object.field("connection_table_size", &info.connection_table_size)?;
    if let Some(load) = TableLoad::read()? {
        object.field("load", &load)?;
    }
    let mut array = object.array("services")?;
    let progress = Progress::of("reading the table", Some(services.len()));
    let order = if list.sorted { Order::Restored } else { Order::Kernel };
    for (number, entry) in services.iter().enumerate() {
        progress.done(number);
        let servers = destinations(client, &entry.service, order, true)?;
        array.push(&Service { entry, servers: Servers(&servers) })?;
    }
    array.end()?;
    Ok(object.end()?)
}

fn connections(out: &mut impl Write, connections: FilteredConnections<'_>) -> anyhow::Result<()> {
    let mut object = Object::begin(out)?;
    let mut array = object.array("connections")?;
    let settled = connections.for_each(|connection| Ok(array.push(connection)?))?;
    array.end()?;
    object.end()?;
    Ok(settled?)
}

fn one(out: &mut impl Write, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
    let mut object = Object::begin(out)?;
    object.field(name, value)?;
    Ok(object.end()?)
}
