//! What the view asks the kernel for.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use ipvs::{Client, Connection, Counters, DestinationId, ServiceEntry, ServiceId, Totals};

use super::model::Model;
use crate::connections::Reading;
use crate::messages::{self, Result};
use crate::session::Session;

/// There as long as the module is loaded.
const LOADED: &str = "/proc/thread-self/net/ip_vs";

/// So many missing services are asked for one by one, rather than with all others.
const FEW: usize = 64;

/// The kernel's table, or one service of it.
pub(super) struct Kernel<'a> {
    session: &'a mut Session,
    only: Option<ServiceId>,
    /// The services of the last reading, in order.
    known: Vec<ServiceId>,
}

/// Which connections are shown: so many of a server, from the first on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) service: ServiceId,
    pub(super) server: DestinationId,
    pub(super) first: usize,
    pub(super) count: usize,
}

/// Connections of a server.
#[derive(Debug)]
pub(super) struct OfServer {
    pub(super) of: Shown,
    /// Those that are shown.
    pub(super) rows: Vec<Row>,
    /// How many there are.
    pub(super) all: usize,
    /// Whether these are certainly all.
    pub(super) are_all: bool,
}

/// A connection as the view shows it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) protocol: String,
    pub(super) client: SocketAddr,
    pub(super) state: String,
    pub(super) expires: u64,
}

impl<'a> Kernel<'a> {
    pub(super) fn new(session: &'a mut Session, only: Option<ServiceId>) -> Self {
        Self { session, only, known: Vec::new() }
    }

    /// Reads all services, or the one that is watched.
    pub(super) fn first(&mut self, model: &mut Model) -> Result<()> {
        let (services, totals) = self.services_and_totals()?;
        model.update(&services, totals, Instant::now());
        Ok(())
    }

    /// The same again. What keeps them from being read is shown, for it may pass.
    pub(super) fn read(&mut self, model: &mut Model) {
        model.take(self.services_and_totals());
    }

    /// Reads one service of many.
    pub(super) fn read_one(&mut self, id: &ServiceId, model: &mut Model) {
        match self.service(id) {
            Ok(entry) => model.update_one(&entry, Instant::now()),
            Err(failure) => model.failure = Some(failure.message),
        }
    }

    /// Reads the servers of a service, unless they are of this reading.
    pub(super) fn read_servers(&mut self, id: &ServiceId, model: &mut Model, now: Instant) {
        if model.failure.is_some() || !model.lacks_servers(id) {
            return;
        }
        match self.asked(|client| client.destinations_or_none(id)) {
            Ok(mut servers) => {
                servers.sort_unstable_by_key(|entry| entry.destination.id);
                model.update_servers(*id, &servers, now);
            }
            Err(failure) => model.failure = Some(failure.message),
        }
    }

    fn service(&mut self, id: &ServiceId) -> Result<ServiceEntry> {
        let found = self.asked(|client| match client.service(id) {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(Some),
        })?;
        found.ok_or_else(|| messages::no_such_service(id))
    }

    pub(super) fn services_and_totals(&mut self) -> Result<(Vec<ServiceEntry>, Counters)> {
        if let Some(id) = self.only {
            let entry = self.service(&id)?;
            return Ok((vec![entry], entry.stats.total));
        }
        let known = std::mem::take(&mut self.known);
        let services = self.asked(|client| services(client, &known))?;
        self.known = services.iter().map(|entry| entry.service.id).collect();
        let totals = Totals::read().map_err(|error| messages::refused(&error, None))?;
        Ok((services, totals.stats.total))
    }

    /// Reads the connections of a server.
    pub(super) fn connections(&mut self, of: Shown) -> Result<OfServer> {
        self.asked(|client| of_server(client, of))
    }

    /// Asks the kernel something. After a failure its sockets are opened anew, but its module is not loaded again: whoever
    /// unloaded it had a reason.
    fn asked<T>(&mut self, ask: impl Fn(&mut Client) -> ipvs::Result<T>) -> Result<T> {
        let mut is_again = false;
        loop {
            if !self.session.is_open() && !Path::new(LOADED).exists() {
                return Err(messages::unavailable("Protocol not available", messages::UNLOADED));
            }
            match ask(self.session.client()?) {
                Ok(answer) => return Ok(answer),
                // The module may have been loaded again.
                Err(_) if !is_again => is_again = true,
                Err(error) => return Err(messages::refused(&error, None)),
            }
            self.session.close();
        }
    }
}

/// All services in one dump, in the order of their ids. A dump may miss a service while others are deleted, so those
/// that were there before are asked for.
fn services(client: &mut Client, known: &[ServiceId]) -> ipvs::Result<Vec<ServiceEntry>> {
    let mut services = Vec::with_capacity(known.len());
    let is_whole = client.dump_services(&mut |entry| services.push(entry))?;
    services.sort_unstable_by_key(|entry| entry.service.id);
    services.dedup_by_key(|entry| entry.service.id);
    if is_whole || services.iter().map(|entry| &entry.service.id).eq(known) {
        return Ok(services);
    }
    let seen: HashSet<ServiceId> = services.iter().map(|entry| entry.service.id).collect();
    let missing: Vec<&ServiceId> = known.iter().filter(|id| !seen.contains(id)).collect();
    if missing.len() > FEW {
        services = client.services()?;
    } else {
        for id in missing {
            match client.service(id) {
                Err(error) if error.is_not_found() => {}
                answer => services.push(answer?),
            }
        }
    }
    services.sort_unstable_by_key(|entry| entry.service.id);
    Ok(services)
}

/// Connections of a server.
fn of_server(client: &mut Client, of: Shown) -> ipvs::Result<OfServer> {
    let (mut rows, mut all) = (Vec::new(), 0);
    let settled = Reading::begin(client)?.for_some(client, usize::MAX, |connection| {
        if is_of(connection, &of.service, &of.server) {
            if all >= of.first && rows.len() < of.count {
                let Connection { protocol, client, service: _, destination: _, state, expires, engine: _ } =
                    *connection;
                let (protocol, state) = (protocol.to_owned(), state.to_owned());
                rows.push(Row { protocol, client, state, expires });
            }
            all += 1;
        }
        ipvs::Result::Ok(())
    })?;
    Ok(OfServer { of, rows, all, are_all: settled.is_ok() })
}

/// Whether a connection is of a service and a server. A port 0 stands for all, and which mark a packet had is not known.
fn is_of(connection: &Connection<'_>, service: &ServiceId, server: &DestinationId) -> bool {
    let is_port = |wanted: u16, port: u16| wanted == 0 || wanted == port;
    let is_of_service = match service {
        ServiceId::Address { protocol, address, port } => {
            connection.protocol == protocol.to_string()
                && connection.service.ip() == *address
                && is_port(*port, connection.service.port())
        }
        ServiceId::Fwmark { .. } => true,
    };
    is_of_service
        && connection.destination.ip() == server.address
        && is_port(server.port, connection.destination.port())
}

#[cfg(test)]
mod tests {
    use ipvs::{FakeKernel, Service};

    use super::*;

    #[test]
    fn a_connection_is_of_its_service_and_server() {
        let web: ServiceId = "TCP 192.0.2.1:80".parse().unwrap();
        let all: ServiceId = "TCP 192.0.2.1:0".parse().unwrap();
        let marked: ServiceId = "FWM 7".parse().unwrap();
        let connection = |protocol, port| Connection {
            protocol,
            client: "198.51.100.7:40000".parse().unwrap(),
            service: SocketAddr::new("192.0.2.1".parse().unwrap(), port),
            destination: "192.0.2.11:80".parse().unwrap(),
            state: "ESTABLISHED",
            expires: 9,
            engine: None,
        };
        let of = |connection: Connection<'_>, service: &ServiceId, server: &str| {
            is_of(&connection, service, &server.parse().unwrap())
        };
        assert!(of(connection("TCP", 80), &web, "192.0.2.11:80"));
        assert!(of(connection("TCP", 443), &all, "192.0.2.11:0"));
        assert!(of(connection("UDP", 443), &marked, "192.0.2.11:0"));
        assert!(!of(connection("UDP", 80), &web, "192.0.2.11:80"));
        assert!(!of(connection("TCP", 443), &web, "192.0.2.11:80"));
        assert!(!of(connection("TCP", 80), &web, "192.0.2.12:80"));
        assert!(!of(connection("TCP", 80), &web, "192.0.2.11:8080"));
    }

    #[test]
    fn services_come_in_the_order_of_their_ids() {
        let mut client = Client::with_transport(FakeKernel::new()).unwrap();
        for id in ["UDP 192.0.2.1:53", "FWM 7", "TCP 192.0.2.1:80", "TCP 192.0.2.1:443"] {
            client.add_service(&Service::new(id.parse().unwrap(), "rr".parse().unwrap())).unwrap();
        }
        let ids: Vec<String> =
            services(&mut client, &[]).unwrap().iter().map(|entry| entry.service.id.to_string()).collect();
        assert_eq!(ids, ["TCP 192.0.2.1:80", "TCP 192.0.2.1:443", "UDP 192.0.2.1:53", "FWM 7"]);
    }
}
