//! `-L`: what is requested from the kernel, and in which order it is written.

mod columns;
mod connections;
mod filter;
mod json;
mod prometheus;
mod rows;
mod summary;

use std::io::Write;
use std::net::IpAddr;

use ipvs::{
    Client, Destination, DestinationEntry, Info, Protocol, Scheduler, Service, ServiceEntry, ServiceId, Stats,
};

use crate::command::{Connections, Format, List, ListTarget, View};
use crate::resolver::Resolver;
use crate::text::{AddressFormatter, address, protocol_of};

use filter::FilteredConnections;

/// Writes a listing.
pub(crate) fn list(
    out: &mut impl Write,
    list: &List,
    client: &mut Client,
    info: Info,
    resolver: &mut Resolver,
) -> anyhow::Result<()> {
    match list.format {
        Format::Json => return json::list(out, list, client, info),
        Format::Prometheus => return prometheus::list(out, list, client, info),
        Format::Text => {}
    }
    let mut formatter = AddressFormatter::new(list.numeric, resolver);
    match list.what {
        ListTarget::Table => {
            writeln!(
                out,
                "IP Virtual Server version {} (size={})",
                info.version, info.connection_table_size
            )?;
            let services = services(client, list.sorted)?;
            if list.numeric {
                out.write_all(rows::heading(list.view).as_bytes())?;
                return services
                    .iter()
                    .try_for_each(|entry| service(out, list, client, entry, &mut formatter));
            }
            let whole = with_servers(client, services, list)?;
            formatter.expect(whole.iter().flat_map(|(entry, servers)| endpoints(&entry.service.id, servers)));
            out.write_all(rows::heading(list.view).as_bytes())?;
            whole
                .iter()
                .try_for_each(|(entry, servers)| table_rows(out, list, entry, servers, &mut formatter))
        }
        ListTarget::Service(id) => {
            let entry = client.service(&id)?;
            out.write_all(rows::heading(list.view).as_bytes())?;
            service(out, list, client, &entry, &mut formatter)
        }
        ListTarget::Connections(Connections { filter, summary: Some(wanted), .. }) => {
            summary::list(out, FilteredConnections::new(filter, client)?, wanted)
        }
        ListTarget::Connections(Connections { filter, with_engine, summary: None }) => {
            let connections = FilteredConnections::new(filter, client)?;
            out.write_all(connections::heading(with_engine).as_bytes())?;
            connections::rows(out, connections, with_engine, &mut formatter)
        }
        ListTarget::Timeouts => {
            let timeouts = client.timeouts()?;
            writeln!(
                out,
                "Timeout (tcp tcpfin udp): {} {} {}",
                timeouts.tcp, timeouts.tcp_fin, timeouts.udp
            )?;
            Ok(())
        }
        ListTarget::Daemons => daemons(out, client),
    }
}

/// The services, in the order of a listing or a save.
pub(crate) fn services(client: &mut Client, sorted: bool) -> ipvs::Result<Vec<ServiceEntry>> {
    let mut services = client.services()?;
    if sorted {
        services.sort_by_cached_key(|entry| entry.service.id);
    }
    Ok(services)
}

/// A real server, kept until the dump of its service is complete. Memory is most of the cost of a long listing, and
/// counters are most of an entry, so they are kept only if they are shown.
pub(crate) struct ListedServer {
    pub(crate) destination: Destination,
    active_connections: u32,
    inactive_connections: u32,
    persistent_connections: u32,
    stats: Option<Box<Stats>>,
}

impl ListedServer {
    fn entry(&self) -> DestinationEntry {
        let Self { destination, active_connections, inactive_connections, persistent_connections, .. } =
            *self;
        DestinationEntry {
            destination,
            active_connections,
            inactive_connections,
            persistent_connections,
            stats: self.stats.as_deref().copied().unwrap_or_default(),
        }
    }
}

/// In which order the real servers of a service are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By their addresses.
    Sorted,
    /// As the kernel has them, the newest first.
    Kernel,
    /// By their addresses, or the oldest first where a restore must add them in that order, lest clients go elsewhere.
    Restored,
}

impl Order {
    /// That of a listing which is sorted, or not.
    pub(crate) fn of(sorted: bool) -> Self {
        if sorted { Self::Sorted } else { Self::Kernel }
    }

    fn arrange(self, scheduler: Scheduler, servers: &mut [ListedServer]) {
        match self {
            Self::Kernel => {}
            Self::Restored if scheduler.depends_on_order() => servers.reverse(),
            Self::Restored | Self::Sorted => servers.sort_unstable_by_key(|kept| kept.destination.id),
        }
    }
}

/// The real servers of a service, in the order of a listing or a save.
pub(crate) fn destinations(
    client: &mut Client,
    service: &Service,
    order: Order,
    with_stats: bool,
) -> ipvs::Result<Vec<ListedServer>> {
    let mut destinations = Vec::new();
    client.for_each_destination(&service.id, |entry| {
        let DestinationEntry {
            destination,
            active_connections,
            inactive_connections,
            persistent_connections,
            stats,
        } = entry;
        let stats = with_stats.then(|| Box::new(stats));
        destinations.push(ListedServer {
            destination,
            active_connections,
            inactive_connections,
            persistent_connections,
            stats,
        });
    })?;
    order.arrange(service.scheduler, &mut destinations);
    Ok(destinations)
}

/// A service and its real servers.
fn service(
    out: &mut impl Write,
    list: &List,
    client: &mut Client,
    entry: &ServiceEntry,
    formatter: &mut AddressFormatter<'_>,
) -> anyhow::Result<()> {
    let servers = listed_servers(client, entry, list)?;
    formatter.expect(endpoints(&entry.service.id, &servers));
    table_rows(out, list, entry, &servers, formatter)
}

fn listed_servers(client: &mut Client, entry: &ServiceEntry, list: &List) -> ipvs::Result<Vec<ListedServer>> {
    let with_stats = matches!(list.view, View::Stats | View::Rate);
    destinations(client, &entry.service, Order::of(list.sorted), with_stats)
}

/// The whole table: its names are looked up together, before the first is written.
fn with_servers(
    client: &mut Client,
    services: Vec<ServiceEntry>,
    list: &List,
) -> ipvs::Result<Vec<(ServiceEntry, Vec<ListedServer>)>> {
    let with_servers = |entry: ServiceEntry| {
        let servers = listed_servers(client, &entry, list)?;
        Ok((entry, servers))
    };
    services.into_iter().map(with_servers).collect()
}

/// So many bytes are written together.
const TOGETHER: usize = 500;

fn table_rows(
    out: &mut impl Write,
    list: &List,
    entry: &ServiceEntry,
    servers: &[ListedServer],
    formatter: &mut AddressFormatter<'_>,
) -> anyhow::Result<()> {
    // A row is put together before it is written, for that takes a dozen pieces.
    let mut lines = Vec::with_capacity(2 * TOGETHER);
    rows::service(&mut lines, entry, list.view, list.exact, formatter)?;
    for kept in servers {
        rows::destination(&mut lines, &entry.service.id, &kept.entry(), list.view, list.exact, formatter)?;
        if lines.len() > TOGETHER {
            out.write_all(&lines)?;
            lines.clear();
        }
    }
    out.write_all(&lines)?;
    Ok(())
}

/// The addresses and ports of a service and its servers, as they are formatted.
pub(crate) fn endpoints(
    id: &ServiceId,
    servers: &[ListedServer],
) -> impl Iterator<Item = (IpAddr, u16, Option<Protocol>)> {
    let own = match *id {
        ServiceId::Address { protocol, address, port } => Some((address, port, Some(protocol))),
        ServiceId::Fwmark { .. } => None,
    };
    let protocol = protocol_of(id);
    let servers = servers.iter().map(move |kept| {
        let server = kept.destination.id;
        (server.address, server.port, protocol)
    });
    own.into_iter().chain(servers)
}

fn daemons(out: &mut impl Write, client: &mut Client) -> anyhow::Result<()> {
    for daemon in client.daemons()? {
        let state = daemon.state;
        write!(out, "{state} sync daemon (mcast=")?;
        out.write_all(daemon.interface.as_bytes())?;
        write!(out, ", syncid={}", daemon.sync_id)?;
        if daemon.max_length != 0 {
            write!(out, ", maxlen={}", daemon.max_length)?;
        }
        if let Some(group) = daemon.group {
            write!(out, ", group={}", address(group))?;
        }
        if daemon.port != 0 {
            write!(out, ", port={}", daemon.port)?;
        }
        if daemon.ttl != 0 {
            write!(out, ", ttl={}", daemon.ttl)?;
        }
        writeln!(out, ")")?;
    }
    Ok(())
}
