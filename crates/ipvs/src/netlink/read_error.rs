//! Why bytes of the kernel's could not be read.

use std::borrow::Cow;

use netlink_packet_core::DecodeError;

/// Why bytes of the kernel's could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ReadError(Cow<'static, str>);

impl ReadError {
    /// There are fewer bytes than there must be.
    pub(crate) fn too_short(length: usize, least: usize) -> Self {
        Self::from(format!("{length} bytes where at least {least} are expected"))
    }
}

impl From<&'static str> for ReadError {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for ReadError {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<DecodeError> for ReadError {
    fn from(error: DecodeError) -> Self {
        Self::from(error.to_string())
    }
}
