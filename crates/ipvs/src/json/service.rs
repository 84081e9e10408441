//! Services: their ids, their configuration, their counters, and in a table their real servers.

use std::net::IpAddr;
use std::num::NonZero;

use serde::{Deserialize, Serialize};

use super::destination;
use super::{refuse, required, within};
use crate::family::Family;
use crate::name::{PersistenceEngine, Scheduler};
use crate::service::{Netmask, Persistence, SchedulerFlags, Service, ServiceEntry};
use crate::service_id::{Protocol, ServiceId};
use crate::stats::{Counters, Stats};

/// Every key that a service may have. A [`ServiceId`] has the first five, a [`Service`] those of its configuration, too,
/// and a [`ServiceEntry`] its counters.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServiceObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fwmark: Option<NonZero<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduler: Option<Scheduler>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduler_flags: Option<SchedulerFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persistence: Option<PersistenceObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_packet: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Counters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<Counters>,
    /// In a table only, and written there by `WithServers`.
    #[serde(skip_serializing)]
    pub(super) servers: Option<Vec<destination::Listed>>,
}

/// Persistence, and the engine that tells clients apart. The kernel keeps an engine without persistence, too.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PersistenceObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netmask: Option<Netmask>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<PersistenceEngine>,
}

by_way_of!(ServiceObject: ServiceId, Service, ServiceEntry);

impl PersistenceObject {
    /// The persistence of a service; none where there is an engine alone.
    fn persistence(&self, id: &ServiceId) -> Result<Option<Persistence>, String> {
        let Self { timeout, netmask, engine } = *self;
        if timeout.is_none() && netmask.is_none() && engine.is_some() {
            return Ok(None);
        }
        let netmask = netmask.unwrap_or(Netmask::single(id.family()));
        if matches!(netmask, Netmask::V4(_)) != (id.family() == Family::V4) {
            let remedy = format!("the service {id} is of another family");
            return Err(format!("the netmask '{netmask}' cannot be used; {remedy}"));
        }
        let timeout = required(timeout, "timeout")?;
        within("the timeout", timeout, 1..=Persistence::LONGEST)?;
        Ok(Some(Persistence { timeout, netmask }))
    }
}

impl From<ServiceId> for ServiceObject {
    fn from(id: ServiceId) -> Self {
        match id {
            ServiceId::Address { protocol, address, port } => {
                Self { protocol: Some(protocol), address: Some(address), port: Some(port), ..Self::default() }
            }
            ServiceId::Fwmark { mark, family } => {
                Self { fwmark: Some(mark), family: Some(family), ..Self::default() }
            }
        }
    }
}

impl From<Service> for ServiceObject {
    fn from(service: Service) -> Self {
        let Service { id, scheduler, scheduler_flags, persistence, engine, one_packet } = service;
        let persistence = (persistence.is_some() || engine.is_some()).then(|| PersistenceObject {
            timeout: persistence.map(|Persistence { timeout, netmask: _ }| timeout),
            netmask: persistence.map(|Persistence { timeout: _, netmask }| netmask),
            engine,
        });
        Self {
            scheduler: Some(scheduler),
            scheduler_flags: Some(scheduler_flags).filter(|flags| !flags.is_empty()),
            persistence,
            one_packet: one_packet.then_some(true),
            ..Self::from(id)
        }
    }
}

impl From<ServiceEntry> for ServiceObject {
    fn from(entry: ServiceEntry) -> Self {
        let ServiceEntry { service, stats: Stats { total, rate } } = entry;
        Self { stats: Some(total), rates: Some(rate), ..Self::from(service) }
    }
}

impl ServiceObject {
    fn id(&self) -> Result<ServiceId, String> {
        let Self { protocol, address, port, fwmark, family, .. } = *self;
        if let Some(mark) = fwmark {
            for (key, is_there) in
                [("protocol", protocol.is_some()), ("address", address.is_some()), ("port", port.is_some())]
            {
                if is_there {
                    return Err(format!("a service with `fwmark` has no `{key}`"));
                }
            }
            return Ok(ServiceId::Fwmark { mark, family: family.unwrap_or(Family::V4) });
        }
        if family.is_some() {
            return Err("`family` is for services with `fwmark`".to_owned());
        }
        Ok(ServiceId::Address {
            protocol: protocol.ok_or("missing field `protocol`, or `fwmark`")?,
            address: required(address, "address")?,
            port: required(port, "port")?,
        })
    }

    /// The service, without its counters and servers.
    pub(super) fn service(&self) -> Result<Service, String> {
        let id = self.id()?;
        Ok(Service {
            id,
            scheduler: required(self.scheduler, "scheduler")?,
            scheduler_flags: self.scheduler_flags.unwrap_or_default(),
            persistence: self.persistence.map_or(Ok(None), |object| object.persistence(&id))?,
            engine: self.persistence.and_then(|object| object.engine),
            one_packet: self.one_packet.unwrap_or_default(),
        })
    }
}

impl TryFrom<ServiceObject> for ServiceId {
    type Error = String;

    fn try_from(object: ServiceObject) -> Result<Self, String> {
        let ServiceObject {
            protocol: _,
            address: _,
            port: _,
            fwmark: _,
            family: _,
            scheduler,
            scheduler_flags,
            persistence,
            one_packet,
            stats,
            rates,
            servers,
        } = &object;
        refuse(&[
            ("scheduler", scheduler.is_some()),
            ("scheduler_flags", scheduler_flags.is_some()),
            ("persistence", persistence.is_some()),
            ("one_packet", one_packet.is_some()),
            ("stats", stats.is_some()),
            ("rates", rates.is_some()),
            ("servers", servers.is_some()),
        ])?;
        object.id()
    }
}

impl TryFrom<ServiceObject> for Service {
    type Error = String;

    fn try_from(object: ServiceObject) -> Result<Self, String> {
        refuse(&[
            ("stats", object.stats.is_some()),
            ("rates", object.rates.is_some()),
            ("servers", object.servers.is_some()),
        ])?;
        object.service()
    }
}

impl TryFrom<ServiceObject> for ServiceEntry {
    type Error = String;

    fn try_from(object: ServiceObject) -> Result<Self, String> {
        refuse(&[("servers", object.servers.is_some())])?;
        let stats = Stats { total: object.stats.unwrap_or_default(), rate: object.rates.unwrap_or_default() };
        Ok(Self { service: object.service()?, stats })
    }
}
