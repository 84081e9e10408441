//! The socket: requests go out, replies come back in order, and nothing ever waits for a reply that will not come.
//!
//! The kernel runs a request inside the sender's `send` and makes the chunks of a dump inside `recv`, so a reply is
//! there when the reader asks, or it never will be: every read is a non-blocking one.

use std::io;
use std::ops::Range;

use netlink_packet_core::{DecodeError, NLM_F_ACK, NLM_F_DUMP, NLMSG_NOOP};
use netlink_packet_generic::constants::CTRL_ATTR_FAMILY_ID;
use netlink_sys::protocols::NETLINK_GENERIC;

use super::attr::{Writer, attributes};
use super::message::{Reply, append, append_lookup, replies};
use crate::change::Change;
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
pub trait Transport: Send {
    /// Sends one datagram of netlink messages.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Puts the next waiting datagram into `buffer`, which is empty and has room for one, [`RECEIVE_BUFFER`] at most:
    /// what the kernel sends does not outgrow the room that it has been offered.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where none is waiting; it is never waited for.
    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()>;
}

/// Room for one datagram, in bytes: a dump's chunks never grow beyond it (`netlink_dump` of the kernel caps them).
pub const RECEIVE_BUFFER: usize = 32 * 1024;

/// The size of a dump's chunks on a socket that was never offered more room. The kernel clears the memory of a chunk
/// and of the one behind it before it fills them, which takes longer than reading a service's few servers: small
/// chunks are three times as fast there. Pages of more than 4 KiB make larger ones.
const SMALL_BUFFER: usize = if cfg!(target_arch = "x86_64") { 3_776 } else { 8_192 };

/// So many small chunks (with 40 servers) make a dump a long one, and the room grows.
const SMALL_CHUNKS: usize = 4;

/// More requests in a datagram make nothing faster.
pub(crate) const REQUESTS_PER_DATAGRAM: usize = 128;

/// What the answer to a change takes of a socket's receive buffer: 768 or 896 bytes with kernels of today.
const ANSWER: usize = 1536;

/// A netlink socket of the kernel's, in the network namespace of the thread that made it.
pub(crate) struct Kernel(netlink_sys::Socket);

impl Kernel {
    pub(crate) fn open() -> io::Result<Self> {
        netlink_sys::Socket::new(NETLINK_GENERIC).map(Self)
    }

    /// How many changes may go out in a datagram. Their answers wait in the socket until all are carried out, and what
    /// does not fit into its receive buffer, which is as large as the host has it (`net.core.rmem_default`), is lost.
    pub(crate) fn requests_per_datagram(&self) -> usize {
        // A refusal need not hold a copy of its request, which may be long; kernels before 4.3 do not know of this.
        let _ = self.0.set_cap_ack(true);
        let room = self.0.get_rx_buf_sz().unwrap_or(0);
        (room / ANSWER).clamp(1, REQUESTS_PER_DATAGRAM)
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

/// The conversation with the family.
pub(crate) struct Link {
    line: Line,
    /// For the dump of all services. The kernel sizes a socket's chunks by the largest room it was ever offered, so
    /// that the other one keeps its small ones. There is none where a test stands in for the kernel.
    bulk: Option<Line>,
    family: u16,
    datagram: Writer,
    /// How many changes go out in a datagram.
    at_once: usize,
}

impl Link {
    /// Looks up the number of the family, which loads the kernel's module where the kernel may load modules.
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        bulk: Option<Box<dyn Transport>>,
        at_once: usize,
    ) -> Result<Self> {
        let mut link = Self {
            line: Line::new(transport),
            bulk: bulk.map(Line::new),
            family: 0,
            datagram: Writer::default(),
            at_once,
        };
        append_lookup(&mut link.datagram, link.line.next_sequence());
        let mut family = None;
        link.line.converse(Operation::Lookup, &link.datagram, Ends::AtData, |_, bytes| {
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
        operation: Operation,
        fill: impl FnOnce(&mut Writer),
        read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<()> {
        let (line, datagram) = (&mut self.line, &mut self.datagram);
        line.ask(datagram, self.family, operation, 0, fill, read).map(|_| ())
    }

    /// Asks for all objects of a kind: `read` gets the attributes of each. One that cannot be read does not end
    /// the dump, which would leave the socket busy; it is reported at the end.
    pub(crate) fn dump(
        &mut self,
        operation: Operation,
        fill: impl FnOnce(&mut Writer),
        read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<()> {
        let (line, datagram) = (&mut self.line, &mut self.datagram);
        line.ask(datagram, self.family, operation, NLM_F_DUMP, fill, read).map(|_| ())
    }

    /// The same for a dump that is probably a long one. Returns the number of its chunks.
    pub(crate) fn dump_bulk(
        &mut self,
        operation: Operation,
        read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<usize> {
        let line = self.bulk.as_mut().unwrap_or(&mut self.line);
        line.grow();
        line.ask(&mut self.datagram, self.family, operation, NLM_F_DUMP, |_| {}, read)
    }

    /// Carries out changes, many in a datagram, and calls `refused` with the position and the error of each that
    /// the kernel refused, in order: [`Error::Kernel`], or [`Error::NoReply`] where its answer was lost and it may be
    /// in effect. The others are in effect.
    pub(crate) fn change(&mut self, changes: &[Change], mut refused: impl FnMut(usize, Error)) -> Result<()> {
        const EMSGSIZE: i32 = 90;
        let mut rest = changes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.at_once.min(rest.len()));
            let numbers = self.fill(now);
            match self.line.send(self.datagram.as_bytes()) {
                // The socket's send buffer bounds a datagram, and nothing of one that is too long is carried out.
                Err(error) if error.errno() == Some(EMSGSIZE) && now.len() > 1 => {
                    self.at_once = now.len() / 2;
                    continue;
                }
                result => result?,
            }
            let done = changes.len() - rest.len();
            if !self.line.take_refusals(numbers, now, |at, error| refused(done + at, error))? {
                self.at_once = (now.len() / 2).max(1);
            }
            rest = later;
        }
        Ok(())
    }

    /// Writes changes into the datagram, and returns the sequence numbers of the first and of the last message. That
    /// one wants an ack, which says that the others were carried out; refusals are always reported.
    fn fill(&mut self, changes: &[Change]) -> (u32, u32) {
        self.datagram.clear();
        let first = self.line.sequence.wrapping_add(1);
        // To a stop of a sync daemon there is no answer at all, not even the ack, where the daemon's thread had not run
        // yet. The ack is that of a message that does nothing, then.
        let is_silent = matches!(changes.last(), Some(Change::StopDaemon(..)));
        for (at, change) in changes.iter().enumerate() {
            let flags = if at + 1 == changes.len() && !is_silent { NLM_F_ACK } else { 0 };
            let (command, sequence) = (change.operation().command(), self.line.next_sequence());
            append(&mut self.datagram, self.family, command, flags, sequence, |top| change.write(top));
        }
        if is_silent {
            append(&mut self.datagram, NLMSG_NOOP, 0, NLM_F_ACK, self.line.next_sequence(), |_| {});
        }
        (first, self.line.sequence)
    }
}

/// A transport, and what is said over it.
struct Line {
    transport: Box<dyn Transport>,
    sequence: u32,
    received: Vec<u8>,
}

impl Line {
    fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport, sequence: 0, received: Vec::with_capacity(SMALL_BUFFER) }
    }

    /// Offers the kernel all the room that it makes use of, from now on.
    fn grow(&mut self) {
        self.received.clear();
        self.received.reserve_exact(RECEIVE_BUFFER);
    }

    /// Sends one request, and reads its replies to the end.
    fn ask(
        &mut self,
        datagram: &mut Writer,
        family: u16,
        operation: Operation,
        flags: u16,
        fill: impl FnOnce(&mut Writer),
        read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<usize> {
        datagram.clear();
        append(datagram, family, operation.command(), flags, self.next_sequence(), fill);
        let ends = if flags == NLM_F_DUMP { Ends::AtDone } else { Ends::AtData };
        self.converse(operation, datagram, ends, read)
    }

    /// Sends one request and reads its replies to the end. Returns the number of datagrams that they came in.
    fn converse(
        &mut self,
        operation: Operation,
        datagram: &Writer,
        ends: Ends,
        mut read: impl FnMut(u8, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<usize> {
        let asked = self.sequence;
        let mut unread = None;
        self.send(datagram.as_bytes())?;
        for chunks in 0.. {
            if chunks == SMALL_CHUNKS {
                self.grow();
            }
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
                            return unread.map_or(Ok(chunks), Err);
                        }
                    }
                    Reply::Ack { errno: 0 } | Reply::Done { errno: 0 } => {
                        return unread.map_or(Ok(chunks), Err);
                    }
                    Reply::Ack { errno } | Reply::Done { errno } => {
                        return Err(Error::Kernel { operation, errno });
                    }
                }
            }
        }
        Err(Error::NoReply { operation })
    }

    /// Reads the answers to `changes`, whose messages have the sequence numbers from `first` to `last`: they come in
    /// order, and none behind the last. Returns false where some were lost; a change without an answer may then have
    /// been refused.
    fn take_refusals(
        &mut self,
        (first, last): (u32, u32),
        changes: &[Change],
        mut refused: impl FnMut(usize, Error),
    ) -> Result<bool> {
        const ENOBUFS: i32 = 105;
        let Some(operation) = changes.last().map(Change::operation) else { return Ok(true) };
        let (mut answered, mut is_whole) = (0, true);
        loop {
            match self.receive(operation) {
                Ok(()) => {}
                // The socket says once that it lost some, before it hands out those that it has.
                Err(error) if is_whole && error.errno() == Some(ENOBUFS) => {
                    is_whole = false;
                    continue;
                }
                Err(Error::NoReply { .. }) => {
                    unanswered(changes, answered..changes.len(), &mut refused);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            for reply in replies(&self.received) {
                let (sequence, Reply::Ack { errno }) =
                    reply.map_err(|error| Error::malformed(operation, &error))?
                else {
                    continue;
                };
                if sequence.wrapping_sub(first) > last.wrapping_sub(first) {
                    continue;
                }
                let at = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                if !is_whole {
                    unanswered(changes, answered..at, &mut refused);
                }
                if let (1.., Some(change)) = (errno, changes.get(at)) {
                    refused(at, Error::Kernel { operation: change.operation(), errno });
                }
                answered = at + 1;
                if sequence == last {
                    return Ok(is_whole);
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

/// Reports those changes within a range that have no answer.
fn unanswered(changes: &[Change], range: Range<usize>, refused: &mut impl FnMut(usize, Error)) {
    for (at, change) in changes.iter().enumerate().take(range.end).skip(range.start) {
        refused(at, Error::NoReply { operation: change.operation() });
    }
}
