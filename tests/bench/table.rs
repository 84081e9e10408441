//! The table of results.

use std::time::Duration;

use crate::program;

/// The program that does a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Original,
    /// As `cargo build --release` makes it.
    Ours,
    /// As `packaging/build static` makes it.
    Packaged,
    Kernel,
}

impl Who {
    pub(crate) const ALL: [Self; 4] = [Self::Original, Self::Ours, Self::Packaged, Self::Kernel];

    /// Whether it is there to be measured.
    pub(crate) fn is_there(self) -> bool {
        self != Self::Packaged || program::packaged().is_some()
    }
}

/// How often each of them does a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) original: usize,
    pub(crate) ours: usize,
}

impl Rounds {
    fn of(self, who: Who) -> usize {
        if who == Who::Original { self.original } else { self.ours }
    }
}

/// The best times of a task: other load only adds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) original: Option<Duration>,
    pub(crate) ours: Option<Duration>,
    pub(crate) packaged: Option<Duration>,
    pub(crate) kernel: Option<Duration>,
}

impl Times {
    /// The best of each.
    pub(crate) fn of(taken: &[(Who, Duration)]) -> Self {
        let best = |by| taken.iter().filter(|(who, _)| *who == by).map(|(_, time)| *time).min();
        let [original, ours, packaged, kernel] = Who::ALL.map(best);
        Self { original, ours, packaged, kernel }
    }
}

/// Runs each in turn, and keeps the best times.
pub(crate) fn alternate(rounds: Rounds, mut work: impl FnMut(Who) -> Duration) -> Times {
    let mut taken = Vec::new();
    for round in 0..rounds.original.max(rounds.ours) {
        for who in Who::ALL.into_iter().filter(|who| who.is_there() && round < rounds.of(*who)) {
            taken.push((who, work(who)));
        }
    }
    Times::of(&taken)
}

/// A task of a size with its results.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) size: usize,
    pub(crate) times: Times,
    /// System calls of the original, of this tool, and of the packaged one; 0 where they were not counted.
    pub(crate) calls: [u64; 3],
    /// KiB, of this tool.
    pub(crate) memory: Option<u64>,
    pub(crate) wanted: &'static str,
}

/// Prints the heading.
pub(crate) fn heading() {
    println!(
        "| work | size | original | cargo build | packaged | kernel | × original | × kernel | system calls | KiB | wanted |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |");
}

impl Row {
    /// Prints the row. Of two programs of ours, the first number is that of `cargo build`.
    pub(crate) fn print(&self) {
        let Times { original, ours, packaged, kernel } = self.times;
        let both = |one: String, other: String| match (&*one, &*other) {
            (_, "-") => one,
            _ => format!("{one}, {other}"),
        };
        let calls = join(self.calls);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.work,
            self.size,
            time(original),
            time(ours),
            time(packaged),
            time(kernel),
            both(ratio(original, ours, 1), ratio(original, packaged, 1)),
            both(ratio(ours, kernel, 2), ratio(packaged, kernel, 2)),
            if calls.is_empty() { "-" } else { &calls },
            self.memory.map_or("-".to_owned(), |memory| memory.to_string()),
            self.wanted,
        );
    }
}

/// The numbers that were counted.
pub(crate) fn join(counted: [u64; 3]) -> String {
    let counted = counted.iter().filter(|count| **count > 0);
    counted.map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Prints how each task scales from one size to another.
pub(crate) fn growth(rows: &[Row], from: usize, to: usize) {
    println!("\ngrowth from {from} to {to}:\n");
    println!("| work | original | cargo build | kernel |\n| --- | --: | --: | --: |");
    for large in rows.iter().filter(|row| row.size == to) {
        let Some(small) = rows.iter().find(|row| row.size == from && row.work == large.work) else {
            continue;
        };
        println!(
            "| {} | {} | {} | {} |",
            large.work,
            ratio(large.times.original, small.times.original, 1),
            ratio(large.times.ours, small.times.ours, 1),
            ratio(large.times.kernel, small.times.kernel, 1),
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
