//! Whether a real server is to have the VIP: not if it is the director, or gives the packets another address.

use super::redirected::is_redirected;
use crate::check::facts::machine::{LinkKind, Machine};
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
    let Server { role, machine, rules, .. } = server;
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
