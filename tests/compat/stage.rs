//! Where the cases are played: a network and an `/etc` of their own, cleared before each case.
//!
//! A process costs some 40 ms in the lab, so no more than needed are started: one for the case, and at most one
//! between two cases, an original `-R` that saves the table, clears everything and sets up the next case.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use nix::mount::umount;

use crate::corpus::{ABSENT, Case, Outcome, escaped, unescaped};
use crate::lab;

/// What the kernel gives in one read.
pub const PAGE: usize = 4096;

/// A tool that takes longer is ended, by signal 9.
const PATIENCE: Duration = Duration::from_secs(20);
/// The code in the outcome of a tool that was ended.
pub const ENDED: i32 = 128 + 9;

/// Runs a test on a thread of its own, since namespaces are a thread's and libtest may have only one.
pub fn alone(test: impl FnOnce() + Send + 'static) {
    if let Err(why) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(why);
    }
}

/// The network of the calling thread, made ready for the cases.
pub struct Stage {
    /// Timeouts or daemons may differ from the kernel's own.
    touched: bool,
}

impl Stage {
    /// Gives the calling thread the network and the `/etc` that the cases were recorded with.
    pub fn new() -> Self {
        lab::isolate();
        let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/etc");
        for file in std::fs::read_dir(etc).expect("tests/compat/etc") {
            let file = file.expect("an entry of tests/compat/etc");
            lab::lay_over(file.path(), Path::new("/etc").join(file.file_name()));
        }
        connect();
        Self { touched: true }
    }

    /// Plays the cases one after the other and shows each with what came of it.
    pub fn run_all(&mut self, tool: &Path, cases: &[Case], mut show: impl FnMut(&Case, Outcome)) {
        self.change_scene(cases.first());
        for (case, next) in cases.iter().zip(cases.iter().skip(1).map(Some).chain([None])) {
            let mut outcome = call(tool, &case.args, case.stdin.as_deref());
            self.touched |= touches(case);
            outcome.state = self.change_scene(next);
            show(case, outcome);
        }
    }

    /// Takes the table away, returning what it was, and sets up the next case.
    fn change_scene(&mut self, next: Option<&Case>) -> String {
        let setup = next.map_or(&[][..], |case| &case.setup);
        let empty = table_is_empty();
        let mut script = String::new();
        if !empty {
            script += "-S -n\n-C\n";
        }
        if self.touched {
            script += "--stop-daemon master\n--stop-daemon backup\n--set 900 120 300\n";
        }
        for line in setup {
            script = script + line + "\n";
        }
        self.touched = next.is_some_and(touches);
        if script.is_empty() {
            return String::new();
        }
        let done = call(Path::new(lab::ORIGINAL), &["-R".into()], Some(script.as_bytes()));
        let complaints = done.stderr.replace("No daemon is running\n", "");
        assert!(
            complaints.is_empty(),
            "before {}: {complaints}of:\n{script}",
            next.map_or("", |case| &case.id)
        );
        done.stdout
    }
}

/// Plays cases of connections: `/proc` is laid over, for the tools read `/proc/net/ip_vs_conn` of their own
/// process, which is there only once they run.
pub fn run_connections(tool: &Path, cases: &[Case], mut show: impl FnMut(&Case, Outcome)) {
    let proc = Path::new("/run/proc");
    let file = proc.join("net/ip_vs_conn");
    std::fs::create_dir_all(proc.join("net")).expect("a folder in the lab's /run");
    let thread = proc.join("thread-self"); // where ours reads
    if !thread.exists() {
        std::os::unix::fs::symlink(".", thread).expect("a link in the lab's /run");
    }
    lab::lay_over(proc, Path::new("/proc"));
    for case in cases {
        match case.connections.filter(|text| *text != ABSENT) {
            Some(text) => std::fs::write(&file, unescaped(text)).expect("a file in the lab's /run"),
            None => drop(std::fs::remove_file(&file)), // of the case before, if there was one
        }
        show(case, call(tool, &case.args, None));
    }
    umount("/proc").expect("/proc comes back");
}

/// Gives the calling thread's new network the interfaces that the cases speak of.
pub fn connect() {
    for line in [
        "link set lo up",
        "link add eth0 type dummy",
        "link add dum1 type dummy",
        "link set eth0 up multicast on",
        "link set dum1 up multicast on",
        "addr add 172.16.0.1/24 dev eth0",
    ] {
        let ip = Command::new("ip").args(line.split(' ')).status().expect("ip starts");
        assert!(ip.success(), "ip {line}");
    }
}

/// Whether a case may change more than the table of services.
pub fn touches(case: &Case) -> bool {
    let stdin = case.stdin.as_deref().map(String::from_utf8_lossy);
    let mut texts = case.args.iter().chain(&case.setup).map(String::as_str).chain(stdin.as_deref());
    texts.any(|text| text.contains("--set") || text.contains("daemon"))
}

/// The start of what the kernel prints of this thread's table, a page at most; a process less than asking a tool.
///
/// It is read at once: from one read to the next the kernel counts the services of other networks too, so that
/// it skips some of this one's.
pub fn kernel_text() -> String {
    let mut page = vec![0; PAGE];
    let file = File::open("/proc/thread-self/net/ip_vs");
    let length = file.and_then(|mut file| file.read(&mut page)).expect("a kernel with IPVS");
    page.truncate(length);
    escaped(&page)
}

/// Whether the kernel has no service.
fn table_is_empty() -> bool {
    kernel_text().lines().count() == 3
}

/// Calls a tool as `ipvsadm`; the table in the outcome is left empty.
pub fn call(tool: &Path, args: &[String], stdin: Option<&[u8]>) -> Outcome {
    let mut command = Command::new(tool);
    command.arg0("ipvsadm").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().expect("the tool starts");
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
        let _ = pipe.write_all(bytes); // a tool that ends early does not read it all
    }
    let (ended, end) = channel::<()>();
    let id = child.id().to_string();
    std::thread::spawn(move || {
        if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-9", &id]).status();
        }
    });
    let output = child.wait_with_output().expect("the tool ends");
    drop(ended);
    let status = output.status;
    Outcome {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
        stdout: escaped(&output.stdout),
        stderr: escaped(&output.stderr),
        state: String::new(),
    }
}
