//! Tables: all services with their real servers, and the timeouts and sync daemons that the table speaks of.

use serde::de::Error;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::destination;
use super::service::ServiceObject;
use super::strict::Strict;
use crate::config::{Timeouts, Version};
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::Destination;
use crate::service::Service;
use crate::table::{Entry, Table};
use crate::table_load::TableLoad;

/// A service of a table.
#[derive(Serialize)]
struct WithServers<'a> {
    #[serde(flatten)]
    service: ServiceObject,
    servers: Vec<&'a Destination>,
}

impl<'a> From<&'a Entry> for WithServers<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { service, destinations } = entry;
        // In an order that leads to the same table again.
        let servers = if service.scheduler.depends_on_order() {
            destinations.by_age()
        } else {
            destinations.iter().collect()
        };
        Self { service: ServiceObject::from(*service), servers }
    }
}

struct Services<'a>(&'a Table);

impl Serialize for Services<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.services.iter().map(WithServers::from))
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { services: _, is_emptied: _, timeouts, daemons, only: _ } = self;
        let mut object = serializer.serialize_struct("Table", 5)?;
        object.serialize_field("schema", &Self::SCHEMA)?;
        object.serialize_field("services", &Services(self))?;
        if let Some(timeouts) = timeouts {
            object.serialize_field("timeouts", timeouts)?;
        }
        let running: Vec<&SyncDaemon> = daemons.values().flatten().collect();
        if !running.is_empty() {
            object.serialize_field("daemons", &running)?;
        }
        let stopped: Vec<DaemonState> = self.stopped_daemons().collect();
        if !stopped.is_empty() {
            object.serialize_field("stopped_daemons", &stopped)?;
        }
        object.end()
    }
}

/// A table as it is read. A listing is one, too: what the kernel counts is ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableObject {
    #[serde(default)]
    schema: Option<u32>,
    #[serde(default, rename = "ipvs")]
    _ipvs: Option<Version>,
    #[serde(default, rename = "connection_table_size")]
    _connection_table_size: Option<u32>,
    #[serde(default, rename = "load")]
    _load: Option<TableLoad>,
    services: Vec<Listed>,
    #[serde(default)]
    timeouts: Option<Timeouts>,
    #[serde(default)]
    daemons: Vec<SyncDaemon>,
    #[serde(default)]
    stopped_daemons: Vec<DaemonState>,
}

/// A service and its real servers.
#[derive(Deserialize)]
#[serde(try_from = "ServiceObject")]
struct Listed(Service, Vec<Destination>);

impl TryFrom<ServiceObject> for Listed {
    type Error = String;

    fn try_from(object: ServiceObject) -> Result<Self, String> {
        let service = object.service()?;
        let servers = object.servers.unwrap_or_default().into_iter();
        Ok(Self(service, servers.map(|destination::Listed(server)| server).collect()))
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let TableObject { schema, services, timeouts, daemons, stopped_daemons, .. } =
            TableObject::deserialize(Strict(deserializer))?;
        if let Some(schema) = schema.filter(|schema| *schema != Self::SCHEMA) {
            return Err(D::Error::custom(format!(
                "the schema {schema} is not known; it is {}",
                Self::SCHEMA
            )));
        }
        // The key must be there: that it has none is said.
        let mut table = Self { timeouts, is_emptied: services.is_empty(), ..Self::default() };
        for Listed(service, servers) in services {
            let (id, count) = (service.id, servers.len());
            if table.services.contains(&id) {
                return Err(D::Error::custom(format!("the service {id} is there twice")));
            }
            table.put(service, servers);
            if table.destinations(&id).count() != count {
                return Err(D::Error::custom(format!("a server of {id} is there twice")));
            }
        }
        let daemons = daemons.into_iter().map(|daemon| (daemon.state, Some(daemon)));
        for (state, daemon) in daemons.chain(stopped_daemons.into_iter().map(|state| (state, None))) {
            if table.daemons.insert(state, daemon).is_some() {
                return Err(D::Error::custom(format!("the sync daemon {state} is there twice")));
            }
        }
        Ok(table)
    }
}
