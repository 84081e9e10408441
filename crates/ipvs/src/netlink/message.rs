//! Messages: requests of the `IPVS` family as bytes, and datagrams of the kernel split into replies.

use netlink_packet_core::{Emitable, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};
use netlink_packet_generic::GenlHeader;
use netlink_packet_generic::constants::{CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, GENL_ID_CTRL};

use super::attr::Writer;
use super::read_error::ReadError;
use super::uapi::{IPVS_GENL_NAME, IPVS_GENL_VERSION};

/// The netlink header and the generic one after it.
const HEADERS: usize = 20;
const GENERIC_HEADER: std::ops::Range<usize> = 16..HEADERS;

/// Appends a request to a datagram; `family` is the number of the family, and `fill` writes the attributes.
pub(crate) fn append(
    datagram: &mut Writer,
    family: u16,
    command: u8,
    flags: u16,
    sequence: u32,
    fill: impl FnOnce(&mut Writer),
) {
    let message = datagram.behind::<HEADERS>(fill);
    if let Some(header) = message.get_mut(GENERIC_HEADER) {
        GenlHeader { cmd: command, version: IPVS_GENL_VERSION }.emit(header);
    }
    // Attributes are padded, so the length is too.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut header = NetlinkBuffer::new(message);
    header.set_length(length);
    header.set_message_type(family);
    header.set_flags(NLM_F_REQUEST | flags);
    header.set_sequence_number(sequence);
}

/// Appends the request for the number of the `IPVS` family.
pub(crate) fn append_lookup(datagram: &mut Writer, sequence: u32) {
    append(datagram, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, sequence, |attributes| {
        attributes.name(CTRL_ATTR_FAMILY_NAME, IPVS_GENL_NAME.as_bytes());
    });
}

/// The content of a message from the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// An object or a value: the attributes after the generic header.
    Data { attributes: &'a [u8] },
    /// A request was carried out (0) or refused (a positive errno).
    Ack { errno: i32 },
    /// A dump has ended, well (0) or midway (a positive errno).
    Done { errno: i32 },
}

/// A message from the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// The sequence number of the request that it answers.
    pub(crate) sequence: u32,
    /// Whether objects changed during the dump, so that it may be incomplete. Present kernels never set this for
    /// IPVS.
    pub(crate) is_interrupted: bool,
    pub(crate) reply: Reply<'a>,
}

/// The messages in one datagram.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, ReadError>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let header = match NetlinkBuffer::new_checked(rest) {
            Ok(header) => header,
            Err(error) => {
                rest = &[];
                return Some(Err(error.into()));
            }
        };
        let (kind, sequence, payload) = (header.message_type(), header.sequence_number(), header.payload());
        let is_interrupted = header.flags() & NLM_F_DUMP_INTR != 0;
        let length = usize::try_from(header.length()).unwrap_or(usize::MAX);
        rest = length.checked_next_multiple_of(4).and_then(|next| rest.get(next..)).unwrap_or_default();
        let reply = match kind {
            NLMSG_ERROR => Reply::Ack { errno: status(payload) },
            NLMSG_DONE => Reply::Done { errno: status(payload) },
            _ => match payload {
                [_command, _version, _, _, attributes @ ..] => Reply::Data { attributes },
                _ => return Some(Err(ReadError::too_short(payload.len(), 4))),
            },
        };
        Some(Ok(Message { sequence, is_interrupted, reply }))
    })
}

/// The errno at the beginning of an ack, an error or the end of a dump; the kernel sends it negative.
#[expect(clippy::host_endian_bytes, reason = "the one number outside attributes")]
fn status(payload: &[u8]) -> i32 {
    payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code).saturating_neg())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_lookup_is_the_one_the_kernel_expects() {
        let mut datagram = Writer::default();
        append_lookup(&mut datagram, 1000);
        let datagram = datagram.as_bytes();
        #[rustfmt::skip]
        let expected = [
            0x20, 0, 0, 0, 0x10, 0, 1, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0, // REQUEST to GENL_ID_CTRL, seq 1000
            3, 1, 0, 0, // CTRL_CMD_GETFAMILY, version 1 (of the controller: 2 is as good)
            9, 0, 2, 0, b'I', b'P', b'V', b'S', 0, 0, 0, 0,
        ];
        assert_eq!(datagram.len(), expected.len());
        assert_eq!(datagram[..17], expected[..17]);
        assert_eq!(datagram[20..], expected[20..]);
    }

    proptest! {
        #[test]
        fn no_datagram_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = messages(&bytes).count();
        }
    }
}
