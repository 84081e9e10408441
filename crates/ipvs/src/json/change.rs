//! Changes: which one it is stands in the key `change`, and what it is about beside it.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::strict::Strict;
use crate::change::Change;
use crate::config::Timeouts;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::{Destination, DestinationId};
use crate::service::Service;
use crate::service_id::ServiceId;

#[derive(Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
enum ChangeObject {
    AddService {
        service: Service,
    },
    EditService {
        service: Service,
    },
    DeleteService {
        service: ServiceId,
    },
    AddServer {
        service: ServiceId,
        server: Destination,
    },
    EditServer {
        service: ServiceId,
        server: Destination,
    },
    DeleteServer {
        service: ServiceId,
        server: DestinationId,
    },
    Flush {},
    Zero {
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
        service: Option<ServiceId>,
    },
    SetTimeouts {
        timeouts: Timeouts,
    },
    StartDaemon {
        daemon: SyncDaemon,
    },
    StopDaemon {
        state: DaemonState,
        sync_id: u32,
    },
}

/// A value that is there, and is not null.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ServiceId>, D::Error> {
    ServiceId::deserialize(deserializer).map(Some)
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ChangeObject::from(*self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// An object alone: which change it is could be the first element of an array, too.
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = ChangeObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a change")
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<ChangeObject, A::Error> {
                ChangeObject::deserialize(MapAccessDeserializer::new(Strict(entries)))
            }
        }

        deserializer.deserialize_map(Object).map(Self::from)
    }
}

impl From<Change> for ChangeObject {
    fn from(change: Change) -> Self {
        match change {
            Change::AddService(service) => Self::AddService { service },
            Change::EditService(service) => Self::EditService { service },
            Change::DeleteService(service) => Self::DeleteService { service },
            Change::AddDestination { service, destination: server } => Self::AddServer { service, server },
            Change::EditDestination { service, destination: server } => Self::EditServer { service, server },
            Change::DeleteDestination { service, destination: server } => {
                Self::DeleteServer { service, server }
            }
            Change::Flush => Self::Flush {},
            Change::Zero(service) => Self::Zero { service },
            Change::SetTimeouts(timeouts) => Self::SetTimeouts { timeouts },
            Change::StartDaemon(daemon) => Self::StartDaemon { daemon },
            Change::StopDaemon { state, sync_id } => Self::StopDaemon { state, sync_id },
        }
    }
}

impl From<ChangeObject> for Change {
    fn from(object: ChangeObject) -> Self {
        match object {
            ChangeObject::AddService { service } => Self::AddService(service),
            ChangeObject::EditService { service } => Self::EditService(service),
            ChangeObject::DeleteService { service } => Self::DeleteService(service),
            ChangeObject::AddServer { service, server } => {
                Self::AddDestination { service, destination: server }
            }
            ChangeObject::EditServer { service, server } => {
                Self::EditDestination { service, destination: server }
            }
            ChangeObject::DeleteServer { service, server } => {
                Self::DeleteDestination { service, destination: server }
            }
            ChangeObject::Flush {} => Self::Flush,
            ChangeObject::Zero { service } => Self::Zero(service),
            ChangeObject::SetTimeouts { timeouts } => Self::SetTimeouts(timeouts),
            ChangeObject::StartDaemon { daemon } => Self::StartDaemon(daemon),
            ChangeObject::StopDaemon { state, sync_id } => Self::StopDaemon { state, sync_id },
        }
    }
}
