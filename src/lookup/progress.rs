//! How many names are known, on a terminal, where that takes more than two seconds.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const SILENCE: Duration = Duration::from_secs(2);
const EACH: Duration = Duration::from_millis(250);

/// A line of stderr that is renewed.
#[derive(Debug)]
pub(super) struct Progress {
    begin: Instant,
    shown: Option<Instant>,
    done: usize,
}

impl Progress {
    pub(super) fn new(begin: Instant) -> Self {
        Self { begin, shown: None, done: 0 }
    }

    /// One more is known.
    pub(super) fn step(&mut self) {
        self.done += 1;
    }

    /// Shows how many are known, and how many are not.
    pub(super) fn show(&mut self, left: usize) {
        let now = Instant::now();
        let is_due = self.shown.is_none_or(|shown| now - shown >= EACH);
        if now - self.begin >= SILENCE && is_due && std::io::stderr().is_terminal() {
            self.shown = Some(now);
            let (done, all) = (self.done, self.done + left);
            let _ = write!(std::io::stderr(), "\rnames: {done} of {all}; -n asks for none\x1b[K");
        }
    }

    /// Clears the line, for what is written next.
    pub(super) fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
