//! What is known of a director.

use ipvs::{DestinationEntry, Family, Service, ServiceEntry, SyncDaemon};

use super::Table;
use super::connections::Count;
use super::machine::Machine;
use super::marks::Marks;
use super::supervisors::Supervisors;

/// What is known of a director.
pub(crate) struct Director {
    pub(crate) table: Table,
    pub(crate) daemons: Vec<SyncDaemon>,
    pub(crate) connections: Count,
    /// The marks that the packet filter sets; none where nobody may read its rules.
    pub(crate) marks: Option<Marks>,
    pub(crate) supervisors: Supervisors,
    /// The command that shows the packet filter of a family, if it may drop what passes.
    pub(crate) filters: fn(Family) -> Option<String>,
    pub(crate) machine: Machine,
}

impl Director {
    /// Every server with its service.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (&Service, &DestinationEntry)> {
        self.table
            .iter()
            .flat_map(|(entry, servers)| servers.iter().map(move |server| (&entry.service, server)))
    }

    /// Every service with its servers.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&Service, &[DestinationEntry])> {
        self.table.iter().map(|(entry, servers): &(ServiceEntry, Vec<_>)| (&entry.service, &servers[..]))
    }
}

/// A server as findings name it.
pub(crate) fn at(service: &Service, server: &DestinationEntry) -> String {
    format!("{} -> {}", service.id, server.destination.id)
}
