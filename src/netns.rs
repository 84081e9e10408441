//! `--netns`: another network namespace. The whole process enters it, before it opens a socket or looks up a name, so
//! that the kernel's table, `/proc/net`, `/proc/sys/net` and the programs that are started are those of the namespace.
//! (`/sys/class/net` would not be: nothing here reads it.)

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::messages::{self, Result};
use crate::shell;

/// The namespace that this process has entered: it is in one as long as it runs.
static ENTERED: OnceLock<Namespace> = OnceLock::new();

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Namespace {
    /// The word that was given for it.
    word: Vec<u8>,
    path: PathBuf,
    /// Its name, if it is one of `ip netns`.
    is_named: bool,
}

impl Namespace {
    /// The namespace that a word means: a path, a name of `ip netns`, which are in `folder`, or, if there
    /// is no such name, a PID.
    fn of(word: &[u8], folder: &Path) -> Self {
        let (text, word) = (OsStr::from_bytes(word), word.to_vec());
        if word.contains(&b'/') {
            return Self { path: PathBuf::from(text), word, is_named: false };
        }
        let named = folder.join(text);
        if !named.exists() && !word.is_empty() && word.iter().all(u8::is_ascii_digit) {
            let path = Path::new("/proc").join(text).join("ns/net");
            return Self { path, word, is_named: false };
        }
        Self { path: named, word, is_named: true }
    }

    fn enter(&self) -> Result<()> {
        // A pipe would wait for its writer.
        let mut options = File::options();
        let opened = options.read(true).custom_flags(libc::O_NONBLOCK).open(&self.path);
        let entered = opened.and_then(|file| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(io::Error::from)
        });
        entered.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::SRCH | Errno::NAMETOOLONG) => {
                messages::no_namespace(&self.word)
            }
            Some(Errno::ACCESS | Errno::PERM) => messages::namespace_not_permitted(&self.word),
            Some(Errno::INVAL) => messages::not_a_namespace(&self.word),
            _ => messages::cannot_enter_namespace(&self.word, &error),
        })
    }

    /// The words that run a command in it.
    fn exec(&self) -> Vec<Vec<u8>> {
        if self.is_named {
            return vec![b"ip".to_vec(), b"netns".to_vec(), b"exec".to_vec(), self.word.clone()];
        }
        vec![b"nsenter".to_vec(), [&b"--net="[..], self.path.as_os_str().as_bytes()].concat()]
    }

    /// A command line that does in it what `command` does here.
    fn command(&self, command: &str) -> String {
        let words = self.exec();
        // A word in quotes may have these characters too, and then the quotes are not needed, but right.
        if command.contains(['&', '|', ';', '<', '>', '(', ')', '$', '`', '"', '\n']) {
            return shell::line([words, vec![b"sh".to_vec(), b"-c".to_vec(), command.into()]].concat());
        }
        format!("{} {command}", shell::line(words))
    }
}

/// Enters the namespace that a word names.
pub(crate) fn enter(word: &[u8]) -> Result<()> {
    const NAMES: &str = "/run/netns";
    let namespace = Namespace::of(word, Path::new(NAMES));
    namespace.enter()?;
    ENTERED.get_or_init(|| namespace);
    Ok(())
}

/// Whether another namespace was entered.
pub(crate) fn is_another() -> bool {
    ENTERED.get().is_some()
}

/// The words of `ipvsadm` that a printed command line begins with.
pub(crate) fn ipvsadm() -> Vec<Vec<u8>> {
    let mut words = vec![b"ipvsadm".to_vec()];
    if let Some(namespace) = ENTERED.get() {
        words.extend([b"--netns".to_vec(), namespace.word.clone()]);
    }
    words
}

/// A command line, as it has to be typed where this program was started.
pub(crate) fn command(command: String) -> String {
    match ENTERED.get() {
        Some(namespace) => namespace.command(&command),
        None => command,
    }
}

/// The folder that stands for `/etc`, as `ip netns exec` has it; none if the namespace has no folder of its own.
pub(crate) fn etc() -> Option<PathBuf> {
    let Some(namespace) = ENTERED.get() else { return Some(PathBuf::from("/etc")) };
    let folder = Path::new("/etc/netns").join(OsStr::from_bytes(&namespace.word));
    (namespace.is_named && folder.is_dir()).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_path_a_name_or_a_pid() {
        let names = tempfile::tempdir().unwrap();
        std::fs::write(names.path().join("7"), "").unwrap();
        let of = |word: &str| {
            let Namespace { path, is_named, .. } = Namespace::of(word.as_bytes(), names.path());
            (path, is_named)
        };
        for (word, path, is_named) in [
            ("blue", names.path().join("blue"), true),
            ("7", names.path().join("7"), true),
            ("8", PathBuf::from("/proc/8/ns/net"), false),
            ("8a", names.path().join("8a"), true),
            ("./blue", PathBuf::from("./blue"), false),
            ("/run/x", PathBuf::from("/run/x"), false),
        ] {
            assert_eq!(of(word), (path, is_named), "{word}");
        }
    }

    #[test]
    fn commands_are_run_in_it() {
        let name = Namespace::of(b"it's", Path::new("/run/netns"));
        let pid = Namespace::of(b"8", Path::new("/nonexistent"));
        for (namespace, command, expected) in [
            (&name, "ip link", r"ip netns exec 'it'\''s' ip link"),
            (&pid, "ip link", "nsenter --net=/proc/8/ns/net ip link"),
            (&pid, "a && echo 'b'", r"nsenter --net=/proc/8/ns/net sh -c 'a && echo '\''b'\'''"),
        ] {
            assert_eq!(namespace.command(command), expected);
        }
    }
}
