//! Changes: one by one, or many with one call of the kernel.

use super::Client;
use crate::change::{Change, only_valid};
use crate::config::Timeouts;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::{Destination, DestinationId};
use crate::error::{Error, Result};
use crate::service::Service;
use crate::service_id::ServiceId;

impl Client {
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
        self.apply(&Change::AddDestination { service: *id, destination: *destination })
    }

    /// Gives a real server new values; see [`Change::EditDestination`].
    pub fn edit_destination(&mut self, id: &ServiceId, destination: &Destination) -> Result<()> {
        self.apply(&Change::EditDestination { service: *id, destination: *destination })
    }

    /// Deletes a real server; see [`Change::DeleteDestination`].
    pub fn delete_destination(&mut self, id: &ServiceId, destination: &DestinationId) -> Result<()> {
        self.apply(&Change::DeleteDestination { service: *id, destination: *destination })
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
        self.apply(&Change::StopDaemon { state, sync_id })
    }

    /// Carries out one change.
    pub fn apply(&mut self, change: &Change) -> Result<()> {
        match self.apply_all(std::slice::from_ref(change))?.pop() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Carries out changes in their order, many with one call of the kernel, and returns the positions and errors of
    /// those that are not, or may not be, in effect, in order. All others are in effect: a refusal does not keep the
    /// later ones from being carried out.
    ///
    /// - [`Error::Kernel`]: the kernel refused the change, and it is not in effect.
    /// - [`Error::Invalid`]: the kernel was not asked, for it would have misunderstood; see [`Change::check`].
    /// - [`Error::NoReply`]: the kernel's answer was lost, and it is not known whether the change is in effect. That
    ///   happens where a socket has no room for the answers, which [`Client::open`] sees to, or the kernel no memory.
    ///
    /// # Errors
    ///
    /// Where the conversation itself fails: it is not known then which of the changes are in effect, nor which were
    /// refused. Reading the table again tells.
    pub fn apply_all(&mut self, changes: &[Change]) -> Result<Vec<(usize, Error)>> {
        only_valid(changes, |changes| self.apply_unchecked(changes))
    }

    /// As [`Client::apply_all`], unchecked: for the way back to what the kernel had.
    pub(crate) fn apply_unchecked(&mut self, changes: &[Change]) -> Result<Vec<(usize, Error)>> {
        let mut refused = Vec::new();
        self.socket.change(changes, |at, error| refused.push((at, error)))?;
        Ok(refused)
    }
}
