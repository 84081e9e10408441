//! Attributes: a writer and a reader. The only file that knows their layout, padding and byte order.
#![expect(clippy::host_endian_bytes, clippy::big_endian_bytes, reason = "byte order is this file's business")]

use std::net::IpAddr;

use netlink_packet_core::{NLA_HEADER_SIZE, NLA_TYPE_MASK};

use super::read_error::ReadError;

/// Writes attributes one after another, with space for message headers between them.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// The bytes written so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Discards the bytes, and keeps the allocation.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Writes `N` bytes of space, then the output of `fill`, and returns both.
    pub(crate) fn behind<const N: usize>(&mut self, fill: impl FnOnce(&mut Writer)) -> &mut [u8] {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; N]);
        fill(self);
        self.bytes.get_mut(start..).unwrap_or_default()
    }

    /// An attribute with plain bytes. The values of this family are far shorter than the maximum of 64 KiB.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let at = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(at);
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    pub(crate) fn u16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    #[cfg(any(test, feature = "fake-kernel"))]
    pub(crate) fn u64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// A port in network byte order.
    pub(crate) fn port(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A name, with the NUL that the kernel requires.
    pub(crate) fn name(&mut self, kind: u16, value: &[u8]) {
        let at = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.bytes.push(0);
        self.close(at);
    }

    /// An address in the format of IPVS: always 16 bytes, an IPv4 address in the first four.
    pub(crate) fn address(&mut self, kind: u16, address: IpAddr) {
        let mut value = [0; 16];
        match address {
            IpAddr::V4(v4) => value[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => value = v6.octets(),
        }
        self.bytes(kind, &value);
    }

    /// The flags of a service, with a mask that includes all of them.
    pub(crate) fn flags(&mut self, kind: u16, flags: u32) {
        let at = self.open(kind);
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&u32::MAX.to_ne_bytes());
        self.close(at);
    }

    /// An attribute that contains attributes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer)) {
        let at = self.open(kind);
        fill(self);
        self.close(at);
    }

    fn open(&mut self, kind: u16) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        at
    }

    /// Sets the length, which excludes the padding, and pads to the next multiple of four.
    fn close(&mut self, at: usize) {
        let length = u16::try_from(self.bytes.len() - at).unwrap_or(u16::MAX);
        if let Some(field) = self.bytes.get_mut(at..at + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// One attribute that the kernel sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
}

/// The attributes in `bytes`, in order; an error ends them. A listing reads hundreds of thousands of them, so each is
/// visited only once.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, ReadError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let [length_0, length_1, kind_0, kind_1, ..] = *rest else {
            let left = std::mem::take(&mut rest).len();
            return (left > 0).then(|| Err(ReadError::too_short(left, NLA_HEADER_SIZE)));
        };
        let length = usize::from(u16::from_ne_bytes([length_0, length_1]));
        let Some(value) = rest.get(NLA_HEADER_SIZE..length) else {
            let left = std::mem::take(&mut rest).len();
            return Some(Err(ReadError::too_short(left, length)));
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes([kind_0, kind_1]) & NLA_TYPE_MASK;
        Some(Ok(Attribute { kind, value }))
    })
}

impl<'a> Attribute<'a> {
    fn chunk<const N: usize>(&self) -> Result<[u8; N], ReadError> {
        self.value.first_chunk().copied().ok_or_else(|| ReadError::too_short(self.value.len(), N))
    }

    pub(crate) fn u8(&self) -> Result<u8, ReadError> {
        self.chunk().map(u8::from_ne_bytes)
    }

    pub(crate) fn u16(&self) -> Result<u16, ReadError> {
        self.chunk().map(u16::from_ne_bytes)
    }

    pub(crate) fn u32(&self) -> Result<u32, ReadError> {
        self.chunk().map(u32::from_ne_bytes)
    }

    /// A counter, 32 or 64 bits wide depending on the nest and on the counter.
    pub(crate) fn counter(&self) -> Result<u64, ReadError> {
        match self.value.len() {
            8.. => self.chunk().map(u64::from_ne_bytes),
            _ => self.u32().map(u64::from),
        }
    }

    pub(crate) fn port(&self) -> Result<u16, ReadError> {
        self.chunk().map(u16::from_be_bytes)
    }

    /// The 16 bytes of an address, whose family is in another attribute, possibly a later one.
    pub(crate) fn address(&self) -> Result<[u8; 16], ReadError> {
        self.chunk()
    }

    pub(crate) fn ipv4(&self) -> Result<[u8; 4], ReadError> {
        self.chunk()
    }

    /// A name without its NUL.
    pub(crate) fn name(&self) -> &'a [u8] {
        self.value.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_padded_and_the_length_is_not() {
        let mut writer = Writer::default();
        writer.nest(1, |nest| {
            nest.name(6, b"rr");
            nest.port(4, 80);
        });
        #[rustfmt::skip]
        let expected = [
            20, 0, 1, 0,
            7, 0, 6, 0, b'r', b'r', 0, 0,
            6, 0, 4, 0, 0, 80, 0, 0,
        ];
        if cfg!(target_endian = "little") {
            assert_eq!(writer.as_bytes(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for attribute in attributes(&bytes).flatten() {
                let _ = (attribute.u8(), attribute.u16(), attribute.u32(), attribute.counter());
                let _ = (attribute.port(), attribute.address(), attribute.name());
            }
        }

        #[test]
        fn what_is_written_is_read(kind in 1_u16..0x3fff, value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut writer = Writer::default();
            writer.bytes(kind, &value);
            writer.u32(7, 9);
            let read: Vec<_> = attributes(writer.as_bytes()).map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), 2);
            prop_assert_eq!((read[0].kind, read[0].value), (kind, value.as_slice()));
            prop_assert_eq!(read[1].u32().unwrap(), 9);
        }
    }
}
