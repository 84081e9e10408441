//! The director's connections, counted for what they show about the servers.

mod forged;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use ipvs::{Client, Connection, DestinationId, Protocol, ServiceId, Timeouts};

use super::table::Table;
use crate::connections::{Reading, Unsettled};

/// Kernels before 6.14 take longer for each further row: the others are not examined.
const ROWS: usize = 20_000;
/// A connection in `SYN_RECV` that had no packet for this many seconds is stuck; others may have just begun.
const STUCK: u64 = 2;
/// How many seconds the kernel keeps a connection that was reset.
const CLOSE: u64 = 10;

/// How many seconds after their last packet the kernel drops connections, by state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    timeouts: Timeouts,
    /// `secure_tcp` is in effect, which shortens some.
    is_defending: bool,
}

impl Expiry {
    /// From the timeouts of the table, and the setting `secure_tcp`.
    pub(crate) fn new(timeouts: Timeouts, secure_tcp: Option<u32>) -> Self {
        Self { timeouts, is_defending: matches!(secure_tcp, Some(2 | 3)) }
    }

    /// How long a client has waited for the server's answer; none if it does not wait.
    fn waiting(self, row: &Connection<'_>) -> Option<u64> {
        let whole = if self.is_defending { 10 } else { 60 };
        (row.state == "SYN_RECV").then(|| u64::saturating_sub(whole, row.expires))
    }

    /// The age of the last packet of a connection that the server accepted; none for others.
    fn accepted(self, row: &Connection<'_>) -> Option<u64> {
        let whole = match row.state {
            "ESTABLISHED" => self.timeouts.tcp.into(),
            "FIN_WAIT" => self.timeouts.tcp_fin.into(),
            "TIME_WAIT" if self.is_defending => 60,
            "TIME_WAIT" => 120,
            "CLOSE_WAIT" => 60,
            "LAST_ACK" => 30,
            _ => return None,
        };
        Some(u64::saturating_sub(whole, row.expires))
    }
}

/// The connections of a service to a server.
#[derive(Debug, Clone, Default)]
struct ServerConnections {
    all: usize,
    clients: HashSet<IpAddr>,
    /// Those that have waited for the server for less than two seconds.
    opening: usize,
    /// The clients of all that wait, also of those whose answers the server sends again and again, and for how long at least.
    unanswered: Vec<(IpAddr, u64)>,
    /// How long the others have waited.
    stuck: Vec<u64>,
    /// The clients of those, and how long each has waited.
    waiting: Vec<(IpAddr, u64)>,
    /// The clients of accepted connections, and the age of the last packet.
    served: Vec<(IpAddr, u64)>,
    /// The same of those that were reset.
    reset: Vec<(IpAddr, u64)>,
    /// The age of the last packet of each accepted connection.
    accepted: Vec<u64>,
}

impl ServerConnections {
    fn add_ended(&mut self, row: &Connection<'_>, expiry: Expiry) {
        if let Some(age) = expiry.accepted(row) {
            self.accepted.push(age);
            self.served.push((row.client.ip(), age));
        } else if row.state == "CLOSE" {
            self.reset.push((row.client.ip(), u64::saturating_sub(CLOSE, row.expires)));
        }
    }
}

/// Connections to a server that stay in `SYN_RECV`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) count: usize,
    /// The number of all connections.
    pub(crate) all: usize,
    /// For how many seconds the newest has waited.
    pub(crate) newest: u64,
}

/// Connections counted by service and server.
#[derive(Debug, Default)]
pub(crate) struct Count {
    counted: HashMap<(ServiceId, DestinationId), ServerConnections>,
    orphans: BTreeMap<(ServiceId, SocketAddr), usize>,
    /// How many connections each client has, to any service.
    clients: HashMap<IpAddr, usize>,
}

impl Count {
    /// The connections to a server that stay in `SYN_RECV`, if they show that it does not answer.
    pub(crate) fn stuck(&self, service: &ServiceId, server: &DestinationId) -> Option<Stuck> {
        let counted = self.counted.get(&(*service, *server))?;
        let newest = *counted.stuck.iter().min()?;
        let count = counted.stuck.len();
        // The kernel keeps them for a minute even if the server answers again: then more connections were accepted
        // since than wait for it now.
        let accepted_since = counted.accepted.iter().filter(|age| **age < newest).count();
        let has_recovered = accepted_since > counted.opening;
        // A few clients may have gone away; one of several may have a trouble of its own.
        let first = counted.waiting.first().map(|(client, _)| *client);
        let is_one = counted.waiting.iter().all(|(client, _)| Some(*client) == first);
        let others_are_served = counted.served.iter().any(|(client, _)| Some(*client) != first);
        let is_few = count < 3 || count * 4 < counted.all || is_one && others_are_served;
        (!has_recovered && !is_few && self.are_clients(&counted.waiting)).then_some(Stuck {
            count,
            all: counted.all,
            newest,
        })
    }

    /// Whether a server has accepted connections and none waits for it.
    pub(crate) fn is_serving(&self, service: &ServiceId, server: &DestinationId) -> bool {
        self.counted.get(&(*service, *server)).is_some_and(|counted| {
            !counted.accepted.is_empty() && counted.stuck.is_empty() && counted.opening == 0
        })
    }

    /// How many clients wait for a server in vain.
    pub(crate) fn waits(&self, service: &ServiceId, server: &DestinationId) -> usize {
        self.counted.get(&(*service, *server)).map_or(0, |counted| counted.waiting.len())
    }

    /// The clients of some kind that wait for a server in vain, if it has accepted none of that kind since.
    pub(crate) fn waiting(
        &self,
        service: &ServiceId,
        server: &DestinationId,
        is_of_kind: impl Fn(IpAddr) -> bool,
    ) -> Vec<IpAddr> {
        let Some(counted) = self.counted.get(&(*service, *server)) else { return Vec::new() };
        let waiting: Vec<(IpAddr, u64)> =
            counted.waiting.iter().copied().filter(|(client, _)| is_of_kind(*client)).collect();
        let newest = waiting.iter().map(|(_, age)| *age).min().unwrap_or(0);
        if counted.served.iter().any(|(client, age)| *age < newest && is_of_kind(*client)) {
            return Vec::new();
        }
        waiting.into_iter().map(|(client, _)| client).collect()
    }

    /// Whether some server of a service has accepted connections of some clients since the oldest of those that wait for any.
    pub(crate) fn has_served(
        &self,
        service: &ServiceId,
        is_meant: impl Fn(DestinationId, IpAddr) -> bool,
    ) -> bool {
        let of_service = || self.counted.iter().filter(|((of, _), _)| of == service);
        let waiting = of_service().flat_map(|(_, counted)| &counted.waiting);
        let oldest = waiting.map(|(_, age)| *age).max().unwrap_or(u64::MAX);
        of_service().any(|((_, server), counted)| {
            counted.served.iter().any(|(client, age)| *age <= oldest && is_meant(*server, *client))
        })
    }

    /// The clients of a server that have no answer, each as often as it has asked; none if the service has answered anybody since.
    pub(crate) fn unanswered(&self, service: &ServiceId, server: &DestinationId) -> Vec<IpAddr> {
        let unanswered =
            self.counted.get(&(*service, *server)).map_or(&[][..], |counted| &counted.unanswered);
        let oldest = unanswered.iter().map(|(_, age)| *age).max().unwrap_or(0);
        let mut of_service = self.counted.iter().filter(|((of, _), _)| of == service);
        let answers = of_service.any(|(_, counted)| counted.served.iter().any(|(_, age)| *age <= oldest));
        if answers { Vec::new() } else { unanswered.iter().map(|(client, _)| *client).collect() }
    }

    /// Whether a service has connections of some clients.
    pub(crate) fn has_clients(&self, service: &ServiceId, is_meant: impl Fn(IpAddr) -> bool) -> bool {
        let mut of_service = self.counted.iter().filter(|((of, _), _)| of == service);
        of_service.any(|(_, counted)| counted.clients.iter().any(|client| is_meant(*client)))
    }

    /// How many connections to a server were reset, and of how many clients, if it has accepted none since the first.
    pub(crate) fn reset(&self, service: &ServiceId, server: &DestinationId) -> Option<(usize, usize)> {
        let counted = self.counted.get(&(*service, *server))?;
        let first = counted.reset.iter().map(|(_, age)| *age).max()?;
        let accepts = counted.served.iter().any(|(_, age)| *age <= first);
        let clients: HashSet<IpAddr> = counted.reset.iter().map(|(client, _)| *client).collect();
        (!accepts).then_some((counted.reset.len(), clients.len()))
    }

    /// Servers that are no longer in any service but still have open connections, and how many.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = (&ServiceId, &SocketAddr, usize)> {
        self.orphans.iter().map(|((service, server), count)| (service, server, *count))
    }

    fn add_row(&mut self, row: &Connection<'_>, expiry: Expiry, services: &Services) {
        let protocol = match row.protocol {
            "TCP" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            _ => return,
        };
        // A client without a port is a persistence template.
        if row.client.port() == 0 {
            return;
        }
        *self.clients.entry(row.client.ip()).or_default() += 1;
        let service = |port| ServiceId::Address { protocol, address: row.service.ip(), port };
        let known = [service(row.service.port()), service(0)];
        let known = known.iter().find_map(|id| services.by_address.get_key_value(id));
        let Some((service, server)) = known
            .map(|(service, servers)| {
                let is_whole = service.port() != 0;
                let is_it = |id: &&DestinationId| {
                    id.address == row.destination.ip() && (!is_whole || id.port == row.destination.port())
                };
                (service, servers.iter().find(is_it))
            })
            .or_else(|| services.by_mark(row.destination).map(|(service, server)| (service, Some(server))))
        else {
            return;
        };
        if let Some(server) = server {
            let counted = self.counted.entry((*service, *server)).or_default();
            counted.all += 1;
            counted.clients.insert(row.client.ip());
            let waits = expiry.waiting(row);
            counted.unanswered.extend(waits.map(|age| (row.client.ip(), age)));
            match waits {
                Some(age) if age >= STUCK => {
                    counted.stuck.push(age);
                    counted.waiting.push((row.client.ip(), age));
                }
                Some(_) => counted.opening += 1,
                None => counted.add_ended(row, expiry),
            }
        } else if matches!(row.state, "ESTABLISHED" | "UDP") {
            *self.orphans.entry((*service, row.destination)).or_default() += 1;
        }
    }
}

/// Counts the connections of a table's services.
pub(crate) fn count(
    client: &mut Client,
    table: &Table,
    expiry: Expiry,
) -> ipvs::Result<(Count, Result<(), Unsettled>)> {
    let services = Services::of(table);
    let mut count = Count::default();
    let settled = Reading::begin(client)?.for_some(client, ROWS, |row| {
        count.add_row(row, expiry, &services);
        ipvs::Result::Ok(())
    })?;
    Ok((count, settled))
}

/// Counts rows that were read elsewhere.
#[cfg(test)]
pub(crate) fn count_rows(
    table: &Table,
    expiry: Expiry,
    mut rows: ipvs::Connections<impl std::io::BufRead>,
) -> ipvs::Result<Count> {
    let services = Services::of(table);
    let mut count = Count::default();
    while let Some(row) = rows.next_row()? {
        count.add_row(&row, expiry, &services);
    }
    Ok(count)
}

/// The services of a table with their servers.
#[derive(Debug, Default)]
struct Services {
    by_address: HashMap<ServiceId, Vec<DestinationId>>,
    /// The servers of firewall marks, by their addresses.
    by_mark: HashMap<IpAddr, Vec<(ServiceId, DestinationId)>>,
}

impl Services {
    fn of(table: &Table) -> Self {
        let mut services = Self::default();
        for (entry, servers) in table {
            let (id, servers) = (entry.service.id, servers.iter().map(|server| server.destination.id));
            match id {
                ServiceId::Address { .. } => {
                    services.by_address.insert(id, servers.collect());
                }
                ServiceId::Fwmark { .. } => servers.for_each(|server| {
                    services.by_mark.entry(server.address).or_default().push((id, server));
                }),
            }
        }
        services
    }

    /// The service by firewall mark of a connection that no address explains: the only one that has the server. The
    /// kernel does not show the mark.
    fn by_mark(&self, server: SocketAddr) -> Option<(&ServiceId, &DestinationId)> {
        let is_it = |id: &DestinationId| id.port == 0 || id.port == server.port();
        let mut all = self.by_mark.get(&server.ip())?.iter().filter(|(_, id)| is_it(id));
        let (service, id) = all.next()?;
        all.next().is_none().then_some((service, id))
    }
}
