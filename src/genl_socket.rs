//! The conversation with the family: requests go out, replies come back in order, and no operation blocks.
//!
//! The kernel runs a request inside the sender's `send` and makes the chunks of a dump inside `recv`, so a reply is
//! there when the reader asks, or it never will be: every read is a non-blocking one.

use std::io;
use std::ops::Range;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLMSG_NOOP};
use netlink_packet_generic::constants::CTRL_ATTR_FAMILY_ID;

use crate::change::Change;
use crate::error::{Error, Operation, Result};
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::message::{Message, Reply, append, append_lookup, messages};
use crate::netlink::read_error::ReadError;
use crate::netlink::socket::{RECEIVE_BUFFER, Transport};

/// The size of a dump's chunks on a socket that was never offered more room. The kernel clears the memory of a chunk
/// and of the one behind it before it fills them, which takes longer than reading a service's few servers: small
/// chunks are three times as fast there. Pages of more than 4 KiB make larger ones.
const SMALL_BUFFER: usize = if cfg!(target_arch = "x86_64") { 3_776 } else { 8_192 };

/// This many small chunks (with 40 servers) make a dump a long one, and the room grows.
const SMALL_CHUNKS: usize = 4;

/// What a kernel with small pages puts into a chunk at least, before it was offered any room.
const LEAST_CHUNK: usize = 3_072;

/// What it puts into a chunk at most: a little less than the room that it makes use of.
const LARGEST_CHUNK: usize = RECEIVE_BUFFER - 320;

/// The socket had no memory, or has lost an answer.
const ENOBUFS: i32 = 105;

/// By so much one object may be longer than another of its kind.
const MORE: usize = 64;

/// The conversation with the family.
pub(crate) struct GenlSocket {
    small: Conversation,
    /// For long dumps, such as that of all services. The kernel sizes a socket's chunks by the largest room it was ever
    /// offered, so that the other one keeps its small ones. There is none where a test stands in for the kernel.
    bulk: Option<Conversation>,
    /// Whether the dump before was a long one, as the next is then likely to be: services have about as many servers
    /// as their neighbours.
    is_long: bool,
    family: u16,
    datagram: Writer,
    /// How many changes go out in a datagram.
    batch: usize,
}

impl GenlSocket {
    /// Looks up the number of the family, which loads the kernel's module where the kernel may load modules.
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        bulk: Option<Box<dyn Transport>>,
        batch: usize,
    ) -> Result<Self> {
        let mut socket = Self {
            small: Conversation::new(transport),
            bulk: bulk.map(Conversation::new),
            is_long: false,
            family: 0,
            datagram: Writer::default(),
            batch,
        };
        append_lookup(&mut socket.datagram, socket.small.next_sequence());
        let mut family = None;
        socket.small.transact(Operation::Lookup, &socket.datagram, Until::AtData, |_, bytes| {
            for attribute in attributes(bytes) {
                let attribute = attribute?;
                if attribute.kind == CTRL_ATTR_FAMILY_ID {
                    family = Some(attribute.u16()?);
                }
            }
            Ok(())
        })?;
        socket.family = family.ok_or(Error::NoReply { operation: Operation::Lookup })?;
        Ok(socket)
    }

    /// Asks for one object: `read` gets its attributes.
    pub(crate) fn get(
        &mut self,
        operation: Operation,
        fill: impl FnOnce(&mut Writer),
        mut read: impl FnMut(&[u8]) -> Result<(), ReadError>,
    ) -> Result<()> {
        let (small, datagram) = (&mut self.small, &mut self.datagram);
        small.request(datagram, self.family, operation, 0, fill, |_, top| read(top)).map(|_| ())
    }

    /// Asks for all objects of a kind: `read` gets the number of the chunk that each is in, and its attributes. One
    /// that cannot be read does not end the dump, which would leave the socket busy; it is reported at the end.
    ///
    /// Returns whether the answer is whole, because the kernel found all objects in one go. Else some may be missing,
    /// or repeated, if others came or went meanwhile.
    pub(crate) fn dump(
        &mut self,
        operation: Operation,
        fill: impl FnOnce(&mut Writer),
        read: impl FnMut(usize, &[u8]) -> Result<(), ReadError>,
    ) -> Result<bool> {
        let bulk = self.bulk.as_mut().filter(|_| self.is_long);
        let conversation = bulk.map_or(&mut self.small, Conversation::grown);
        let dump =
            conversation.request(&mut self.datagram, self.family, operation, NLM_F_DUMP, fill, read)?;
        self.is_long = dump.bytes > SMALL_BUFFER;
        Ok(dump.is_whole)
    }

    /// The same for a dump that is probably a long one.
    pub(crate) fn dump_bulk(
        &mut self,
        operation: Operation,
        read: impl FnMut(usize, &[u8]) -> Result<(), ReadError>,
    ) -> Result<bool> {
        let conversation = self.bulk.as_mut().unwrap_or(&mut self.small).grown();
        let dump =
            conversation.request(&mut self.datagram, self.family, operation, NLM_F_DUMP, |_| {}, read)?;
        Ok(dump.is_whole)
    }

    /// Carries out changes, many in a datagram, and calls `refused` with the position and the error of each that
    /// the kernel refused, in order: [`Error::Kernel`], or [`Error::NoReply`] where its answer was lost and it may be
    /// in effect. The others are in effect.
    pub(crate) fn change(&mut self, changes: &[Change], mut refused: impl FnMut(usize, Error)) -> Result<()> {
        const EMSGSIZE: i32 = 90;
        let mut rest = changes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.batch.min(rest.len()));
            let numbers = self.fill(now);
            match self.small.send(self.datagram.as_bytes()) {
                // The socket's send buffer bounds a datagram, and nothing of one that is too long is carried out.
                Err(error) if error.errno() == Some(EMSGSIZE) && now.len() > 1 => {
                    self.batch = now.len() / 2;
                    continue;
                }
                result => result?,
            }
            let done = changes.len() - rest.len();
            if !self.small.take_refusals(numbers, now, |at, error| refused(done + at, error))? {
                self.batch = (now.len() / 2).max(1);
            }
            rest = later;
        }
        Ok(())
    }

    /// Writes changes into the datagram, and returns the sequence numbers of the first and of the last message. That
    /// one wants an ack, which says that the others were carried out; refusals are always reported.
    fn fill(&mut self, changes: &[Change]) -> (u32, u32) {
        self.datagram.clear();
        let first = self.small.sequence.wrapping_add(1);
        // To a stop of a sync daemon there is no answer at all, not even the ack, where the daemon's thread had not run
        // yet. The ack is that of a message that does nothing, then.
        let is_silent = matches!(changes.last(), Some(Change::StopDaemon { .. }));
        for (at, change) in changes.iter().enumerate() {
            let flags = if at + 1 == changes.len() && !is_silent { NLM_F_ACK } else { 0 };
            let (command, sequence) = (change.operation().command(), self.small.next_sequence());
            append(&mut self.datagram, self.family, command, flags, sequence, |top| change.write(top));
        }
        if is_silent {
            append(&mut self.datagram, NLMSG_NOOP, 0, NLM_F_ACK, self.small.next_sequence(), |_| {});
        }
        (first, self.small.sequence)
    }
}

/// A transport, and what is said over it.
struct Conversation {
    transport: Box<dyn Transport>,
    sequence: u32,
    received: Vec<u8>,
    /// What the kernel puts into a chunk before it makes another, as far as is known.
    chunk: usize,
}

/// What is known of an answer once it is over.
#[derive(Default)]
struct Dump {
    is_whole: bool,
    bytes: usize,
}

impl Conversation {
    fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport, sequence: 0, received: Vec::with_capacity(SMALL_BUFFER), chunk: LEAST_CHUNK }
    }

    /// Offers the kernel all the room that it makes use of, from now on.
    fn grown(&mut self) -> &mut Self {
        self.received.clear();
        self.received.reserve_exact(RECEIVE_BUFFER);
        self
    }

    /// Sends one request, and reads its replies to the end.
    fn request(
        &mut self,
        datagram: &mut Writer,
        family: u16,
        operation: Operation,
        flags: u16,
        fill: impl FnOnce(&mut Writer),
        read: impl FnMut(usize, &[u8]) -> Result<(), ReadError>,
    ) -> Result<Dump> {
        datagram.clear();
        append(datagram, family, operation.command(), flags, self.next_sequence(), fill);
        let ends = if flags == NLM_F_DUMP { Until::AtDone } else { Until::AtData };
        self.transact(operation, datagram, ends, read)
    }

    /// Sends one request and reads its replies to the end.
    fn transact(
        &mut self,
        operation: Operation,
        datagram: &Writer,
        ends: Until,
        mut read: impl FnMut(usize, &[u8]) -> Result<(), ReadError>,
    ) -> Result<Dump> {
        let (asked, room) = (self.sequence, self.chunk);
        let (mut unread, mut dump, mut largest) = (None, Dump { is_whole: true, bytes: 0 }, 0);
        self.ask(datagram.as_bytes())?;
        for chunk in 0.. {
            if chunk == SMALL_CHUNKS {
                self.grown();
            }
            self.receive_answer(operation)?;
            dump.bytes += self.received.len();
            for message in messages(&self.received) {
                let message = message.map_err(|error| Error::malformed(operation, &error))?;
                if message.sequence != asked {
                    continue;
                }
                dump.is_whole &= !message.is_interrupted;
                match message.reply {
                    Reply::Data { attributes } => {
                        largest = largest.max(attributes.len());
                        // The kernel went on, by position: others may have come or gone before it did.
                        dump.is_whole &= chunk == 0;
                        if let Err(error) = read(chunk, attributes) {
                            unread.get_or_insert(Error::malformed(operation, &error));
                        }
                        if ends == Until::AtData {
                            return unread.map_or(Ok(dump), Err);
                        }
                    }
                    Reply::Done { errno: 0 } if ends == Until::AtDone => {
                        return unread.map_or(Ok(dump), Err);
                    }
                    Reply::Ack { errno: 0 } | Reply::Done { errno: 0 } => {}
                    Reply::Ack { errno } | Reply::Done { errno } => {
                        return Err(Error::Kernel { operation, errno });
                    }
                }
            }
            // Where one more would not have had room, the kernel may have meant to go on, and found nothing there any
            // more because others had gone.
            dump.is_whole &= chunk > 0 || self.received.len() + largest + MORE <= room;
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
            for message in messages(&self.received) {
                let Message { sequence, reply: Reply::Ack { errno }, .. } =
                    message.map_err(|error| Error::malformed(operation, &error))?
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

    /// Sends a question, which may be asked twice: memory for it may be there a moment later.
    fn ask(&mut self, datagram: &[u8]) -> Result<()> {
        self.send(datagram).or_else(|error| if passes(&error) { self.send(datagram) } else { Err(error) })
    }

    /// Receives an answer to a question. The socket may have had no memory for it, and have it a moment later: the kernel
    /// goes on with a dump where it was. What the kernel dropped is missed when the answer does not end.
    fn receive_answer(&mut self, operation: Operation) -> Result<()> {
        self.receive(operation)
            .or_else(|error| if passes(&error) { self.receive(operation) } else { Err(error) })
    }

    fn receive(&mut self, operation: Operation) -> Result<()> {
        loop {
            self.received.clear();
            match self.transport.receive(&mut self.received) {
                Ok(()) => {
                    self.chunk = self.chunk.max(self.received.capacity().min(LARGEST_CHUNK));
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::NoReply { operation });
                }
                Err(source) => return Err(Error::Socket { doing: "reading the kernel's reply", source }),
            }
        }
    }
}

/// Whether an error may be over the next moment.
fn passes(error: &Error) -> bool {
    const EAGAIN: i32 = 11;
    matches!(error, Error::NoReply { .. }) || matches!(error.errno(), Some(ENOBUFS | EAGAIN))
}

/// What ends the replies to a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    AtData,
    AtDone,
}

/// Reports those changes within a range that have no answer.
fn unanswered(changes: &[Change], range: Range<usize>, refused: &mut impl FnMut(usize, Error)) {
    for (at, change) in changes.iter().enumerate().take(range.end).skip(range.start) {
        refused(at, Error::NoReply { operation: change.operation() });
    }
}
