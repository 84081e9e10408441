//! `main`, which the C library calls itself: the only `unsafe` of the package, an attribute that gives a function its name.
//!
//! What the standard library does in front of a Rust `main` costs 18 system calls and a third of the time of a single
//! command. And it opens `/dev/null` where stdout is closed, so that a listing would be lost without a word.
//!
//! Only where the GNU C library is: others do not hand the words to a program that does not begin in the standard library.

#![allow(unsafe_code, reason = "an exported name could be that of another function; of `main` there is one")]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::stdio::{stderr, stdin, stdout};

/// Called by the C library.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn main() -> i32 {
    // A panic must not leave a function that C has called. As elsewhere, its status is 101.
    std::panic::catch_unwind(|| crate::start(prepare())).map_or(101, i32::from)
}

/// Does what the standard library does in front of its own `main`: no socket or file of ours gets the number of a closed
/// descriptor. (What it does about readers that leave is in `output`.) Returns whether stdout is open.
fn prepare() -> bool {
    let mut all = [stdin(), stdout(), stderr()].map(|one| PollFd::from_borrowed_fd(one, PollFlags::empty()));
    let asked = poll(&mut all, Some(&Timespec::default()));
    let [is_stdin, is_stdout, is_stderr] =
        all.map(|one| asked.is_err() || !one.revents().contains(PollFlags::NVAL));
    // Each gets the lowest number that is free, and keeps it.
    for _ in [is_stdin, is_stdout, is_stderr].iter().filter(|is_open| !**is_open) {
        std::mem::forget(open("/dev/null", OFlags::RDWR, Mode::empty()));
    }
    is_stdout
}
