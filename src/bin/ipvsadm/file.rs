//! Files of rules: read, and written whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Opens the file, or stdin where none is named.
pub(crate) fn open(path: Option<&Path>) -> io::Result<Box<dyn Read>> {
    Ok(match path {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::stdin().lock()),
    })
}

/// Writes a file beside the one that is wanted, and puts it in its place when it is complete and on the disk, with
/// the mode and the owner of the one before. Whatever ends this early leaves that one as it was; only a SIGKILL leaves
/// the new one beside it, as `.ipvsadm-` and some letters.
pub(crate) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // The file that a link leads to is replaced, not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = fs::metadata(path).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        // There is nothing to put in the place of a device.
        let mut device = BufWriter::with_capacity(1 << 16, File::options().write(true).open(path)?);
        fill(&mut device)?;
        return Ok(device.flush()?);
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mode = before.as_ref().map_or(0o666, |before| before.permissions().mode()); // less the umask
    let mut new = tempfile::Builder::new()
        .prefix(".ipvsadm-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(&folder)?;
    let mut out = BufWriter::with_capacity(1 << 16, &mut new);
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    if let Some(before) = before {
        fchown(new.as_file(), Some(before.uid()), Some(before.gid()))?;
        new.as_file().set_permissions(before.permissions())?;
    }
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    File::open(&folder)?.sync_all()?;
    Ok(())
}
