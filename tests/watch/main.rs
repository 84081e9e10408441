//! Tests `--watch` through a real terminal, as a person would: a window of tmux, whose keys are pressed and whose screen
//! is compared; and the frames that a pipe gets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod exits;
mod frames;
mod screens;
mod terminal;
mod told;
mod traffic;

use std::process::{Command, Output};

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// Runs the tool with the words of a line.
fn ours(line: &str) -> Output {
    Command::new(OURS).args(line.split(' ')).output().unwrap()
}

/// Carries out lines of the tool.
fn table(lines: &[&str]) {
    for line in lines {
        let output = ours(line);
        assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
    }
}

/// A table without traffic.
fn quiet() {
    lab::isolate();
    table(&[
        "-A -t 192.0.2.1:80 -s wrr -p 300",
        "-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 3",
        "-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 2 -x 100 -y 50",
        "-A -u 192.0.2.1:53 -s rr",
        "-a -u 192.0.2.1:53 -r 10.0.0.3 -g -w 0 --quiet",
        "-A -f 7 -6 -s wlc",
    ]);
}
