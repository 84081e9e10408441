//! The table of results.

use std::time::Duration;

/// The program that does a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Original,
    Ours,
    Kernel,
}

/// How often each of them does a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) original: usize,
    pub(crate) ours: usize,
}

impl Rounds {
    pub(crate) fn of(self, who: Who) -> usize {
        if who == Who::Original { self.original } else { self.ours }
    }
}

/// The best times of a task: other load only adds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) original: Option<Duration>,
    pub(crate) ours: Option<Duration>,
    pub(crate) kernel: Option<Duration>,
}

/// Runs each in turn, and keeps the best times.
pub(crate) fn alternate(rounds: Rounds, mut work: impl FnMut(Who) -> Duration) -> Times {
    let mut taken = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..rounds.original.max(rounds.ours) {
        for (who, times) in [Who::Original, Who::Ours, Who::Kernel].into_iter().zip(&mut taken) {
            if round < rounds.of(who) {
                times.push(work(who));
            }
        }
    }
    let [original, ours, kernel] = taken.map(best);
    Times { original, ours, kernel }
}

pub(crate) fn best(times: Vec<Duration>) -> Option<Duration> {
    times.into_iter().min()
}

/// A task of a size with its results.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) size: usize,
    pub(crate) times: Times,
    /// System calls of the original and of this tool.
    pub(crate) calls: Option<(u64, u64)>,
    /// KiB, of this tool.
    pub(crate) memory: Option<u64>,
}

/// Prints the heading.
pub(crate) fn heading() {
    println!(
        "| {:<26} | {:>7} | {:>9} | {:>9} | {:>9} | {:>8} | {:>8} | {:>8} | {:>8} | {:>8} |",
        "work",
        "size",
        "original",
        "ours",
        "kernel",
        "orig/our",
        "our/kern",
        "orig sys",
        "our sys",
        "our KiB"
    );
    let dash = "-".repeat(8);
    println!(
        "| {} | {dash}: | {dash}:| {dash}:| {dash}:| {dash}:| {dash}:| {dash}:| {dash}:| {dash}:|",
        "-".repeat(26)
    );
}

impl Row {
    /// Prints the row.
    pub(crate) fn print(&self) {
        let Times { original, ours, kernel } = self.times;
        let calls = self.calls.unzip();
        println!(
            "| {:<26} | {:>7} | {:>9} | {:>9} | {:>9} | {:>8} | {:>8} | {:>8} | {:>8} | {:>8} |",
            self.work,
            self.size,
            time(original),
            time(ours),
            time(kernel),
            ratio(original, ours, 1),
            ratio(ours, kernel, 2),
            number(calls.0),
            number(calls.1),
            number(self.memory),
        );
    }
}

/// Prints how each task scales from one size to another.
pub(crate) fn growth(rows: &[Row], from: usize, to: usize) {
    println!("\ngrowth from {from} to {to}:\n");
    println!("| {:<26} | {:>8} | {:>8} | {:>8} |", "work", "original", "ours", "kernel");
    println!("| {} | {1}:| {1}:| {1}:|", "-".repeat(26), "-".repeat(8));
    for large in rows.iter().filter(|row| row.size == to) {
        let Some(small) = rows.iter().find(|row| row.size == from && row.work == large.work) else {
            continue;
        };
        let (small, large) = (small.times, large.times);
        println!(
            "| {:<26} | {:>8} | {:>8} | {:>8} |",
            rows.iter().find(|row| row.size == to && row.times.ours == large.ours).map_or("", |row| row.work),
            ratio(large.original, small.original, 1),
            ratio(large.ours, small.ours, 1),
            ratio(large.kernel, small.kernel, 1),
        );
    }
}

fn time(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| match time.as_micros() {
        0..1_000_000 => format!("{:.2} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", time.as_secs_f64()),
    })
}

fn ratio(long: Option<Duration>, short: Option<Duration>, digits: usize) -> String {
    long.zip(short).map_or("-".to_owned(), |(long, short)| {
        format!("{:.*} x", digits, long.as_secs_f64() / short.as_secs_f64())
    })
}

fn number(number: Option<u64>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}
