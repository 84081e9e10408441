//! Current state of the object a change targets.

use ipvs::{Change, Client, Destination, DestinationEntry, DestinationId, Service, ServiceId};

use crate::command::ChangeRequest;
use crate::option_table::OptionKey;

/// The service and the server that were requested, if they exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) service: Option<Service>,
    pub(crate) server: Option<Destination>,
}

impl Before {
    /// Reads from the kernel what `--keep` and the warnings need; for most changes that is nothing.
    pub(crate) fn read(client: &mut Client, asked: &ChangeRequest, warns: bool) -> ipvs::Result<Self> {
        let keeps = asked.keep.is_some();
        let mut before = Self::default();
        match &asked.change {
            Change::EditService(new) if keeps || warns => before.service = service(client, &new.id)?,
            Change::AddDestination { service: id, destination: new } if warns && weighs(asked, new) => {
                before.service = service(client, id)?;
            }
            Change::EditDestination { service: id, destination: new } if keeps || warns => {
                before.server = server(client, id, &new.id)?;
                // If the server is missing, the service may be missing too.
                if warns && weighs(asked, new) || keeps && before.server.is_none() {
                    before.service = service(client, id)?;
                }
            }
            _ => {}
        }
        Ok(before)
    }
}

/// Whether the weight's effect depends on the scheduler: every scheduler respects 0, and 1 is the default.
pub(crate) fn weighs(asked: &ChangeRequest, new: &Destination) -> bool {
    asked.names(OptionKey::Weight) && new.weight > 1
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
