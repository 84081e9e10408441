//! The system calls of a program, each to be tampered with.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

/// The nth call of this name.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    number: usize,
}

impl Call {
    /// A runner that does something to this call.
    pub(crate) fn with(&self, fault: &str) -> Command {
        let mut strace = Command::new("strace");
        let inject = format!("inject={}:{fault}:when={}", self.name, self.number);
        strace.args(["-o", "/dev/null", "-e", &format!("trace={}", self.name), "-e", &inject]);
        strace
    }
}

/// The calls of a program behind those by which the loader and the language's own library start it, found by running it.
pub(crate) fn of(run: impl Fn(Command)) -> Vec<Call> {
    const TRACE: &str = "/run/faults-trace";
    let mut strace = Command::new("strace");
    strace.args(["-o", TRACE]);
    run(strace);
    let trace = fs::read_to_string(TRACE).unwrap();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut calls = Vec::new();
    // The first line is the `execve` by which strace starts the program: it is neither injected nor counted.
    for line in trace.lines().skip(1) {
        let Some((name, _)) = line.split_once('(') else { continue };
        let number = *numbers.entry(name).and_modify(|number| *number += 1).or_insert(1);
        // The second of these ends the start. No call comes back from the last, and where there are no random numbers, which
        // no kernel refuses, the language's library panics.
        let is_start = numbers.get("sigaltstack").is_none_or(|number| *number < 2)
            || calls.is_empty() && name == "sigaltstack";
        if !is_start && !["exit_group", "getrandom"].contains(&name) {
            calls.push(Call { name: name.to_owned(), number });
        }
    }
    assert!(calls.len() > 5, "{trace}");
    calls
}
