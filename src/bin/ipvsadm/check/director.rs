//! Everything known about a director.

use ipvs::{DestinationEntry, Family, Service, ServiceEntry, SyncDaemon};

use super::Table;
use super::connections::Count;
use super::machine::Machine;
use super::marks::Marks;
use crate::supervisors::Supervisors;

/// Everything known about a director.
pub(crate) struct Director {
    pub(crate) table: Table,
    pub(crate) daemons: Vec<SyncDaemon>,
    pub(crate) connections: Count,
    /// The marks that the packet filter sets; none if its rules cannot be read.
    pub(crate) marks: Option<Marks>,
    pub(crate) supervisors: Supervisors,
    /// The command that shows a family's packet filter, if that may drop forwarded packets.
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
