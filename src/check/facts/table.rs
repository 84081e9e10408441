//! The kernel's table: services with their servers.

use std::collections::HashSet;
use std::net::IpAddr;

use ipvs::{Client, DestinationEntry, ServiceEntry, ServiceId};

pub(crate) type Table = Vec<(ServiceEntry, Vec<DestinationEntry>)>;

/// All services with their servers, in the order of their ids.
pub(crate) fn read(client: &mut Client) -> ipvs::Result<Table> {
    let mut services = client.services()?;
    services.sort_by_key(|entry| entry.service.id);
    let with_servers = |entry: ServiceEntry| Ok((entry, client.destinations_or_none(&entry.service.id)?));
    services.into_iter().map(with_servers).collect()
}

/// The virtual address of a service; none for a firewall mark.
pub(crate) fn address(id: &ServiceId) -> Option<IpAddr> {
    match id {
        ServiceId::Address { address, .. } if !address.is_unspecified() => Some(*address),
        _ => None,
    }
}

/// The addresses whose routes matter: those of services and servers.
pub(crate) fn addresses(table: &Table) -> HashSet<IpAddr> {
    let services = table.iter().filter_map(|(entry, _)| address(&entry.service.id));
    let servers = table.iter().flat_map(|(_, servers)| servers).map(|entry| entry.destination.id.address);
    services.chain(servers).collect()
}

/// Whether no server of a service gets new connections.
pub(crate) fn all_zero(servers: &[DestinationEntry]) -> bool {
    !servers.is_empty() && servers.iter().all(|server| server.destination.weight == 0)
}

/// Whether a server has reached its upper threshold.
pub(crate) fn is_full(server: &DestinationEntry) -> bool {
    let upper = server.destination.upper_threshold;
    upper > 0 && connections_of(server) >= upper
}

/// The connections of a server that its thresholds count.
pub(crate) fn connections_of(server: &DestinationEntry) -> u32 {
    server.active_connections.saturating_add(server.inactive_connections)
}
