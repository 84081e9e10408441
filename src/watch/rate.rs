//! Rates per second, from two readings of a counter.
//!
//! The kernel brings what it shows of its counters up to date every two seconds. Readings in between show what was there
//! before, so the difference to the last reading would be nothing at one time and too much at the next.

use std::time::Duration;

use ipvs::Counters;

use super::number::float;

/// How often the kernel brings its counters up to date.
const KERNEL_PERIOD: Duration = Duration::from_secs(2);

/// After so long without a change there is no traffic, whenever in the kernel's period the readings were.
const STANDSTILL: Duration = Duration::from_secs(3);

/// What passes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rate {
    pub(super) connections: f64,
    pub(super) in_packets: f64,
    pub(super) out_packets: f64,
    pub(super) in_bytes: f64,
    pub(super) out_bytes: f64,
}

impl Rate {
    const NOTHING: Self =
        Self { connections: 0.0, in_packets: 0.0, out_packets: 0.0, in_bytes: 0.0, out_bytes: 0.0 };

    /// What was counted in a time.
    fn over(counted: &Counters, time: Duration) -> Self {
        let Counters { connections, in_packets, out_packets, in_bytes, out_bytes } = *counted;
        let per_second = |count: u64| float(count) / time.as_secs_f64();
        Self {
            connections: per_second(connections),
            in_packets: per_second(in_packets),
            out_packets: per_second(out_packets),
            in_bytes: per_second(in_bytes),
            out_bytes: per_second(out_bytes),
        }
    }

    /// In both directions.
    pub(super) fn packets(&self) -> f64 {
        self.in_packets + self.out_packets
    }

    /// In both directions.
    pub(super) fn bytes(&self) -> f64 {
        self.in_bytes + self.out_bytes
    }
}

/// A time, in milliseconds: a quarter of an `Instant`, of which each row would have three. It begins again after 49 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u32);

impl Moment {
    /// So long after the first.
    pub(super) fn after(time: Duration) -> Self {
        Self(u32::try_from(time.as_millis() & u128::from(u32::MAX)).unwrap_or_default())
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.wrapping_sub(earlier.0).into())
    }
}

/// The counters of a service or a server, followed from reading to reading. There may be hundreds of thousands.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    total: Counters,
    /// None where nothing passes, or it is not known yet.
    rate: Option<Box<Rate>>,
    is_known: bool,
    /// From when on the next change counts.
    from: Moment,
    changed: Moment,
}

impl Meter {
    /// The first reading, which has no rate yet.
    pub(super) fn new(total: Counters, now: Moment) -> Self {
        Self { total, rate: None, is_known: false, from: now, changed: now }
    }

    /// Another reading.
    pub(super) fn update(&mut self, total: Counters, now: Moment) {
        let time = now.since(self.from);
        if total != self.total {
            // The kernel's update covers its whole period, however soon it follows a reading.
            let rate = Rate::over(&total.since(&self.total), time.max(KERNEL_PERIOD));
            (self.rate, self.is_known) = (Some(Box::new(rate)), true);
            (self.total, self.from, self.changed) = (total, now, now);
            return;
        }
        if time >= KERNEL_PERIOD {
            self.from = now;
        }
        if now.since(self.changed) >= STANDSTILL {
            (self.rate, self.is_known) = (None, true);
        }
    }

    /// None until two readings tell it.
    pub(super) fn rate(&self) -> Option<&Rate> {
        self.is_known.then(|| self.rate.as_deref().unwrap_or(&Rate::NOTHING))
    }

    pub(super) fn total(&self) -> &Counters {
        &self.total
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(connections: u64) -> Counters {
        Counters { connections, in_packets: 3 * connections, ..Counters::default() }
    }

    /// The rates of connections, of readings at these milliseconds, of a kernel that counts `per_second` and shows it
    /// every two seconds.
    fn rates(per_second: u64, readings: &[u64]) -> Vec<Option<f64>> {
        let mut meter = None::<Meter>;
        let mut read = |milliseconds: &u64| {
            let now = Moment::after(Duration::from_millis(*milliseconds));
            let total = counted(milliseconds / 2000 * 2 * per_second);
            match &mut meter {
                Some(meter) => meter.update(total, now),
                none => *none = Some(Meter::new(total, now)),
            }
            meter.as_ref().and_then(|meter| meter.rate()).map(|rate| rate.connections)
        };
        readings.iter().map(&mut read).collect()
    }

    #[test]
    fn readings_between_two_updates_of_the_kernel_show_the_same_rate() {
        let every = |milliseconds: u64| (0..20).map(|at| 500 + at * milliseconds).collect::<Vec<_>>();
        for interval in [200, 1000, 2000, 4000] {
            let rates = rates(50, &every(interval));
            let known: Vec<f64> = rates.iter().flatten().copied().collect();
            assert!(rates[0].is_none() && known.len() >= 12, "{interval}: {rates:?}");
            assert!(known.iter().all(|rate| (rate - 50.0).abs() < 1e-9), "{interval}: {rates:?}");
        }
    }

    #[test]
    fn a_standstill_is_a_rate_of_zero() {
        let at = |seconds| Moment::after(Duration::from_secs(seconds));
        let mut meter = Meter::new(counted(7), at(0));
        meter.update(counted(7), at(2));
        assert!(meter.rate().is_none());
        meter.update(counted(7), at(4));
        assert_eq!(meter.rate(), Some(&Rate::default()));
        meter.update(counted(27), at(6));
        assert_eq!(meter.rate().map(|rate| (rate.connections, rate.packets())), Some((10.0, 30.0)));
        // The counters were set to zero, and count what came since.
        meter.update(counted(4), at(8));
        assert_eq!(meter.rate().map(|rate| rate.connections), Some(2.0));
        meter.update(counted(4), at(11));
        assert_eq!(meter.rate().map(Rate::bytes), Some(0.0));
    }

    proptest! {
        #[test]
        fn no_reading_makes_a_rate_that_is_no_number(steps in prop::collection::vec((any::<u64>(), 0..9000_u64), 1..20)) {
            let mut now = Duration::ZERO;
            let mut meter = Meter::new(Counters::default(), Moment::after(now));
            for (total, milliseconds) in steps {
                now += Duration::from_millis(milliseconds);
                meter.update(Counters { in_bytes: total, out_bytes: total, ..Counters::default() }, Moment::after(now));
                prop_assert!(meter.rate().is_none_or(|rate| rate.bytes().is_finite() && rate.bytes() >= 0.0));
            }
        }
    }
}
