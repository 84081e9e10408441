//! The interfaces of tunnels on a real server.

use ipvs::TunnelKind;

use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::command::RealServer;

/// The interfaces of the director's kind of tunnel; of any kind if it is not known.
pub(crate) fn usable<'a>(role: &RealServer, machine: &'a Machine) -> impl Iterator<Item = &'a Link> {
    let kind = role.tunnel.map(|(kind, _)| kind);
    let six_in_four = is_six_in_four(role);
    let is_usable = move |link: &&Link| match (kind, link.kind) {
        (Some(TunnelKind::Gre), kind) => kind == LinkKind::Gre,
        (Some(TunnelKind::Ipip | TunnelKind::Gue), kind) if six_in_four => kind == LinkKind::OtherTunnel,
        (None, kind) if six_in_four => matches!(kind, LinkKind::OtherTunnel | LinkKind::Gre),
        (Some(TunnelKind::Ipip | TunnelKind::Gue), kind) => kind == LinkKind::Tunnel,
        (_, kind) => matches!(kind, LinkKind::Tunnel | LinkKind::Gre | LinkKind::OtherTunnel),
    };
    machine.links.iter().filter(is_usable)
}

/// IPv6 in IPv4, which an interface of its own takes.
pub(crate) fn is_six_in_four(role: &RealServer) -> bool {
    role.vip.is_ipv6() && role.director.is_some_and(|director| director.is_ipv4())
}
