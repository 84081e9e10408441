//! Questions to the kernel's routing (rtnetlink): interfaces, addresses, neighbours, and ways.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::machine::{Address, Link, Neighbour, Sort, Way, full_prefix};

/// Answers queue up while a datagram is worked through, and what does not fit into the socket's buffer is lost.
const AT_ONCE: usize = 16;

/// A conversation with the kernel's routing.
pub(crate) struct Routing {
    socket: Socket,
    sequence: u32,
}

impl Routing {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::new(NETLINK_ROUTE)?, sequence: 0 })
    }

    pub(crate) fn links(&mut self) -> io::Result<Vec<Link>> {
        let links = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(links.into_iter().filter_map(link).collect())
    }

    pub(crate) fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let addresses = self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        Ok(addresses.into_iter().filter_map(address).collect())
    }

    pub(crate) fn neighbours(&mut self) -> io::Result<Vec<Neighbour>> {
        let neighbours = self.dump(RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
        Ok(neighbours.into_iter().filter_map(neighbour).collect())
    }

    /// The ways of packets to addresses, by all rules and tables; from an address of this machine's, if one is given.
    pub(crate) fn ways(&mut self, to: &[IpAddr], from: Option<IpAddr>) -> io::Result<Vec<(IpAddr, Way)>> {
        let mut ways = Vec::new();
        for to in to.chunks(AT_ONCE) {
            let questions = to.iter().map(|to| RouteNetlinkMessage::GetRoute(to_and_from(*to, from)));
            let first = self.send(questions, 0)?;
            let mut answers: Vec<(IpAddr, Way)> = to.iter().map(|to| (*to, Way::None)).collect();
            self.receive(first, to.len(), |at, answer| {
                if let (Some((_, slot)), Some(way)) = (answers.get_mut(at), answer.ok().and_then(way)) {
                    *slot = way;
                }
                Ok(())
            })?;
            ways.append(&mut answers);
        }
        Ok(ways)
    }

    fn dump(&mut self, question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let first = self.send(std::iter::once(question), NLM_F_DUMP)?;
        let mut answers = Vec::new();
        self.receive(first, 0, |_, answer| {
            answers.push(answer?);
            Ok(())
        })?;
        Ok(answers)
    }

    /// Sends questions in one datagram, and returns the number of the first.
    fn send(&mut self, questions: impl Iterator<Item = RouteNetlinkMessage>, flags: u16) -> io::Result<u32> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        for question in questions {
            self.sequence = self.sequence.wrapping_add(1);
            let mut message = NetlinkMessage::from(question);
            message.header.flags = NLM_F_REQUEST | flags;
            message.header.sequence_number = self.sequence;
            message.finalize();
            let start = datagram.len();
            datagram.resize(start + message.buffer_len().next_multiple_of(4), 0);
            message.serialize(datagram.get_mut(start..).unwrap_or_default());
        }
        self.socket.send(&datagram, 0)?;
        Ok(first)
    }

    /// Reads the answers to questions, each with its place among them: one for each of `alone` questions, or those of
    /// a dump up to its end, where what this library cannot read is passed over: interfaces have attributes without
    /// number.
    fn receive(
        &mut self,
        first: u32,
        alone: usize,
        mut take: impl FnMut(usize, io::Result<RouteNetlinkMessage>) -> io::Result<()>,
    ) -> io::Result<()> {
        const MSG_DONTWAIT_TRUNC: i32 = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let mut left = alone;
        let mut buffer = Vec::with_capacity(ipvs::RECEIVE_BUFFER);
        loop {
            buffer.clear();
            // The kernel has answered before `send` is over.
            if self.socket.recv(&mut buffer, MSG_DONTWAIT_TRUNC)? > buffer.len() {
                return Err(io::Error::other("an answer of the kernel's routing is too long"));
            }
            let mut rest = &buffer[..];
            while let Ok(header) = NetlinkBuffer::new_checked(rest) {
                let at = usize::try_from(header.sequence_number().wrapping_sub(first)).unwrap_or(usize::MAX);
                let next = usize::try_from(header.length())
                    .ok()
                    .and_then(|length| length.checked_next_multiple_of(4));
                if at < alone.max(1) {
                    match NetlinkMessage::deserialize(rest).map(|message| message.payload) {
                        Ok(NetlinkPayload::InnerMessage(inner)) => take(at, Ok(inner))?,
                        Ok(NetlinkPayload::Error(error)) => take(at, Err(error.to_io()))?,
                        Ok(NetlinkPayload::Done(_)) => return Ok(()),
                        Err(_) if alone > 0 => {
                            return Err(io::Error::other("a route is not of a known form"));
                        }
                        Ok(_) | Err(_) => {}
                    }
                    left = left.saturating_sub(1);
                    if alone > 0 && left == 0 {
                        return Ok(());
                    }
                }
                rest = next.and_then(|next| rest.get(next..)).unwrap_or_default();
            }
        }
    }
}

fn to_and_from(to: IpAddr, from: Option<IpAddr>) -> RouteMessage {
    let mut question = RouteMessage::default();
    question.header.address_family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    question.header.destination_prefix_length = full_prefix(to);
    question.attributes.push(RouteAttribute::Destination(to.into()));
    if let Some(from) = from {
        question.header.source_prefix_length = full_prefix(from);
        question.attributes.push(RouteAttribute::Source(from.into()));
    }
    question
}

fn link(message: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let flags = message.header.flags;
    let has_kind = |wanted: &InfoKind| {
        message.attributes.iter().any(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => {
                infos.iter().any(|info| matches!(info, LinkInfo::Kind(kind) if kind == wanted))
            }
            _ => false,
        })
    };
    let sort = match message.header.link_layer_type {
        _ if flags.contains(LinkFlags::Loopback) => Sort::Loopback,
        _ if has_kind(&InfoKind::Dummy) => Sort::Nobody,
        LinkLayerType::Tunnel
        | LinkLayerType::Tunnel6
        | LinkLayerType::Sit
        | LinkLayerType::Ipgre
        | LinkLayerType::Ip6gre => Sort::Tunnel,
        _ if flags.contains(LinkFlags::Noarp) => Sort::Nobody,
        _ => Sort::Wire,
    };
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    Some(Link { index: message.header.index, name, is_up: flags.contains(LinkFlags::Up), sort })
}

fn address(message: RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let of = |pick: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(pick);
    // Between two ends of a line, the other is the one that is not local.
    let local =
        of(|attribute| if let AddressAttribute::Local(address) = attribute { Some(*address) } else { None });
    let plain = of(
        |attribute| if let AddressAttribute::Address(address) = attribute { Some(*address) } else { None },
    );
    Some(Address { address: local.or(plain)?, prefix: message.header.prefix_len, link: message.header.index })
}

fn neighbour(message: RouteNetlinkMessage) -> Option<Neighbour> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })?;
    let is_silent = matches!(message.header.state, NeighbourState::Failed | NeighbourState::Incomplete);
    Some(Neighbour { address, link: message.header.ifindex, is_silent })
}

fn way(message: RouteNetlinkMessage) -> Option<Way> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    match message.header.kind {
        RouteType::Local => return Some(Way::Here),
        RouteType::Unicast => {}
        _ => return Some(Way::None),
    }
    let (mut link, mut gateway) = (None, None);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => link = Some(index),
            RouteAttribute::Gateway(RouteAddress::Inet(address))
            | RouteAttribute::Via(RouteVia::Inet(address)) => {
                gateway = Some(IpAddr::V4(address));
            }
            RouteAttribute::Gateway(RouteAddress::Inet6(address))
            | RouteAttribute::Via(RouteVia::Inet6(address)) => {
                gateway = Some(IpAddr::V6(address));
            }
            _ => {}
        }
    }
    Some(match gateway {
        Some(gateway) => Way::Gateway(gateway, link?),
        None => Way::Direct(link?),
    })
}
