//! The folder of the notes: root's alone, for whoever can write there decides what `--undrain` brings back.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::messages;

/// Notes are changed in no time: whoever holds the lock for longer is not well.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a file of the folder; none if it is not there.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let folder = path.parent().unwrap_or(path);
    let Some(opened) = opened(folder, libc::O_DIRECTORY)? else { return Ok(None) };
    refuse_foreign(folder, &opened.metadata()?)?;
    let Some(file) = self::opened(path, libc::O_NONBLOCK)? else { return Ok(None) };
    let facts = file.metadata()?;
    refuse_foreign(path, &facts)?;
    if facts.is_file() { Ok(Some(file)) } else { Err(io::Error::other("it is no file")) }
}

/// Makes the folder if it is not there, and takes its lock, which ends with the file.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    const MODE: u32 = 0o700;
    match DirBuilder::new().mode(MODE).create(folder) {
        // Whatever the umask is.
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(MODE))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let opened = opened(folder, libc::O_DIRECTORY)?.ok_or(Errno::NOENT)?;
    refuse_foreign(folder, &opened.metadata()?)?;
    let end = Instant::now() + LOCK_TIMEOUT;
    loop {
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            Err(Errno::WOULDBLOCK) => return Err(io::Error::other("another process holds its lock")),
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(opened),
        }
    }
}

fn opened(path: &Path, flags: i32) -> io::Result<Option<File>> {
    match File::options().read(true).custom_flags(flags | libc::O_NOFOLLOW).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Refuses what others own, or may write to.
fn refuse_foreign(path: &Path, facts: &Metadata) -> io::Result<()> {
    const OTHERS: u32 = 0o022;
    let is_own = facts.uid() == 0 || facts.uid() == geteuid().as_raw();
    if is_own && facts.mode() & OTHERS == 0 {
        return Ok(());
    }
    Err(io::Error::other(messages::others_can_write(path, facts.uid(), is_own)))
}
