//! The interfaces of tunnels on a real server.

use ipvs::TunnelKind;

use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::command::RealServer;

/// The interfaces of the director's kind of tunnel that take its packets; of any kind if it is not known.
pub(crate) fn usable<'a>(role: &RealServer, machine: &'a Machine) -> impl Iterator<Item = &'a Link> {
    let usable: Vec<&Link> =
        machine.links.iter().filter(|link| is_of_kind(role, link) && takes(role, machine, link)).collect();
    usable.into_iter()
}

/// Whether an interface is of the director's kind of tunnel.
pub(crate) fn is_of_kind(role: &RealServer, link: &Link) -> bool {
    let kind = role.tunnel.map(|(kind, _)| kind);
    let six_in_four = is_six_in_four(role);
    match (kind, link.kind) {
        (Some(TunnelKind::Gre), kind) => kind == LinkKind::Gre,
        (Some(TunnelKind::Ipip | TunnelKind::Gue), kind) if six_in_four => kind == LinkKind::OtherTunnel,
        (None, kind) if six_in_four => matches!(kind, LinkKind::OtherTunnel | LinkKind::Gre),
        // Nobody has said which, so it is IP in IP unless the others have got packets.
        (None, LinkKind::Gre | LinkKind::OtherTunnel) => link.facts.received > 0,
        (_, kind) => kind == LinkKind::Tunnel,
    }
}

/// Whether a tunnel may take the director's packets: some are for one other machine alone.
pub(crate) fn takes(role: &RealServer, machine: &Machine, link: &Link) -> bool {
    let mut ends = role.director.zip(link.facts.remote).into_iter();
    let is_from = ends.all(|(director, remote)| machine.is_same_machine(remote, director));
    let is_here = link.facts.local.is_none_or(|local| machine.holders(local).next().is_some());
    is_from && is_here
}

/// IPv6 in IPv4, which an interface of its own takes.
pub(crate) fn is_six_in_four(role: &RealServer) -> bool {
    role.vip.is_ipv6() && role.director.is_some_and(|director| director.is_ipv4())
}
