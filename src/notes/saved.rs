//! Notes in a full save: comments, by which a restore notes again what was drained when the table was saved. `/run` and the table
//! are gone after a reboot, and the server would be in neither.

use ipvs::{Change, Client, Destination, ServiceId};

use super::{FOLDER, Note, Notes, Now, State};
use crate::messages;

/// The servers that are out of service by a drain, as the changes that bring them back; none if the notes cannot be read.
pub(crate) fn drained(client: &mut Client) -> ipvs::Result<Vec<Change>> {
    let mut changes = Vec::new();
    if !std::path::Path::new(FOLDER).exists() {
        return Ok(changes);
    }
    let Ok(notes) = Notes::read() else { return Ok(changes) };
    let mut servers = Servers::default();
    for note in notes.all() {
        let now = servers.now(client, &note.service, &note.server)?;
        if note.by_table(now).is_some_and(|note| note.state != State::Back) {
            changes.push(Change::AddDestination { service: note.service, destination: note.server });
        }
    }
    Ok(changes)
}

/// Notes servers that were drained when a table was saved, where the restored one has them not, or with weight 0. What is noted
/// already stays.
pub(crate) fn take_over(client: &mut Client, drained: &[Change]) -> ipvs::Result<()> {
    let mut servers = Servers::default();
    let (mut found, mut reminders) = (Vec::new(), Vec::new());
    for change in drained {
        let Change::AddDestination { service, destination } = *change else { continue };
        let state = match servers.now(client, &service, &destination)? {
            Now::Gone => State::Deleted,
            Now::Weight(0) => {
                reminders.extend(remind(client, &service, &destination)?);
                State::Waiting
            }
            Now::NoService | Now::Weight(_) => continue,
        };
        found.push(Note { service, server: destination, state });
    }
    if found.is_empty() {
        return Ok(());
    }
    // A table that chooses a little otherwise is no reason to fail.
    client.apply_all(&reminders)?;
    let add = |notes: &mut Notes| {
        for note in &found {
            if notes.find(&note.service, &note.server.id).is_none() {
                notes.add(&note.service, note.server, note.state);
            }
        }
    };
    if let Err(why) = Notes::update(add) {
        messages::report(&messages::warning::not_taken_over(&why));
    }
    Ok(())
}

/// What reminds `mh` of the weight of a server that was added with weight 0: it keeps the last other weight, by which it
/// chooses, and no listing has it.
fn remind(client: &mut Client, service: &ServiceId, noted: &Destination) -> ipvs::Result<Vec<Change>> {
    if client.service(service)?.service.scheduler != *"mh" {
        return Ok(Vec::new());
    }
    let Some(there) = client.destination(service, &noted.id)? else { return Ok(Vec::new()) };
    let edit = |weight| {
        let destination = there.destination.with_weight(weight);
        Change::EditDestination { service: *service, destination }
    };
    Ok(vec![edit(noted.weight), edit(0)])
}

/// The servers of one service after another, each service read once where its servers are together.
#[derive(Default)]
struct Servers {
    service: Option<ServiceId>,
    /// None of a service that is not there.
    servers: Option<Vec<Destination>>,
}

impl Servers {
    fn now(&mut self, client: &mut Client, service: &ServiceId, server: &Destination) -> ipvs::Result<Now> {
        if self.service != Some(*service) {
            self.servers = match client.destinations(service) {
                Err(error) if error.is_not_found() => None,
                entries => {
                    let mut servers: Vec<_> = entries?.into_iter().map(|entry| entry.destination).collect();
                    servers.sort_unstable_by_key(|server| server.id);
                    Some(servers)
                }
            };
            self.service = Some(*service);
        }
        let Some(servers) = &self.servers else { return Ok(Now::NoService) };
        let at = servers.binary_search_by_key(&server.id, |server| server.id);
        let there = at.ok().and_then(|at| servers.get(at));
        Ok(there.map_or(Now::Gone, |server| Now::Weight(server.weight)))
    }
}
