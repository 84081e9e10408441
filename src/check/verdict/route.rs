//! The route to a server.

use ipvs::{DestinationEntry, ForwardingMethod, Protocol, Service, ServiceId};

use crate::check::facts::address::Route;
use crate::check::facts::machine::Machine;

/// What is wrong with the route to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) trouble: Trouble,
    /// The same in words.
    pub(crate) what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Unreachable,
    /// It is directly routed, and behind a gateway.
    BehindGateway,
    /// It does not answer ARP, or its gateway does not.
    Silent,
    /// It is this director, where nothing listens for the service.
    IsDirector,
}

/// What is wrong with the route to a server; none if nothing is.
pub(super) fn problem(machine: &Machine, service: &Service, server: &DestinationEntry) -> Option<Problem> {
    let address = server.destination.id.address;
    let found = |trouble, what| Some(Problem { trouble, what });
    let is_direct_routing = server.destination.forwarding == ForwardingMethod::DirectRouting;
    match machine.route(address) {
        Route::Unreachable => found(Trouble::Unreachable, format!("there is no route to {address}")),
        Route::Via(gateway, _) if is_direct_routing => {
            let mut what = format!("the route to {address} is via {gateway}, not on-link");
            if machine.on_link(address).is_none() {
                what += "; if the address is right, use a tunnel (-i), which the server must decapsulate";
            }
            found(Trouble::BehindGateway, what)
        }
        Route::Local if is_unserved(machine, service, server) => {
            let what = format!("{address} is this director, where nothing listens for the service");
            found(Trouble::IsDirector, what)
        }
        Route::Local => None,
        Route::OnLink(_) | Route::Via(..) => machine.silent_hop(address).and_then(|(hop, link)| {
            let what = format!("{hop} does not answer on {} (ip neigh)", machine.name(link));
            found(Trouble::Silent, what)
        }),
    }
}

/// Whether nothing listens on the director for packets delivered to itself, as far as that is known.
fn is_unserved(machine: &Machine, service: &Service, server: &DestinationEntry) -> bool {
    let ServiceId::Address { protocol, address, port } = service.id else { return false };
    let (address, port) = match server.destination.forwarding {
        ForwardingMethod::Masquerade => (server.destination.id.address, server.destination.id.port),
        _ => (address, port),
    };
    match protocol {
        _ if port == 0 => false,
        Protocol::Tcp => !machine.listens(address, port, true),
        Protocol::Udp => !machine.listens(address, port, false),
        _ => false,
    }
}
