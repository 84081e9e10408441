//! Everything known about a director, and how it is read.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use ipvs::{
    Client, DestinationEntry, DestinationId, Service, ServiceEntry, ServiceId, SyncDaemon, TableLoad,
    Timeouts,
};

use super::facts::connections::{self, Count, Expiry};
use super::facts::machine::Machine;
use super::facts::saved::{self, SavedFile};
use super::facts::table::{self, Table, address};
use super::facts::ways::{self, ClientWay};
use super::facts::{neighbours, read};
use super::failure::refused;
use super::firewall;
use super::firewall::ruleset::Ruleset;
use crate::messages::Result;
use crate::supervisors::{self, Supervisors};

/// Everything known about a director.
pub(crate) struct Director {
    pub(crate) table: Table,
    pub(crate) daemons: Vec<SyncDaemon>,
    pub(crate) timeouts: Option<Timeouts>,
    pub(crate) connections: Count,
    /// The ways of answers to clients that wait in vain for masqueraded servers.
    pub(crate) ways: Vec<ClientWay>,
    /// How full the tables are; none before Linux 7.2, which has no limit.
    pub(crate) load: Option<TableLoad>,
    /// The CPUs on which the kernel brings counters up to date, as it lists them; none if they cannot be chosen.
    pub(crate) estimating: Option<String>,
    pub(crate) supervisors: Supervisors,
    /// What else of it is not known.
    pub(crate) unseen: Vec<String>,
    /// The one that has services in its configuration, where the table is empty.
    pub(crate) idle_supervisor: Option<&'static str>,
    /// The weights that servers of weight 0 had earlier, as far as they matter and are known.
    pub(crate) weights: HashMap<(ServiceId, DestinationId), u32>,
    /// The file that the table is saved in, if that is to be checked.
    pub(crate) saved: Option<SavedFile>,
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

/// All that is known of a director with a table.
pub(crate) fn read(client: &mut Client, table: Table, file: Option<&Path>, probe: bool) -> Result<Director> {
    let rules = firewall::read();
    let mut addresses = table::addresses(&table);
    addresses.extend(rules.marked_addresses());
    let mut machine = read::machine(&addresses, None)?;
    if probe {
        neighbours::ask_for_addresses(&mut machine, &table);
    }
    let daemons = client.daemons().map_err(refused)?;
    let supervisors = Supervisors::running(Path::new("/proc"));
    if !daemons.is_empty() || supervisors.fill_table.is_some() {
        neighbours::ask_for_missing(&mut machine, &table);
    }
    let silent = neighbours::silent_hops(&machine, &table);
    neighbours::probe_again(&mut machine, &silent);
    let timeouts = client.timeouts().map_err(refused)?;
    let expiry = Expiry::new(timeouts, machine.sysctl("net/ipv4/vs/secure_tcp"));
    let (connections, settled) = connections::count(client, &table, expiry).map_err(refused)?;
    let ways = ways::read(&table, &connections, &mut machine);
    Ok(Director {
        daemons,
        timeouts: Some(timeouts),
        connections,
        ways,
        unseen: settled.err().map(|unsettled| format!("some connections: {unsettled}")).into_iter().collect(),
        load: TableLoad::read().map_err(refused)?,
        estimating: fs::read_to_string("/proc/sys/net/ipv4/vs/est_cpulist").ok(),
        idle_supervisor: supervisors
            .fill_table
            .filter(|name| table.is_empty() && supervisors::has_services(name)),
        supervisors,
        weights: if table.iter().any(|(_, servers)| table::all_zero(servers)) {
            saved::weights(file)
        } else {
            HashMap::new()
        },
        saved: None,
        rules,
        machine,
        table,
    })
}
