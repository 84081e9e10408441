//! Everything about bytes: the kernel's numbers, attributes, messages and the socket.
//!
//! Outside this folder, only message flags of the netlink crates are visible, and the types of the feature
//! `genetlink`.

pub(crate) mod attr;
pub(crate) mod message;
pub(crate) mod read_error;
pub(crate) mod socket;
pub(crate) mod uapi;
