//! Compares both tools where nobody thought of a case: both get the same random command lines, each in its own
//! network, and output, status and the kernel's state are compared.
//!
//! `COMPAT_FUZZ_LINES=100000 COMPAT_FUZZ_SEED=$RANDOM cargo test --test compat fuzz` searches for new cases (raise
//! the lab's time limit: `IPVS_LAB_TIMEOUT`). Failures are printed as rows of `cases.tsv`. The lines are split into
//! parts, each with its own seed.

use std::fs::File;
use std::path::Path;

use nix::sched::{CloneFlags, setns, unshare};

use crate::corpus::{Case, Outcome, escaped, quoted};
use crate::differences;
use crate::grammar::{self, Mood, Random};
use crate::ledger::Ledger;
use crate::scene::{Kernel, Scene};
use crate::stage::{self, Stage, call};
use crate::{order, ours, report};
use lab::{Part, parts};

/// The number of lines of a plain `cargo test`.
const LINES: usize = 2500;
/// The seed of a plain `cargo test`.
const SEED: usize = 131;
/// After so many calls the original lists both tables, and they are cleared.
const ROUND: usize = 40;
/// More failures than this give no further information.
const ENOUGH: usize = 50;

/// The initial table of both tools, so that servers find their services.
const START: &[&str] = &[
    "-A -t 10.0.0.1:80 -s wrr",
    "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m",
    "-A -t [2001:db8::1]:80 -s sh",
    "-A -u 10.0.0.1:80 -s rr",
    "-A -f 1 -p 600",
];

/// Shows everything that the original can show of a network.
const ALL: &str = "-S -n\n-L -n --thresholds\n-L -n --persistent-conn\n-L --daemon\n-L --timeout\n";

/// The commands that change nothing.
const LISTS: &[&str] = &["-L", "-l", "-S", "--list", "--save", "-h", "-v"];

/// A network, and its IPVS.
struct Network {
    file: File,
    kernel: Kernel,
}

/// Two networks that get the same commands, one from each tool.
struct Pair {
    original: Network,
    ours: Network,
    /// The table that the original makes of the initial lines.
    start: Scene,
    /// The commands since the tables were cleared.
    history: Vec<String>,
    /// Whether more was changed than the history contains.
    unclear: bool,
    /// The state of the original's network after the previous call.
    held: String,
}

parts!(fuzz of 8);

fn fuzz(part: Part) {
    stage::alone(move || {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<usize>().expect(name));
        let lines = number("COMPAT_FUZZ_LINES").unwrap_or(LINES).div_ceil(part.of);
        let seed = number("COMPAT_FUZZ_SEED").unwrap_or(SEED) + part.number;
        let mut random = Random::new(seed);
        let mut pair = Pair::new();
        let mut ledger = Ledger::default();
        let mut failures = Vec::new();
        let (mut done, mut calls) = (0, 0);
        while done < lines && failures.len() < ENOUGH {
            calls += 1;
            let mut case = Case { id: format!("fuzz-{seed}-{calls}"), ..Case::default() };
            if random.chance(30) {
                let count = 1 + random.below(6);
                case.args = vec!["-R".into()];
                case.stdin = Some(grammar::input(&mut random, count));
                done += count;
            } else {
                case.args = grammar::line(&mut random, Mood { bad: 8, odd: 5 });
                done += 1;
            }
            let failure = pair.play(&case, &mut ledger);
            let failed = failure.is_some();
            failures.extend(failure);
            let listed = calls % ROUND == 0 || done >= lines;
            if listed {
                failures.extend(pair.listed(&case.id).filter(|_| !failed));
            }
            if failed || pair.unclear || listed {
                pair.clear();
            }
        }
        report(calls, &failures);
    });
}

impl Network {
    /// That of the calling thread.
    fn here() -> Self {
        let file = File::open("/proc/thread-self/ns/net").expect("this thread's network");
        Self { file, kernel: Kernel::open() }
    }

    fn enter(&self) {
        setns(&self.file, CloneFlags::CLONE_NEWNET).expect("a network made before");
    }
}

impl Pair {
    fn new() -> Self {
        Stage::new();
        let mut original = Network::here();
        let script = START.join("\n") + "\n";
        let done = call(Path::new(lab::ORIGINAL), &["-R".into()], Some(script.as_bytes()));
        assert!(done.stderr.is_empty(), "{}", done.stderr);
        let start = original.kernel.read();
        unshare(CloneFlags::CLONE_NEWNET).expect("a network of its own");
        stage::connect();
        let ours = Network::here();
        let mut pair =
            Self { original, ours, start, history: Vec::new(), unclear: false, held: String::new() };
        pair.clear();
        pair
    }

    /// Runs both tools with the same words; returns a text about this tool's mistake, if it made one.
    fn play(&mut self, case: &Case, ledger: &mut Ledger) -> Option<String> {
        self.original.enter();
        let taken = differences::rewritten(case);
        let taken = taken.as_ref().unwrap_or(case);
        let mut expected = call(Path::new(lab::ORIGINAL), &taken.args, taken.stdin.as_deref());
        expected.state = self.original.kernel.read().text();
        self.ours.enter();
        let mut got = call(&ours(), &case.args, case.stdin.as_deref());
        got.state = self.ours.kernel.read().text();

        let unsorted = case.args.iter().any(|word| word == "--nosort")
            || case.stdin.as_deref().is_some_and(|input| escaped(input).contains("--nosort"));
        let (mut shown, mut compared) = (expected.clone(), got);
        if unsorted {
            // The kernel's order differs between networks.
            shown.stdout = order::sorted(&shown.stdout);
            compared.stdout = order::sorted(&compared.stdout);
        }
        if expected.code == stage::ENDED {
            return self.outlived(case, &compared);
        }
        let failure = ledger.judge(case, &shown, None, &compared);
        let words: Vec<String> = case.args.iter().map(|word| quoted(word)).collect();
        let text = failure.map(|why| format!("{why}\n    {}", self.row(case, &words.join(" "), &expected)));
        self.remember(taken, &words.join(" "), &expected);
        text
    }

    /// The original waits forever if the kernel does not answer a daemon's stop soon after its start:
    /// `docs/compatibility.md`, "A daemon's stop is not waited for". Then the only check is that this tool ends.
    fn outlived(&mut self, case: &Case, ours: &Outcome) -> Option<String> {
        let stops = case.stdin.as_deref().is_some_and(|input| escaped(input).contains("--stop-daemon"));
        self.clear();
        let fine = stops && ours.code != stage::ENDED;
        (!fine).then(|| format!("{}: the original hung, ours ended with {}", case.id, ours.code))
    }

    /// Adds calls that may have changed something to the history.
    fn remember(&mut self, case: &Case, words: &str, expected: &Outcome) {
        let changes = |line: &&str| !line.is_empty() && !LISTS.iter().any(|list| line.starts_with(list));
        match case.stdin.as_deref().map(String::from_utf8_lossy) {
            None if expected.code == 0 => self.history.extend(Some(words).filter(changes).map(str::to_owned)),
            None => {}
            Some(input) if expected.code == 0 && expected.stderr.is_empty() => {
                self.history.extend(input.lines().map(str::trim).filter(changes).map(str::to_owned));
            }
            Some(_) => self.unclear |= self.held != expected.state,
        }
        self.held.clone_from(&expected.state);
    }

    /// The case as a row for `cases.tsv`.
    fn row(&self, case: &Case, words: &str, expected: &Outcome) -> String {
        self.original.enter();
        let table = call(Path::new(lab::ORIGINAL), &["-Sn".into()], None).stdout;
        self.ours.enter();
        let line = |text: &str| text.replace('\n', "\\n");
        let stdin =
            case.stdin.as_deref().map(|input| format!("<{}", line(&escaped(input)))).unwrap_or_default();
        let code = expected.code.to_string();
        let (stdout, stderr) = (line(&expected.stdout), line(&expected.stderr));
        let setup = self.history.join(";");
        [&case.id, &setup, words, &code, &stdout, &stderr, &stdin, &line(&table), ""].join("\t")
    }

    /// Compares everything that the original can show of both networks.
    fn listed(&self, after: &str) -> Option<String> {
        let [expected, got] = [&self.original, &self.ours].map(|network| {
            network.enter();
            let told = call(Path::new(lab::ORIGINAL), &["-R".into()], Some(ALL.as_bytes()));
            order::sorted(&told.stdout)
        });
        let history = self.history.join(";");
        let differs = format!("after {after} ({history}):\n  expected\n{expected}  got\n{got}");
        (expected != got).then_some(differs)
    }

    /// Resets both networks to the initial state.
    fn clear(&mut self) {
        self.original.kernel.make(&self.start);
        self.ours.kernel.make(&self.start);
        self.held = self.start.text();
        self.unclear = false;
        self.history = START.iter().map(|line| (*line).to_owned()).collect();
    }
}
