//! Current state of the object a change targets.

use ipvs::{Change, Client, Destination, DestinationId, Service, ServiceId};

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
                current.server = server(client, id, &new.id, keeps)?;
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

/// How many servers of a service are looked at for the sake of a warning. A health checker edits servers of large services all the
/// time, and the kernel takes a while for a list of thousands.
const LOOKED_AT: usize = 64;

/// What must be known is looked for in all of the service; for a warning, among its newest servers.
fn server(
    client: &mut Client,
    id: &ServiceId,
    server: &DestinationId,
    must_be_known: bool,
) -> ipvs::Result<Option<Destination>> {
    let found = if must_be_known {
        client.destination(id, server)
    } else {
        client.recent_destination(id, server, LOOKED_AT)
    };
    Ok(found?.map(|entry| entry.destination))
}
