//! What can go wrong: which operation, and why.

use std::io;
use std::path::PathBuf;

use crate::netlink::read_error::ReadError;
use crate::netlink::uapi;

/// The result of an operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// ```
/// # fn main() -> ipvs::Result<()> {
/// use ipvs::{Client, ServiceId};
///
/// let mut client = Client::open()?;
/// let missing = ServiceId::tcp("192.0.2.1".parse().unwrap(), 80);
/// match client.service(&missing) {
///     Err(error) if error.is_not_found() => {}
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
    #[error("{operation}: {}", refusal(*operation, *errno))]
    Kernel {
        /// What it refused.
        operation: Operation,
        /// The number of the reason, as in `errno(3)`. EPERM (1) means that the caller lacks `CAP_NET_ADMIN` in
        /// the initial user namespace; the meanings of the others depend on the operation.
        errno: i32,
    },

    /// The kernel would make something else of a value than what it says, so that it was not asked.
    #[error("{operation}: {source}")]
    Invalid {
        /// What was to be done.
        operation: Operation,
        /// The value, and what can be used instead.
        source: InvalidValue,
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

    /// A network namespace could not be entered, which takes `CAP_SYS_ADMIN`.
    #[error("cannot enter the network namespace '{}'", path.display())]
    Namespace {
        /// The file that stands for it.
        path: PathBuf,
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
    pub(crate) fn malformed(operation: Operation, error: &impl std::fmt::Display) -> Self {
        Self::Malformed { operation, reason: error.to_string() }
    }

    /// What kind of failure it is, for programs that decide by it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAvailable => ErrorKind::NotAvailable,
            Self::Kernel { operation, errno } => refusal(*operation, *errno).kind(),
            Self::Invalid { .. } => ErrorKind::InvalidInput,
            Self::Malformed { .. } => ErrorKind::Malformed,
            Self::NoReply { .. } => ErrorKind::NoReply,
            Self::Socket { source, .. } | Self::Procfs { source, .. } | Self::Namespace { source, .. } => {
                match source.kind() {
                    io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                    _ => ErrorKind::Io,
                }
            }
        }
    }

    /// Whether the service, real server or sync daemon of an operation is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether what was to be added is there already.
    pub fn is_exists(&self) -> bool {
        self.kind() == ErrorKind::AlreadyExists
    }

    /// Whether the caller lacks `CAP_NET_ADMIN` in the initial user namespace.
    pub fn is_permission_denied(&self) -> bool {
        self.kind() == ErrorKind::PermissionDenied
    }

    /// The kernel's number for the reason, where it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            Self::Socket { source, .. } | Self::Procfs { source, .. } | Self::Namespace { source, .. } => {
                source.raw_os_error()
            }
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotAvailable | ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::NotFound | ErrorKind::NoSuchScheduler | ErrorKind::NoSuchInterface => {
                io::ErrorKind::NotFound
            }
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::Malformed => io::ErrorKind::InvalidData,
            ErrorKind::NoReply => io::ErrorKind::WouldBlock,
            ErrorKind::Io | ErrorKind::Other => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// What kind of failure an [`Error`] is, whichever operation met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The kernel has no IPVS.
    NotAvailable,
    /// The service, real server or sync daemon is not there.
    NotFound,
    /// The service, real server or sync daemon is there already.
    AlreadyExists,
    /// The scheduler or the persistence engine is unknown, and the kernel could not load a module for it.
    NoSuchScheduler,
    /// The interface of a sync daemon is not there, is down, or does not have the group's address family.
    NoSuchInterface,
    /// `CAP_NET_ADMIN` in the initial user namespace is missing.
    PermissionDenied,
    /// A value is one that the kernel does not take.
    InvalidInput,
    /// The kernel cannot do this: an address family or a command that it was built without.
    Unsupported,
    /// The kernel has no memory left for it.
    OutOfMemory,
    /// The kernel's answer cannot be read.
    Malformed,
    /// The kernel gave no answer.
    NoReply,
    /// The socket or a file in `/proc` failed.
    Io,
    /// Another reason; [`Error::errno`] has its number. It may get a kind of its own in a later release, so that programs
    /// match it by `_`.
    Other,
}

/// The reason of a refusal.
#[derive(Clone, Copy)]
enum Refusal {
    Known(ErrorKind, &'static str),
    Unknown(i32),
}

impl Refusal {
    fn kind(self) -> ErrorKind {
        match self {
            Self::Known(kind, _) => kind,
            Self::Unknown(_) => ErrorKind::Other,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(_, text) => f.write_str(text),
            Self::Unknown(errno) => write!(f, "{}", io::Error::from_raw_os_error(*errno)),
        }
    }
}

/// What an errno means in an operation.
fn refusal(operation: Operation, errno: i32) -> Refusal {
    use ErrorKind as Kind;
    use Operation as Op;
    const EPERM: i32 = 1;
    const ENOENT: i32 = 2;
    const ESRCH: i32 = 3;
    const ENOMEM: i32 = 12;
    const EEXIST: i32 = 17;
    const ENODEV: i32 = 19;
    const EINVAL: i32 = 22;
    const ERANGE: i32 = 34;
    const EOPNOTSUPP: i32 = 95;
    const EAFNOSUPPORT: i32 = 97;
    const ENETUNREACH: i32 = 101;
    let (kind, text) = match (errno, operation) {
        (EPERM, _) => (Kind::PermissionDenied, "CAP_NET_ADMIN in the initial user namespace is missing"),
        (ENOENT, Op::AddService | Op::EditService) => {
            (Kind::NoSuchScheduler, "no such scheduler or persistence engine")
        }
        (ENOENT, Op::EditDestination | Op::DeleteDestination) => (Kind::NotFound, "no such real server"),
        (ESRCH, Op::StopDaemon) => (Kind::NotFound, "no such sync daemon"),
        (ESRCH, _) => (Kind::NotFound, "no such service"),
        (EEXIST, Op::AddService) => (Kind::AlreadyExists, "the service is there already"),
        (EEXIST, Op::AddDestination) => (Kind::AlreadyExists, "the real server is there already"),
        (EEXIST, Op::StartDaemon) => (Kind::AlreadyExists, "a sync daemon of this state runs already"),
        (ENODEV, Op::StartDaemon) => (Kind::NoSuchInterface, "no such interface, or one without IPv4"),
        (ENETUNREACH, Op::StartDaemon) => {
            (Kind::NoSuchInterface, "the interface is down, or has no address family of the group's")
        }
        (EINVAL, _) => {
            (Kind::InvalidInput, "a value that the kernel does not take, or not with what is there")
        }
        (ERANGE, Op::AddDestination | Op::EditDestination) => {
            (Kind::InvalidInput, "a weight above 2147483647, or a lower threshold above the upper one")
        }
        (EAFNOSUPPORT, _) => (Kind::Unsupported, "an address family that the kernel does not support"),
        (EOPNOTSUPP, _) => (Kind::Unsupported, "an operation that the kernel does not support"),
        (ENOMEM, _) => (Kind::OutOfMemory, "the kernel has no memory left"),
        _ => return Refusal::Unknown(errno),
    };
    Refusal::Known(kind, text)
}

/// A value that the model does not hold: the kernel would misunderstand it, or refuse it without a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{what} '{value}' cannot be used; {remedy}")]
pub struct InvalidValue {
    /// What the value was meant for.
    pub what: &'static str,
    /// The value.
    pub value: String,
    /// What can be used instead.
    pub remedy: &'static str,
}

impl InvalidValue {
    pub(crate) fn new(what: &'static str, value: &str, remedy: &'static str) -> Self {
        Self { what, value: value.to_owned(), remedy }
    }
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
    /// Reading `/proc/net/ip_vs_stats`; the kernel has no command for it.
    GetTotals,
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
            Self::GetTotals => (0, "read totals"),
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

impl From<InvalidValue> for ReadError {
    fn from(error: InvalidValue) -> Self {
        Self::from(error.to_string())
    }
}
