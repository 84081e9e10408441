//! Which network namespace this is, in a way that none has again: the number of one that is gone is used again at once.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket};
use nix::{getsockopt_impl, sockopt_impl};
use serde::{Deserialize, Serialize};

sockopt_impl!(
    /// The number of a socket's network namespace, counted up since the start of the machine (since Linux 5.14).
    NetnsCookie,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_NETNS_COOKIE,
    u64
);

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// The start of the machine: its kernel has another table after the next.
    boot: String,
    /// None before Linux 5.14, where the number of the namespace, by which its notes are called, is all that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<u64>,
}

impl Identity {
    /// That of no namespace.
    pub(super) fn unknown() -> Self {
        Self { boot: String::new(), cookie: None }
    }

    /// That of the calling thread.
    pub(super) fn read() -> io::Result<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let any = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        // An older kernel knows no such option.
        Ok(Self { boot, cookie: getsockopt(&any, NetnsCookie).ok() })
    }
}

/// The number of the namespace, which `stat -Lc %i /proc/self/ns/net` prints.
pub(super) fn number() -> io::Result<u64> {
    Ok(fs::metadata("/proc/thread-self/ns/net")?.ino())
}
