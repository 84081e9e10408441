//! Other programs, as they run beside the tool.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill, killpg};

/// What a test writes: [`own_folder`] gives it one of its own.
pub(crate) const FOLDER: &str = "/run/beside";

pub(crate) fn own_folder() {
    fs::create_dir_all(FOLDER).unwrap();
    mount(Some("lab"), FOLDER, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
}

/// A file of a package that `tests/lab/run` has unpacked.
pub(crate) fn unpacked(package: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab").join(package).join(file)
}

/// A program that ends with the test, and so do those that it has started.
pub(crate) struct Running {
    process: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program on the calling thread's host; what it says is added to a log in the folder.
    pub(crate) fn start(log: &str, command: &mut Command) -> Self {
        let log = Path::new(FOLDER).join(log);
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        Self { process: command.spawn().unwrap(), log }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(lab::pid(&self.process), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = killpg(lab::pid(&self.process), Signal::SIGKILL);
        let _ = self.process.wait();
    }
}
