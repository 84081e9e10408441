//! A service or a server that is not there, or already is: which one, and what is there instead.

use std::net::IpAddr;
use std::path::Path;

use ipvs::{Change, Client, DestinationId, ServiceId};

use super::Cause;
use crate::messages;
use crate::nearest;
use crate::netns;
use crate::shell;

/// More network namespaces than these are not looked into.
const NAMESPACES: usize = 32;

/// The object that is not there, or already is.
pub(super) fn cause(errno: i32, change: &Change) -> Option<Cause> {
    if messages::is_quiet() {
        return None;
    }
    let fix = match (errno, change) {
        (libc::EEXIST, Change::AddService(_)) => "-E changes it",
        (libc::EEXIST, Change::AddDestination { .. }) => "-e changes it",
        (libc::ESRCH, _) => "-A adds it",
        (libc::ENOENT, _) => "-a adds it",
        _ => return None,
    };
    let word = match change {
        Change::AddService(service) | Change::EditService(service) => service.id.to_string(),
        Change::DeleteService(id) | Change::Zero(Some(id)) => id.to_string(),
        Change::AddDestination { service: id, .. }
        | Change::EditDestination { service: id, .. }
        | Change::DeleteDestination { service: id, .. }
            if errno == libc::ESRCH =>
        {
            id.to_string()
        }
        Change::AddDestination { destination: server, .. }
        | Change::EditDestination { destination: server, .. } => server.id.to_string(),
        Change::DeleteDestination { destination: server, .. } => server.to_string(),
        Change::Flush
        | Change::Zero(None)
        | Change::SetTimeouts(_)
        | Change::StartDaemon(_)
        | Change::StopDaemon { .. } => return None,
    };
    Some((word, fix.to_owned()))
}

/// The nearest of what is there to what is not.
pub(super) fn nearest_to(errno: i32, change: &Change) -> Option<String> {
    match (errno, change) {
        (libc::ESRCH, Change::EditService(service)) => nearest_service(&service.id),
        (
            libc::ESRCH,
            Change::DeleteService(id)
            | Change::Zero(Some(id))
            | Change::AddDestination { service: id, .. }
            | Change::EditDestination { service: id, .. }
            | Change::DeleteDestination { service: id, .. },
        ) => nearest_service(id),
        (libc::ENOENT, Change::EditDestination { service: id, destination: server }) => {
            nearest_server(id, &server.id)
        }
        (libc::ENOENT, Change::DeleteDestination { service: id, destination: server }) => {
            nearest_server(id, server)
        }
        _ => None,
    }
}

/// Where a service is, or which one is nearest, for the message that there is none of this name.
pub(super) fn nearest_service(id: &ServiceId) -> Option<String> {
    let services: Vec<ServiceId> =
        Client::open().ok()?.services().ok()?.into_iter().map(|entry| entry.service.id).collect();
    if let Some(name) = namespace_of(id) {
        let name = shell::quoted(name.as_bytes());
        return Some(format!("it is in another network namespace: --netns {name}"));
    }
    if services.is_empty() {
        return Some("the table is empty; -A adds a service".to_owned());
    }
    let address = |id: &ServiceId| match *id {
        ServiceId::Address { address, .. } => Some(address),
        ServiceId::Fwmark { .. } => None,
    };
    let own = address(id);
    let is_same = |known: &&ServiceId| match (known, id) {
        (ServiceId::Fwmark { mark, .. }, ServiceId::Fwmark { mark: other, .. }) => mark == other,
        (known, _) => own.is_some() && address(known) == own,
    };
    let same: Vec<&ServiceId> = services.iter().filter(is_same).collect();
    let more = match same.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {more} more with this address (ipvsadm -Ln)"),
    };
    let text = id.to_string();
    let nearest = nearest::measured(&text, same.iter().copied()).map(|(_, known)| known);
    let only_marks = own.is_some() && services.iter().all(|known| address(known).is_none());
    Some(match nearest.or_else(|| nearest::text(&text, services.iter())) {
        Some(known) => format!("there is {known}{more}"),
        None if only_marks => "the services that are there have firewall marks (-f): ipvsadm -Ln".to_owned(),
        None => format!("{} there: ipvsadm -Ln", count(services.len(), "service")),
    })
}

/// Which server of a service is nearest to one that is not there, or which services have that.
fn nearest_server(service: &ServiceId, id: &DestinationId) -> Option<String> {
    let mut client = Client::open().ok()?;
    let mut servers = Vec::new();
    client.for_each_destination(service, |entry| servers.push(entry.destination.id)).ok()?;
    if servers.is_empty() {
        return Some(format!("{service} has no servers; -a adds one"));
    }
    let same_address = servers.iter().find(|known| known.address == id.address);
    if let Some(known) = same_address.or_else(|| nearest::text(&id.to_string(), servers.iter())) {
        return Some(format!("there is {known}"));
    }
    let other = service_with(&mut client, id.address);
    Some(match other {
        Some(other) => format!("{other} has it"),
        None => format!("{} there: ipvsadm -Ln", count(servers.len(), "server")),
    })
}

fn service_with(client: &mut Client, address: IpAddr) -> Option<ServiceId> {
    let services = client.services().ok()?;
    services.into_iter().map(|entry| entry.service.id).find(|id| {
        let mut has = false;
        let read = client.for_each_destination(id, |entry| has |= entry.destination.id.address == address);
        read.is_ok() && has
    })
}

/// The name of a network namespace that has a service.
fn namespace_of(id: &ServiceId) -> Option<String> {
    if netns::is_another() {
        return None;
    }
    let entries = std::fs::read_dir("/run/netns").ok()?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names.into_iter().take(NAMESPACES).find(|name| {
        let service =
            Client::open_in(Path::new("/run/netns").join(name)).and_then(|mut client| client.service(id));
        service.is_ok()
    })
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what} is") } else { format!("{count} {what}s are") }
}
