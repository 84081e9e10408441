//! Every fault at every call: one system call of the tool fails, or a signal arrives there; then the next one. Nothing makes it panic or hang, and status 0 means all of it: the output is whole, and so are
//! the table and the file. `partial` has reads and writes that do a part.
//!
//! Under `cargo test` a part of the calls is tried. `tests/faults/run` tries all, and prints the tables of
//! `docs/reliability.md`.
#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod partial;
mod traced;
mod work;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;

use lab::{Part, parts};
use traced::Way;
use work::{Outcome, State, Work, is_all, row, work};

/// What is done to a call; none is the signal SIGTERM.
const FAULTS: [Option<Errno>; 8] = [
    Some(Errno::EINTR),
    Some(Errno::EAGAIN),
    Some(Errno::ENOBUFS),
    Some(Errno::ENOMEM),
    Some(Errno::EBUSY),
    Some(Errno::EPERM),
    Some(Errno::EMSGSIZE),
    None,
];

pub(crate) const AFTER: &str = "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 4\n\
    -a -t 10.0.0.1:80 -r 10.1.0.4:80 -m -w 1\n-A -t 10.0.0.3:80 -s rr\n-a -t 10.0.0.3:80 -r 10.1.0.3:80 -g -w 5\n";
/// Lines that can be added to the table before.
pub(crate) const MORE: &str =
    "-A -t 10.0.0.3:80 -s rr\n-a -t 10.0.0.3:80 -r 10.1.0.3:80 -g -w 5\n-A -f 7 -s rr\n";

/// Of a command with more calls than this, which has them in loops (the programs that manage the table, all that a check
/// looks at), each call meets one of the faults, the
/// next call the next.
const LOOPS: usize = 200;
const LOOP_STEP: usize = FAULTS.len();

/// One fault of so many is tried.
fn step(calls: usize) -> usize {
    match is_all() {
        true if calls > LOOPS => LOOP_STEP,
        true => 1,
        false => 97,
    }
}

/// Tries all faults at the calls of a part of a command.
fn try_part(work: &Work, part: Part) {
    lab::isolate();
    let before = work.start();
    let good = work.run();
    assert!([0, 1].contains(&good.status), "{good:?}");
    work.start();
    let calls = calls(work);
    let step = step(calls.len());
    let mut tried: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
    let mut defects = String::new();
    let mut state = State::read();
    for at in (0..calls.len()).filter(|at| at * part.of / calls.len() == part.number) {
        for (number, fault) in FAULTS.into_iter().enumerate() {
            if NEVER_REFUSED.contains(&calls[at])
                || (at * (FAULTS.len() + usize::from(step == LOOP_STEP)) + number) % step != 0
            {
                continue;
            }
            if state != before {
                before.restore();
            }
            let (call, got) = run(work, at, fault);
            state.clone_from(&got.state);
            let Some(call) = call else { continue };
            let [all, survived] = tried.entry(number).or_default();
            *all += 1;
            *survived += usize::from(got == good);
            let why = work
                .defect(&before, &good, &got)
                .or_else(|| (must_be_survived(fault, call, work) && got != good).then_some("not survived"));
            if let Some(why) = why {
                let _ = writeln!(
                    defects,
                    "ipvsadm {}: {fault:?} at {at}, system call {call} (ausyscall tells its name): {why}: {got:?}",
                    work.words
                );
            }
        }
    }
    let columns: Vec<String> = (0..FAULTS.len())
        .map(|number| tried.get(&number).map_or("-".into(), |[all, survived]| format!("{all}, {survived}")))
        .collect();
    row(&format!("fault | `{}` | {} | {} |", work.words, calls.len(), columns.join(" | ")));
    assert!(defects.is_empty(), "{defects}");
}

/// No kernel refuses these: the language's library panics, and the C library takes the errno of `brk` for an address. No call
/// comes back from the last.
const NEVER_REFUSED: [i64; 5] = [
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_brk,
    libc::SYS_exit_group,
];

/// Runs a command with a fault at a call. Returns which that was, if there were so many and it can be refused.
fn run(work: &Work, at: usize, fault: Option<Errno>) -> (Option<i64>, Outcome) {
    let (mut met, mut seen) = (None, 0);
    let output = traced::run(work.stopped(), |call| {
        seen += 1;
        if seen <= at || met.is_some() || NEVER_REFUSED.contains(&call.number) {
            return Way::Pass;
        }
        met = Some(call.number);
        fault.map_or(Way::Signal(Signal::SIGTERM), |errno| Way::Fail(errno as i32))
    });
    (met, Outcome::new(output))
}

/// The calls of a command.
fn calls(work: &Work) -> Vec<i64> {
    let mut calls = Vec::new();
    traced::run(work.stopped(), |call| {
        calls.push(call.number);
        Way::Pass
    });
    assert!(calls.iter().collect::<HashSet<_>>().len() > 4, "{calls:?}");
    calls
}

/// Faults that pass: a question is asked again.
fn must_be_survived(fault: Option<Errno>, call: i64, work: &Work) -> bool {
    match fault {
        Some(Errno::EINTR) => {
            [libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_read, libc::SYS_write].contains(&call)
        }
        Some(Errno::EAGAIN | Errno::ENOBUFS) => {
            work.asks() && [libc::SYS_sendto, libc::SYS_recvfrom].contains(&call)
        }
        _ => false,
    }
}

macro_rules! commands {
    ($($name:ident: $work:expr,)*) => {
        $(
            #[test]
            fn $name() {
                try_part(&$work, Part { number: 0, of: 1 });
            }
        )*
    };
}

commands! {
    add_service: work("-A -t 10.0.0.9:80 -s wrr -p 300"),
    add_server: work("-a -t 10.0.0.1:80 -r 10.1.0.9:80 -m"),
    edit_server: work("-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3 --keep"),
    list: work("-L -n"),
    list_json: work("-L --json"),
    metrics: work("-L --prometheus --file /run/faults-file"),
    save: work("-S -n"),
    save_file: work("-S -n --file /run/faults-file"),
    restore: Work { input: Some(MORE), by_step: true, ..work("-R") },
    replace: Work { input: Some(AFTER), by_step: true, ..work("-R --replace --file /run/faults-file") },
    diff: Work { input: Some(AFTER), ..work("-R --diff --file /run/faults-file") },
    apply: Work { input: Some(AFTER), ..work("-R --apply --file /run/faults-file") },
    watch: work("--watch 0.1 --count 2"),
    undrain: Work { behind: Some("--drain -r 10.1.0.1"), by_step: true, ..work("--undrain") },
}

fn check(part: Part) {
    try_part(&work("--check"), part);
}
parts!(check of 4);

fn drain(part: Part) {
    try_part(&Work { by_step: true, ..work("--drain -r 10.1.0.1 --wait 5") }, part);
}
parts!(drain of 4);
