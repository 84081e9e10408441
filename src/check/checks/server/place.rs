//! Whether a real server is to have the VIP: not if it is the director, or gives the packets another address.

use std::net::IpAddr;

use ipvs::{Family, Protocol};

use crate::check::facts::answers::sources;
use crate::check::facts::machine::{LinkKind, Machine};
use crate::check::facts::protocols::{TCP, UDP};
use crate::check::firewall::rules::{Hook, Packet};
use crate::check::firewall::ruleset::Ruleset;
use crate::check::server::Server;
use crate::command::{Method, RealServer};

/// Where the VIP belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// On this server, where nobody sees it.
    Here,
    /// This server needs none, or is the director, which has it.
    Elsewhere,
    /// It is on an interface that is connected to a network, and this machine may be the director.
    Unknown { link: &'a str, reason: &'static str },
}

pub(super) fn wants_vip(server: &Server) -> Place<'_> {
    let Server { role, machine, rules } = server;
    // A server that gives the VIP's packets another address needs no VIP.
    let is_held = machine.holders(role.vip).next().is_some();
    let is_redirected = || !is_held && is_redirected(role, machine, rules);
    if role.method == Method::Masquerade || is_redirected() { Place::Elsewhere } else { place(role, machine) }
}

/// The same by whether this machine is the director, which has the VIP and answers for it, and a real server too.
fn place<'a>(role: &RealServer, machine: &'a Machine) -> Place<'a> {
    let of = |is_director| if is_director { Place::Elsewhere } else { Place::Here };
    if let Some(director) = role.director {
        return of(machine.holders(director).next().is_some());
    }
    let mut holders = machine.holders(role.vip);
    let Some((_, link)) = holders.find(|(_, link)| link.kind == LinkKind::Ethernet) else {
        return Place::Here;
    };
    match machine.scheduled.unknown {
        _ if machine.scheduled.addresses.contains(&role.vip) => Place::Elsewhere,
        None => Place::Here,
        Some(reason) => Place::Unknown { link: &link.name, reason },
    }
}

/// Whether a rule may change the destination of clients' packets. Without a port it is enough that there is one for the
/// address.
pub(super) fn is_redirected(role: &RealServer, machine: &Machine, rules: &Ruleset) -> bool {
    let of_protocol = |number| {
        ends(role, machine)
            .into_iter()
            .any(|to| rules.may_redirect(&[Hook::Prerouting], &request(machine, to, role.port, number)))
    };
    match role.protocol {
        Some(Protocol::Udp) => of_protocol(UDP),
        Some(_) => of_protocol(TCP),
        None => of_protocol(TCP) || of_protocol(UDP),
    }
}

/// The addresses that clients' packets have when they arrive here: with masquerading the server's own.
pub(super) fn ends(role: &RealServer, machine: &Machine) -> Vec<IpAddr> {
    match role.method {
        Method::Masquerade => sources(role, machine).into_iter().flatten().collect(),
        Method::DirectRouting | Method::Tunnel => vec![role.vip],
    }
}

/// A client's first packet, as it arrives here.
pub(super) fn request(machine: &Machine, to: IpAddr, to_port: Option<u16>, protocol: u8) -> Packet {
    Packet {
        to: Some(to),
        to_port,
        state: Some("new"),
        is_local: Some(machine.holders(to).next().is_some()),
        ..Packet::of(Family::from(to), protocol)
    }
}
