//! Warnings about a service that its scheduler cannot balance, or whose answers go astray.

use ipvs::{Change, Client, Destination, ForwardingMethod, Protocol, Service, ServiceId};

use crate::balance::{answers_untranslated, smaller_weights, too_large, unbalanced};
use crate::change::current::Current;
use crate::format::command_line;
use crate::messages::warning;

/// The warnings about `change`, which is in effect. The kernel is asked only where one is possible; one that cannot be
/// computed is no error.
pub(crate) fn about(client: &mut Client, change: &Change, current: &Current) -> Vec<String> {
    match change {
        Change::AddService(service) => spread(service).into_iter().collect(),
        Change::EditService(service) => {
            let mut warnings: Vec<String> = spread(service).into_iter().collect();
            if service.one_packet || service.scheduler == *"sh" {
                let servers = servers(client, &service.id);
                let astray = servers.iter().find(|server| answers_untranslated(service, server));
                warnings.extend(astray.map(|server| answers(service, server)));
                warnings.extend(weights(service, &servers));
            }
            warnings
        }
        Change::AddDestination { service: id, destination }
        | Change::EditDestination { service: id, destination } => {
            let mut warnings = Vec::new();
            let is_tcp = matches!(id, ServiceId::Address { protocol, .. } if *protocol != Protocol::Udp);
            if destination.forwarding == ForwardingMethod::Masquerade && !is_tcp {
                let service = client.service(id).ok().map(|entry| entry.service);
                let astray = service.filter(|service| answers_untranslated(service, destination));
                warnings.extend(astray.map(|service| answers(&service, destination)));
            }
            let hashing = current.service.filter(|service| service.scheduler == *"sh");
            warnings.extend(hashing.and_then(|service| weights(&service, &servers(client, id))));
            warnings
        }
        _ => Vec::new(),
    }
}

fn servers(client: &mut Client, id: &ServiceId) -> Vec<Destination> {
    let mut servers: Vec<Destination> =
        client.destinations(id).unwrap_or_default().into_iter().map(|entry| entry.destination).collect();
    servers.sort_by_key(|server| server.id);
    servers
}

fn spread(service: &Service) -> Option<String> {
    let (why, scheduler) = unbalanced(service)?;
    Some(warning::unbalanced(&why, &command_line(&Change::EditService(Service { scheduler, ..*service }))))
}

fn answers(service: &Service, server: &Destination) -> String {
    let fix = command_line(&Change::EditService(Service { one_packet: false, ..*service }));
    warning::answers_untranslated(&server.id, &fix)
}

fn weights(service: &Service, servers: &[Destination]) -> Option<String> {
    let weights: Vec<u32> = servers.iter().map(|server| server.weight).collect();
    let smaller = smaller_weights(&service.scheduler, &weights)?;
    let edits = servers.iter().zip(smaller).filter(|(server, weight)| server.weight != *weight);
    let edits = edits.map(|(server, weight)| {
        let destination = Destination { weight, ..*server };
        command_line(&Change::EditDestination { service: service.id, destination })
    });
    Some(warning::hash_weights(&too_large(&weights), &edits.collect::<Vec<_>>().join(" && ")))
}
