//! How `ipvsadm-save` and `ipvsadm-restore` find `ipvsadm` and execute it.

#[path = "common.rs"]
mod common;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Where `ipvsadm` is if it is not beside its sibling: never in a `PATH` that somebody else may have set.
const ELSEWHERE: [&str; 3] = ["/usr/local/sbin/ipvsadm", "/usr/sbin/ipvsadm", "/sbin/ipvsadm"];

/// Replaces this process by `ipvsadm`, which parses the words as this sibling's. It is looked for beside this program.
pub(crate) fn become_ipvsadm(sibling: &str) -> ExitCode {
    let beside = std::env::current_exe().map(|this| this.with_file_name("ipvsadm"));
    let mut all = beside.into_iter().chain(ELSEWHERE.map(PathBuf::from));
    let path = all.find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(ELSEWHERE[0]));
    let words = std::env::args_os().skip(1);
    let error = Command::new(path).arg0("ipvsadm").args([common::AS, sibling]).args(words).exec();
    let mut reason = common::reason(&error);
    if error.kind() == std::io::ErrorKind::NotFound {
        reason =
            format!("{reason}; it is neither beside {sibling} nor in /usr/local/sbin, /usr/sbin or /sbin");
    }
    let _ = writeln!(std::io::stderr(), "cannot start ipvsadm: {reason}");
    ExitCode::from(127)
}
