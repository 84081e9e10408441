//! Everything known about a director.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipvs::{
    DestinationEntry, DestinationId, Service, ServiceEntry, ServiceId, SyncDaemon, TableLoad, Timeouts,
};

use super::connections::Count;
use super::filters::ruleset::Ruleset;
use super::machine::Machine;
use super::{Table, address};
use crate::supervisors::Supervisors;

/// Everything known about a director.
pub(crate) struct Director {
    pub(crate) table: Table,
    pub(crate) daemons: Vec<SyncDaemon>,
    pub(crate) timeouts: Option<Timeouts>,
    pub(crate) connections: Count,
    /// How full the tables are; none before Linux 7.2, which has no limit.
    pub(crate) load: Option<TableLoad>,
    /// The CPUs on which the kernel brings counters up to date, as it lists them; none if they cannot be chosen.
    pub(crate) estimating: Option<String>,
    pub(crate) supervisors: Supervisors,
    /// The one that has services in its configuration, where the table is empty.
    pub(crate) idle_supervisor: Option<&'static str>,
    /// The weights that servers of weight 0 had earlier, as far as they matter and are known.
    pub(crate) weights: HashMap<(ServiceId, DestinationId), u32>,
    /// The rules of the packet filters.
    pub(crate) rules: Ruleset,
    pub(crate) machine: Machine,
}

impl Director {
    /// Whether the services are those of a Kubernetes cluster: one without endpoints is as it should be, and their addresses
    /// are on a dummy interface, for which other programs answer ARP.
    pub(crate) fn is_of_kubernetes(&self) -> bool {
        matches!(self.supervisors.fill_table, Some("kube-proxy" | "kube-router"))
    }

    /// Every server with its service.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (&Service, &DestinationEntry)> {
        self.table
            .iter()
            .flat_map(|(entry, servers)| servers.iter().map(move |server| (&entry.service, server)))
    }

    /// The virtual addresses.
    pub(crate) fn vips(&self) -> HashSet<IpAddr> {
        self.table.iter().filter_map(|(entry, _)| address(&entry.service.id)).collect()
    }

    /// Every service with its servers.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&Service, &[DestinationEntry])> {
        self.table.iter().map(|(entry, servers): &(ServiceEntry, Vec<_>)| (&entry.service, &servers[..]))
    }
}

/// The connections of a server that its thresholds count.
pub(crate) fn connections_of(server: &DestinationEntry) -> u32 {
    server.active_connections.saturating_add(server.inactive_connections)
}
