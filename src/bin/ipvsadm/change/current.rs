//! Current state of the object a change targets.

use ipvs::{Change, Client, Destination, DestinationEntry, DestinationId, Service, ServiceId};

use crate::command::ChangeRequest;
use crate::option_table::OptionKey;

/// The service and the server that were requested, if they exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) service: Option<Service>,
    pub(crate) server: Option<Destination>,
}

impl Current {
    /// Reads from the kernel what `--keep` and the warnings need; for most changes that is nothing.
    pub(crate) fn read(client: &mut Client, request: &ChangeRequest, warns: bool) -> ipvs::Result<Self> {
        let keeps = request.keep.is_some();
        let mut current = Self::default();
        match &request.change {
            Change::EditService(new) if keeps || warns => current.service = service(client, &new.id)?,
            Change::AddDestination { service: id, destination: new }
                if warns && weight_depends_on_scheduler(request, new) =>
            {
                current.service = service(client, id)?;
            }
            Change::EditDestination { service: id, destination: new } if keeps || warns => {
                current.server = server(client, id, &new.id)?;
                // If the server is missing, the service may be missing too.
                if warns && weight_depends_on_scheduler(request, new) || keeps && current.server.is_none() {
                    current.service = service(client, id)?;
                }
            }
            _ => {}
        }
        Ok(current)
    }
}

/// Whether the weight's effect depends on the scheduler: every scheduler respects 0, and 1 is the default.
pub(crate) fn weight_depends_on_scheduler(request: &ChangeRequest, new: &Destination) -> bool {
    request.has(OptionKey::Weight) && new.weight > 1
}

fn service(client: &mut Client, id: &ServiceId) -> ipvs::Result<Option<Service>> {
    match client.service(id) {
        Err(error) if error.errno() == Some(libc::ESRCH) => Ok(None),
        entry => entry.map(|entry| Some(entry.service)),
    }
}

fn server(client: &mut Client, id: &ServiceId, server: &DestinationId) -> ipvs::Result<Option<Destination>> {
    let is_it = |entry: &DestinationEntry| entry.destination.id == *server;
    Ok(client.destinations(id)?.into_iter().find(is_it).map(|entry| entry.destination))
}
