//! Runs the cases in a separate network and `/etc`, in which each case finds only its setup.
//!
//! Starting the original takes 20 ms in the lab, so it runs once for each setup, and once to save each table that a
//! case leaves. Its earlier results are reused.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use nix::mount::umount;
use nix::sys::signal::{Signal, kill};

use crate::corpus::{ABSENT, Case, Outcome, escaped, unescaped};
use crate::scene::{Kernel, Scene};

/// A tool that takes longer is killed, by signal 9.
const PATIENCE: Duration = Duration::from_secs(20);
/// The status in the outcome of a tool that was killed.
pub const ENDED: i32 = 128 + 9;

/// Runs a test on a separate thread, because namespaces belong to threads and libtest may have only one.
pub fn alone(test: impl FnOnce() + Send + 'static) {
    if let Err(why) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(why);
    }
}

/// The network of the calling thread, prepared for the cases.
pub struct Stage {
    kernel: Kernel,
    /// The results of setups with the original.
    setups: HashMap<Vec<String>, Scene>,
    /// The tables that it has saved.
    saved: HashMap<String, String>,
}

impl Stage {
    /// Gives the calling thread the network and the `/etc` with which the cases were recorded.
    pub fn new() -> Self {
        lab::isolate();
        let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/etc");
        for file in std::fs::read_dir(etc).expect("tests/compat/etc") {
            let file = file.expect("an entry of tests/compat/etc");
            lab::lay_over(file.path(), Path::new("/etc").join(file.file_name()));
        }
        connect();
        Self { kernel: Kernel::open(), setups: HashMap::new(), saved: HashMap::new() }
    }

    /// Runs the cases one after another and passes each with its outcome.
    pub fn run_all(&mut self, tool: &Path, cases: &[Case], mut show: impl FnMut(&Case, Outcome)) {
        for case in cases {
            self.set_up(case);
            let mut outcome = call(tool, &case.args, case.stdin.as_deref());
            outcome.state = self.save();
            show(case, outcome);
        }
    }

    /// Makes the initial state of a case.
    fn set_up(&mut self, case: &Case) {
        if let Some(scene) = self.setups.get(&case.setup) {
            if self.kernel.read() != *scene {
                self.kernel.make(scene);
            }
            return;
        }
        self.kernel.clear();
        if !case.setup.is_empty() {
            let script = case.setup.join("\n") + "\n";
            let done = call(Path::new(lab::ORIGINAL), &["-R".into()], Some(script.as_bytes()));
            assert!(done.stderr.is_empty(), "before {}: {}of:\n{script}", case.id, done.stderr);
        }
        self.setups.insert(case.setup.clone(), self.kernel.read());
    }

    /// The table as the original saves it.
    fn save(&mut self) -> String {
        let table = self.kernel.read().table;
        if table.is_empty() {
            return String::new();
        }
        let save = || call(Path::new(lab::ORIGINAL), &["-S".into(), "-n".into()], None).stdout;
        self.saved.entry(format!("{table:?}")).or_insert_with(save).clone()
    }
}

/// Runs cases of connections: the tools read `/proc/net/ip_vs_conn` of their own process, which exists only while
/// they run, so `/proc` is mounted over.
pub fn run_connections(tool: &Path, cases: &[Case], mut show: impl FnMut(&Case, Outcome)) {
    let proc = Path::new("/run/proc");
    let file = proc.join("net/ip_vs_conn");
    std::fs::create_dir_all(proc.join("net")).expect("a folder in the lab's /run");
    let thread = proc.join("thread-self"); // where this tool reads
    if !thread.exists() {
        std::os::unix::fs::symlink(".", thread).expect("a link in the lab's /run");
    }
    lab::lay_over(proc, Path::new("/proc"));
    for case in cases {
        match case.connections.filter(|text| *text != ABSENT) {
            Some(text) => std::fs::write(&file, unescaped(text)).expect("a file in the lab's /run"),
            None => drop(std::fs::remove_file(&file)), // of the previous case, if there was one
        }
        show(case, call(tool, &case.args, None));
    }
    umount("/proc").expect("/proc comes back");
}

/// Gives the calling thread's new network the interfaces used in the cases.
pub fn connect() {
    const LINES: &str = "link set lo up\nlink add eth0 type dummy\nlink add dum1 type dummy\n\
        link set eth0 up multicast on\nlink set dum1 up multicast on\naddr add 172.16.0.1/24 dev eth0\n";
    let done = call(Path::new("/sbin/ip"), &["-batch".into(), "-".into()], Some(LINES.as_bytes()));
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{LINES}");
}

/// Runs a tool as `ipvsadm`; the table in the outcome is empty.
pub fn call(tool: &Path, args: &[String], stdin: Option<&[u8]>) -> Outcome {
    let mut command = Command::new(tool);
    command.arg0("ipvsadm").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().expect("the tool starts");
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
        let _ = pipe.write_all(bytes); // a tool that ends early does not read everything
    }
    let (ended, end) = channel::<()>();
    let process = lab::pid(&child);
    std::thread::spawn(move || {
        if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = kill(process, Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().expect("the tool ends");
    drop(ended);
    let status = output.status;
    Outcome {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
        stdout: with_fixed_size(escaped(&output.stdout)),
        stderr: escaped(&output.stderr),
        state: String::new(),
    }
}

/// A listing with the size of the connection table that most kernels have: on Linux 7.2 it grows and shrinks.
fn with_fixed_size(listing: String) -> String {
    let is_fixed = !Path::new("/proc/net/ip_vs_status").exists();
    match listing.split_once("(size=").and_then(|(before, rest)| Some((before, rest.split_once(')')?.1))) {
        Some((before, after)) if !is_fixed => format!("{before}(size=4096){after}"),
        _ => listing,
    }
}
