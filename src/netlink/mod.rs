//! All that knows bytes: the kernel's numbers, attributes, messages and the socket.
//!
//! Nothing of the netlink crates is visible outside this folder.

pub(crate) mod attr;
pub(crate) mod message;
pub(crate) mod socket;
pub(crate) mod uapi;
