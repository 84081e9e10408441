//! The conversation with the family: requests go out, replies come back in order, and no operation blocks.
//!
//! The kernel runs a request inside the sender's `send` and makes the chunks of a dump inside `recv`, so a reply is
//! there when the reader asks, or it never will be: every read is a non-blocking one.

mod conversation;

use std::ops::ControlFlow;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLMSG_NOOP};
use netlink_packet_generic::constants::CTRL_ATTR_FAMILY_ID;

use crate::change::Change;
use crate::error::{Error, Operation, Result};
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::message::{append, append_lookup};
use crate::netlink::read_error::ReadError;
use crate::netlink::socket::Transport;
use conversation::{Conversation, SMALL_BUFFER, Until};

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
            Ok(ControlFlow::Continue(()))
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

    /// The same for a dump of which the rest is not read once `read` breaks it off. The kernel has then made one chunk more at
    /// most.
    pub(crate) fn dump_some(
        &mut self,
        operation: Operation,
        fill: impl FnOnce(&mut Writer),
        read: impl FnMut(usize, &[u8]) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<bool> {
        let conversation = self.bulk.as_mut().unwrap_or(&mut self.small);
        conversation.finish();
        self.datagram.clear();
        let sequence = conversation.next_sequence();
        append(&mut self.datagram, self.family, operation.command(), NLM_F_DUMP, sequence, fill);
        let dump = conversation.transact(operation, &self.datagram, Until::AtDone, read)?;
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
