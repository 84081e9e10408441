//! How `ipvsadm-save` and `ipvsadm-restore` find `ipvsadm` and execute it.

#[path = "common.rs"]
mod common;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Replaces this process by `ipvsadm`, which parses the words as this sibling's. It is looked for beside this
/// program, then in `PATH`.
pub(crate) fn become_ipvsadm(sibling: &str) -> ExitCode {
    let beside = std::env::current_exe().map(|this| this.with_file_name("ipvsadm"));
    let path = beside.ok().filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("ipvsadm"));
    let words = std::env::args_os().skip(1);
    let error = Command::new(path).arg0("ipvsadm").args([common::AS, sibling]).args(words).exec();
    let mut reason = common::reason(&error);
    if error.kind() == std::io::ErrorKind::NotFound {
        reason = format!("{reason}; it is neither beside {sibling} nor in PATH");
    }
    let _ = writeln!(std::io::stderr(), "cannot start ipvsadm: {reason}");
    ExitCode::from(127)
}
