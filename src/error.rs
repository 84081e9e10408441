//! What can go wrong: which operation, and why.

use std::io;

use netlink_packet_core::DecodeError;

use crate::netlink::uapi;

/// The result of an operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// ```
/// # fn main() -> ipvs::Result<()> {
/// use ipvs::{Client, Error, ServiceId};
///
/// let mut client = Client::open()?;
/// let missing = ServiceId::tcp("192.0.2.1".parse().unwrap(), 80);
/// match client.service(&missing) {
///     Err(Error::Kernel { errno: 3, .. }) => {} // ESRCH: there is no such service
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no IPVS: it was built without, or its module `ip_vs` could not be loaded.
    #[error("the kernel has no IPVS; load its module with: modprobe ip_vs")]
    NotAvailable,

    /// The kernel refused an operation.
    #[error("{operation}: {}", io::Error::from_raw_os_error(*errno))]
    Kernel {
        /// What it refused.
        operation: Operation,
        /// The number of the reason, as in `errno(3)`. EPERM (1) means that the caller lacks `CAP_NET_ADMIN` in
        /// the initial user namespace; the meanings of the others depend on the operation.
        errno: i32,
    },

    /// The kernel answered in a way that this library does not understand.
    #[error("{operation}: the kernel's answer cannot be read: {reason}")]
    Malformed {
        /// What was asked.
        operation: Operation,
        /// What was found.
        reason: String,
    },

    /// The kernel did not answer; the operation may have been carried out.
    #[error("{operation}: the kernel gave no answer")]
    NoReply {
        /// What was asked.
        operation: Operation,
    },

    /// The socket could not be used.
    #[error("{doing}")]
    Socket {
        /// What was being done.
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },

    /// A file of the kernel's in `/proc` could not be read.
    #[error("cannot open file {path}")]
    Procfs {
        /// The file.
        path: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn malformed(operation: Operation, error: &DecodeError) -> Self {
        Self::Malformed { operation, reason: error.to_string() }
    }

    /// The kernel's number for the reason, where it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            Self::Socket { source, .. } | Self::Procfs { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// A value that the model does not hold: the kernel would misunderstand it, or refuse it without a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} '{value}' cannot be used; {remedy}")]
pub struct InvalidValue {
    /// What the value was meant for.
    pub what: &'static str,
    /// The value.
    pub value: String,
    /// What can be used instead.
    pub remedy: &'static str,
}

/// An operation on the kernel's table, each the kernel's command of the same meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// The look-up of the family's number (`CTRL_CMD_GETFAMILY`).
    Lookup,
    /// `IPVS_CMD_NEW_SERVICE`
    AddService,
    /// `IPVS_CMD_SET_SERVICE`
    EditService,
    /// `IPVS_CMD_DEL_SERVICE`
    DeleteService,
    /// `IPVS_CMD_GET_SERVICE`, of one service.
    GetService,
    /// `IPVS_CMD_GET_SERVICE`, of all.
    GetServices,
    /// `IPVS_CMD_NEW_DEST`
    AddDestination,
    /// `IPVS_CMD_SET_DEST`
    EditDestination,
    /// `IPVS_CMD_DEL_DEST`
    DeleteDestination,
    /// `IPVS_CMD_GET_DEST`
    GetDestinations,
    /// `IPVS_CMD_NEW_DAEMON`
    StartDaemon,
    /// `IPVS_CMD_DEL_DAEMON`
    StopDaemon,
    /// `IPVS_CMD_GET_DAEMON`
    GetDaemons,
    /// `IPVS_CMD_SET_CONFIG`
    SetTimeouts,
    /// `IPVS_CMD_GET_CONFIG`
    GetTimeouts,
    /// `IPVS_CMD_GET_INFO`
    GetInfo,
    /// `IPVS_CMD_ZERO`
    Zero,
    /// `IPVS_CMD_FLUSH`
    Flush,
    /// Reading `/proc/net/ip_vs_conn`; the kernel has no command for it.
    GetConnections,
}

impl Operation {
    /// The command byte, and what the operation is called in a message.
    fn facts(self) -> (u8, &'static str) {
        match self {
            Self::Lookup => (3, "look up the IPVS family"),
            Self::AddService => (uapi::IPVS_CMD_NEW_SERVICE, "add service"),
            Self::EditService => (uapi::IPVS_CMD_SET_SERVICE, "edit service"),
            Self::DeleteService => (uapi::IPVS_CMD_DEL_SERVICE, "delete service"),
            Self::GetService => (uapi::IPVS_CMD_GET_SERVICE, "read service"),
            Self::GetServices => (uapi::IPVS_CMD_GET_SERVICE, "read services"),
            Self::AddDestination => (uapi::IPVS_CMD_NEW_DEST, "add real server"),
            Self::EditDestination => (uapi::IPVS_CMD_SET_DEST, "edit real server"),
            Self::DeleteDestination => (uapi::IPVS_CMD_DEL_DEST, "delete real server"),
            Self::GetDestinations => (uapi::IPVS_CMD_GET_DEST, "read real servers"),
            Self::StartDaemon => (uapi::IPVS_CMD_NEW_DAEMON, "start sync daemon"),
            Self::StopDaemon => (uapi::IPVS_CMD_DEL_DAEMON, "stop sync daemon"),
            Self::GetDaemons => (uapi::IPVS_CMD_GET_DAEMON, "read sync daemons"),
            Self::SetTimeouts => (uapi::IPVS_CMD_SET_CONFIG, "set timeouts"),
            Self::GetTimeouts => (uapi::IPVS_CMD_GET_CONFIG, "read timeouts"),
            Self::GetInfo => (uapi::IPVS_CMD_GET_INFO, "read the version"),
            Self::Zero => (uapi::IPVS_CMD_ZERO, "zero counters"),
            Self::Flush => (uapi::IPVS_CMD_FLUSH, "clear the table"),
            Self::GetConnections => (0, "read connections"),
        }
    }

    pub(crate) fn command(self) -> u8 {
        self.facts().0
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.facts().1)
    }
}
