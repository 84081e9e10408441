//! Other programs that this one runs: found in folders that only the administrator fills, never by a `PATH` that somebody
//! else may have set.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::messages::reason;

/// Where programs are looked for.
const FOLDERS: [&str; 7] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/run/current-system/sw/bin", // NixOS
];

/// A program by its name; none if there is none.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    folders().into_iter().map(|folder| folder.join(name)).find(is_program)
}

/// A program that can be run, without input; it finds others in the same folders.
pub(crate) fn command(name: &str) -> Option<Command> {
    let mut command = Command::new(find(name)?);
    command.env("PATH", path()).stdin(Stdio::null());
    Some(command)
}

/// The output of a program that is there and succeeds; or why there is none.
pub(crate) fn output(name: &str, words: &[&str]) -> Result<String, String> {
    let mut command = command(name).ok_or_else(|| missing(name))?;
    let output =
        command.args(words).output().map_err(|error| format!("cannot run {name}: {}", reason(&error)))?;
    if !output.status.success() {
        return Err(format!("{name} failed: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is said of a program that is not there.
pub(crate) fn missing(name: &str) -> String {
    format!("there is no program {name} on this machine")
}

/// What `PATH` is for programs that are run.
pub(crate) fn path() -> OsString {
    folders().iter().map(|folder| folder.as_os_str()).collect::<Vec<_>>().join(OsStr::new(":"))
}

/// The fixed folders, after those of `PATH` that root's own login has set.
fn folders() -> Vec<PathBuf> {
    let own = if is_login_of_root() { std::env::var_os("PATH") } else { None };
    let own = own.unwrap_or_default();
    let own = std::env::split_paths(&own).filter(|folder| folder.is_absolute() && is_of_root(folder));
    own.chain(FOLDERS.iter().map(PathBuf::from)).collect()
}

/// Whether root has logged in itself: a `PATH` that came through sudo or su, or from a service, may be anybody's.
fn is_login_of_root() -> bool {
    fs::read_to_string("/proc/self/loginuid").is_ok_and(|uid| uid.trim() == "0")
}

/// Whether nobody but root fills a folder.
fn is_of_root(folder: &Path) -> bool {
    const OTHERS: u32 = 0o022;
    fs::metadata(folder).is_ok_and(|facts| facts.is_dir() && facts.uid() == 0 && facts.mode() & OTHERS == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_absolute_folders_only() {
        assert!(find("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("no-such-program"), None);
        assert_eq!(output("sh", &["-c", "echo x"]).as_deref(), Ok("x\n"));
        assert_eq!(output("sh", &["-c", "echo x; exit 3"]), Err("sh failed: exit status: 3".to_owned()));
        assert_eq!(output("no-such-program", &[]), Err(missing("no-such-program")));
        let path = path();
        assert!(std::env::split_paths(&path).all(|folder| folder.is_absolute()), "{}", path.display());
        assert!(!is_of_root(Path::new("/tmp")) && !is_of_root(Path::new("/etc/passwd")));
        // What programs find themselves is no more than that.
        let shown = output("sh", &["-c", "printf %s \"$PATH\""]).unwrap();
        assert_eq!(OsString::from(shown), path);
    }
}
