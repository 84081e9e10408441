//! A command to be tried, what it does without a fault, and what is wrong with what it does with one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ipvs::{Client, Table};

pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// The file that a command reads or writes.
pub(crate) const FILE: &str = "/run/faults-file";
const OLD: &str = "what was in the file\n";
/// The folder in which drained servers are noted.
const NOTES: &str = "/run/ipvsadm";

const BEFORE: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n\
    -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1\n-A -u 10.0.0.2:53 -s wrr\n-a -u 10.0.0.2:53 -r 10.1.0.3:53 -g -w 5\n";

/// A command, and what it may leave when it does not end with 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) words: &'static str,
    /// A command that comes before it.
    pub(crate) behind: Option<&'static str>,
    /// What is in its file, or comes in by stdin.
    pub(crate) input: Option<&'static str>,
    /// Whether it takes effect step by step, so that some of it may be in effect.
    pub(crate) by_step: bool,
}

pub(crate) const fn work(words: &'static str) -> Work {
    Work { words, behind: None, input: None, by_step: false }
}

/// What the tool leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    table: Table,
    file: String,
    /// The notes of drained servers, by the names of their files.
    notes: BTreeMap<PathBuf, String>,
}

/// What can be seen of a call of the tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The status, or less 0 for a signal.
    pub(crate) status: i32,
    pub(crate) shown: String,
    pub(crate) said: String,
    pub(crate) state: State,
}

impl State {
    pub(crate) fn read() -> Self {
        let is_note = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("drained-");
        let paths = fs::read_dir(NOTES).into_iter().flatten().map(|entry| entry.unwrap().path());
        let note = |path| (fs::read_to_string(&path).map(|text| (path, text))).unwrap();
        Self {
            table: Table::read(&mut Client::open().unwrap()).unwrap(),
            file: fs::read_to_string(FILE).unwrap(),
            notes: paths.filter(is_note).map(note).collect(),
        }
    }

    /// Makes it what it was.
    pub(crate) fn restore(&self) {
        self.table.apply(&mut Client::open().unwrap()).unwrap();
        fs::write(FILE, &self.file).unwrap();
        let _ = fs::remove_dir_all(NOTES);
        fs::create_dir(NOTES).unwrap();
        self.notes.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
        assert_eq!(Self::read(), *self);
    }
}

impl Outcome {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let status = output.status.code().unwrap_or_else(|| -output.status.signal().unwrap());
        Self { status, shown: text(output.stdout), said: text(output.stderr), state: State::read() }
    }
}

impl Work {
    /// Makes the table, the file and the notes those from which the command starts.
    pub(crate) fn start(&self) -> State {
        let _ = fs::remove_dir_all(NOTES);
        let replaced = feed("-R --replace", BEFORE);
        assert_eq!((replaced.status.code(), replaced.stderr), (Some(0), Vec::new()));
        fs::write(FILE, self.input.unwrap_or(OLD)).unwrap();
        if let Some(words) = self.behind {
            assert!(Command::new(OURS).args(words.split(' ')).output().unwrap().status.success());
        }
        State::read()
    }

    /// The command.
    pub(crate) fn command(&self) -> Command {
        self.started_by(Command::new(OURS))
    }

    /// The command, which stops before it begins: it would be over before it is traced.
    pub(crate) fn stopped(&self) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "kill -STOP $$; exec \"$@\"", "sh", OURS]);
        self.started_by(shell)
    }

    fn started_by(&self, mut command: Command) -> Command {
        command.args(self.words.split(' ')).env("IPVSADM_QUIET", "1");
        command.stdin(fs::File::open(if self.words == "-R" { FILE } else { "/dev/null" }).unwrap());
        command
    }

    /// Runs the command.
    pub(crate) fn run(&self) -> Outcome {
        Outcome::new(in_time(self.command()))
    }

    /// Whether the command only asks.
    pub(crate) fn asks(&self) -> bool {
        let questions = ["-L", "-S", "--check", "--watch", "-R --diff"];
        questions.iter().any(|command| self.words.starts_with(command))
    }

    /// Why an outcome is wrong, if it is. `before` is the state of the start, `good` the outcome without a fault.
    pub(crate) fn defect(&self, before: &State, good: &Outcome, got: &Outcome) -> Option<&'static str> {
        const SIGTERM: i32 = 15;
        let Outcome { status, shown, said, state: State { table, file, notes } } = got;
        if said.contains("panicked") || [-6, -11, 101].contains(status) {
            return Some("it panics");
        }
        let is_whole_file = [before, &good.state].iter().any(|state| *file == state.file);
        // How far a drain is stands in its note, too.
        let servers = |notes: &BTreeMap<PathBuf, String>| {
            let mut servers = notes.clone();
            for text in servers.values_mut() {
                for step in ["waiting", "deleting", "deleted"] {
                    *text = text.replace(&format!("\"state\":\"{step}\""), "");
                }
            }
            servers
        };
        if !is_whole_file
            || ![before, &good.state].iter().any(|state| servers(notes) == servers(&state.notes))
        {
            return Some("half a file");
        }
        if *status == good.status && *status != -SIGTERM {
            // A check may not see all that it could without the fault, a frame of the live view says what is wrong, and a drain
            // is done without a note, where it says so and prints the line that brings the server back.
            let is_whole = got == good
                || self.words == "--check" && *table == good.state.table
                || self.words.starts_with("--watch") && shown.contains("IPVS 1.2.1: ")
                || said.contains("--undrain will not know of this drain")
                    && (shown, table) == (&good.shown, &good.state.table);
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
            || *table == good.state.table
            || self.by_step
            // On the way of `--apply`, or of the way back: what is in effect is told.
            || *status == 3 && said.lines().count() >= 2
            || *status == -SIGTERM && self.words.contains("--apply");
        (!explained).then_some("the table is one that nothing explains")
    }
}

/// Whether all is tried, and not a part.
pub(crate) fn is_all() -> bool {
    std::env::var_os("IPVS_FAULTS").is_some_and(|value| value == "all")
}

/// A row of a table of `docs/reliability.md`, past what libtest catches.
pub(crate) fn row(text: &str) {
    if is_all() {
        io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
    }
}

/// So many services in lines, for outputs of several pages.
pub(crate) fn many(services: u8) -> String {
    (1..=services).fold(String::new(), |mut lines, number| {
        let _ = writeln!(
            lines,
            "-A -t 10.2.0.{number}:80 -s rr\n-a -t 10.2.0.{number}:80 -r 10.1.0.1:80 -m -w 1"
        );
        lines
    })
}

pub(crate) fn feed(words: &str, input: &str) -> Output {
    let path = "/run/faults-fed";
    fs::write(path, input).unwrap();
    let mut command = Command::new(OURS);
    command.args(words.split(' ')).stdin(fs::File::open(path).unwrap()).output().unwrap()
}

/// Runs a program for as long as any may take.
pub(crate) fn in_time(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    ended(child, &command)
}

/// Waits for a program for as long as any may take.
pub(crate) fn ended(mut child: Child, command: &Command) -> Output {
    const LIMIT: Duration = Duration::from_secs(30);
    let start = Instant::now();
    // What is printed here fits into a pipe.
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < LIMIT, "{command:?} hangs");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}
