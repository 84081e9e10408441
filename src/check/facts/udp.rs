//! What is known of the answers of this server's UDP sockets.

use std::net::IpAddr;

use super::machine::default_route_probe;
use super::procfs;
use super::protocols::UDP;
use super::question::Question;
use super::rtnetlink::Routing;
use crate::command::RealServer;

/// The answers of a socket that is bound to no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct UdpAnswers {
    /// The address that the kernel gives them.
    pub(crate) source: Option<IpAddr>,
    /// How many packets of this machine others have refused, because nobody waits for them.
    pub(crate) refused: u64,
}

pub(crate) fn read(role: &RealServer) -> UdpAnswers {
    let to = role.director.unwrap_or_else(|| default_route_probe(role.vip));
    let question = Question { protocol: UDP, from_port: role.port, ..Question::to(to) };
    let source = Routing::open().and_then(|mut routing| routing.source(&question));
    UdpAnswers { source: source.unwrap_or_default(), refused: procfs::refused_packets(role.vip.is_ipv4()) }
}
