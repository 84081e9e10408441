//! Signals that end a wait, and not the program: what is in effect is told first.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Catches the signals that would end the program, from now on.
pub(super) struct Interruptions {
    signals: SignalFd,
}

impl Interruptions {
    pub(super) fn catch() -> io::Result<Self> {
        let ignored = ignored();
        let mut set = SigSet::empty();
        // One that is ignored, as under nohup, stays so.
        ENDING.into_iter().filter(|signal| ignored & mask(*signal) == 0).for_each(|signal| set.add(signal));
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { signals })
    }

    /// Sleeps; the number of the signal that has ended the sleep.
    pub(super) fn sleep(&self, time: Duration) -> Option<u8> {
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, time) {
            Ok(0) | Err(Errno::EINTR) => None,
            _ => {
                let signal = self.signals.read_signal().ok().flatten()?;
                u8::try_from(signal.ssi_signo).ok()
            }
        }
    }
}

fn mask(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}

/// The signals that this process ignores.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
