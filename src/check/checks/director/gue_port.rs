//! Tunnels of GUE to a port whose bytes are swapped, as pyroute2 writes it.

use ipvs::{Change, Destination, ForwardingMethod, Tunnel};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::finding::{Finding, Kind};
use crate::check::fix::Step;
use crate::check::verdict::Examined;

const GUE_PORT: Kind = Kind::error("gue-port", "the server takes GUE from another port: clients time out");

pub(super) const CHECK: OfDirector = Check { kinds: &[GUE_PORT], run };

/// The ports that GUE usually has.
const USUAL: [u16; 2] = [6080, 5555];

/// Servers whose port, with its bytes swapped, is a usual one, unless they answer clients.
fn run(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, server) in director.servers() {
        let (service, destination) = (service.id, server.destination);
        let ForwardingMethod::Tunnel(Tunnel::Gue { port, checksum }) = destination.forwarding else {
            continue;
        };
        let usual = port.swap_bytes();
        if !USUAL.contains(&usual) || director.connections.is_serving(&service, &destination.id) {
            continue;
        }
        let what = format!("packets in GUE go to UDP port {port}, which is {usual} with its bytes swapped");
        let forwarding = ForwardingMethod::Tunnel(Tunnel::Gue { port: usual, checksum });
        let edit =
            Change::EditDestination { service, destination: Destination { forwarding, ..destination } };
        findings.push(GUE_PORT.of_server(&service, &destination.id, what, Step::Table(edit)));
    }
    findings
}
