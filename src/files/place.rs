//! Where output for a path goes: the kernel's rules for opening, followed step by step up to the link or file that is
//! to be replaced, which no system call reports.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, PROC_SUPER_MAGIC, fcntl_getfl, fstat, major, minor, statfs};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, geteuid, getpid, pidfd_getfd, pidfd_open};

use crate::text;

/// The explanation after the reason why a file was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Hint {
    #[error("another user put it into a folder where all may write")]
    Foreign,
    #[error("a new file cannot replace it")]
    Irreplaceable,
}

/// Where the output goes.
pub(crate) enum Place {
    /// Directly into a device, a pipe or a descriptor.
    Stream(File),
    /// To a file with this path, replacing the existing one.
    File(PathBuf, Option<File>),
}

/// The folder that contains a path.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Follows links to the final place for output to `path`. Creates and changes nothing.
pub(crate) fn of(path: &Path) -> anyhow::Result<Place> {
    const LINKS: usize = 40; // as many as the kernel follows
    let mut path = path.to_owned();
    for _ in 0..=LINKS {
        let folder = folder(&path);
        let existing = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::File(path, None)),
            existing => existing?,
        };
        if !existing.is_symlink() {
            return open(path, &existing);
        }
        // Such a link does not show a path: the file may have been renamed or removed.
        if statfs(folder)?.f_type == PROC_SUPER_MAGIC {
            return Ok(Place::Stream(open_procfs_link(&path)?));
        }
        if is_foreign(folder, &existing, 0o002)? && is_protected("symlinks") {
            return Err(anyhow::Error::from(io::Error::from(Errno::ACCESS)).context(Hint::Foreign));
        }
        path = folder.join(fs::read_link(&path)?);
    }
    Err(io::Error::from(Errno::LOOP).into())
}

/// Opens something that is not a link, so that the kernel decides whether it may be written.
fn open(path: PathBuf, existing: &Metadata) -> anyhow::Result<Place> {
    let flags = OFlags::NOFOLLOW | OFlags::NOCTTY;
    // The kernel protects existing files (fs.protected_regular, fs.protected_fifos) only from opening with O_CREAT.
    let mut options = File::options();
    options.write(true).create(true).custom_flags(text::signed(flags.bits()));
    match options.open(&path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Place::File(path, Some(file))),
        Ok(file) => Ok(Place::Stream(file)),
        Err(error) => {
            let is_foreign = error.kind() == ErrorKind::PermissionDenied
                && (existing.is_file() || existing.file_type().is_fifo())
                && is_foreign(folder(&path), existing, 0o022)?;
            let error = anyhow::Error::from(error);
            Err(if is_foreign { error.context(Hint::Foreign) } else { error })
        }
    }
}

/// Whether it belongs to neither this user nor the folder's owner, in a sticky folder that others may write to.
fn is_foreign(folder: &Path, existing: &Metadata, others: u32) -> io::Result<bool> {
    const STICKY: u32 = 0o1000;
    let folder = fs::metadata(folder)?;
    let is_shared = folder.mode() & STICKY != 0 && folder.mode() & others != 0;
    Ok(is_shared && ![geteuid().as_raw(), folder.uid()].contains(&existing.uid()))
}

/// Whether the kernel protects such files; if it does not say, assume so.
fn is_protected(what: &str) -> bool {
    let setting = fs::read_to_string(format!("/proc/sys/fs/protected_{what}"));
    setting.map_or(true, |setting| setting.trim() != "0")
}

/// The target of a link in `/proc`.
fn open_procfs_link(path: &Path) -> io::Result<File> {
    let is_own = fs::canonicalize(folder(path))? == fs::canonicalize("/proc/self/fd")?;
    let number = path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
    if let Some(number) = number.filter(|_| is_own) {
        if !is_inherited(number)? {
            return Err(Errno::BADF.into());
        }
        // The descriptor itself, so that output of others to it is not overwritten.
        let this = pidfd_open(getpid(), PidfdFlags::empty());
        if let Ok(file) = this.and_then(|this| pidfd_getfd(this, number, PidfdGetfdFlags::empty())) {
            return if is_closed_or_null(&file)? {
                Err(io::Error::other(STDOUT_CLOSED))
            } else {
                Ok(file.into())
            };
        }
    }
    // An older kernel, or another process: append.
    File::options().append(true).open(path)
}

/// Whether a descriptor was open before this program opened its own, which are all close-on-exec.
fn is_inherited(number: i32) -> io::Result<bool> {
    let facts = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let flags = facts.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).unwrap_or_default();
    Ok(flags & OFlags::CLOEXEC.bits() == 0)
}

pub(crate) const STDOUT_CLOSED: &str =
    "stdout is closed, or is only /dev/null; ipvsadm -S > FILE writes a file, or ipvsadm -S --file FILE";

/// Whether this may stand for a descriptor that was closed when the program began: Rust opens `/dev/null` instead,
/// for reading and writing. A shell's `> /dev/null` opens it for writing only.
pub(crate) fn is_closed_or_null(descriptor: impl AsFd) -> io::Result<bool> {
    const NULL: (u32, u32) = (1, 3);
    let facts = fstat(&descriptor)?;
    let is_null = FileType::from_raw_mode(facts.st_mode) == FileType::CharacterDevice
        && (major(facts.st_rdev), minor(facts.st_rdev)) == NULL;
    Ok(is_null && fcntl_getfl(descriptor)?.contains(OFlags::RDWR))
}
