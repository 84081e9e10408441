//! Running programs: their time, maximum memory, and number of system calls.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// Its input, and its output: a file in memory, which nobody reads.
const OUTPUT: &str = "/run/bench-output";

/// The program that `packaging/build static` made, if it is to be measured.
pub(crate) fn packaged() -> Option<&'static str> {
    static PATH: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("IPVS_BENCH_STATIC").ok());
    PATH.as_deref()
}

/// A program with its words and its input.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) program: &'a str,
    pub(crate) words: &'a str,
    pub(crate) input: Option<&'a Path>,
}

impl Call<'_> {
    fn command(&self, before: &[&str]) -> Command {
        let words: Vec<&str> =
            before.iter().copied().chain([self.program]).chain(self.words.split_whitespace()).collect();
        let mut command = clean(Command::new(words[0]));
        let input = self.input.map_or(Stdio::null(), |path| File::open(path).unwrap().into());
        command.args(&words[1..]).stdin(input).stdout(File::create(OUTPUT).unwrap());
        command
    }

    /// How long it takes.
    pub(crate) fn time(&self) -> Duration {
        let mut command = self.command(&[]);
        let start = Instant::now();
        let status = command.status().unwrap();
        let time = start.elapsed();
        assert!(status.success(), "{} {}: {status}", self.program, self.words);
        time
    }

    /// Its largest resident memory, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.usage()[0]
    }

    /// How many pages of memory it touches for the first time.
    pub(crate) fn page_faults(&self) -> u64 {
        self.usage()[1]
    }

    fn usage(&self) -> [u64; 2] {
        // Only the maximum of all children of a process is available, so a process with a single child is needed.
        let output = self.command(&["/proc/self/exe", MEASURE]).stderr(Stdio::piped()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let numbers: Vec<u64> = told.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        numbers.try_into().unwrap_or_else(|_| panic!("{} {}: {told}", self.program, self.words))
    }

    /// How many system calls it makes.
    pub(crate) fn system_calls(&self) -> u64 {
        const COUNTS: &str = "/run/bench-calls";
        let status = self.command(&["strace", "-f", "-c", "-o", COUNTS]).status().unwrap();
        assert!(status.success(), "strace {} {}: {status}", self.program, self.words);
        let counts = std::fs::read_to_string(COUNTS).unwrap();
        // "100.00  SECONDS  USECS/CALL  CALLS  [ERRORS]  total"
        let total = counts.lines().last().unwrap();
        total.split_whitespace().nth(3).unwrap().parse().unwrap()
    }
}

/// Without cargo's settings: the loader would search its folders first.
pub(crate) fn clean(mut command: Command) -> Command {
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// The argument that makes this program run another, and print its memory on stderr.
pub(crate) const MEASURE: &str = "--measure-memory";

pub(crate) fn measure(words: &[String]) {
    let status = Command::new(&words[0]).args(&words[1..]).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{words:?}: {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    eprintln!("{} {}", usage.max_rss(), usage.minor_page_faults());
}
