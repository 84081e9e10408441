//! Masqueraded servers and their own networks: clients there, and this director, get answers directly.

use std::net::{IpAddr, SocketAddr};

use ipvs::{DestinationEntry, DestinationId, Family, ForwardingMethod, Service};

use crate::check::director::Director;
use crate::check::facts::address::{Address, Route};
use crate::check::facts::machine::{Machine, TcpState};
use crate::check::facts::protocols::TCP;
use crate::check::firewall::packets;
use crate::check::firewall::rules::Packet;

/// So many connections are no accident.
pub(crate) const MANY: usize = 3;

/// Clients in the network of a server that wait for it in vain, and that network.
pub(super) fn near_clients(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
    is_filtered: bool,
) -> Option<(Vec<IpAddr>, String)> {
    let machine = &director.machine;
    let id = server.destination.id;
    if server.destination.forwarding != ForwardingMethod::Masquerade
        || director.connections.waits(&service.id, &id) < MANY
        || !machine.forwards(id.address)
    {
        return None;
    }
    let network = network_of(machine, id.address)?;
    let is_near = |client: IpAddr| network.spans(client) && machine.holders(client).next().is_none();
    let packet = Packet {
        to: Some(id.address),
        to_port: Some(id.port).filter(|port| *port != 0),
        ..Packet::of(Family::from(id.address), TCP)
    };
    if packets::is_tracked(machine) == Some(true) && director.rules.may_translate(&packet) {
        return None;
    }
    let connections = &director.connections;
    let waiting = connections.waiting(&service.id, &id, is_near);
    if waiting.len() < MANY {
        return None;
    }
    // The server answers nobody, or the servers of this network answer their neighbours by the director.
    let is_far = |client: IpAddr| !network.spans(client);
    let fails_all = !connections.waiting(&service.id, &id, is_far).is_empty()
        && !connections.has_served(&service.id, |server, client| server == id && is_far(client));
    let others_serve = connections.has_served(&service.id, |server, client| {
        server != id && network.spans(server.address) && is_near(client)
    });
    if fails_all || others_serve || is_filtered || answers_director(machine, id) == Some(false) {
        return None;
    }
    Some((waiting, format!("{}/{}", network.address, network.prefix)))
}

/// Whether a server accepts connections of this director itself, such as those of health checks; none if there are none.
pub(crate) fn answers_director(machine: &Machine, server: DestinationId) -> Option<bool> {
    let to = SocketAddr::new(server.address, server.port);
    let mut own = machine.connections.iter().filter(|own| own.remote == to).peekable();
    own.peek()?;
    Some(own.any(|own| own.state != TcpState::Opening))
}

/// This machine's address in the network of a server.
fn network_of(machine: &Machine, server: IpAddr) -> Option<Address> {
    let Route::OnLink(link) = machine.route(server) else { return None };
    machine.networks(server).find(|own| own.link == link).copied()
}
