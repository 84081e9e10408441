//! Whatever takes more than two seconds says on a terminal how far it is: a line of stderr that is renewed each second.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

/// Nothing is said before.
const AFTER: Duration = Duration::from_secs(2);
/// How often the line is renewed.
const EACH: Duration = Duration::from_secs(1);
/// As wide as the narrowest terminal: a line that wraps could not be renewed.
const WIDTH: usize = 79;

/// Whether something is under way that may show a line.
static IS_BEGUN: AtomicBool = AtomicBool::new(false);
/// Whether the line is on the terminal. Whoever writes there takes it away first.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);
/// Whether no more lines are shown, because there is output on the terminal.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Says how far something is, until it is dropped.
pub(crate) struct Progress {
    /// Tells the thread by its end.
    running: Option<(Sender<()>, JoinHandle<()>)>,
    done: Arc<AtomicUsize>,
}

impl Progress {
    /// Of `what`, which has `all` parts, if that is known.
    pub(crate) fn of(what: &'static str, all: Option<usize>) -> Self {
        let done = Arc::new(AtomicUsize::new(0));
        if !std::io::stderr().is_terminal() {
            return Self { running: None, done };
        }
        IS_BEGUN.store(true, Ordering::Relaxed);
        let ((end, ended), counted) = (channel::<()>(), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            let _ = SigSet::all().thread_block(); // they are for the thread that does the work
            let start = Instant::now();
            let mut wait = AFTER;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                show(&text(what, counted.load(Ordering::Relaxed), all, start.elapsed()));
                wait = EACH;
            }
        });
        Self { running: Some((end, thread)), done }
    }

    /// So many parts are done.
    pub(crate) fn done(&self, count: usize) {
        self.done.store(count, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            drop(end);
            let _ = thread.join();
            clear();
        }
    }
}

fn show(text: &str) {
    if !IS_OVER.load(Ordering::Relaxed) {
        IS_SHOWN.store(true, Ordering::Relaxed);
        // Nobody is told that it cannot be shown.
        let _ = write!(std::io::stderr(), "\r{text}\x1b[K");
    }
}

fn text(what: &str, done: usize, all: Option<usize>, time: Duration) -> String {
    let seconds = time.as_secs();
    let text = match (done, all) {
        (0, _) => format!("{what}: {seconds} s"),
        (done, None) => format!("{what}: {done}, {seconds} s"),
        (done, Some(all)) => format!("{what}: {done} of {all}, {seconds} s"),
    };
    text.chars().take(WIDTH).collect()
}

/// Takes the line away, if it is there.
pub(crate) fn clear() {
    if IS_SHOWN.swap(false, Ordering::Relaxed) {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}

/// Takes the line away for good before something is printed to the same terminal, perhaps a part of a line.
pub(crate) fn make_way() {
    if IS_BEGUN.load(Ordering::Relaxed) && rustix::termios::isatty(rustix::stdio::stdout()) {
        IS_OVER.store(true, Ordering::Relaxed);
        clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_known() {
        let of = |done, all| text("reading the table", done, all, Duration::from_millis(2900));
        assert_eq!(of(0, None), "reading the table: 2 s");
        assert_eq!(of(0, Some(7)), "reading the table: 2 s");
        assert_eq!(of(5, None), "reading the table: 5, 2 s");
        assert_eq!(of(5, Some(7)), "reading the table: 5 of 7, 2 s");
    }
}
