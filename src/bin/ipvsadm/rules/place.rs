//! Where what is written to a path goes: the kernel's rules for opening, followed by hand as far as the link or file that
//! is to be replaced, which no call tells.

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

/// What is said behind the reason why a file was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Hint {
    #[error("another user put it into a folder where all may write")]
    Foreign,
    #[error("no new file can take its place")]
    Irreplaceable,
}

/// Where what is written goes.
pub(crate) enum Place {
    /// Into what is there: a device, a pipe, a descriptor.
    Stream(File),
    /// A file of this path; it takes the place of the one there is.
    File(PathBuf, Option<File>),
}

/// The folder that a path is in.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Follows links to where what is written to `path` goes. Nothing is created, and nothing is changed.
pub(crate) fn of(path: &Path) -> anyhow::Result<Place> {
    const LINKS: usize = 40; // as many as the kernel follows
    let mut path = path.to_owned();
    for _ in 0..=LINKS {
        let folder = folder(&path);
        let here = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::File(path, None)),
            here => here?,
        };
        if !here.is_symlink() {
            return open(path, &here);
        }
        // What such a link shows is no path: the file may have another name by now, or none.
        if statfs(folder)?.f_type == PROC_SUPER_MAGIC {
            return Ok(Place::Stream(behind_procfs(&path)?));
        }
        if is_foreign(folder, &here, 0o002)? && is_protected("symlinks") {
            return Err(anyhow::Error::from(io::Error::from(Errno::ACCESS)).context(Hint::Foreign));
        }
        path = folder.join(fs::read_link(&path)?);
    }
    Err(io::Error::from(Errno::LOOP).into())
}

/// Opens what is no link, so that the kernel says whether it may be written.
fn open(path: PathBuf, here: &Metadata) -> anyhow::Result<Place> {
    let flags = OFlags::NOFOLLOW | OFlags::NOCTTY;
    // The kernel protects what is there (fs.protected_regular, fs.protected_fifos) only from who would also create it.
    let mut options = File::options();
    options.write(true).create(true).custom_flags(text::signed(flags.bits()));
    match options.open(&path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Place::File(path, Some(file))),
        Ok(file) => Ok(Place::Stream(file)),
        Err(error) => {
            let is_foreign = error.kind() == ErrorKind::PermissionDenied
                && (here.is_file() || here.file_type().is_fifo())
                && is_foreign(folder(&path), here, 0o022)?;
            let error = anyhow::Error::from(error);
            Err(if is_foreign { error.context(Hint::Foreign) } else { error })
        }
    }
}

/// Whether it is neither this user's nor the folder's owner's, in a sticky folder where others may write.
fn is_foreign(folder: &Path, here: &Metadata, others: u32) -> io::Result<bool> {
    const STICKY: u32 = 0o1000;
    let folder = fs::metadata(folder)?;
    let is_shared = folder.mode() & STICKY != 0 && folder.mode() & others != 0;
    Ok(is_shared && ![geteuid().as_raw(), folder.uid()].contains(&here.uid()))
}

/// Whether the kernel protects such things; where it does not say, it does.
fn is_protected(what: &str) -> bool {
    let setting = fs::read_to_string(format!("/proc/sys/fs/protected_{what}"));
    setting.map_or(true, |setting| setting.trim() != "0")
}

/// What a link in `/proc` leads to.
fn behind_procfs(path: &Path) -> io::Result<File> {
    let is_own = fs::canonicalize(folder(path))? == fs::canonicalize("/proc/self/fd")?;
    let number = path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
    if let Some(number) = number.filter(|_| is_own) {
        if !is_inherited(number)? {
            return Err(Errno::BADF.into());
        }
        // The descriptor itself, so that what others write to it comes behind this.
        let this = pidfd_open(getpid(), PidfdFlags::empty());
        if let Ok(file) = this.and_then(|this| pidfd_getfd(this, number, PidfdGetfdFlags::empty())) {
            return if leads_nowhere(&file)? { Err(io::Error::other(NOWHERE)) } else { Ok(file.into()) };
        }
    }
    // An older kernel, or another process: what a file holds stays.
    File::options().append(true).open(path)
}

/// Whether a descriptor was open before this program opened its own, which no program inherits from it.
fn is_inherited(number: i32) -> io::Result<bool> {
    let facts = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let flags = facts.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).unwrap_or_default();
    Ok(flags & OFlags::CLOEXEC.bits() == 0)
}

pub(crate) const NOWHERE: &str =
    "stdout is closed, or no more than /dev/null; ipvsadm -S > FILE writes a file, or ipvsadm -S --file FILE";

/// Whether this may stand for a descriptor that was closed when the program began: Rust opens `/dev/null` in its place,
/// for reading and writing. A shell's `> /dev/null` opens it for writing alone.
pub(crate) fn leads_nowhere(descriptor: impl AsFd) -> io::Result<bool> {
    const NULL: (u32, u32) = (1, 3);
    let facts = fstat(&descriptor)?;
    let is_null = FileType::from_raw_mode(facts.st_mode) == FileType::CharacterDevice
        && (major(facts.st_rdev), minor(facts.st_rdev)) == NULL;
    Ok(is_null && fcntl_getfl(descriptor)?.contains(OFlags::RDWR))
}
