//! Error messages and exit statuses: the one table of sentences.
//!
//! Sentences and statuses are the original's, because scripts look for them. If such a sentence does not name the
//! word at fault, `: 'WORD'; fix` is appended on the same line.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use std::io::Write;

use ipvs::{Change, Error, Operation};

pub(crate) mod drain;
mod endpoint;
pub(crate) mod remedy;
pub(crate) mod rules;
pub(crate) mod terminal;
pub(crate) mod usage;
pub(crate) mod warning;

pub(crate) use drain::*;
pub(crate) use endpoint::{Surprise, Wrong, reading, report_unanswered, surprising, zero_port};
pub(crate) use rules::*;
pub(crate) use terminal::*;
pub(crate) use usage::*;

pub(crate) use crate::common::reason;
use crate::{lines, output, progress};

/// An error: its message and exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    /// The line for stderr; empty if the original says nothing.
    pub(crate) message: String,
    /// Whether `-R` continues with the next line.
    pub(crate) continue_restore: bool,
}

impl Failure {
    /// A failure that was already reported.
    pub(crate) fn reported(status: u8) -> Self {
        Self { status, message: String::new(), continue_restore: false }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A listing failed.
pub(crate) const STATUS_LIST: u8 = 1;
/// `--diff` found differences.
pub(crate) const STATUS_DIFFERS: u8 = 1;
/// A value or a combination is wrong, or IPVS cannot be reached.
pub(crate) const STATUS_VALUE: u8 = 2;
/// `--apply` left some of its changes in effect, or cannot tell whether it did.
pub(crate) const STATUS_PARTIAL: u8 = 3;
/// The command line cannot be parsed, or the kernel refused.
pub(crate) const STATUS_REFUSED: u8 = 255;

/// How many characters of a word a message shows.
const SHOWN: usize = 256;

/// A word as a message shows it: cut if it is long, and printable.
pub(crate) fn text(word: &[u8]) -> String {
    let start = word.get(..4 * SHOWN).unwrap_or(word); // a character has up to four bytes
    let text = String::from_utf8_lossy(start);
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
    let is_cut = end < text.len() || start.len() < word.len();
    format!("{}{}", printable(text.get(..end).unwrap_or(&text)), if is_cut { "..." } else { "" })
}

/// A path as a message shows it.
pub(crate) fn path(path: &Path) -> String {
    text(path.as_os_str().as_bytes())
}

/// A text with control and invisible characters shown as their numbers, so that none controls the terminal or makes a
/// word look like another.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for character in text.chars() {
        if is_visible(character) {
            printable.push(character);
        } else {
            printable.extend(character.escape_unicode());
        }
    }
    printable
}

/// Whether a character is shown as itself, and controls nothing.
pub(crate) fn is_visible(character: char) -> bool {
    // The standard library escapes unprintable characters, and these three for its own syntax.
    matches!(character, '\\' | '\'' | '"') || character.escape_debug().len() == 1
}

/// The only writer to stderr: one message on a line of its own, on a terminal in lines that fit. If stderr is closed, it is lost.
pub(crate) fn report(message: &str) {
    progress::clear();
    output::outlive_readers();
    let _ = writeln!(std::io::stderr(), "{}", lines::told(message, lines::width_of_messages()));
}

/// Whether the environment asks for the original's words alone.
pub(crate) fn is_quiet() -> bool {
    std::env::var_os("IPVSADM_QUIET").is_some_and(|value| !value.is_empty() && value != "0")
}

/// A wrong value or combination.
pub(crate) fn value(message: impl Into<String>) -> Failure {
    Failure { status: STATUS_VALUE, message: message.into(), continue_restore: false }
}

/// A listing or a save could not be written.
pub(crate) fn write_error(error: &std::io::Error) -> Failure {
    // The reader has seen enough: `ipvsadm -Ln | head -1`. The status is that of SIGPIPE.
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return Failure { status: 141, message: String::new(), continue_restore: false };
    }
    let reason = match error.raw_os_error() {
        Some(libc::EBADF) => "stdout is closed; > FILE opens one".to_owned(),
        _ => reason(error),
    };
    let message = format!("cannot write the output: {reason}");
    Failure { status: STATUS_LIST, message, continue_restore: false }
}

/// The connections were read while their table was resized again and again.
pub(crate) fn unsettled() -> Failure {
    let message = "warning: the kernel resized its connection table during each reading: none of these connections is \
                   listed twice, but some may be missing; run it again";
    Failure { status: STATUS_LIST, message: message.to_owned(), continue_restore: false }
}

/// IPVS cannot be reached.
pub(crate) fn unavailable(reason: &str, fix: &str) -> Failure {
    value(format!("Can't initialize ipvs: {reason}; {fix}"))
}

/// The kernel refused, or could not be reached; `change` is what was sent, if it was a change. The causes of refusals
/// are in `refusal.rs`.
pub(crate) fn refused(error: &Error, change: Option<&Change>) -> Failure {
    let message = match error {
        // The original has no sentence for these.
        Error::Kernel { operation: Operation::GetTimeouts | Operation::GetDaemons, .. } => error_text(error),
        Error::Kernel { operation, errno } => sentence(*operation, *errno),
        Error::Malformed { operation: Operation::GetConnections, .. } => {
            "unexpected input from /proc/net/ip_vs_conn".to_owned()
        }
        Error::NoReply { .. } if change.is_some() => {
            format!("{error}, and may have done it; ipvsadm -S --full shows what is in effect")
        }
        other => error_text(other),
    };
    let status = if change.is_some() { STATUS_REFUSED } else { STATUS_LIST };
    Failure { status, message, continue_restore: change.is_some() }
}

/// An error as a message shows it.
pub(crate) fn error_text(error: &Error) -> String {
    match error {
        Error::Kernel { operation, errno } => {
            format!("{operation}: {}", reason(&std::io::Error::from_raw_os_error(*errno)))
        }
        Error::Socket { doing, source } => format!("{doing}: {}", reason(source)),
        // The original prints only this for a file.
        other => other.to_string(),
    }
}

/// The original's sentence for an errno of the kernel's.
fn sentence(operation: Operation, errno: i32) -> String {
    use Operation::{
        AddDestination, AddService, DeleteDestination, DeleteService, EditDestination, EditService,
        GetDestinations, GetService, StartDaemon, StopDaemon, Zero,
    };
    let sentence = match (errno, operation) {
        (libc::EEXIST, AddService) => "Service already exists",
        (libc::EEXIST, AddDestination) => "Destination already exists",
        (libc::EEXIST, StartDaemon) => "Daemon has already run",
        (libc::ENOENT, AddService | EditService) => "Scheduler or persistence engine not found",
        (libc::ENOENT, EditDestination | DeleteDestination) => "No such destination",
        (libc::ESRCH, EditService | DeleteService | Zero | GetService | GetDestinations) => "No such service",
        (libc::ESRCH, AddDestination | EditDestination | DeleteDestination) => "Service not defined",
        (libc::ESRCH, StopDaemon) => "No daemon is running",
        (libc::EPERM, _) => "Permission denied (you must be root)",
        (libc::EINVAL, _) => "Invalid operation.  Possibly wrong module version, address not unicast, ...",
        (libc::ENOPROTOOPT, _) => "Protocol not available",
        (libc::ENOMEM, _) => "Memory allocation problem",
        (libc::EOPNOTSUPP, _) => "Operation not supported with IPv6",
        (libc::EAFNOSUPPORT, _) => "Operation not supported with specified address family",
        (libc::EMSGSIZE, _) => "Module is wrong version",
        _ => return reason(&std::io::Error::from_raw_os_error(errno)),
    };
    sentence.to_owned()
}
