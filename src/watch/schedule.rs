//! When the next reading is due.

use std::time::{Duration, Instant};

/// Readings at an interval.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    /// When the last reading was due.
    due: Instant,
}

impl Schedule {
    /// The first reading is now.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, due: Instant::now() }
    }

    /// When the next one is due, as the last is done now. A pause at least as long as the reading is between them, so that
    /// kernel and processor have half of their time for others.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let taken = now.saturating_duration_since(self.due);
        self.due = (self.due + self.interval).max(now + taken);
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_keep_their_interval_unless_they_take_half_of_it() {
        let mut schedule = Schedule::new(Duration::from_secs(2));
        let start = schedule.due;
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(schedule.next(at(100)), at(2000));
        assert_eq!(schedule.next(at(2700)), at(4000));
        assert_eq!(schedule.next(at(5900)), at(7800));
        assert_eq!(schedule.next(at(10_000)), at(12_200));
        assert_eq!(schedule.next(at(12_201)), at(14_200));
    }
}
