//! Every fault at every call: the tool runs under `strace`, which makes one system call of it fail, or sends it a signal
//! there; then the next one. Nothing makes it panic or hang, and status 0 means all of it: the output is whole, and so are
//! the table and the file.
//!
//! Under `cargo test` a part of the calls is tried. `tests/faults/run` tries all, and prints the table of
//! `docs/reliability.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends where it fails, and prints what it tried"
)]

#[path = "../lab/mod.rs"]
mod lab;

#[path = "../lab/points.rs"]
mod points;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use points::Point;

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// What is done to a call, and whether it passes: then the tool goes on as if nothing had been.
const FAULTS: [(&str, &str); 8] = [
    ("EINTR", "error=EINTR"),
    ("EAGAIN", "error=EAGAIN"),
    ("ENOBUFS", "error=ENOBUFS"),
    ("ENOMEM", "error=ENOMEM"),
    ("EBUSY", "error=EBUSY"),
    ("EPERM", "error=EPERM"),
    ("EMSGSIZE", "error=EMSGSIZE"),
    ("SIGTERM", "signal=TERM"),
];

/// The file that a command reads or writes.
const FILE: &str = "/run/faults-file";
const OLD: &str = "what was in the file\n";

const BEFORE: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n\
    -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1\n-A -u 10.0.0.2:53 -s wrr\n-a -u 10.0.0.2:53 -r 10.1.0.3:53 -g -w 5\n";
const AFTER: &str = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 4\n\
    -a -t 10.0.0.1:80 -r 10.1.0.4:80 -m -w 1\n-A -t 10.0.0.3:80 -s rr\n-a -t 10.0.0.3:80 -r 10.1.0.3:80 -g -w 5\n";
/// Lines that can be added to the table before.
const MORE: &str = "-A -t 10.0.0.3:80 -s rr\n-a -t 10.0.0.3:80 -r 10.1.0.3:80 -g -w 5\n-A -f 7 -s rr\n";

/// A command, and what it may leave when it does not end with 0.
struct Work {
    words: &'static str,
    /// What is in its file, or comes in by stdin.
    input: Option<&'static str>,
    /// Whether the lines take effect one by one, so that some may be in effect.
    by_line: bool,
}

const fn work(words: &'static str) -> Work {
    Work { words, input: None, by_line: false }
}

/// What can be seen of a call of the tool.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    /// The status, or less 0 for a signal.
    status: i32,
    shown: String,
    said: String,
    table: String,
    file: String,
}

impl Work {
    fn start(&self) {
        let replaced = feed("-R --replace", BEFORE);
        assert_eq!((replaced.status.code(), replaced.stderr), (Some(0), Vec::new()));
        fs::write(FILE, self.input.unwrap_or(OLD)).unwrap();
    }

    /// The command, by a runner.
    fn command(&self, mut runner: Command) -> Command {
        runner.arg(OURS).args(self.words.split(' ')).env("IPVSADM_QUIET", "1");
        runner.stdin(fs::File::open(if self.words == "-R" { FILE } else { "/dev/null" }).unwrap());
        runner
    }

    /// Runs the command, by a runner.
    fn run(&self, runner: Command) -> Outcome {
        let Output { status, stdout, stderr } = in_time(self.command(runner), self.words);
        let (table, file) = (saved(), fs::read_to_string(FILE).unwrap());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let status = status.code().unwrap_or_else(|| -status.signal().unwrap());
        Outcome { status, shown: text(stdout), said: text(stderr), table, file }
    }

    /// Why an outcome is wrong, if it is. `before` and `good` are those of the start and of a run without a fault.
    fn defect(&self, before: &Outcome, good: &Outcome, got: &Outcome) -> Option<&'static str> {
        const SIGTERM: i32 = 15;
        let Outcome { status, shown, said, table, file } = got;
        if said.contains("panicked") || [-6, -11, 101].contains(status) {
            return Some("it panics");
        }
        if *file != before.file && *file != good.file {
            return Some("half a file");
        }
        if *status == good.status && *status != -SIGTERM {
            // A check may not see all that it could without the fault.
            let is_whole = got == good || self.words == "--check" && table == &good.table;
            return (!is_whole).then_some("its status is that of a success, and something is missing");
        }
        if *status == 0 {
            return Some("it says that all is well");
        }
        if *status != -SIGTERM && said.trim().is_empty() {
            return Some("it says nothing");
        }
        if *shown != good.shown && !shown.is_empty() && !good.shown.starts_with(shown.as_str()) {
            return Some("it shows what is not there");
        }
        let explained = *table == before.table
            || *table == good.table
            || self.by_line
            // On the way of `--apply`, or of the way back: what is in effect is told.
            || *status == 3 && said.lines().count() >= 2
            || *status == -SIGTERM && self.words.contains("--apply");
        (!explained).then_some("the table is one that nothing explains")
    }
}

fn feed(words: &str, input: &str) -> Output {
    let path = "/run/faults-fed";
    fs::write(path, input).unwrap();
    let mut command = Command::new(OURS);
    command.args(words.split(' ')).stdin(fs::File::open(path).unwrap()).output().unwrap()
}

fn saved() -> String {
    let output = Command::new(OURS).args(["-S", "--full"]).output().unwrap();
    assert!(output.status.success());
    // Without the line that has the date.
    String::from_utf8(output.stdout).unwrap().split_once('\n').unwrap().1.to_owned()
}

/// Runs a program for as long as any may take.
fn in_time(mut command: Command, words: &str) -> Output {
    const LIMIT: Duration = Duration::from_secs(20);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    // What is printed here fits into a pipe.
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < LIMIT, "ipvsadm {words} hangs");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// Whether every call is tried, and not one of so many.
fn step() -> usize {
    if std::env::var_os("IPVS_FAULTS").is_some_and(|value| value == "all") { 1 } else { 97 }
}

/// Tries all faults at the calls of a command.
fn try_all(work: &Work) {
    lab::isolate();
    work.start();
    let before = Outcome {
        status: 0,
        shown: String::new(),
        said: String::new(),
        table: saved(),
        file: fs::read_to_string(FILE).unwrap(),
    };
    let good = work.run(points::plainly());
    assert!([0, 1].contains(&good.status), "{good:?}");
    work.start();
    let calls = calls(work);
    let mut tried: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut defects = String::new();
    for (at, call) in calls.iter().enumerate() {
        for (number, (name, fault)) in FAULTS.iter().enumerate() {
            if (at * FAULTS.len() + number) % step() != 0 {
                continue;
            }
            if feed("-R --diff", BEFORE).status.code() != Some(0)
                || fs::read_to_string(FILE).unwrap() != before.file
            {
                work.start();
            }
            let got = work.run(call.with(fault));
            let [all, survived] = tried.entry(name).or_default();
            *all += 1;
            *survived += usize::from(got == good);
            if let Some(why) = work.defect(&before, &good, &got) {
                let _ = writeln!(defects, "ipvsadm {}: {name} at {call:?}: {why}: {got:?}", work.words);
            }
            if must_be_survived(name, call, work) && got != good {
                let _ =
                    writeln!(defects, "ipvsadm {}: {name} at {call:?}: not survived: {got:?}", work.words);
            }
        }
    }
    let columns: Vec<String> = FAULTS
        .iter()
        .map(|(name, _)| tried.get(name).map_or("-".into(), |[all, survived]| format!("{all}, {survived}")))
        .collect();
    println!("| `{}` | {} | {} |", work.words, calls.len(), columns.join(" | "));
    assert!(defects.is_empty(), "{defects}");
}

/// The calls of a command, behind those by which the loader and the language's own library start it.
fn calls(work: &Work) -> Vec<Point> {
    let calls = points::all(|by| work.command(by));
    // The second of these ends the start. No call comes back from the last, and where there are no random numbers, which no
    // kernel refuses, the language's library panics.
    let is_started = |point: &Point| point.call == "sigaltstack" && point.number == 2;
    let start = calls.iter().position(is_started).unwrap() + 1;
    let of_tool = calls.into_iter().skip(start);
    let calls: Vec<Point> =
        of_tool.filter(|point| !["exit_group", "getrandom"].contains(&point.call.as_str())).collect();
    assert!(calls.len() > 5, "{calls:?}");
    calls
}

/// Faults that pass: a question is asked again.
fn must_be_survived(name: &str, call: &Point, work: &Work) -> bool {
    let asks = ["-L", "-S", "--check"].iter().any(|command| work.words.starts_with(command))
        || work.words == "-R --diff";
    match name {
        "EINTR" => ["sendto", "recvfrom", "read", "write"].contains(&call.call.as_str()),
        "EAGAIN" | "ENOBUFS" => asks && call.call == "recvfrom",
        _ => false,
    }
}

macro_rules! commands {
    ($($name:ident: $work:expr,)*) => {
        $(
            #[test]
            fn $name() {
                try_all(&$work);
            }
        )*
    };
}

commands! {
    add_service: work("-A -t 10.0.0.9:80 -s wrr -p 300"),
    add_server: work("-a -t 10.0.0.1:80 -r 10.1.0.9:80 -m"),
    edit_server: work("-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3 --keep"),
    list: work("-L -n"),
    list_json: work("-L --json"),
    metrics: work("-L --prometheus --file /run/faults-file"),
    save: work("-S -n"),
    save_file: work("-S -n --file /run/faults-file"),
    restore: Work { words: "-R", input: Some(MORE), by_line: true },
    replace: Work { words: "-R --replace --file /run/faults-file", input: Some(AFTER), by_line: true },
    diff: Work { words: "-R --diff --file /run/faults-file", input: Some(AFTER), by_line: false },
    apply: Work { words: "-R --apply --file /run/faults-file", input: Some(AFTER), by_line: false },
    check: work("--check"),
}
