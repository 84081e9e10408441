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

    /// When the next one is due, as the last is done now. One that took longer than the interval is followed by a pause
    /// of that length, so that the kernel is not busy with this program alone.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let taken = now.saturating_duration_since(self.due);
        self.due = if taken < self.interval { self.due + self.interval } else { now + self.interval };
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_keep_their_interval_unless_they_take_longer() {
        let mut schedule = Schedule::new(Duration::from_secs(2));
        let start = schedule.due;
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(schedule.next(at(100)), at(2000));
        assert_eq!(schedule.next(at(2700)), at(4000));
        assert_eq!(schedule.next(at(7000)), at(9000));
        assert_eq!(schedule.next(at(9001)), at(11000));
    }
}
