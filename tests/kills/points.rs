//! Points to kill a program at: its system calls.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// How many points of a program are tried.
const POINTS: usize = 100;

/// The so-manieth call of this name, which is not made any more.
#[derive(Debug)]
pub(crate) struct Point {
    call: String,
    number: usize,
}

/// A hundred points of what `program` makes of a runner, found by running it: spread over all it does once it talks to the kernel's IPVS, and
/// where that is less than a hundred calls, over the last hundred.
pub(crate) fn of(program: impl Fn(Command) -> Command) -> Vec<Point> {
    let trace = format!("/run/trace-{:?}", std::thread::current().id());
    let ended = program(strace(&["-o", &trace])).status().unwrap();
    assert_eq!(ended.signal(), None);
    let trace = fs::read_to_string(trace).unwrap();
    // The first is the `execve` by which strace itself starts the program: nothing is injected there, nor is it counted.
    let (start, trace) = trace.split_once('\n').unwrap();
    assert!(start.starts_with("execve("), "{start}");
    let mut numbers = HashMap::new();
    let mut calls = Vec::new();
    for call in trace.lines().filter_map(|line| line.split_once('(')).map(|(call, _)| call.to_owned()) {
        let number = numbers.entry(call.clone()).and_modify(|number| *number += 1).or_insert(1);
        calls.push(Point { call, number: *number });
    }
    let talks = trace.lines().position(|line| line.starts_with("socket(AF_NETLINK")).unwrap();
    assert!(calls.len() > POINTS, "there are {} calls in all", calls.len());
    let calls = calls.split_off(talks.min(calls.len() - POINTS));
    let total = calls.len();
    let chosen = |at: &usize| (at * POINTS) / total != ((at + 1) * POINTS) / total;
    calls.into_iter().enumerate().filter(|(at, _)| chosen(at)).map(|(_, point)| point).collect()
}

impl Point {
    /// Runs the program up to here.
    pub(crate) fn kill(&self, program: impl Fn(Command) -> Command) {
        let inject = format!("inject={}:signal=KILL:when={}", self.call, self.number);
        let trace = format!("trace={}", self.call);
        let ended = program(strace(&["-o", "/dev/null", "-e", &trace, "-e", &inject])).status().unwrap();
        assert_eq!(ended.signal(), Some(9), "{self:?}: {ended}");
    }
}

/// What runs a program as it is.
pub(crate) fn plainly() -> Command {
    Command::new("env")
}

/// What runs a program under `strace`, and ends as the program does.
fn strace(options: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(options).stdout(Stdio::null()).stderr(Stdio::null());
    strace
}
