//! An in-memory table, read from the kernel or made of changes, and the difference between two.

pub(crate) mod apply;
mod back;
mod diff;
mod servers;
mod services;
#[cfg(test)]
mod tests;
pub(crate) mod watch;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::change::Change;
use crate::client::Client;
use crate::config::Timeouts;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::{Destination, DestinationId};
use crate::error::{Error, Result};
use crate::service::Service;
use crate::service_id::ServiceId;
use servers::Servers;
use services::Services;

/// The services of a table and their real servers, and of timeouts and sync daemons those that it speaks of.
///
/// As a desired state it leaves alone what it does not speak of: a table made of changes that hold no timeouts has
/// none, and its [`difference`](Table::diff) to another does not set any. Counters are no part of it.
///
/// ```
/// use ipvs::{Client, Destination, ForwardingMethod, Scheduler, Service, ServiceId, Table};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let web = ServiceId::tcp("192.0.2.1".parse()?, 80);
/// let server = Destination::new("192.0.2.11".parse()?, 80, ForwardingMethod::DirectRouting);
/// let desired: Table = [(Service::new(web, Scheduler::WLC), [server])].into_iter().collect();
///
/// let mut client = Client::open()?;
/// for change in Table::read_for(&mut client, &desired)?.diff(&desired) {
///     println!("{change}");
/// }
/// desired.apply(&mut client)?; // all of it or nothing
/// assert!(Table::read_for(&mut client, &desired)?.diff(&desired).is_empty());
/// # client.flush()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub(crate) services: Services,
    /// That it has no service is meant, and no failure of whoever made it.
    pub(crate) is_emptied: bool,
    pub(crate) timeouts: Option<Timeouts>,
    /// Whether a sync daemon of a state runs; a state that is not in it is not spoken of.
    pub(crate) daemons: BTreeMap<DaemonState, Option<SyncDaemon>>,
    /// The services that it speaks of, where it does not speak of all.
    pub(crate) only: Option<BTreeSet<ServiceId>>,
}

/// A service with its servers.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) service: Service,
    pub(crate) destinations: Servers,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let Self { service, destinations } = self;
        (service, destinations) == (&other.service, &other.destinations)
            && (!service.scheduler.depends_on_order() || destinations.by_age() == other.destinations.by_age())
    }
}

impl Eq for Entry {}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        let Self { services, timeouts, daemons, only, is_emptied: _ } = self;
        let others = (&other.services, &other.timeouts, &other.daemons, &other.only);
        (services, timeouts, daemons, only) == others
    }
}

impl Eq for Table {}

impl Table {
    /// A table without services that is meant to have none: [`Table::apply`] of it deletes all services, which it does not do
    /// with one that merely has none, such as [`Table::default`].
    pub fn emptied() -> Self {
        Self { is_emptied: true, ..Self::default() }
    }

    /// The number of the schema that a table has in JSON, in its key `schema`. It changes where documents of before
    /// would be read wrongly; keys may be added without.
    #[cfg(feature = "serde")]
    pub const SCHEMA: u32 = 1;

    /// This table, which speaks of these services alone: as a desired state it leaves all others as they are, and timeouts
    /// and sync daemons, too. A service that it speaks of and does not have is deleted.
    #[must_use]
    pub fn only(mut self, services: impl IntoIterator<Item = ServiceId>) -> Self {
        let only: BTreeSet<ServiceId> = services.into_iter().collect();
        self.services.retain(|id| only.contains(id));
        Self { services: self.services, only: Some(only), ..Self::default() }
    }

    /// Whether it says of a service that it is there, or that it is not.
    fn speaks_of(&self, id: &ServiceId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(id))
    }

    /// The kernel's table, with its timeouts and sync daemons.
    pub fn read(client: &mut Client) -> Result<Self> {
        let mut table = Self::read_services(client, &Self::default())?;
        table.timeouts = Some(client.timeouts()?);
        table.read_daemons(client, DaemonState::ALL.into_iter())?;
        Ok(table)
    }

    /// The kernel's table, with those of its services, timeouts and sync daemons that `desired` speaks of.
    pub fn read_for(client: &mut Client, desired: &Self) -> Result<Self> {
        let mut table = Self::read_services(client, desired)?;
        table.read_settings(client, desired)?;
        Ok(table)
    }

    fn read_services(client: &mut Client, desired: &Self) -> Result<Self> {
        let mut table = Self { only: desired.only.clone(), ..Self::default() };
        let mut services = client.services_as(|entry| entry.service, |service| service.id)?;
        services.retain(|service| desired.speaks_of(&service.id));
        // What comes in order takes the least memory; the last is taken first.
        services.sort_unstable_by_key(|service| Reverse(service.id));
        while let Some(service) = services.pop() {
            let mut destinations = Vec::new();
            client.for_each_destination(&service.id, |entry| destinations.push(entry.destination))?;
            // The kernel has the newest first.
            table.put(service, destinations.into_iter().rev());
        }
        Ok(table)
    }

    /// Reads those timeouts and sync daemons that `desired` speaks of.
    pub fn read_settings(&mut self, client: &mut Client, desired: &Self) -> Result<()> {
        if desired.timeouts.is_some() {
            self.timeouts = Some(client.timeouts()?);
        }
        if !desired.daemons.is_empty() {
            self.read_daemons(client, desired.daemons.keys().copied())?;
        }
        Ok(())
    }

    fn read_daemons(&mut self, client: &mut Client, states: impl Iterator<Item = DaemonState>) -> Result<()> {
        let running = client.daemons()?;
        let of = |state| running.iter().find(|daemon| daemon.state == state).copied();
        self.daemons = states.map(|state| (state, of(state))).collect();
        Ok(())
    }

    /// Adds a service without servers.
    ///
    /// # Errors
    ///
    /// As [`Table::change`], where it is there already.
    pub fn add_service(&mut self, service: Service) -> Result<()> {
        self.change(&Change::AddService(service))
    }

    /// Adds a real server to a service.
    ///
    /// # Errors
    ///
    /// As [`Table::change`], where the service is not there, or the server is.
    pub fn add_destination(&mut self, id: &ServiceId, destination: Destination) -> Result<()> {
        self.change(&Change::AddDestination { service: *id, destination })
    }

    /// Puts a service and all its real servers in, in place of what there was of it. The oldest server comes first, where
    /// [the order matters](crate::Scheduler::depends_on_order); [`Client::destinations`] has the newest first.
    pub fn put(&mut self, service: Service, destinations: impl IntoIterator<Item = Destination>) {
        let destinations = destinations.into_iter().collect();
        self.services.insert(Entry { service, destinations });
    }

    /// The services, in the order of their ids.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().map(|entry| &entry.service)
    }

    /// A service; none if it is not there.
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.services.get(id).map(|entry| &entry.service)
    }

    /// The real servers of a service, in the order of their ids; none if it is not there.
    pub fn destinations(&self, id: &ServiceId) -> impl Iterator<Item = &Destination> {
        self.services.get(id).into_iter().flat_map(|entry| entry.destinations.iter())
    }

    /// The real servers of a service in the order in which they were added, the oldest first; none if it is not there.
    pub fn destinations_by_age(&self, id: &ServiceId) -> Vec<&Destination> {
        self.services.get(id).map(|entry| entry.destinations.by_age()).unwrap_or_default()
    }

    /// A real server; none if it or its service is not there.
    pub fn destination(&self, id: &ServiceId, server: &DestinationId) -> Option<&Destination> {
        self.services.get(id)?.destinations.get(server)
    }

    /// The timeouts; none if the table does not speak of them.
    pub fn timeouts(&self) -> Option<Timeouts> {
        self.timeouts
    }

    /// The sync daemons that run, of those that the table speaks of.
    pub fn daemons(&self) -> impl Iterator<Item = &SyncDaemon> {
        self.daemons.values().flatten()
    }

    /// The states of which no sync daemon is to run.
    pub fn stopped_daemons(&self) -> impl Iterator<Item = DaemonState> {
        self.daemons.iter().filter(|(_, daemon)| daemon.is_none()).map(|(state, _)| *state)
    }

    /// How many services and real servers there are.
    pub fn entries(&self) -> usize {
        self.services.iter().map(|entry| 1 + entry.destinations.len()).sum()
    }

    /// Whether there is no service.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// Does to this table what the kernel would do to its own, where it has all schedulers and interfaces.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`], as the kernel would refuse it, where what it is about is not there, or is there already;
    /// [`Error::Invalid`] where the kernel would make something else of it.
    pub fn change(&mut self, change: &Change) -> Result<()> {
        change.check()?;
        let errno = |errno| Error::Kernel { operation: change.operation(), errno };
        self.carry_out(change).map_err(errno)
    }

    fn carry_out(&mut self, change: &Change) -> Result<(), Refusal> {
        match *change {
            Change::AddService(service) => {
                let entry = Entry { service, destinations: Servers::default() };
                if self.services.contains(&service.id) {
                    return Err(EEXIST);
                }
                self.services.insert(entry);
            }
            Change::EditService(service) => {
                let entry = self.services.get_mut(&service.id).ok_or(ESRCH)?;
                entry.service = service;
            }
            Change::DeleteService(id) => drop(self.services.remove(&id).ok_or(ESRCH)?),
            Change::AddDestination { service: id, destination } => {
                let entry = self.services.get_mut(&id).ok_or(ESRCH)?;
                if entry.destinations.contains_key(&destination.id) {
                    return Err(EEXIST);
                }
                entry.destinations.insert(destination);
            }
            Change::EditDestination { service: id, destination } => {
                let entry = self.services.get_mut(&id).ok_or(ESRCH)?;
                *entry.destinations.get_mut(&destination.id).ok_or(ENOENT)? = destination;
            }
            Change::DeleteDestination { service: id, destination: server } => {
                let entry = self.services.get_mut(&id).ok_or(ESRCH)?;
                entry.destinations.remove(&server).ok_or(ENOENT)?;
            }
            Change::Flush => {
                self.services.clear();
                self.is_emptied = true;
            }
            Change::Zero(_) => {} // counters are no part of a table
            Change::SetTimeouts(new) => {
                let old = self.timeouts.unwrap_or_default();
                self.timeouts = Some(replaced(old, new));
            }
            Change::StartDaemon(daemon) => {
                let side = self.daemons.entry(daemon.state).or_default();
                if side.is_some() {
                    return Err(EEXIST);
                }
                *side = Some(daemon);
            }
            // Where the table does not speak of the state, whatever runs is meant.
            Change::StopDaemon { state, sync_id: _ } => {
                if self.daemons.insert(state, None) == Some(None) {
                    return Err(ESRCH);
                }
            }
        }
        Ok(())
    }
}

impl<D: IntoIterator<Item = Destination>> Extend<(Service, D)> for Table {
    /// Puts services with their servers in, as [`Table::put`] does.
    fn extend<I: IntoIterator<Item = (Service, D)>>(&mut self, services: I) {
        services.into_iter().for_each(|(service, servers)| self.put(service, servers));
    }
}

impl<D: IntoIterator<Item = Destination>> FromIterator<(Service, D)> for Table {
    /// A table of services with their servers.
    fn from_iter<I: IntoIterator<Item = (Service, D)>>(services: I) -> Self {
        let mut table = Self::default();
        table.extend(services);
        table
    }
}

/// Why the kernel would refuse a change: an errno.
type Refusal = i32;
const ENOENT: Refusal = 2;
const ESRCH: Refusal = 3;
const EEXIST: Refusal = 17;

/// Timeouts after a change, where 0 leaves one as it is.
fn replaced(old: Timeouts, new: Timeouts) -> Timeouts {
    let pick = |old, new| if new == 0 { old } else { new };
    Timeouts {
        tcp: pick(old.tcp, new.tcp),
        tcp_fin: pick(old.tcp_fin, new.tcp_fin),
        udp: pick(old.udp, new.udp),
    }
}
