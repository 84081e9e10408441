//! Proves that our `ipvsadm` is a drop-in for the original 1.31: same status, same output, same messages and the
//! same table left behind, for every recorded case, on a real kernel.
//!
//! - `cases.tsv`: command lines with what the original answers. `original_cases` runs them on the original, so that
//!   a case it fails is known to be a wrong case; `ours_cases` runs them on ours.
//! - `conn-cases.tsv`: listings of connections, `/proc/net/ip_vs_conn` being given.
//! - `differences.rs`: all that ours does otherwise, on purpose, and where `docs/compatibility.md` says so.
//! - `etc/`: the names of hosts and services that the cases speak of.
//! - `errno-map.tsv` and `bignum.tsv` were recorded with forged answers of the kernel, which no lab can give:
//!   the unit tests of the tool's messages and of its counters read them.
//!
//! To try a few: `COMPAT_ONLY=restore- cargo test --test compat` takes the cases whose id contains `restore-`.
//! `COMPAT_OURS=/sbin/ipvsadm` puts another tool in ours' place; with the original, every entry of the differences
//! must be reported as one that makes none.
#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]
#![allow(
    unreachable_pub,
    reason = "a program has no public face; `pub` says what a module offers to the others"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod corpus;
mod differences;
mod fuzz;
mod grammar;
mod judging;
mod order;
mod pools;
mod stage;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use corpus::{Case, Outcome};
use differences::Ledger;
use stage::Stage;

/// The tool under test.
fn ours() -> PathBuf {
    std::env::var_os("COMPAT_OURS").map_or_else(|| env!("CARGO_BIN_EXE_ipvsadm").into(), PathBuf::from)
}

/// Ends the test with all that went wrong, if anything did.
fn report(of: usize, failures: &[String]) {
    assert!(failures.is_empty(), "{} of {of} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn original_cases() {
    stage::alone(|| {
        let original = Path::new(lab::ORIGINAL);
        let (cases, connections) = (corpus::cases(), corpus::connection_cases());
        let mut failures = Vec::new();
        let mut show = |case: &Case, got: Outcome| {
            let expected = case.expected.with_help_of(&got);
            failures.extend(case.mismatch(&expected, &got));
        };
        let mut stage = Stage::new();
        stage.run_all(original, &cases, &mut show);
        stage::run_connections(original, &connections, &mut show);
        report(cases.len() + connections.len(), &failures);
    });
}

#[test]
fn ours_cases() {
    stage::alone(|| {
        let original = Path::new(lab::ORIGINAL);
        let (cases, connections) = (corpus::cases(), corpus::connection_cases());
        let mut stage = Stage::new();

        // What ours takes as if something else had been typed: the original's answer to that counts.
        let taken =
            |cases: &[Case]| -> Vec<Case> { cases.iter().filter_map(differences::rewritten).collect() };
        let mut answers = HashMap::<String, Outcome>::new();
        let mut keep = |case: &Case, got: Outcome| {
            answers.insert(case.id.clone(), got);
        };
        stage.run_all(original, &taken(&cases), &mut keep);
        stage::run_connections(original, &taken(&connections), &mut keep);

        let mut ledger = Ledger::default();
        let mut failures = Vec::new();
        let mut judge = |case: &Case, got: Outcome| {
            failures.extend(ledger.judge(case, &case.expected, answers.get(&case.id), &got));
        };
        stage.run_all(&ours(), &cases, &mut judge);
        stage::run_connections(&ours(), &connections, &mut judge);
        if std::env::var_os("COMPAT_ONLY").is_none() {
            failures.extend(ledger.idle());
        }
        report(cases.len() + connections.len(), &failures);
    });
}
