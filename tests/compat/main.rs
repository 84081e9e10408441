//! Tests that this `ipvsadm` is a drop-in for the original 1.31: same status, same output, same messages and the same
//! resulting table, for every recorded case, on a real kernel.
//!
//! - `cases.tsv`: command lines with the original's outcome. `original_cases` runs them on the original, which
//!   reveals wrong cases, unless `original.proven` says that nothing has changed since; `ours_cases` runs them on this tool.
//! - `conn-cases.tsv`: listings of connections, for a given `/proc/net/ip_vs_conn`.
//! - `differences.rs`: all deliberate differences, with their headings in `docs/compatibility.md`.
//! - `etc/`: the host and service names used in the cases.
//! - `errno-map.tsv` and `bignum.tsv` were recorded with forged replies of the kernel, which no lab can produce: the
//!   unit tests of the tool's messages and counters read them.
//!
//! To run a few: `COMPAT_ONLY=restore- cargo test --test compat` selects the cases whose id contains `restore-`.
//! `COMPAT_OURS=/sbin/ipvsadm` tests another tool instead; with the original, every entry of the differences must be
//! reported as one that makes none.
#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]
#![allow(
    unreachable_pub,
    reason = "a program has no public face; `pub` says what a module offers to the others"
)]

mod corpus;
mod differences;
mod fuzz;
mod grammar;
mod inputs;
mod judging;
mod ledger;
mod order;
mod pools;
mod scene;
mod stage;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use corpus::{Case, Outcome};
use lab::{Part, parts};
use ledger::Ledger;
use stage::Stage;

/// The tool under test.
fn ours() -> PathBuf {
    std::env::var_os("COMPAT_OURS").map_or_else(|| env!("CARGO_BIN_EXE_ipvsadm").into(), PathBuf::from)
}

/// Fails the test with all failures, if there are any.
fn report(of: usize, failures: &[String]) {
    assert!(failures.is_empty(), "{} of {of} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Cases whose listing has services by firewall mark in the order of a table that does not grow; since Linux 7.2 it does.
const IN_THE_ORDER_OF_A_FIXED_TABLE: &[&str] = &["list-061"];

/// A part of the cases selected by `COMPAT_ONLY`: those with the same setup are adjacent, so that it is made once.
fn of_part(part: Part, mut cases: Vec<Case>) -> Vec<Case> {
    let only = std::env::var("COMPAT_ONLY").unwrap_or_default();
    cases
        .retain(|case| case.id.contains(&only) && !IN_THE_ORDER_OF_A_FIXED_TABLE.contains(&case.id.as_str()));
    cases.sort_by(|one, other| one.setup.cmp(&other.setup));
    part.share(&cases).to_vec()
}

/// The cases of a part: command lines, and listings of connections.
fn cases(part: Part) -> [Vec<Case>; 2] {
    [of_part(part, corpus::cases()), of_part(part, corpus::connection_cases())]
}

/// Runs cases with a tool.
fn play(tool: &Path, [cases, connections]: &[Vec<Case>; 2], show: &mut impl FnMut(&Case, Outcome)) {
    if !cases.is_empty() || !connections.is_empty() {
        let mut stage = Stage::new();
        stage.run_all(tool, cases, &mut *show);
        stage::run_connections(tool, connections, show);
    }
}

/// Whether the cases were played on the original with all that decides their outcome now: `tests/compat/prove` notes it.
fn is_proven() -> bool {
    if std::env::var_os("IPVS_PROVE_ORIGINAL").is_some() {
        return false;
    }
    let prove = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compat/prove");
    let now = Command::new(prove).arg("--print").output().expect("tests/compat/prove runs").stdout;
    now == include_bytes!("original.proven")
}

parts!(original_cases of 8);

fn original_cases(part: Part) {
    if is_proven() {
        // Written past libtest, which would keep it to itself.
        let number = part.number + 1;
        let _ = writeln!(
            std::io::stderr(),
            "original_cases::part_{number}: skipped: they passed with this kernel, this original, these cases and this \
             harness; IPVS_PROVE_ORIGINAL=1 plays them all the same"
        );
        return;
    }
    stage::alone(move || {
        let cases = cases(part);
        report(cases.concat().len(), &unlike_the_record(&cases));
    });
}

/// Runs cases with the original, and reports where its outcome is not the recorded one.
fn unlike_the_record(cases: &[Vec<Case>; 2]) -> Vec<String> {
    let mut failures = Vec::new();
    play(Path::new(lab::ORIGINAL), cases, &mut |case, got| {
        let expected = case.expected.with_help_of(&got);
        failures.extend(case.mismatch(&expected, &got));
    });
    failures
}

parts!(ours_cases of 8);

fn ours_cases(part: Part) {
    stage::alone(move || {
        let cases = cases(part);
        report(cases.concat().len(), &judged(&cases, &mut Ledger::default()));
    });
}

/// Runs cases with this tool, and reports where its outcome is not the required one.
fn judged(cases: &[Vec<Case>; 2], ledger: &mut Ledger) -> Vec<String> {
    // For cases that this tool treats like other ones, the original's answer to those counts.
    let taken = cases.each_ref().map(|cases| cases.iter().filter_map(differences::rewritten).collect());
    let mut answers = HashMap::<String, Outcome>::new();
    play(Path::new(lab::ORIGINAL), &taken, &mut |case, got| {
        answers.insert(case.id.clone(), got);
    });
    let mut failures = Vec::new();
    play(&ours(), cases, &mut |case, got| {
        failures.extend(ledger.judge(case, &case.expected, answers.get(&case.id), &got));
    });
    failures
}

#[test]
fn marks_in_the_order_of_a_fixed_table() {
    if !lab::kernel::has("table of services that keeps its size", "test ! -e /proc/net/ip_vs_status") {
        return;
    }
    stage::alone(|| {
        let mut cases = corpus::cases();
        cases.retain(|case| IN_THE_ORDER_OF_A_FIXED_TABLE.contains(&case.id.as_str()));
        let cases = [cases, Vec::new()];
        let mut failures = unlike_the_record(&cases);
        failures.extend(judged(&cases, &mut Ledger::default()));
        report(cases.concat().len(), &failures);
    });
}

#[test]
fn every_difference_is_made_by_its_case() {
    stage::alone(|| {
        let mut ledger = Ledger::default();
        let of_ids = |cases: Vec<Case>| -> Vec<Case> {
            cases.into_iter().filter(|case| differences::cases().any(|id| id == case.id)).collect()
        };
        let cases = [of_ids(corpus::cases()), of_ids(corpus::connection_cases())];
        let mut failures = judged(&cases, &mut ledger);
        failures.extend(ledger.idle());
        report(cases.concat().len(), &failures);
    });
}
