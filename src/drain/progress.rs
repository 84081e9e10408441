//! What is shown while a drain waits: on a terminal one line that is renewed each second, elsewhere a line each ten.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use ipvs::DestinationEntry;

use crate::messages::report;

/// How often a line is written that is not on a terminal.
const EACH: Duration = Duration::from_secs(10);
/// As wide as the narrowest terminal: a line that wraps could not be renewed.
const WIDTH: usize = 79;

/// The connections that a server has, or several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) active: u32,
    pub(super) inactive: u32,
    pub(super) persistent: u32,
}

/// Which of them are waited for, beside those that are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Awaits {
    pub(super) inactive: bool,
    /// Those by which clients come back: with `expire_quiescent_template` nobody comes back to a server of weight 0, and the kernel
    /// counts them until their time is over.
    pub(super) persistent: bool,
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { active, inactive, persistent } = self;
        write!(f, "{active} active, {inactive} inactive and {persistent} persistent connections")
    }
}

impl Connections {
    pub(super) fn of(entry: &DestinationEntry) -> Self {
        Self {
            active: entry.active_connections,
            inactive: entry.inactive_connections,
            persistent: entry.persistent_connections,
        }
    }

    /// How many must end before the server is deleted.
    pub(super) fn awaited(&self, awaits: Awaits) -> u32 {
        let inactive = if awaits.inactive { self.inactive } else { 0 };
        let persistent = if awaits.persistent { self.persistent } else { 0 };
        self.active.saturating_add(inactive).saturating_add(persistent)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            active: self.active.saturating_add(other.active),
            inactive: self.inactive.saturating_add(other.inactive),
            persistent: self.persistent.saturating_add(other.persistent),
        }
    }
}

/// Shows how far a drain is.
pub(super) struct Progress {
    is_terminal: bool,
    is_quiet: bool,
    /// How many connections there were at first.
    first: Option<u32>,
    /// When the next line is due, after the beginning.
    next: Duration,
}

pub(super) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

impl Progress {
    pub(super) fn new(is_terminal: bool, is_quiet: bool) -> Self {
        Self { is_terminal, is_quiet, first: None, next: EACH }
    }

    /// Shows what is left; `awaited` connections are waited for, and `rest` is what remains of the wait.
    pub(super) fn show(
        &mut self,
        left: &Connections,
        awaited: u32,
        waited: Duration,
        rest: Option<Duration>,
    ) {
        let first = *self.first.get_or_insert(awaited);
        if self.is_quiet || (!self.is_terminal && waited < self.next) {
            return;
        }
        let text = text(left, awaited, first, waited, rest);
        if self.is_terminal {
            // Nobody is told that a progress line cannot be shown.
            let shown: String = text.chars().take(WIDTH).collect();
            let _ = write!(std::io::stderr(), "\r{shown}\x1b[K");
        } else {
            report(&text);
            self.next += EACH;
        }
    }

    /// Clears the line, for what is written next.
    pub(super) fn clear(&self) {
        if self.is_terminal && !self.is_quiet && self.first.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn text(left: &Connections, awaited: u32, first: u32, waited: Duration, rest: Option<Duration>) -> String {
    let Connections { active, inactive, persistent } = left;
    let gone = first.saturating_sub(awaited);
    let mut text =
        format!("draining: {active} active, {inactive} inactive, {persistent} persistent; {gone} gone");
    if gone > 0 && !waited.is_zero() {
        let rate = f64::from(gone) / waited.as_secs_f64();
        let more = f64::from(awaited) / rate;
        text = format!("{text}, {rate:.1}/s, about {more:.0} s more");
    }
    if let Some(rest) = rest {
        text = format!("{text}; waits {} s", rest.as_secs());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_is_left_and_how_fast_it_goes() {
        let left = Connections { active: 3, inactive: 10, persistent: 2 };
        let line =
            |awaited, first, waited, rest| text(&left, awaited, first, Duration::from_secs(waited), rest);
        let begins = "draining: 3 active, 10 inactive, 2 persistent; ";
        assert_eq!(line(15, 15, 0, None), format!("{begins}0 gone"));
        assert_eq!(line(15, 10, 5, None), format!("{begins}0 gone"), "more may come by persistence");
        let rest = Some(Duration::from_secs(50));
        assert_eq!(line(15, 35, 10, rest), format!("{begins}20 gone, 2.0/s, about 8 s more; waits 50 s"));
        let most = Connections { active: 99999, inactive: 99999, persistent: 999 };
        let long = text(&most, 200_000, 300_000, Duration::from_secs(1000), None);
        assert!(long.len() <= 2 * WIDTH, "{long}");
    }

    #[test]
    fn what_is_ignored_is_not_awaited() {
        let left = Connections { active: 1, inactive: 2, persistent: 4 };
        let awaited = |inactive, persistent| left.awaited(Awaits { inactive, persistent });
        assert_eq!(
            [awaited(true, true), awaited(false, true), awaited(true, false), awaited(false, false)],
            [7, 5, 3, 1]
        );
        let most = Connections { active: u32::MAX, ..left };
        assert_eq!(most.and(left).awaited(Awaits { inactive: true, persistent: true }), u32::MAX);
    }
}
