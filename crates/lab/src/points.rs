//! Points at which a program is killed, or meets a fault: its system calls.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

/// How many points of a program are tried.
const POINTS: usize = 100;

/// The nth call of this name, which is not made any more.
#[derive(Debug)]
pub struct Point {
    /// Its name.
    pub call: String,
    /// From 1 on.
    pub number: usize,
    /// The call as shown in the trace.
    pub line: String,
}

/// A hundred points of the command line that `program` makes from a runner, found by running it: spread over all
/// calls after it first contacts the kernel's IPVS, or if those are fewer than a hundred, over the last hundred.
pub fn of(program: impl Fn(Command) -> Command) -> Vec<Point> {
    let mut calls = all(program);
    let talks = calls.iter().position(|point| point.line.starts_with("socket(AF_NETLINK")).unwrap();
    assert!(calls.len() > POINTS, "there are {} calls in all", calls.len());
    let calls = calls.split_off(talks.min(calls.len() - POINTS));
    let total = calls.len();
    let chosen = |at: &usize| (at * POINTS) / total != ((at + 1) * POINTS) / total;
    calls.into_iter().enumerate().filter(|(at, _)| chosen(at)).map(|(_, point)| point).collect()
}

/// Every point from the first occurrence of this one.
pub fn from(program: impl Fn(Command) -> Command, is_first: impl Fn(&Point) -> bool) -> Vec<Point> {
    let mut calls = all(program);
    let first = calls.iter().position(is_first).unwrap();
    calls.split_off(first)
}

/// Every point, found by running the program.
pub fn all(program: impl Fn(Command) -> Command) -> Vec<Point> {
    let trace = format!("/run/trace-{:?}", std::thread::current().id());
    let ended = program(strace(&["-o", &trace])).status().unwrap();
    assert_eq!(ended.signal(), None);
    let trace = fs::read_to_string(trace).unwrap();
    // The first is the `execve` by which strace starts the program: it is neither injected nor counted.
    let (start, trace) = trace.split_once('\n').unwrap();
    assert!(start.starts_with("execve("), "{start}");
    let mut numbers = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((call, _)) = line.split_once('(') else { continue };
        let number = numbers.entry(call.to_owned()).and_modify(|number| *number += 1).or_insert(1);
        calls.push(Point { call: call.to_owned(), number: *number, line: line.to_owned() });
    }
    calls
}

impl Point {
    /// A runner that does something to this call.
    pub fn with(&self, fault: &str) -> Command {
        let inject = format!("inject={}:{fault}:when={}", self.call, self.number);
        strace(&["-o", "/dev/null", "-e", &format!("trace={}", self.call), "-e", &inject])
    }

    /// Runs the program up to here.
    pub fn kill(&self, program: impl Fn(Command) -> Command) {
        self.end(program, Signal::SIGKILL);
    }

    /// Sends the program a signal here, which ends it here or later.
    pub fn end(&self, program: impl Fn(Command) -> Command, signal: Signal) {
        let ended = program(self.with(&format!("signal={signal}"))).status().unwrap();
        assert_eq!(ended.signal(), Some(signal as i32), "{self:?}, {signal}: {ended}");
    }
}

/// A runner that runs a program directly.
pub fn plainly() -> Command {
    Command::new("env")
}

/// A runner under `strace`, which ends as the program does.
fn strace(options: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(options).stdout(Stdio::null()).stderr(Stdio::null());
    strace
}
