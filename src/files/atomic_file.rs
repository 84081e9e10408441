//! Rule files: reading, and writing them whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow};
use rustix::fs::{
    AtFlags, CWD, StatxAttributes, StatxFlags, XattrFlags, fgetxattr, fremovexattr, fsetxattr, statx,
};
use rustix::io::Errno;

use crate::files::place::{self, Hint, Place};
use crate::messages::{self, Failure};

/// Whether a path means stdin or stdout.
pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Opens the file, or stdin if none is given.
pub(crate) fn open(path: Option<&Path>) -> io::Result<Box<dyn Read>> {
    let Some(path) = path.filter(|path| !is_standard(path)) else { return Ok(Box::new(io::stdin().lock())) };
    let file = File::open(path)?;
    if file.metadata()?.is_dir() { Err(Errno::ISDIR.into()) } else { Ok(Box::new(file)) }
}

/// The content of a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    open(Some(path))?.read_to_end(&mut whole)?;
    Ok(whole)
}

/// Writes the output of `fill`: directly to a device, a pipe or a descriptor; otherwise to a temporary file, which
/// replaces the named one when it is complete and on the disk, with the mode, the owner and the ACL of the old file.
/// If this fails or is interrupted, the old file is unchanged; only SIGKILL leaves the temporary file, named
/// `.ipvsadm-` and some letters.
pub(crate) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    match place::of(path)? {
        Place::Stream(stream) => {
            let mut out = BufWriter::with_capacity(PART, stream);
            fill(&mut out)?;
            Ok(out.flush()?)
        }
        Place::File(path, old) => {
            let mut text = Vec::new();
            fill(&mut text)?;
            replace_file(&path, old.as_ref().map_or(Access::New, Access::Of), &text).map_err(|error| {
                let is_irreplaceable = matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::ResourceBusy
                );
                let error = anyhow::Error::from(error);
                // It could be opened, so it can be written into.
                if old.is_some() && is_irreplaceable { error.context(Hint::Irreplaceable) } else { error }
            })
        }
    }
}

/// Writes a file that its owner alone may read and write, whatever the umask is, and whatever was there before.
pub(crate) fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    replace_file(path, Access::Private, text)
}

/// Writes a file of the system, which all may read and only its owner may write, whatever the umask is. One that is there keeps
/// its owner and mode.
pub(crate) fn write_public(path: &Path, text: &[u8]) -> io::Result<()> {
    match File::options().write(true).open(path) {
        Ok(old) => replace_file(path, Access::Of(&old), text),
        Err(error) if error.kind() == ErrorKind::NotFound => replace_file(path, Access::Public, text),
        Err(error) => Err(error),
    }
}

/// Bytes per write.
const PART: usize = 1 << 16;

/// Who may do what with a new file.
#[derive(Clone, Copy)]
enum Access<'a> {
    /// As with the one that it replaces.
    Of(&'a File),
    /// By the umask.
    New,
    Private,
    /// For all to read.
    Public,
}

/// Replaces a file by one with this text.
fn replace_file(path: &Path, access: Access<'_>, text: &[u8]) -> io::Result<()> {
    const PRIVATE: u32 = 0o600;
    const PUBLIC: u32 = 0o644;
    let folder = place::folder(path);
    if is_append_only(folder) {
        return Err(Errno::PERM.into()); // a temporary file could be neither renamed nor removed
    }
    let _held = BlockedSignals::all()?;
    // Before it has the owner and mode of the old file, others must not read it.
    let mode = if matches!(access, Access::New) { 0o666 } else { PRIVATE };
    let mut new = tempfile::Builder::new()
        .prefix(".ipvsadm-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    text.chunks(PART).try_for_each(|part| new.write_all(part))?;
    match access {
        Access::Of(old) => copy_permissions(old, new.as_file())?,
        Access::Private => new.as_file().set_permissions(Permissions::from_mode(PRIVATE))?,
        Access::Public => new.as_file().set_permissions(Permissions::from_mode(PUBLIC))?,
        Access::New => {}
    }
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    sync(folder)
}

fn is_append_only(folder: &Path) -> bool {
    let facts = statx(CWD, folder, AtFlags::empty(), StatxFlags::empty());
    facts.is_ok_and(|facts| facts.stx_attributes.contains(StatxAttributes::APPEND))
}

/// Waits until a folder's entries are on the disk, if the file system supports that.
fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // The folder may be writable but not readable, or its file system does not sync folders.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => Ok(()),
        result => result,
    }
}

/// Copies owner, mode, ACL and label of the old file to the new one.
pub(super) fn copy_permissions(old: &File, new: &File) -> io::Result<()> {
    let facts = old.metadata()?;
    fchown(new, Some(facts.uid()), Some(facts.gid()))?;
    copy_attribute(old, new, "system.posix_acl_access")?;
    // A label may not be permitted, and where none is enforced it has no effect.
    let _ = copy_attribute(old, new, "security.selinux");
    new.set_permissions(facts.permissions())
}

fn copy_attribute(old: &File, new: &File, name: &str) -> io::Result<()> {
    let mut value = vec![0; 1 << 16]; // the kernel's limit
    match fgetxattr(old, name, &mut value) {
        Ok(length) => fsetxattr(new, name, value.get(..length).unwrap_or_default(), XattrFlags::empty())?,
        // The folder's default ACL may have applied to the new file.
        Err(Errno::NODATA) => match fremovexattr(new, name) {
            Err(Errno::NODATA) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        },
        Err(Errno::NOTSUP) => {} // the file system has none
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Blocks all signals until this is dropped, so that none ends the program while a temporary file exists.
struct BlockedSignals {
    old: SigSet,
}

impl BlockedSignals {
    fn all() -> io::Result<Self> {
        Ok(Self { old: SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)? })
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // It was the mask before, so it is valid.
        let _ = self.old.thread_set_mask();
    }
}

/// The failure of a [`write_whole`], because of the kernel or of the file.
pub(crate) fn failure(error: anyhow::Error, path: &Path) -> Failure {
    let hint = error.downcast_ref::<Hint>().copied();
    match error.downcast::<ipvs::Error>() {
        Ok(error) => messages::refused(&error, None),
        Err(error) => {
            let error = error.downcast().unwrap_or_else(io::Error::other);
            messages::cannot_write_file(path, &error, hint.as_ref())
        }
    }
}
