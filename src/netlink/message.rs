//! Messages: requests of the `IPVS` family as bytes, and datagrams of the kernel cut into replies.

use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable, ParseableParametrized,
};
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};

use super::attr::Writer;
use super::uapi::{IPVS_GENL_NAME, IPVS_GENL_VERSION};

/// A command with its attributes already written.
#[derive(Debug)]
struct Payload {
    command: u8,
    attributes: Vec<u8>,
}

impl GenlFamily for Payload {
    fn family_name() -> &'static str {
        IPVS_GENL_NAME
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        IPVS_GENL_VERSION
    }
}

impl Emitable for Payload {
    fn buffer_len(&self) -> usize {
        self.attributes.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.attributes);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Payload {
    fn parse_with_param(buffer: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        Ok(Self { command: header.cmd, attributes: buffer.to_vec() })
    }
}

/// Appends a request of the family with number `family` to a datagram.
pub(crate) fn append(
    datagram: &mut Vec<u8>,
    family: u16,
    command: u8,
    flags: u16,
    sequence: u32,
    attributes: Writer,
) {
    let mut message = GenlMessage::from_payload(Payload { command, attributes: attributes.into_bytes() });
    message.set_resolved_family_id(family);
    serialize(datagram, message, flags, sequence);
}

/// Appends the question for the number of the `IPVS` family.
pub(crate) fn append_lookup(datagram: &mut Vec<u8>, sequence: u32) {
    let lookup = GenlMessage::from_payload(GenlCtrl {
        cmd: GenlCtrlCmd::GetFamily,
        nlas: vec![GenlCtrlAttrs::FamilyName(IPVS_GENL_NAME.to_owned())],
    });
    serialize(datagram, lookup, 0, sequence);
}

fn serialize<F>(datagram: &mut Vec<u8>, message: GenlMessage<F>, flags: u16, sequence: u32)
where
    F: GenlFamily + Emitable + std::fmt::Debug,
    GenlMessage<F>: NetlinkSerializable,
    NetlinkPayload<GenlMessage<F>>: From<GenlMessage<F>>,
{
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | flags;
    message.header.sequence_number = sequence;
    message.finalize();
    let start = datagram.len();
    datagram.resize(start + message.buffer_len().next_multiple_of(4), 0);
    if let Some(room) = datagram.get_mut(start..start + message.buffer_len()) {
        message.serialize(room);
    }
}

/// What one message of the kernel's says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// An object or a value: the command byte and the attributes behind the generic header.
    Data { command: u8, attributes: &'a [u8] },
    /// A request was carried out (0) or refused (a positive errno).
    Ack { errno: i32 },
    /// A dump has ended, well (0) or midway (a positive errno).
    Done { errno: i32 },
}

/// The replies in one datagram with the sequence numbers of their requests.
pub(crate) fn replies(datagram: &[u8]) -> impl Iterator<Item = Result<(u32, Reply<'_>), DecodeError>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let header = match NetlinkBuffer::new_checked(rest) {
            Ok(header) => header,
            Err(error) => {
                rest = &[];
                return Some(Err(error));
            }
        };
        let (kind, sequence, payload) = (header.message_type(), header.sequence_number(), header.payload());
        let length = usize::try_from(header.length()).unwrap_or(usize::MAX);
        rest = length.checked_next_multiple_of(4).and_then(|next| rest.get(next..)).unwrap_or_default();
        let reply = match kind {
            NLMSG_ERROR => Reply::Ack { errno: status(payload) },
            NLMSG_DONE => Reply::Done { errno: status(payload) },
            _ => match payload {
                [command, _version, _, _, attributes @ ..] => Reply::Data { command: *command, attributes },
                _ => return Some(Err(DecodeError::buffer_too_small(payload.len(), 4))),
            },
        };
        Some(Ok((sequence, reply)))
    })
}

/// The errno at the front of an ack, an error or the end of a dump; the kernel sends it negative.
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
        let mut datagram = Vec::new();
        append_lookup(&mut datagram, 1000);
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
            let _ = replies(&bytes).count();
        }
    }
}
