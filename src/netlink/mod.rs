//! All that knows bytes: the kernel's numbers, attributes, messages and the socket.
//!
//! Of the netlink crates, only flags of messages are seen outside this folder, and what the feature `genetlink` is about.

pub(crate) mod attr;
pub(crate) mod message;
pub(crate) mod read_error;
pub(crate) mod socket;
pub(crate) mod uapi;
