//! Tests the tutorials from which newcomers learn direct routing: each command typed on the director, to the letter,
//! on a network like theirs, with real servers that serve pages and a client that fetches them.
//!
//! A tutorial is the text file beside this one, written as a terminal shows it; `tests/lab/play` runs it and compares
//! the output to the byte. Each runs with the original first: a failure there means that the text is wrong.
#![allow(clippy::expect_used, reason = "what a test cannot start without, it fails without")]

/// The tool under test, with `ipvsadm-save` and `ipvsadm-restore` beside it.
const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// Runs `tests/tutorials/NUMBER.txt` with `tool` as `ipvsadm`.
fn play(number: &str, tool: &str) {
    lab::play("tutorials", number, tool);
}

#[test]
fn original_000() {
    play("000", lab::ORIGINAL);
}

#[test]
fn original_001() {
    play("001", lab::ORIGINAL);
}

#[test]
fn original_002() {
    play("002", lab::ORIGINAL);
}

#[test]
fn original_003() {
    play("003", lab::ORIGINAL);
}

#[test]
fn original_004() {
    play("004", lab::ORIGINAL);
}

#[test]
fn ours_000() {
    play("000", OURS);
}

#[test]
fn ours_001() {
    play("001", OURS);
}

#[test]
fn ours_002() {
    play("002", OURS);
}

#[test]
fn ours_003() {
    play("003", OURS);
}

#[test]
fn ours_004() {
    play("004", OURS);
}
