//! Requests to the kernel's routing (rtnetlink): interfaces, addresses, neighbours and routes.

pub(crate) mod questions;
mod values;

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    DecodeError, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, Parseable,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::address::{Address, Route, full_prefix};
use super::machine::{Link, Neighbour};
use super::protocols::TCP;
use super::routes::{Lookup, RouteEntry, RoutingRule};

/// How many route lookups a datagram holds at first. Their replies wait in the socket, whose receive buffer may be
/// too small for all (`net.core.rmem_default`). The requests fit into every send buffer: 16 of at most 96 bytes, and
/// no send buffer is below 4 KiB.
const BATCH: usize = 16;

/// How often a dump that changed while it was read is repeated.
const RETRIES: usize = 9;

/// A conversation with the kernel's routing.
pub(crate) struct Routing {
    socket: Socket,
    sequence: u32,
    /// How many route lookups a datagram holds.
    batch: usize,
}

/// The kernel's reply to a request.
type Reply = NetlinkPayload<RouteNetlinkMessage>;

impl Routing {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::new(NETLINK_ROUTE)?, sequence: 0, batch: BATCH })
    }

    pub(crate) fn links(&mut self) -> io::Result<Vec<Link>> {
        let links = self.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(links.into_iter().filter_map(values::link).collect())
    }

    pub(crate) fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let addresses = self.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        Ok(addresses.into_iter().filter_map(values::address).collect())
    }

    pub(crate) fn neighbours(&mut self) -> io::Result<Vec<Neighbour>> {
        let neighbours = self.dump(&RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
        Ok(neighbours.into_iter().filter_map(values::neighbour).collect())
    }

    /// Makes the kernel probe a neighbour, as it would for the next packet to it. A refusal is not waited for.
    pub(crate) fn resolve(&mut self, address: IpAddr, link: u32) -> io::Result<()> {
        let mut neighbour = NeighbourMessage::default();
        neighbour.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        neighbour.header.ifindex = link;
        neighbour.header.flags = NeighbourFlags::Use;
        neighbour.attributes.push(NeighbourAttribute::Destination(address.into()));
        let request = RouteNetlinkMessage::NewNeighbour(neighbour);
        self.send(std::iter::once(request), NLM_F_CREATE).map(drop)
    }

    /// Makes the kernel forget what it knows of a neighbour.
    pub(crate) fn forget(&mut self, address: IpAddr, link: u32) -> io::Result<()> {
        let mut neighbour = NeighbourMessage::default();
        neighbour.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        neighbour.header.ifindex = link;
        neighbour.attributes.push(NeighbourAttribute::Destination(address.into()));
        self.send(std::iter::once(RouteNetlinkMessage::DelNeighbour(neighbour)), 0).map(drop)
    }

    pub(crate) fn routes(&mut self) -> io::Result<Vec<RouteEntry>> {
        let routes = self.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
        Ok(routes.into_iter().filter_map(values::route).collect())
    }

    /// The rules that select among routing tables; none if the kernel has only one table.
    pub(crate) fn rules(&mut self) -> io::Result<Vec<RoutingRule>> {
        match self.dump(&RouteNetlinkMessage::GetRule(RuleMessage::default())) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(Vec::new()),
            rules => Ok(rules?.into_iter().filter_map(values::rule).collect()),
        }
    }

    /// The routes of packets, by all rules and tables.
    pub(crate) fn look_up(&mut self, packets: &[Lookup]) -> io::Result<Vec<Route>> {
        let (mut routes, mut rest) = (Vec::new(), packets);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.batch.min(rest.len()));
            match self.look_up_batch(now) {
                // Replies were lost: fewer requests are repeated, after the replies that arrived are discarded.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && now.len() > 1 => {
                    while self.receive().is_ok() {}
                    self.batch = now.len() / 2;
                }
                replies => {
                    routes.append(&mut replies?);
                    rest = later;
                }
            }
        }
        Ok(routes)
    }

    fn look_up_batch(&mut self, packets: &[Lookup]) -> io::Result<Vec<Route>> {
        let requests = packets.iter().map(|packet| RouteNetlinkMessage::GetRoute(request(packet)));
        let first = self.send(requests, 0)?;
        let mut routes = vec![Route::Unreachable; packets.len()];
        let mut left = packets.len();
        while left > 0 {
            for (header, reply) in messages(&self.receive()?) {
                let at = usize::try_from(header.sequence_number.wrapping_sub(first)).unwrap_or(usize::MAX);
                let Some(slot) = routes.get_mut(at) else { continue };
                left = left.saturating_sub(1);
                match reply {
                    Ok(Reply::InnerMessage(reply)) => {
                        *slot = values::lookup(reply).unwrap_or(Route::Unreachable);
                    }
                    Ok(_) => {} // an error: there is no route
                    Err(_) => return Err(io::Error::other("a route is not of a known form")),
                }
            }
        }
        Ok(routes)
    }

    /// All objects of a kind. Those that this library cannot parse are skipped: there are many kinds of interface
    /// attributes.
    fn dump(&mut self, request: &RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        for _ in 0..=RETRIES {
            let sequence = self.send(std::iter::once(request.clone()), NLM_F_DUMP)?;
            let mut dump = Dump { sequence, objects: Vec::new(), is_complete: true };
            // The kernel goes on with a dump where it was, once it has memory again.
            while !dump.take(&again(&[libc::ENOBUFS], || self.receive())?)? {}
            if dump.is_complete {
                return Ok(dump.objects);
            }
        }
        Err(io::Error::other("they change while they are read"))
    }

    /// Sends requests in one datagram, and returns the sequence number of the first.
    fn send(&mut self, requests: impl Iterator<Item = RouteNetlinkMessage>, flags: u16) -> io::Result<u32> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            let mut message = NetlinkMessage::from(request);
            message.header.flags = NLM_F_REQUEST | flags;
            message.header.sequence_number = self.sequence;
            message.finalize();
            let start = datagram.len();
            datagram.resize(start + message.buffer_len().next_multiple_of(4), 0);
            message.serialize(datagram.get_mut(start..).unwrap_or_default());
        }
        again(&[libc::EINTR, libc::EAGAIN, libc::ENOBUFS], || self.socket.send(&datagram, 0))?;
        Ok(first)
    }

    /// The next datagram. The kernel replies inside `send`, so this never blocks.
    fn receive(&mut self) -> io::Result<Vec<u8>> {
        again(&[libc::EINTR, libc::EAGAIN], || self.receive_once())
    }

    fn receive_once(&mut self) -> io::Result<Vec<u8>> {
        const MSG_DONTWAIT_TRUNC: i32 = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let mut datagram = Vec::with_capacity(ipvs::RECEIVE_BUFFER);
        if self.socket.recv(&mut datagram, MSG_DONTWAIT_TRUNC)? > datagram.len() {
            return Err(io::Error::other("an answer of the kernel's routing is too long"));
        }
        Ok(datagram)
    }
}

/// Sends or receives, and once more if the error is one that may be over the next moment.
fn again<T>(passing: &[i32], mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    work().or_else(|error| match error.raw_os_error() {
        Some(errno) if passing.contains(&errno) => work(),
        _ => Err(error),
    })
}

/// The state of a dump.
struct Dump {
    sequence: u32,
    objects: Vec<RouteNetlinkMessage>,
    /// False if objects changed meanwhile: others may be missing.
    is_complete: bool,
}

impl Dump {
    /// Adds a datagram, and returns whether it is the last.
    fn take(&mut self, datagram: &[u8]) -> io::Result<bool> {
        for (header, reply) in messages(datagram) {
            if header.sequence_number != self.sequence {
                continue;
            }
            self.is_complete &= header.flags & NLM_F_DUMP_INTR == 0;
            match reply {
                Ok(Reply::InnerMessage(object)) => self.objects.push(object),
                Ok(Reply::Error(error)) => return Err(error.to_io()),
                // A failed dump ends with an errno.
                Ok(Reply::Done(end)) if end.code != 0 => {
                    return Err(io::Error::from_raw_os_error(end.code.saturating_neg()));
                }
                Ok(Reply::Done(_)) => return Ok(true),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(false)
    }
}

/// The messages of a datagram.
fn messages(datagram: &[u8]) -> impl Iterator<Item = (NetlinkHeader, Result<Reply, DecodeError>)> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let header = NetlinkHeader::parse(&NetlinkBuffer::new_checked(rest).ok()?).ok()?;
        let reply = NetlinkMessage::deserialize(rest).map(|message| message.payload);
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        rest = length.checked_next_multiple_of(4).and_then(|next| rest.get(next..)).unwrap_or_default();
        Some((header, reply))
    })
}

fn request(packet: &Lookup) -> RouteMessage {
    let Lookup { to, from, port, mark } = *packet;
    let mut request = RouteMessage::default();
    request.header.address_family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    request.header.destination_prefix_length = full_prefix(to);
    request.attributes.push(RouteAttribute::Destination(to.into()));
    if let Some(from) = from {
        request.header.source_prefix_length = full_prefix(from);
        request.attributes.push(RouteAttribute::Source(from.into()));
    }
    if let Some(port) = port {
        request.attributes.extend([RouteAttribute::IpProto(TCP), RouteAttribute::Sport(port)]);
    }
    request.attributes.extend(mark.map(RouteAttribute::Mark));
    request
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::DoneMessage;
    use netlink_packet_route::route::RouteHeader;

    use super::*;

    #[test]
    fn a_dump_that_failed_midway_is_an_error() {
        const LOCAL: u8 = 255;
        let mut routing = Routing::open().unwrap();
        // With strict checks the kernel looks up the table, and reports in the end of the dump that there is none.
        routing.socket.set_netlink_get_strict_chk(true).unwrap();
        let mut routes = |table| {
            let header = RouteHeader { address_family: AddressFamily::Inet, table, ..RouteHeader::default() };
            let mut request = RouteMessage::default();
            request.header = header;
            routing.dump(&RouteNetlinkMessage::GetRoute(request))
        };
        assert!(!routes(LOCAL).unwrap().is_empty());
        assert_eq!(routes(77).unwrap_err().raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn a_dump_that_something_changed_under_is_not_whole() {
        let end = |sequence_number, flags| {
            let mut message =
                NetlinkMessage::new(NetlinkHeader::default(), Reply::Done(DoneMessage::default()));
            (message.header.sequence_number, message.header.flags) = (sequence_number, flags);
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            bytes
        };
        let mut dump = Dump { sequence: 7, objects: Vec::new(), is_complete: true };
        // Messages of another dump mean nothing for this one.
        assert!(!dump.take(&end(6, NLM_F_DUMP_INTR)).unwrap());
        assert!(dump.take(&end(7, 0)).unwrap() && dump.is_complete);
        assert!(dump.take(&end(7, NLM_F_DUMP_INTR)).unwrap() && !dump.is_complete);
    }

    #[test]
    fn ways_whose_answers_were_lost_are_asked_for_again() {
        let to: Vec<Lookup> = (1..=40).map(|host| Lookup::to(IpAddr::from([127, 0, 0, host]))).collect();
        let mut routing = Routing::open().unwrap();
        let expected = vec![Route::Local; to.len()];
        assert_eq!(routing.look_up(&to).unwrap(), expected);
        assert_eq!(routing.batch, BATCH, "the buffer of an ordinary host has room for all");
        routing.socket.set_rx_buf_sz(1).unwrap(); // the kernel sets its minimum
        assert_eq!(routing.look_up(&to).unwrap(), expected);
        assert!(routing.batch < BATCH, "the buffer had room for all");
    }
}
