//! A copy of a file before it is overwritten.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::files::backup;
use crate::shell;

/// Copies a file that will be overwritten, and returns the command that brings it back.
pub(super) fn keep_file(path: &Path) -> io::Result<String> {
    let quoted = |path: &Path| shell::quoted(path.as_os_str().as_bytes());
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(format!("rm -- {}", quoted(path))),
        _ => {
            let copy = backup::make(path)?;
            // The owner of the folder may put a link in the file's place.
            let instead = if backup::is_of_others(path) { " --remove-destination" } else { "" };
            Ok(format!("cp -p{instead} -- {} {}", quoted(&copy), quoted(path)))
        }
    }
}
