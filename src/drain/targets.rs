//! The real servers that a drain is about.

use std::collections::HashSet;
use std::fmt;

use ipvs::{Change, Client, Destination, DestinationEntry, DestinationId, Error, Service, ServiceId};

use crate::command::{Drain, Which};
use crate::messages::{self, Result};
use crate::notes::Notes;

/// Services with their servers.
pub(super) type Listing = Vec<(Service, Vec<DestinationEntry>)>;

/// A real server of a service, which is taken out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) service: Service,
    /// As it is in the table.
    pub(super) server: DestinationEntry,
    /// As it is brought back.
    pub(super) noted: Destination,
}

impl Target {
    /// The change that sends it no new connections.
    pub(super) fn stop(&self) -> Change {
        Change::EditDestination {
            service: self.service.id,
            destination: self.server.destination.with_weight(0),
        }
    }

    /// The change that brings it back while it is in the table.
    pub(super) fn edit(&self) -> Change {
        Change::EditDestination { service: self.service.id, destination: self.noted }
    }

    /// The change that brings it back when it is not.
    pub(super) fn add(&self) -> Change {
        Change::AddDestination { service: self.service.id, destination: self.noted }
    }

    /// The change that deletes it.
    pub(super) fn delete(&self) -> Change {
        Change::DeleteDestination { service: self.service.id, destination: self.id() }
    }

    pub(super) fn id(&self) -> DestinationId {
        self.noted.id
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.service.id, self.id())
    }
}

impl Which {
    /// Whether a server of a service is meant.
    pub(super) fn includes(&self, service: &ServiceId, server: &DestinationId) -> bool {
        self.service.is_none_or(|id| id == *service)
            && self.address.is_none_or(|address| address == server.address)
            && self.port.is_none_or(|port| port == server.port)
    }

    /// As it was typed, more or less.
    pub(super) fn word(&self) -> String {
        match (self.address, self.port) {
            (Some(address), Some(port)) => DestinationId { address, port }.to_string(),
            (Some(address), None) => address.to_string(),
            (None, _) => String::new(),
        }
    }
}

/// Reads a listing's services again: others may have changed them.
pub(super) fn read_again(client: &mut Client, targets: &[Target]) -> Result<Listing> {
    let mut services: Vec<Service> = targets.iter().map(|target| target.service).collect();
    services.dedup_by_key(|service| service.id);
    let with_servers = |service: Service| Ok((service, client.destinations_or_none(&service.id)?));
    services
        .into_iter()
        .map(with_servers)
        .collect::<ipvs::Result<_>>()
        .map_err(|error| messages::refused(&error, None))
}

/// Reads the services that may have such servers.
pub(super) fn read(client: &mut Client, only: Option<&ServiceId>) -> Result<Listing> {
    let entries = match only {
        Some(id) => client.service(id).map(|entry| vec![entry]),
        None => client.services(),
    };
    let mut with_servers = |service: Service| Ok((service, client.destinations_or_none(&service.id)?));
    let listing =
        entries.and_then(|entries| entries.into_iter().map(|entry| with_servers(entry.service)).collect());
    listing.map_err(|error: Error| match only {
        Some(id) if error.is_not_found() => messages::no_service_to_drain(id),
        _ => messages::refused(&error, None),
    })
}

/// The servers that are meant, and may be taken out.
pub(super) fn find_all(listing: &Listing, drain: &Drain, notes: &Notes) -> Result<Vec<Target>> {
    let targets = find(listing, &drain.which, notes)?;
    if !drain.force {
        refuse_last(listing, &targets)?;
    }
    Ok(targets)
}

/// The servers that are meant; an error if there are none. One of weight 0 is brought back as an earlier drain has
/// noted it.
pub(super) fn find(listing: &Listing, which: &Which, notes: &Notes) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (service, servers) in listing {
        for server in servers.iter().filter(|server| which.includes(&service.id, &server.destination.id)) {
            let now = server.destination;
            let before = notes.find(&service.id, &now.id).filter(|_| now.weight == 0);
            let original = now.with_weight(before.map_or(now.weight, |before| before.server.weight));
            targets.push(Target { service: *service, server: *server, noted: original });
        }
    }
    if !targets.is_empty() {
        return Ok(targets);
    }
    Err(messages::no_server_to_drain(&which.word()))
}

/// Refuses to take the last server out of a service that can get new connections.
pub(super) fn refuse_last(listing: &Listing, targets: &[Target]) -> Result<()> {
    let drained: HashSet<(ServiceId, DestinationId)> =
        targets.iter().map(|target| (target.service.id, target.id())).collect();
    let remains = |service: &Service, server: &DestinationEntry| {
        server.destination.weight > 0 && !drained.contains(&(service.id, server.destination.id))
    };
    let with_servers =
        listing.iter().filter(|(service, servers)| servers.iter().any(|server| remains(service, server)));
    let served: HashSet<ServiceId> = with_servers.map(|(service, _)| service.id).collect();
    let last = targets
        .iter()
        .find(|target| target.server.destination.weight > 0 && !served.contains(&target.service.id));
    last.map_or(Ok(()), |target| Err(messages::last_server(&target.service.id, &target.id())))
}
