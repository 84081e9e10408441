//! The client: one method for each thing the kernel can be asked or told.

use crate::change::Change;
use crate::config::{Info, Timeouts};
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::{Destination, DestinationEntry, DestinationId};
use crate::error::{Error, Operation, Result};
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::socket::{Kernel, Link, Request, Transport};
use crate::netlink::uapi::*;
use crate::service::{Service, ServiceEntry, ServiceId};

/// A conversation with the kernel's IPVS over one socket.
///
/// It acts on the network namespace of the thread that opened it, wherever it is used later. All operations need
/// `CAP_NET_ADMIN` in the initial user namespace; without it they fail with EPERM. None ever waits.
pub struct Client {
    link: Link,
}

impl Client {
    /// Opens a socket and looks up the family, which loads the kernel's module `ip_vs` if need be.
    ///
    /// # Errors
    ///
    /// [`Error::NotAvailable`] where the kernel has no IPVS and could not load it.
    pub fn open() -> Result<Self> {
        let socket =
            Kernel::open().map_err(|source| Error::Socket { doing: "opening a netlink socket", source })?;
        Self::over(socket)
    }

    /// Talks to whatever answers like the kernel; see [`Transport`].
    ///
    /// # Errors
    ///
    /// As [`Client::open`].
    pub fn over(transport: impl Transport + 'static) -> Result<Self> {
        const ENOENT: i32 = 2;
        match Link::new(Box::new(transport)) {
            Err(Error::Kernel { errno: ENOENT, .. }) => Err(Error::NotAvailable),
            link => link.map(|link| Self { link }),
        }
    }

    /// The version of IPVS and the size of its connection table.
    pub fn info(&mut self) -> Result<Info> {
        let mut info = Info::default();
        self.link.get(request(Operation::GetInfo, |_| {}), |_, top| {
            info = Info::read(top)?;
            Ok(())
        })?;
        Ok(info)
    }

    /// All services, in the order the kernel has them, which means nothing and changes.
    ///
    /// The kernel takes no snapshot: while others add and delete services, one may be missed or come twice.
    pub fn services(&mut self) -> Result<Vec<ServiceEntry>> {
        let mut services = Vec::new();
        self.link.dump(request(Operation::GetServices, |_| {}), |_, top| {
            for nest in nests(top, IPVS_CMD_ATTR_SERVICE) {
                services.push(ServiceEntry::read(nest?)?);
            }
            Ok(())
        })?;
        Ok(services)
    }

    /// One service.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] with ESRCH (3) if it is not there.
    pub fn service(&mut self, id: &ServiceId) -> Result<ServiceEntry> {
        let mut service = None;
        self.link.get(naming(Operation::GetService, id), |_, top| {
            for nest in nests(top, IPVS_CMD_ATTR_SERVICE) {
                service = Some(ServiceEntry::read(nest?)?);
            }
            Ok(())
        })?;
        service.ok_or(Error::NoReply { operation: Operation::GetService })
    }

    /// The real servers of a service, the newest first.
    ///
    /// The kernel answers a question for a service that is not there with none: it does not tell the two apart.
    pub fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>> {
        let mut destinations = Vec::new();
        self.link.dump(naming(Operation::GetDestinations, id), |_, top| {
            for nest in nests(top, IPVS_CMD_ATTR_DEST) {
                destinations.push(DestinationEntry::read(nest?, id.family())?);
            }
            Ok(())
        })?;
        Ok(destinations)
    }

    /// The timeouts of connections.
    pub fn timeouts(&mut self) -> Result<Timeouts> {
        let mut timeouts = Timeouts::default();
        self.link.get(request(Operation::GetTimeouts, |_| {}), |_, top| {
            timeouts = Timeouts::read(top)?;
            Ok(())
        })?;
        Ok(timeouts)
    }

    /// The sync daemons that run, the master first.
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>> {
        let mut daemons = Vec::new();
        self.link.dump(request(Operation::GetDaemons, |_| {}), |_, top| {
            for nest in nests(top, IPVS_CMD_ATTR_DAEMON) {
                daemons.push(SyncDaemon::read(nest?)?);
            }
            Ok(())
        })?;
        Ok(daemons)
    }

    /// Adds a service; see [`Change::AddService`].
    pub fn add_service(&mut self, service: &Service) -> Result<()> {
        self.apply(&Change::AddService(*service))
    }

    /// Gives a service new values; see [`Change::EditService`].
    pub fn edit_service(&mut self, service: &Service) -> Result<()> {
        self.apply(&Change::EditService(*service))
    }

    /// Deletes a service; see [`Change::DeleteService`].
    pub fn delete_service(&mut self, id: &ServiceId) -> Result<()> {
        self.apply(&Change::DeleteService(*id))
    }

    /// Adds a real server; see [`Change::AddDestination`].
    pub fn add_destination(&mut self, id: &ServiceId, destination: &Destination) -> Result<()> {
        self.apply(&Change::AddDestination(*id, *destination))
    }

    /// Gives a real server new values; see [`Change::EditDestination`].
    pub fn edit_destination(&mut self, id: &ServiceId, destination: &Destination) -> Result<()> {
        self.apply(&Change::EditDestination(*id, *destination))
    }

    /// Deletes a real server; see [`Change::DeleteDestination`].
    pub fn delete_destination(&mut self, id: &ServiceId, destination: &DestinationId) -> Result<()> {
        self.apply(&Change::DeleteDestination(*id, *destination))
    }

    /// Deletes all services; see [`Change::Flush`].
    pub fn flush(&mut self) -> Result<()> {
        self.apply(&Change::Flush)
    }

    /// Sets counters to zero; see [`Change::Zero`].
    pub fn zero(&mut self, id: Option<&ServiceId>) -> Result<()> {
        self.apply(&Change::Zero(id.copied()))
    }

    /// Sets timeouts; see [`Change::SetTimeouts`].
    pub fn set_timeouts(&mut self, timeouts: &Timeouts) -> Result<()> {
        self.apply(&Change::SetTimeouts(*timeouts))
    }

    /// Starts a sync daemon; see [`Change::StartDaemon`].
    pub fn start_daemon(&mut self, daemon: &SyncDaemon) -> Result<()> {
        self.apply(&Change::StartDaemon(*daemon))
    }

    /// Stops a sync daemon; see [`Change::StopDaemon`].
    pub fn stop_daemon(&mut self, state: DaemonState, sync_id: u32) -> Result<()> {
        self.apply(&Change::StopDaemon(state, sync_id))
    }

    /// Carries out one change.
    pub fn apply(&mut self, change: &Change) -> Result<()> {
        match self.apply_all(std::slice::from_ref(change))?.pop() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Carries out changes in their order, many with one call of the kernel, and returns the positions and errors of
    /// those that it refused. A refusal does not keep the later ones from being carried out.
    ///
    /// # Errors
    ///
    /// Where the conversation itself fails: it is not known then how many of the changes are in effect.
    pub fn apply_all(&mut self, changes: &[Change]) -> Result<Vec<(usize, Error)>> {
        let mut refused = Vec::new();
        let result =
            self.link.change(changes.iter().map(Change::request), |at, error| refused.push((at, error)));
        match (result, changes.last()) {
            // A daemon stopped before it ran is stopped, but the kernel does not say so.
            (Err(Error::NoReply { .. }), Some(Change::StopDaemon(state, _)))
                if self.daemons()?.iter().all(|daemon| daemon.state != *state) => {}
            (result, _) => result?,
        }
        Ok(refused)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

fn request(operation: Operation, fill: impl FnOnce(&mut Writer)) -> Request {
    let mut attributes = Writer::default();
    fill(&mut attributes);
    Request { operation, attributes }
}

/// A question about a service.
fn naming(operation: Operation, id: &ServiceId) -> Request {
    request(operation, |top| top.nest(IPVS_CMD_ATTR_SERVICE, |nest| id.write(nest)))
}

/// The contents of the nests of `kind` among top-level attributes.
fn nests(
    top: &[u8],
    kind: u16,
) -> impl Iterator<Item = std::result::Result<&[u8], netlink_packet_core::DecodeError>> {
    attributes(top).filter_map(move |attribute| match attribute {
        Ok(attribute) => (attribute.kind == kind).then_some(Ok(attribute.value)),
        Err(error) => Some(Err(error)),
    })
}
