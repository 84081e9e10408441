//! Where `ipvsadm-save` and `ipvsadm-restore` find `ipvsadm`, and how they become it.

#[path = "common.rs"]
mod common;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Becomes `ipvsadm` with these words: the one beside this program, else the one in `PATH`.
pub(crate) fn become_ipvsadm(words: &[OsString]) -> ExitCode {
    let beside = std::env::current_exe().map(|this| this.with_file_name("ipvsadm"));
    let path = beside.ok().filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("ipvsadm"));
    let error = Command::new(path).arg0("ipvsadm").args(words).exec();
    let _ = writeln!(std::io::stderr(), "cannot start ipvsadm: {}", common::reason(&error));
    ExitCode::from(127)
}
