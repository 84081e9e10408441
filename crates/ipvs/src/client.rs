//! The client: one method for each request that the kernel knows.

mod all_services;
mod changes;
mod one_server;

use std::collections::HashSet;
use std::path::Path;

use crate::config::{Info, Timeouts};
use crate::daemon::SyncDaemon;
use crate::destination::DestinationEntry;
use crate::error::{Error, Operation, Result};
use crate::genl_socket::GenlSocket;
use crate::namespace::inside;
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::read_error::ReadError;
use crate::netlink::socket::{NetlinkSocket, REQUESTS_PER_DATAGRAM, Transport};
use crate::netlink::uapi::*;
use crate::service::ServiceEntry;
use crate::service_id::ServiceId;
use crate::stable::dump_until_stable;

/// A conversation with the kernel's IPVS over one socket.
///
/// It acts on the network namespace of the thread that opened it, wherever it is used later; [`Client::open_in`] opens
/// one in another. All operations need `CAP_NET_ADMIN` in the initial user namespace; without it they fail with EPERM.
///
/// # Threads, and async code
///
/// No operation blocks: the kernel answers while it is asked. A client can be moved to another thread, and threads
/// that work at once have one each. Async code calls it as it is where tables are small (a change takes the kernel
/// about 10 µs, a listing 10 to 50 µs a service), and where they are large from a thread for such work, such as
/// `tokio::task::spawn_blocking`:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut client = ipvs::Client::open()?;
/// let (client, services) = std::thread::spawn(move || {
///     let services = client.services();
///     (client, services)
/// })
/// .join()
/// .map_err(|_| "the thread panicked")?;
/// println!("{} services", services?.len());
/// # drop(client);
/// # Ok(())
/// # }
/// ```
pub struct Client {
    socket: GenlSocket,
}

impl Client {
    /// Opens a socket and looks up the family, which loads the kernel's module `ip_vs` if need be.
    ///
    /// # Errors
    ///
    /// [`Error::NotAvailable`] where the kernel has no IPVS and could not load it.
    pub fn open() -> Result<Self> {
        let socket = || {
            NetlinkSocket::open()
                .map_err(|source| Error::Socket { doing: "opening a netlink socket", source })
        };
        // Both now, for the thread may be in another network later.
        let (small, bulk) = (socket()?, socket()?);
        let batch = small.requests_per_datagram();
        Self::from_transports(Box::new(small), Some(Box::new(bulk)), batch)
    }

    /// As [`Client::open`], for a change or a few, with less preparation: changes go out one by one, and long listings
    /// take longer.
    ///
    /// # Errors
    ///
    /// As [`Client::open`].
    pub fn open_for_changes() -> Result<Self> {
        let socket = NetlinkSocket::open()
            .map_err(|source| Error::Socket { doing: "opening a netlink socket", source })?;
        Self::from_transports(Box::new(socket), None, 1)
    }

    /// Opens a client that acts on another network namespace, named by a file such as `/run/netns/NAME` or
    /// `/proc/PID/ns/net`. The calling thread stays in its own: the sockets are opened by a thread that ends.
    ///
    /// ```no_run
    /// let mut blue = ipvs::Client::open_in("/run/netns/blue")?;
    /// println!("{} services", blue.services()?.len());
    /// # Ok::<(), ipvs::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`] where it is not there or may not be entered, and as [`Client::open`].
    pub fn open_in(namespace: impl AsRef<Path>) -> Result<Self> {
        inside(namespace.as_ref(), Self::open)
    }

    /// Talks to whatever answers like the kernel; see [`Transport`].
    ///
    /// # Errors
    ///
    /// As [`Client::open`].
    pub fn with_transport(transport: impl Transport + 'static) -> Result<Self> {
        Self::from_transports(Box::new(transport), None, REQUESTS_PER_DATAGRAM)
    }

    fn from_transports(
        transport: Box<dyn Transport>,
        bulk: Option<Box<dyn Transport>>,
        batch: usize,
    ) -> Result<Self> {
        const ENOENT: i32 = 2;
        match GenlSocket::new(transport, bulk, batch) {
            Err(Error::Kernel { errno: ENOENT, .. }) => Err(Error::NotAvailable),
            socket => socket.map(|socket| Self { socket }),
        }
    }

    /// The version of IPVS and the size of its connection table.
    pub fn info(&mut self) -> Result<Info> {
        let mut info = Info::default();
        self.socket.get(
            Operation::GetInfo,
            |_| {},
            |top| {
                info = Info::read(top)?;
                Ok(())
            },
        )?;
        Ok(info)
    }

    /// All services, in the order the kernel has them, which means nothing and changes.
    ///
    /// A dump is not atomic: the kernel resumes by index, so a concurrent delete can skip a service and a concurrent
    /// add can repeat one, without notice. A dump of several datagrams is repeated until two agree, ten times at most.
    /// A service that is there all the while is in the list, once; one that comes or goes may be.
    pub fn services(&mut self) -> Result<Vec<ServiceEntry>> {
        self.services_as(|entry| entry, |entry| entry.service.id)
    }

    /// All services by one dump, which is half of what [`Client::services`] takes, and whether it is whole. If not, and
    /// others change the table meanwhile, one may be missing or twice there: for those who read again and compare.
    pub fn dump_services(&mut self, take: &mut dyn FnMut(ServiceEntry)) -> Result<bool> {
        self.socket.dump_bulk(Operation::GetServices, |_, top| {
            for nest in nests(top, IPVS_CMD_ATTR_SERVICE) {
                take(ServiceEntry::read(nest?)?);
            }
            Ok(())
        })
    }

    /// One service.
    ///
    /// # Errors
    ///
    /// One that [is not found](Error::is_not_found) if the service is not there.
    pub fn service(&mut self, id: &ServiceId) -> Result<ServiceEntry> {
        let mut service = None;
        self.socket.get(Operation::GetService, naming(id), |top| {
            for nest in nests(top, IPVS_CMD_ATTR_SERVICE) {
                service = Some(ServiceEntry::read(nest?)?);
            }
            Ok(())
        })?;
        service.ok_or(Error::NoReply { operation: Operation::GetService })
    }

    /// The real servers of a service, the newest first.
    ///
    /// A server that is there all the while is in the list, once, whatever others come and go; see
    /// [`Client::services`]. Where there are none, one more request asks whether the service is there.
    ///
    /// # Errors
    ///
    /// One that [is not found](Error::is_not_found) if the service is not there.
    pub fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>> {
        let destinations = self.destinations_or_none(id)?;
        if destinations.is_empty() {
            self.service(id)?;
        }
        Ok(destinations)
    }

    /// As [`Client::destinations`], but none of a service that is not there, such as one deleted since it was listed.
    pub fn destinations_or_none(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>> {
        let mut destinations = Vec::new();
        self.for_each_destination(id, |entry| destinations.push(entry))?;
        Ok(destinations)
    }

    /// As [`Client::destinations_or_none`], one by one, for those who do not keep all of each. A server that the kernel passed
    /// over at first comes after the others.
    pub fn for_each_destination(
        &mut self,
        id: &ServiceId,
        mut each: impl FnMut(DestinationEntry),
    ) -> Result<()> {
        let (mut seen, mut known) = (Vec::new(), HashSet::new());
        let is_whole = self.dump_destinations(id, &mut |chunk, entry| {
            let id = entry.destination.id;
            // A chunk holds nothing twice; most services have no second one, and need no set.
            if chunk > 0 && known.is_empty() {
                known.extend(seen.iter().copied());
            }
            seen.push(id);
            if chunk == 0 || known.insert(id) {
                each(entry);
            }
        })?;
        if !is_whole {
            known.extend(seen.iter().copied());
            let of = |entry: &DestinationEntry| entry.destination.id;
            dump_until_stable(
                seen,
                known,
                of,
                |take| self.dump_destinations(id, &mut |_, entry| take(entry)),
                each,
            )?;
        }
        Ok(())
    }

    /// Dumps the real servers of a service, with the number of the chunk that each is in, and returns whether the
    /// answer is whole.
    fn dump_destinations(
        &mut self,
        id: &ServiceId,
        take: &mut dyn FnMut(usize, DestinationEntry),
    ) -> Result<bool> {
        self.socket.dump(Operation::GetDestinations, naming(id), |chunk, top| {
            for nest in nests(top, IPVS_CMD_ATTR_DEST) {
                take(chunk, DestinationEntry::read(nest?, id.family())?);
            }
            Ok(())
        })
    }

    /// The timeouts of connections.
    pub fn timeouts(&mut self) -> Result<Timeouts> {
        let mut timeouts = Timeouts::default();
        self.socket.get(
            Operation::GetTimeouts,
            |_| {},
            |top| {
                timeouts = Timeouts::read(top)?;
                Ok(())
            },
        )?;
        Ok(timeouts)
    }

    /// The sync daemons that run, the master first.
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>> {
        let mut daemons = Vec::new();
        self.socket.dump(
            Operation::GetDaemons,
            |_| {},
            |_, top| {
                for nest in nests(top, IPVS_CMD_ATTR_DAEMON) {
                    daemons.push(SyncDaemon::read(nest?)?);
                }
                Ok(())
            },
        )?;
        Ok(daemons)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Writes which service a question is about.
fn naming(id: &ServiceId) -> impl FnOnce(&mut Writer) {
    |top| top.nest(IPVS_CMD_ATTR_SERVICE, |nest| id.write(nest))
}

/// The contents of the nests of `kind` among top-level attributes.
fn nests(top: &[u8], kind: u16) -> impl Iterator<Item = Result<&[u8], ReadError>> {
    attributes(top).filter_map(move |attribute| match attribute {
        Ok(attribute) => (attribute.kind == kind).then_some(Ok(attribute.value)),
        Err(error) => Some(Err(error)),
    })
}
