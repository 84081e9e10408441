//! Compares the tool's costs with the original's, and with the kernel's own part, in one table. See
//! `tests/bench/run`.
//!
//! Each measurement that adds something runs in a separate network: a kernel keeps deleted objects for minutes and
//! searches them at each addition.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::host_endian_bytes,
    clippy::big_endian_bytes,
    reason = "a measurement ends where it fails, and prints its table"
)]

mod kernel;
mod names;
mod program;
mod rules;
mod table;
mod watch;
mod works;

use std::fs::File;

use table::{Rounds, Row};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some(program::MEASURE) => return program::measure(&words[1..]),
        Some(kernel::PART) => return kernel::run(&words[1..]),
        _ => {}
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let date = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    println!("{}, Linux {}\n", &date[..10], release.trim());
    table::heading();
    let mut rows = Vec::new();
    let groups: Vec<&str> = words.iter().filter(|word| !word.starts_with("--")).map(String::as_str).collect();
    let is_wanted = |group: &str| groups.is_empty() || groups.contains(&group);
    let all = if words.iter().any(|word| word == "--short") { short() } else { long() };
    for (group, work) in all {
        if is_wanted(group) {
            work(&mut rows);
        }
    }
    table::growth(&rows, 1000, 10_000);
}

/// A few tasks, selected by name.
type Group = (&'static str, fn(&mut Vec<Row>));

/// All tasks, as small as possible.
fn short() -> Vec<Group> {
    const ONCE: Rounds = Rounds { original: 1, ours: 1 };
    vec![
        ("tables", |rows| works::tables(100, ONCE, true, ["", ""], rows)),
        ("one-service", |rows| works::one_service(100, 200, ONCE, rows)),
        ("connections", |rows| works::connections(1000, ONCE, "", rows)),
        ("some-connections", |rows| works::some_connections(1000, ONCE, rows)),
        ("formats", |rows| works::formats(100, ONCE, rows)),
        ("commands", |rows| works::commands(10, 2, rows)),
        ("apply", |rows| works::apply(100, ONCE, rows)),
        ("check", |rows| works::check(100, ONCE, rows)),
        ("memory", |rows| works::memory(1000, rows)),
        ("watch", |rows| watch::watch(100, 2, rows)),
        ("names", |_| names::names(2, 9, 1)),
        ("soak", |_| names::soak(1000)),
    ]
}

fn long() -> Vec<Group> {
    const MANY: Rounds = Rounds { original: 5, ours: 15 };
    const SOME: Rounds = Rounds { original: 2, ours: 5 };
    vec![
        ("commands", |rows| works::commands(20, 60, rows)),
        ("small", |rows| {
            works::tables(10, Rounds { original: 60, ours: 60 }, true, ["1.5 × original"; 2], rows);
        }),
        ("tables", |rows| {
            works::tables(100, MANY, true, ["", ""], rows);
            works::tables(1000, MANY, false, ["", ""], rows);
        }),
        ("targets", |rows| {
            works::tables(
                3000,
                Rounds { original: 3, ours: 15 },
                false,
                ["40 × original", "1.1 × kernel"],
                rows,
            );
        }),
        ("tables", |rows| works::tables(10_000, Rounds { original: 1, ours: 5 }, false, ["", ""], rows)),
        ("one-service", |rows| works::one_service(10_000, 20_000, MANY, rows)),
        ("connections", |rows| {
            works::connections(1000, MANY, "", rows);
            works::connections(60_000, SOME, "", rows);
            match most_connections() {
                100_000 => works::connections(100_000, SOME, "3 × original", rows),
                most => works::connections(most, SOME, "4 × original, 1.1 × kernel", rows),
            }
        }),
        ("some-connections", |rows| works::some_connections(most_connections(), SOME, rows)),
        ("formats", |rows| works::formats(3000, MANY, rows)),
        ("apply", |rows| works::apply(3000, MANY, rows)),
        ("check", |rows| {
            works::check(5000, SOME, rows);
            works::check(100_000, Rounds { original: 0, ours: 1 }, rows);
        }),
        ("memory", |rows| works::memory(33_333, rows)),
        ("watch", |rows| watch::watch(10_000, 10, rows)),
        ("names", |_| names::names(10, 99, 2)),
        ("soak", |_| names::soak(10_000)),
    ]
}

/// Before Linux 7.1 a reading takes the square of their number.
fn most_connections() -> u32 {
    if std::fs::exists("/proc/net/ip_vs_status").unwrap_or(false) { 1_000_000 } else { 100_000 }
}

/// Runs a closure in a new empty network, which is kept: deleting it would cost the kernel time.
fn fresh<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            lab::isolate();
            std::mem::forget(File::open("/proc/thread-self/ns/net").unwrap());
            work()
        });
        thread.join().unwrap()
    })
}
