//! A real server whose rules give clients' packets another destination: a port of its own, or a container's. Its answers come from
//! there, and its rules of routing see that.

use std::net::IpAddr;

use ipvs::{Family, Protocol};

use crate::check::facts::answers::sources;
use crate::check::facts::machine::Machine;
use crate::check::facts::protocols::{TCP, UDP};
use crate::check::firewall::rules::{Hook, Packet};
use crate::check::firewall::ruleset::Ruleset;
use crate::command::{Method, RealServer};

/// An end of clients' connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) address: IpAddr,
    pub(crate) port: Option<u16>,
}

impl End {
    /// Whether it is on this machine itself: a container has addresses of its own.
    pub(crate) fn is_here(self, machine: &Machine) -> bool {
        machine.holders(self.address).next().is_some()
    }
}

/// The addresses that clients' packets have when they arrive here: with masquerading the server's own.
pub(crate) fn arriving(role: &RealServer, machine: &Machine) -> Vec<IpAddr> {
    match role.method {
        Method::Masquerade => sources(role, machine).into_iter().flatten().collect(),
        Method::DirectRouting | Method::Tunnel => vec![role.vip],
    }
}

/// A client's first packet, as it arrives here.
pub(crate) fn request(role: &RealServer, machine: &Machine, to: IpAddr, protocol: u8) -> Packet {
    let near = role.director.filter(|_| role.method != Method::Tunnel);
    let arrives = near.and_then(|director| machine.route(director).link());
    Packet {
        to: Some(to),
        to_port: role.port,
        arrives: arrives.map(|link| machine.name(link).to_owned()),
        state: Some("new"),
        is_local: Some(machine.holders(to).next().is_some()),
        ..Packet::of(Family::from(to), protocol)
    }
}

/// Whether a rule may change the destination of clients' packets. Without a port it is enough that there is one for the
/// address.
pub(crate) fn is_redirected(role: &RealServer, machine: &Machine, rules: &Ruleset) -> bool {
    let of_protocol = |number| {
        arriving(role, machine)
            .into_iter()
            .any(|to| rules.may_redirect(&[Hook::Prerouting], &request(role, machine, to, number)))
    };
    match role.protocol {
        Some(Protocol::Udp) => of_protocol(UDP),
        Some(_) => of_protocol(TCP),
        None => of_protocol(TCP) || of_protocol(UDP),
    }
}

/// Where clients' connections end; none if a rule may change that in a way that is not known.
pub(crate) fn ends(role: &RealServer, machine: &Machine, rules: &Ruleset) -> Option<Vec<End>> {
    let protocol = if role.protocol == Some(Protocol::Udp) { UDP } else { TCP };
    let end = |to: IpAddr| {
        let packet = request(role, machine, to, protocol);
        match rules.redirects(&packet) {
            Some((_, target)) => {
                let (address, port) = (target.address.unwrap_or(to), target.port.or(role.port));
                Some(End { address, port })
            }
            None if rules.may_redirect(&[Hook::Prerouting], &packet) => None,
            None => Some(End { address: to, port: role.port }),
        }
    };
    arriving(role, machine).into_iter().map(end).collect()
}
