//! A transport, and what is said over it: requests, their answers, and the chunks of a dump.

use std::io;
use std::ops::{ControlFlow, Range};

use netlink_packet_core::NLM_F_DUMP;

use crate::change::Change;
use crate::error::{Error, Operation, Result};
use crate::netlink::attr::Writer;
use crate::netlink::message::{Message, Reply, append, messages};
use crate::netlink::read_error::ReadError;
use crate::netlink::socket::{RECEIVE_BUFFER, Transport};

/// The size of a dump's chunks on a socket that was never offered more room. The kernel clears the memory of a chunk
/// and of the one behind it before it fills them, which takes longer than reading a service's few servers: small
/// chunks are three times as fast there. Pages of more than 4 KiB make larger ones.
pub(super) const SMALL_BUFFER: usize = if cfg!(target_arch = "x86_64") { 3_776 } else { 8_192 };

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

/// A transport, and what is said over it.
pub(super) struct Conversation {
    transport: Box<dyn Transport>,
    pub(super) sequence: u32,
    received: Vec<u8>,
    /// A dump was broken off, and the kernel begins no other before its rest is read.
    is_busy: bool,
    /// What the kernel puts into a chunk before it makes another, as far as is known.
    chunk: usize,
}

/// What is known of an answer once it is over.
#[derive(Default)]
pub(super) struct Dump {
    pub(super) is_whole: bool,
    pub(super) bytes: usize,
}

impl Conversation {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        let received = Vec::with_capacity(SMALL_BUFFER);
        Self { transport, sequence: 0, received, is_busy: false, chunk: LEAST_CHUNK }
    }

    /// Reads the rest of a dump that was broken off.
    pub(super) fn finish(&mut self) {
        while std::mem::take(&mut self.is_busy) && self.receive(Operation::GetDestinations).is_ok() {
            let is_end = |message| matches!(message, Ok(Message { reply: Reply::Done { .. }, .. }) | Err(_));
            self.is_busy = !messages(&self.received).any(is_end);
        }
    }

    /// Offers the kernel all the room that it makes use of, from now on.
    pub(super) fn grown(&mut self) -> &mut Self {
        self.received.clear();
        self.received.reserve_exact(RECEIVE_BUFFER);
        self
    }

    /// Sends one request, and reads its replies to the end.
    pub(super) fn request(
        &mut self,
        datagram: &mut Writer,
        family: u16,
        operation: Operation,
        flags: u16,
        fill: impl FnOnce(&mut Writer),
        mut read: impl FnMut(usize, &[u8]) -> Result<(), ReadError>,
    ) -> Result<Dump> {
        self.finish();
        datagram.clear();
        append(datagram, family, operation.command(), flags, self.next_sequence(), fill);
        let ends = if flags == NLM_F_DUMP { Until::AtDone } else { Until::AtData };
        self.transact(operation, datagram, ends, |chunk, top| read(chunk, top).map(ControlFlow::Continue))
    }

    /// Sends one request and reads its replies to the end, or until `read` breaks it off.
    pub(super) fn transact(
        &mut self,
        operation: Operation,
        datagram: &Writer,
        ends: Until,
        mut read: impl FnMut(usize, &[u8]) -> Result<ControlFlow<()>, ReadError>,
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
                        if !self.is_busy {
                            match read(chunk, attributes) {
                                Ok(next) => self.is_busy = next.is_break(),
                                Err(error) => drop(unread.get_or_insert(Error::malformed(operation, &error))),
                            }
                        }
                        if ends == Until::AtData {
                            return unread.map_or(Ok(dump), Err);
                        }
                    }
                    Reply::Done { errno: 0 } if ends == Until::AtDone => {
                        self.is_busy = false;
                        return unread.map_or(Ok(dump), Err);
                    }
                    Reply::Ack { errno: 0 } | Reply::Done { errno: 0 } => {}
                    Reply::Ack { errno } | Reply::Done { errno } => {
                        self.is_busy = false;
                        return Err(Error::Kernel { operation, errno });
                    }
                }
            }
            if self.is_busy {
                return unread.map_or(Ok(dump), Err);
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
    pub(super) fn take_refusals(
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

    pub(super) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    pub(super) fn send(&mut self, datagram: &[u8]) -> Result<()> {
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
pub(super) enum Until {
    AtData,
    AtDone,
}

/// Reports those changes within a range that have no answer.
fn unanswered(changes: &[Change], range: Range<usize>, refused: &mut impl FnMut(usize, Error)) {
    for (at, change) in changes.iter().enumerate().take(range.end).skip(range.start) {
        refused(at, Error::NoReply { operation: change.operation() });
    }
}
