//! Which connections of the kernel are listed.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use ipvs::{Client, Connection, DestinationId, Family, Protocol, ServiceId};

use crate::command::ConnectionFilter;
use crate::connections::{Reading, Unsettled};

/// The connections of the kernel to which a filter applies.
pub(super) struct FilteredConnections<'a> {
    client: &'a mut Client,
    reading: Reading,
    filter: Filter,
}

impl<'a> FilteredConnections<'a> {
    /// Reads what the filter needs to know. Connections that cannot be read are an error here, before anything is printed.
    pub(super) fn new(filter: ConnectionFilter, client: &'a mut Client) -> ipvs::Result<Self> {
        let reading = Reading::begin(client)?;
        let mark = match filter.service {
            Some(id @ ServiceId::Fwmark { .. }) => Some(MarkedService::read(id, client)?),
            _ => None,
        };
        Ok(Self { client, reading, filter: Filter { given: filter, mark } })
    }

    /// Hands out the connections as they are read.
    pub(super) fn for_each(
        self,
        work: impl FnMut(&Connection<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Result<(), Unsettled>> {
        self.reading.for_each(self.client, |connection| self.filter.keeps(connection), work)
    }
}

struct Filter {
    given: ConnectionFilter,
    /// The service of the filter, if it is one of a firewall mark.
    mark: Option<MarkedService>,
}

impl Filter {
    fn keeps(&self, connection: &Connection<'_>) -> bool {
        let ConnectionFilter { service, server, client, state } = self.given;
        state.is_none_or(|state| state == connection.state)
            && client.is_none_or(|network| network.contains(&connection.client.ip()))
            && server.is_none_or(|(address, port)| {
                is_at(connection.destination, address, port.filter(|_| !is_ended(connection)))
            })
            && match (&self.mark, service) {
                (Some(mark), _) => mark.has(connection),
                (None, Some(ServiceId::Address { protocol, address, port })) => {
                    let port = Some(port).filter(|port| *port != 0 && !has_lost_its_service(connection));
                    protocol_of(connection) == Some(protocol) && is_at(connection.service, address, port)
                }
                (None, _) => true,
            }
    }
}

/// Whether an end is at an address, and at a port if one is given.
fn is_at(end: SocketAddr, address: IpAddr, port: Option<u16>) -> bool {
    end.ip() == address && port.is_none_or(|port| end.port() == port)
}

/// What the kernel writes where a port was, in a persistence template that it has ended.
const NO_PORT: u16 = u16::MAX;

/// Whether this is a persistence template that `expire_quiescent_template` has ended: the kernel takes the port of the server
/// from it, before Linux 7.2 that of the service too, and counts it until its time is over. Nobody comes back by it.
pub(super) fn is_ended(connection: &Connection<'_>) -> bool {
    connection.client.port() == 0 && connection.destination.port() == NO_PORT
}

/// Whether such a template does not show any more which service it was of.
pub(super) fn has_lost_its_service(connection: &Connection<'_>) -> bool {
    is_ended(connection) && connection.service.port() == NO_PORT
}

/// The protocol of a connection, if services can have it.
pub(super) fn protocol_of(connection: &Connection<'_>) -> Option<Protocol> {
    match connection.protocol {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
}

/// The service whose persistence template this is, if that is one of a firewall mark: the template has the mark as the
/// first four bytes of its virtual address.
pub(super) fn marked_service(connection: &Connection<'_>) -> Option<ServiceId> {
    let (number, family) = match connection.service.ip() {
        _ if connection.protocol != "IP" => return None,
        IpAddr::V4(address) => (address.to_bits(), Family::V4),
        IpAddr::V6(address) => (u32::try_from(address.to_bits() >> 96).ok()?, Family::V6),
    };
    ServiceId::fwmark(number, family)
}

/// A service of a firewall mark. The kernel shows the mark of its persistence templates only; other connections are taken
/// for its own if they go to one of its servers, and to a virtual address and port that no service is for.
struct MarkedService {
    id: ServiceId,
    servers: HashSet<DestinationId>,
    others: HashSet<ServiceId>,
}

impl MarkedService {
    fn read(id: ServiceId, client: &mut Client) -> ipvs::Result<Self> {
        let others: HashSet<_> = client.services()?.into_iter().map(|entry| entry.service.id).collect();
        let mut servers = HashSet::new();
        // Connections outlive their service.
        if others.contains(&id) {
            client.for_each_destination(&id, |entry| {
                servers.insert(entry.destination.id);
            })?;
        }
        Ok(Self { id, servers, others })
    }

    fn has(&self, connection: &Connection<'_>) -> bool {
        if let Some(marked) = marked_service(connection) {
            return marked == self.id;
        }
        let Some(protocol) = protocol_of(connection) else { return false };
        let (service, server) = (connection.service, connection.destination);
        let is_server = |port| self.servers.contains(&DestinationId { address: server.ip(), port });
        let is_others =
            |port| self.others.contains(&ServiceId::Address { protocol, address: service.ip(), port });
        let family = if service.is_ipv4() { Family::V4 } else { Family::V6 };
        family == self.id.family()
            && (is_server(server.port()) || is_server(0))
            && !is_others(service.port())
            && !is_others(0)
    }
}
