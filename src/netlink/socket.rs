//! The socket: requests go out, replies come back in order, and nothing ever waits for a reply that will not come.
//!
//! The kernel runs a request inside the sender's `send` and makes the chunks of a dump inside `recv`, so a reply is
//! there when the reader asks, or it never will be: every read is a non-blocking one.

use std::io;

use netlink_packet_core::{DecodeError, NLM_F_ACK, NLM_F_DUMP};
use netlink_sys::protocols::NETLINK_GENERIC;

use super::attr::{Writer, attributes};
use super::message::{Reply, append, append_lookup, replies};
use crate::error::{Error, Operation, Result};

/// Where datagrams go and come from: the kernel, or in a test whatever answers like it.
///
/// ```
/// use std::io;
///
/// /// A kernel that never answers.
/// struct Silence;
///
/// impl ipvs::Transport for Silence {
///     fn send(&mut self, _datagram: &[u8]) -> io::Result<()> {
///         Ok(())
///     }
///     fn receive(&mut self, _buffer: &mut Vec<u8>) -> io::Result<()> {
///         Err(io::ErrorKind::WouldBlock.into())
///     }
/// }
///
/// assert!(ipvs::Client::over(Silence).is_err());
/// ```
pub trait Transport {
    /// Sends one datagram of netlink messages.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Puts the next waiting datagram into `buffer`, which is empty and has the room of [`RECEIVE_BUFFER`].
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where none is waiting; it is never waited for.
    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()>;
}

/// Room for one datagram, in bytes: a dump's chunks never grow beyond it (`netlink_dump` of the kernel caps them).
pub const RECEIVE_BUFFER: usize = 32 * 1024;

/// Errors queue up while a datagram is worked through, each costs up to 1 KiB of the socket's receive buffer of
/// 208 KiB, and what does not fit is lost: no datagram holds more requests than that.
const REQUESTS_PER_DATAGRAM: usize = 128;

/// A netlink socket of the kernel's, in the network namespace of the thread that made it.
pub(crate) struct Kernel(netlink_sys::Socket);

impl Kernel {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = netlink_sys::Socket::new(NETLINK_GENERIC)?;
        // Errors come back without a copy of the whole request.
        socket.set_cap_ack(true)?;
        Ok(Self(socket))
    }
}

impl Transport for Kernel {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.0.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT_TRUNC: i32 = 0x40 | 0x20;
        let length = self.0.recv(buffer, MSG_DONTWAIT_TRUNC)?;
        if length > buffer.len() {
            return Err(io::Error::other(format!(
                "a datagram of {length} bytes was cut to {}",
                buffer.len()
            )));
        }
        Ok(())
    }
}

/// A request: what is done, and the attributes that say to what.
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) attributes: Writer,
}

/// The conversation with the family over one transport.
pub(crate) struct Link {
    transport: Box<dyn Transport>,
    family: u16,
    sequence: u32,
    received: Vec<u8>,
}

impl Link {
    /// Looks up the number of the family, which loads the kernel's module where the kernel may load modules.
    pub(crate) fn new(transport: Box<dyn Transport>) -> Result<Self> {
        let mut link =
            Self { transport, family: 0, sequence: 0, received: Vec::with_capacity(RECEIVE_BUFFER) };
        let mut datagram = Vec::new();
        append_lookup(&mut datagram, link.next_sequence());
        let mut family = None;
        link.converse(Operation::Lookup, &datagram, Ends::AtData, |_, bytes| {
            const CTRL_ATTR_FAMILY_ID: u16 = 1;
            for attribute in attributes(bytes) {
                let attribute = attribute?;
                if attribute.kind == CTRL_ATTR_FAMILY_ID {
                    family = Some(attribute.u16()?);
                }
            }
            Ok(())
        })?;
        link.family = family.ok_or(Error::NoReply { operation: Operation::Lookup })?;
        Ok(link)
    }

    /// Asks for one object: `read` gets its attributes.
    pub(crate) fn get(
        &mut self,
        request: Request,
        read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<()> {
        self.ask(request, 0, Ends::AtData, read)
    }

    /// Asks for all objects of a kind: `read` gets the attributes of each. One that cannot be read does not end
    /// the dump, which would leave the socket busy; it is reported at the end.
    pub(crate) fn dump(
        &mut self,
        request: Request,
        read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<()> {
        self.ask(request, NLM_F_DUMP, Ends::AtDone, read)
    }

    fn ask(
        &mut self,
        request: Request,
        flags: u16,
        ends: Ends,
        read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<()> {
        let mut datagram = Vec::new();
        let sequence = self.next_sequence();
        append(&mut datagram, self.family, request.operation.command(), flags, sequence, request.attributes);
        self.converse(request.operation, &datagram, ends, read)
    }

    /// Carries out changes, many in a datagram, and calls `refused` with the position and the error of each that
    /// the kernel refused, in order. The others are in effect.
    pub(crate) fn change(
        &mut self,
        requests: impl ExactSizeIterator<Item = Request>,
        mut refused: impl FnMut(usize, Error),
    ) -> Result<()> {
        let (mut done, total) = (0, requests.len());
        let mut requests = requests.peekable();
        while requests.peek().is_some() {
            let mut datagram = Vec::new();
            let mut operations = Vec::new();
            let first = self.sequence.wrapping_add(1);
            for request in requests.by_ref().take(REQUESTS_PER_DATAGRAM) {
                operations.push(request.operation);
                // Refusals are always reported; an ack on the last says that the others were carried out.
                let is_last = operations.len() == REQUESTS_PER_DATAGRAM || done + operations.len() == total;
                let flags = if is_last { NLM_F_ACK } else { 0 };
                let sequence = self.next_sequence();
                append(
                    &mut datagram,
                    self.family,
                    request.operation.command(),
                    flags,
                    sequence,
                    request.attributes,
                );
            }
            self.send(&datagram)?;
            self.take_refusals(first, &operations, |at, error| refused(done + at, error))?;
            done += operations.len();
        }
        Ok(())
    }

    /// Reads until the answer to the last of `operations`, whose sequence numbers begin with `first`.
    fn take_refusals(
        &mut self,
        first: u32,
        operations: &[Operation],
        mut refused: impl FnMut(usize, Error),
    ) -> Result<()> {
        let Some(last) = operations.last().copied() else { return Ok(()) };
        loop {
            self.receive(last)?;
            for reply in replies(&self.received) {
                let (sequence, Reply::Ack { errno }) =
                    reply.map_err(|error| Error::malformed(last, &error))?
                else {
                    continue;
                };
                let at = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let Some(operation) = operations.get(at).copied() else { continue };
                if errno != 0 {
                    refused(at, Error::Kernel { operation, errno });
                }
                if at + 1 == operations.len() {
                    return Ok(());
                }
            }
        }
    }

    /// Sends one request and reads its replies to the end.
    fn converse(
        &mut self,
        operation: Operation,
        datagram: &[u8],
        ends: Ends,
        mut read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<()> {
        let asked = self.sequence;
        let mut unread = None;
        self.send(datagram)?;
        loop {
            self.receive(operation)?;
            for reply in replies(&self.received) {
                let (sequence, reply) = reply.map_err(|error| Error::malformed(operation, &error))?;
                if sequence != asked {
                    continue;
                }
                match reply {
                    Reply::Data { command, attributes } => {
                        if let Err(error) = read(command, attributes) {
                            unread.get_or_insert(Error::malformed(operation, &error));
                        }
                        if ends == Ends::AtData {
                            return unread.map_or(Ok(()), Err);
                        }
                    }
                    Reply::Ack { errno: 0 } | Reply::Done { errno: 0 } => return unread.map_or(Ok(()), Err),
                    Reply::Ack { errno } | Reply::Done { errno } => {
                        return Err(Error::Kernel { operation, errno });
                    }
                }
            }
        }
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn send(&mut self, datagram: &[u8]) -> Result<()> {
        loop {
            match self.transport.send(datagram) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    return result.map_err(|source| Error::Socket { doing: "sending to the kernel", source });
                }
            }
        }
    }

    fn receive(&mut self, operation: Operation) -> Result<()> {
        loop {
            self.received.clear();
            match self.transport.receive(&mut self.received) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::NoReply { operation });
                }
                Err(source) => return Err(Error::Socket { doing: "reading the kernel's reply", source }),
            }
        }
    }
}

/// What ends the replies to a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    AtData,
    AtDone,
}
