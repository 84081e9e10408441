//! Copies of files before they are changed. None replaces a file, and none follows a link that somebody else put there.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::geteuid;

use super::atomic_file::copy_permissions;
use super::place;

/// How many names are tried: so many copies of a file were made in one second.
const NAMES: u32 = 1000;

/// Copies a file that is about to be changed, beside it, under a name that is not in use, with its owner and mode.
pub(crate) fn make(path: &Path) -> io::Result<PathBuf> {
    let mut old = File::open(path)?;
    if !old.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let (mut new, copy) = create(path)?;
    let whole =
        io::copy(&mut old, &mut new).and_then(|_| copy_permissions(&old, &new)).and_then(|()| new.sync_all());
    if let Err(error) = whole {
        let _ = std::fs::remove_file(&copy); // what is left of it is of no use
        return Err(error);
    }
    Ok(copy)
}

/// Creates the file of a copy. Nobody else may read it before it has the mode of the original.
fn create(path: &Path) -> io::Result<(File, PathBuf)> {
    const PRIVATE: u32 = 0o600;
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let stamp: String = now.chars().filter(|char| !matches!(char, '-' | ':' | 'Z')).collect();
    let stamp = stamp.replace('T', "-");
    for number in 1..=NAMES {
        let again = if number == 1 { String::new() } else { format!("-{number}") };
        let mut copy = path.as_os_str().to_owned();
        copy.push(format!(".before-fix-{stamp}{again}"));
        // A link of this name is a file that exists.
        match File::options().write(true).create_new(true).mode(PRIVATE).open(&copy) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Ok(file) => {
                file.set_permissions(Permissions::from_mode(PRIVATE))?; // whatever the umask is
                return Ok((file, PathBuf::from(copy)));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether another user chooses what is in the folder of a path: its owner, or whoever may write there.
pub(crate) fn is_of_others(path: &Path) -> bool {
    const OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let is_own = |facts: &std::fs::Metadata| [0, geteuid().as_raw()].contains(&facts.uid());
    let is_closed = |facts: &std::fs::Metadata| facts.mode() & OTHERS == 0 || facts.mode() & STICKY != 0;
    std::fs::metadata(place::folder(path)).is_ok_and(|facts| !is_own(&facts) || !is_closed(&facts))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_copy_replaces_another_or_follows_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules");
        let victim = folder.path().join("victim");
        fs::write(&victim, "theirs").unwrap();
        let mut copies = Vec::new();
        for text in ["one", "two", "three"] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
            copies.push(make(&path).unwrap());
            // The next name, which anybody can guess.
            let mut next = copies[0].as_os_str().to_owned();
            next.push(format!("-{}", copies.len() + 1));
            if copies.len() == 1 {
                symlink(&victim, next).unwrap();
            }
        }
        let texts: Vec<String> = copies.iter().map(|copy| fs::read_to_string(copy).unwrap()).collect();
        assert_eq!(texts, ["one", "two", "three"]);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
        for copy in copies {
            let facts = fs::symlink_metadata(copy).unwrap();
            assert!(facts.is_file() && facts.mode() & 0o777 == 0o640);
        }
        fs::create_dir(folder.path().join("deep")).unwrap();
        assert!(make(&folder.path().join("deep")).is_err());
        assert!(make(&folder.path().join("none")).is_err());
    }

    #[test]
    fn folders_of_others_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules");
        for (mode, expected) in
            [(0o755, false), (0o700, false), (0o777, true), (0o775, true), (0o1777, false)]
        {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_of_others(&path), expected, "{mode:o}");
        }
    }
}
