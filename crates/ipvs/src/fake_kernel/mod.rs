//! A kernel of the program's own, for tests of programs that use this library: feature `fake-kernel`.

mod table;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};
use netlink_packet_generic::constants::{CTRL_ATTR_FAMILY_ID, GENL_ID_CTRL};

use crate::destination::DestinationId;
use crate::netlink::attr::Writer;
use crate::netlink::message::append;
use crate::netlink::socket::Transport;
use crate::service_id::ServiceId;
use crate::stats::Stats;
use table::{ENOENT, Request, State};

/// The messages with lower numbers are netlink's own.
const NLMSG_MIN_TYPE: u16 = 0x10;

/// The number of the family; a real kernel gives it the next free one.
const FAMILY: u16 = 0x20;

/// A table in memory that answers as the kernel's IPVS does, its refusals included: for unit tests, which then need
/// neither root nor a kernel with IPVS.
///
/// Clones share one table, so that a test can look at it, or play another program that changes it. Traffic is played
/// with [`FakeKernel::set_traffic`]. There are the schedulers and the persistence engine of Linux 6.1, and the
/// interfaces `lo` and `eth0`; an address is one that the kernel takes for a single host's if it is neither
/// unspecified, multicast, link-local, nor the broadcast address.
///
/// ```
/// use ipvs::{Client, FakeKernel, Service, ServiceId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let kernel = FakeKernel::new();
/// let mut client = Client::with_transport(kernel.clone())?;
/// let web = ServiceId::tcp("192.0.2.1".parse()?, 80);
/// client.add_service(&Service::new(web, "wlc".parse()?))?;
///
/// let mut other = Client::with_transport(kernel)?;
/// assert_eq!(other.services()?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct FakeKernel {
    state: Arc<Mutex<State>>,
    /// The replies to what this clone sent.
    replies: VecDeque<Vec<u8>>,
}

impl FakeKernel {
    /// An empty table, with the timeouts that the kernel begins with, and no sync daemon.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a real server connections and counters, as traffic would; false where there is no such server.
    pub fn set_traffic(
        &self,
        service: &ServiceId,
        server: &DestinationId,
        active: u32,
        inactive: u32,
        stats: Stats,
    ) -> bool {
        let mut table = self.lock();
        let servers = table.services.get_mut(service).map(|(_, servers)| servers);
        let entry =
            servers.and_then(|servers| servers.iter_mut().find(|entry| entry.destination.id == *server));
        let Some(entry) = entry else { return false };
        (entry.active_connections, entry.inactive_connections, entry.stats) = (active, inactive, stats);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere leaves a table that is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a request and queues its replies.
    fn answer(&mut self, request: &Request<'_>) {
        let is_dump = request.flags & NLM_F_DUMP == NLM_F_DUMP;
        let result = self.lock().carry_out(request, is_dump);
        match result {
            Ok((command, objects)) => {
                for object in objects {
                    let mut reply = Writer::default();
                    append(&mut reply, FAMILY, command, 0, request.sequence, object);
                    self.replies.push_back(reply.as_bytes().to_vec());
                }
                if is_dump {
                    self.replies.push_back(status(NLMSG_DONE, request.sequence, 0));
                } else if request.flags & NLM_F_ACK != 0 {
                    self.replies.push_back(status(NLMSG_ERROR, request.sequence, 0));
                }
            }
            Err(errno) => self.replies.push_back(status(NLMSG_ERROR, request.sequence, errno)),
        }
    }

    fn answer_lookup(&mut self, sequence: u32) {
        let mut reply = Writer::default();
        append(&mut reply, GENL_ID_CTRL, 1, 0, sequence, |top| top.u16(CTRL_ATTR_FAMILY_ID, FAMILY));
        self.replies.push_back(reply.as_bytes().to_vec());
    }
}

impl Transport for FakeKernel {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let mut rest = datagram;
        while let Ok(header) = NetlinkBuffer::new_checked(rest) {
            let (kind, sequence) = (header.message_type(), header.sequence_number());
            if let [command, _version, _, _, attributes @ ..] = header.payload() {
                let request = Request { command: *command, flags: header.flags(), sequence, attributes };
                match kind {
                    GENL_ID_CTRL => self.answer_lookup(sequence),
                    FAMILY => self.answer(&request),
                    // What is no request does nothing, and is acknowledged.
                    0..NLMSG_MIN_TYPE if request.flags & NLM_F_ACK == 0 => {}
                    0..NLMSG_MIN_TYPE => self.replies.push_back(status(NLMSG_ERROR, sequence, 0)),
                    _ => self.replies.push_back(status(NLMSG_ERROR, sequence, ENOENT)),
                }
            }
            let length = usize::try_from(header.length()).unwrap_or(usize::MAX);
            let next = length.checked_next_multiple_of(4).and_then(|next| rest.get(next..));
            rest = next.unwrap_or_default();
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let reply = self.replies.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer.extend_from_slice(&reply);
        Ok(())
    }
}

/// An acknowledgement, a refusal, or the end of a dump.
#[expect(clippy::host_endian_bytes, reason = "the kernel's byte order, as everywhere in a header")]
fn status(kind: u16, sequence: u32, errno: i32) -> Vec<u8> {
    let mut reply = vec![0; 16];
    reply.extend_from_slice(&errno.saturating_neg().to_ne_bytes());
    let length = u32::try_from(reply.len()).unwrap_or(u32::MAX);
    let mut header = NetlinkBuffer::new(&mut reply);
    header.set_length(length);
    header.set_message_type(kind);
    header.set_sequence_number(sequence);
    reply
}
