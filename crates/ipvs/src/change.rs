//! Changes of the kernel's table as values: carried out one by one, many at once, printed, or compared.

use std::fmt;

use crate::config::Timeouts;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::{Destination, DestinationId};
use crate::error::{Error, Operation, Result};
use crate::netlink::attr::Writer;
use crate::netlink::uapi::*;
use crate::service::Service;
use crate::service_id::ServiceId;

/// One change of the kernel's table.
///
/// ```
/// use ipvs::{Change, Client, Scheduler, Service, ServiceId};
///
/// # fn main() -> ipvs::Result<()> {
/// let web = ServiceId::tcp("192.0.2.1".parse().unwrap(), 80);
/// let changes = [
///     Change::AddService(Service::new(web, "rr".parse().unwrap())),
///     Change::DeleteService(web),
/// ];
/// let refused = Client::open()?.apply_all(&changes)?;
/// assert!(refused.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Adds a service; EEXIST if it is there, ENOENT if its scheduler or engine cannot be loaded.
    AddService(Service),
    /// Gives a service new values in place of all it had; ESRCH if it is not there.
    EditService(Service),
    /// Deletes a service and its servers; ESRCH if it is not there.
    DeleteService(ServiceId),
    /// Adds a real server; ESRCH if the service is not there, EEXIST if the server is, EINVAL if its address is not
    /// one of a single host, ERANGE if its lower threshold is above the upper one.
    AddDestination {
        /// The service that it is to be of.
        service: ServiceId,
        /// The server.
        destination: Destination,
    },
    /// Gives a real server new values in place of all it had; ENOENT if it is not there.
    EditDestination {
        /// The service that it is of.
        service: ServiceId,
        /// The server with its new values.
        destination: Destination,
    },
    /// Deletes a real server; ENOENT if it is not there.
    DeleteDestination {
        /// The service that it is of.
        service: ServiceId,
        /// The server.
        destination: DestinationId,
    },
    /// Deletes all services. Connections, timeouts and sync daemons stay.
    Flush,
    /// Sets the counters of a service and its servers, or all counters, to zero.
    Zero(Option<ServiceId>),
    /// Sets timeouts, where they are not 0.
    SetTimeouts(Timeouts),
    /// Starts a sync daemon; EEXIST if one of its side runs, ENODEV if there is no such interface.
    StartDaemon(SyncDaemon),
    /// Stops the sync daemon of a side, whose number is given too; ESRCH if none runs.
    StopDaemon {
        /// The side.
        state: DaemonState,
        /// The number of the daemon.
        sync_id: u32,
    },
}

impl Change {
    /// The kernel's command for it.
    pub fn operation(&self) -> Operation {
        match self {
            Self::AddService(_) => Operation::AddService,
            Self::EditService(_) => Operation::EditService,
            Self::DeleteService(_) => Operation::DeleteService,
            Self::AddDestination { .. } => Operation::AddDestination,
            Self::EditDestination { .. } => Operation::EditDestination,
            Self::DeleteDestination { .. } => Operation::DeleteDestination,
            Self::Flush => Operation::Flush,
            Self::Zero(_) => Operation::Zero,
            Self::SetTimeouts(_) => Operation::SetTimeouts,
            Self::StartDaemon(_) => Operation::StartDaemon,
            Self::StopDaemon { .. } => Operation::StopDaemon,
        }
    }

    /// Whether the kernel takes it as it is meant. Where it does not, it would say nothing, and have something else: a
    /// netmask of the other family becomes any mask, a persistence timeout too long for its counter a short one, an engine
    /// without a name none, and of some numbers it keeps the lowest bits.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with the value and what can be used instead.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::AddService(service) | Self::EditService(service) => service.check(),
            Self::AddDestination { destination, .. } | Self::EditDestination { destination, .. } => {
                destination.check()
            }
            Self::StartDaemon(daemon) => daemon.check(),
            _ => Ok(()),
        }
        .map_err(|source| Error::Invalid { operation: self.operation(), source })
    }

    /// Writes the attributes of the request that carries it out.
    pub(crate) fn write(&self, top: &mut Writer) {
        let service =
            |top: &mut Writer, id: &ServiceId| top.nest(IPVS_CMD_ATTR_SERVICE, |nest| id.write(nest));
        match self {
            Self::AddService(whole) | Self::EditService(whole) => {
                top.nest(IPVS_CMD_ATTR_SERVICE, |nest| whole.write(nest));
            }
            Self::DeleteService(id) | Self::Zero(Some(id)) => service(top, id),
            Self::AddDestination { service: id, destination }
            | Self::EditDestination { service: id, destination } => {
                service(top, id);
                top.nest(IPVS_CMD_ATTR_DEST, |nest| destination.write(nest));
            }
            Self::DeleteDestination { service: id, destination } => {
                service(top, id);
                top.nest(IPVS_CMD_ATTR_DEST, |nest| destination.write(nest));
            }
            Self::Flush | Self::Zero(None) => {}
            Self::SetTimeouts(timeouts) => timeouts.write(top),
            Self::StartDaemon(daemon) => top.nest(IPVS_CMD_ATTR_DAEMON, |nest| daemon.write(nest)),
            Self::StopDaemon { state, sync_id } => {
                top.nest(IPVS_CMD_ATTR_DAEMON, |nest| SyncDaemon::write_id(*state, *sync_id, nest));
            }
        }
    }
}

impl fmt::Display for Change {
    /// In words, for logs: `edit real server 192.0.2.11:80 of TCP 192.0.2.1:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation();
        f.pad(&match self {
            Self::AddService(service) | Self::EditService(service) => format!("{operation} {}", service.id),
            Self::DeleteService(id) | Self::Zero(Some(id)) => format!("{operation} {id}"),
            Self::AddDestination { service: id, destination: server }
            | Self::EditDestination { service: id, destination: server } => {
                format!("{operation} {} of {id}", server.id)
            }
            Self::DeleteDestination { service: id, destination: server } => {
                format!("{operation} {server} of {id}")
            }
            Self::Flush | Self::Zero(None) => operation.to_string(),
            Self::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => format!("{operation} {tcp} {tcp_fin} {udp}"),
            Self::StartDaemon(daemon) => format!("{operation} {} on {}", daemon.state, daemon.interface),
            Self::StopDaemon { state, sync_id: _ } => format!("{operation} {state}"),
        })
    }
}

/// Carries out those changes that the kernel takes as they are, and returns the positions and errors of the others, too, as
/// [`Client::apply_all`](crate::Client::apply_all) does.
pub(crate) fn only_valid(
    changes: &[Change],
    carry_out: impl FnOnce(&[Change]) -> Result<Vec<(usize, Error)>>,
) -> Result<Vec<(usize, Error)>> {
    let invalid = |(at, change): (usize, &Change)| change.check().err().map(|error| (at, error));
    let mut all: Vec<(usize, Error)> = changes.iter().enumerate().filter_map(invalid).collect();
    if all.is_empty() {
        return carry_out(changes);
    }
    let is_valid = |at: &usize| changes.get(*at).is_some_and(|change| change.check().is_ok());
    let valid: Vec<usize> = (0..changes.len()).filter(is_valid).collect();
    let sent: Vec<Change> = valid.iter().filter_map(|at| changes.get(*at).copied()).collect();
    let refused = carry_out(&sent)?;
    all.extend(refused.into_iter().filter_map(|(at, error)| Some((*valid.get(at)?, error))));
    all.sort_by_key(|(at, _)| *at);
    Ok(all)
}
