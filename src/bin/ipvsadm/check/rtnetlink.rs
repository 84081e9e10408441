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

    /// The way of a packet to an address, by all rules and tables; from an address of this machine's, if one is given.
    pub(crate) fn way(&mut self, to: IpAddr, from: Option<IpAddr>) -> io::Result<Way> {
        let mut question = RouteMessage::default();
        question.header.address_family =
            if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        question.header.destination_prefix_length = full_prefix(to);
        question.attributes.push(RouteAttribute::Destination(to.into()));
        if let Some(from) = from {
            question.header.source_prefix_length = full_prefix(from);
            question.attributes.push(RouteAttribute::Source(from.into()));
        }
        let answers = self.ask(RouteNetlinkMessage::GetRoute(question), 0)?;
        Ok(answers.into_iter().next().and_then(way).unwrap_or(Way::None))
    }

    fn dump(&mut self, question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.ask(question, NLM_F_DUMP)
    }

    /// Sends a question and reads its answers to the end: the one there is, or all of a dump. A refusal is no answer.
    fn ask(&mut self, question: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(question);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut datagram = vec![0; message.buffer_len()];
        message.serialize(&mut datagram);
        self.socket.send(&datagram, 0)?;
        let mut answers = Vec::new();
        let mut buffer = Vec::with_capacity(ipvs::RECEIVE_BUFFER);
        loop {
            const MSG_DONTWAIT_TRUNC: i32 = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            buffer.clear();
            // The kernel has answered before `send` is over.
            if self.socket.recv(&mut buffer, MSG_DONTWAIT_TRUNC)? > buffer.len() {
                return Err(io::Error::other("an answer of the kernel's routing is too long"));
            }
            if self.take(&buffer, flags, &mut answers)? {
                return Ok(answers);
            }
        }
    }

    /// Takes the answers out of a datagram; true at the end. What this library cannot read is passed over: interfaces
    /// have attributes without number.
    fn take(&self, datagram: &[u8], flags: u16, answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
        let is_dump = flags == NLM_F_DUMP;
        let mut rest = datagram;
        while let Ok(header) = NetlinkBuffer::new_checked(rest) {
            let length = usize::try_from(header.length()).unwrap_or(usize::MAX);
            let is_answer = header.sequence_number() == self.sequence;
            match NetlinkMessage::deserialize(rest).map(|message| message.payload) {
                _ if !is_answer => {}
                Ok(NetlinkPayload::InnerMessage(inner)) => answers.push(inner),
                Ok(NetlinkPayload::Error(error)) if is_dump => return Err(error.to_io()),
                Ok(NetlinkPayload::Done(_) | NetlinkPayload::Error(_)) => return Ok(true),
                Ok(_) | Err(_) => {}
            }
            if is_answer && !is_dump {
                return Ok(true);
            }
            let next = length.checked_next_multiple_of(4);
            rest = next.and_then(|next| rest.get(next..)).unwrap_or_default();
        }
        Ok(false)
    }
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
