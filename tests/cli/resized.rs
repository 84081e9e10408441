//! `-L -c` while the kernel's connection table is resized, as since Linux 7.1 it is.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::json::read;
use crate::{OURS, run};
use lab::kernel;
use lab::many_connections;

/// Each writing makes the kernel build the table anew.
const LFACTOR: &str = "/proc/sys/net/ipv4/vs/conn_lfactor";

const COUNT: u32 = 3000;

/// A network with many connections; none on a kernel whose table has one size.
fn connections() -> Option<()> {
    lab::isolate();
    kernel::has("connection table that is resized", &format!("test -e {LFACTOR}"))
        .then(|| many_connections::make(COUNT, 1000))
}

/// Has the kernel build the table anew again and again, while `work` runs.
fn resizing<T>(mut beside: impl FnMut(u32) + Send, pause: u64, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for times in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                std::fs::write(LFACTOR, if times % 2 == 0 { "2" } else { "-4" }).unwrap();
                beside(times);
                std::thread::sleep(Duration::from_millis(pause));
            }
        });
        let done = catch_unwind(AssertUnwindSafe(work));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The rows of a listing without their times, and how many different ones there are.
fn rows(listing: &str) -> (usize, usize) {
    let rows: Vec<&str> = listing.lines().skip(2).map(|row| &row[23..]).collect();
    (rows.len(), rows.iter().collect::<HashSet<_>>().len())
}

#[test]
fn each_connection_is_listed_once() {
    if connections().is_none() {
        return;
    }
    assert_eq!(run(OURS, "-A -t 192.0.2.1:80 -s rr").0, 0);
    let count = usize::try_from(COUNT).unwrap();
    let told = resizing(|_| (), 5, || [(); 6].map(|()| run(lab::ORIGINAL, "-Lnc").1));
    assert!(
        told.iter().any(|listing| rows(listing).1 < count),
        "the original has all rows: nothing is shown here"
    );
    resizing(
        |_| (),
        30,
        || {
            for _ in 0..3 {
                let (status, listing, said) = run(OURS, "-Lnc");
                assert_eq!((status, said.as_str(), rows(&listing)), (0, "", (count, count)));
                let (_, listing, _) = run(OURS, "-Lnc --client 10.1.0.7");
                assert_eq!(rows(&listing), (3, 3));
                let (_, summary, _) = run(OURS, "-Lnc --summary client --top 1");
                assert!(
                    summary.starts_with("IPVS connections by client (connections=3000, clients=1000)\n"),
                    "{summary}"
                );
                let listed = read(&run(OURS, "-L -c --json").1);
                assert_eq!(listed["connections"].as_array().unwrap().len(), count);
                // Their server is in no service.
                let found = run(OURS, "--check --json").1;
                assert!(found.contains("\"3000 connections to a server that is no longer"), "{found}");
            }
        },
    );
}

#[test]
fn a_table_that_is_never_left_alone_is_said_to_be_one() {
    if connections().is_none() {
        return;
    }
    assert_eq!(run(OURS, "-A -u 192.0.2.254:53 -s rr").0, 0);
    assert_eq!(run(OURS, "-a -u 192.0.2.254:53 -r 192.0.2.254:54 -m").0, 0);
    // Connections begin all the time.
    let begin = |times: u32| {
        if times % 8 == 0 {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let _ = socket.send_to(b"ping", "192.0.2.254:53");
        }
    };
    // A reading may fall into a moment in which nothing happens, and is right then.
    let is_said = (0..8).any(|_| {
        let (status, listing, said) = resizing(begin, 2, || run(OURS, "-Lnc"));
        let (all, different) = rows(&listing);
        assert_eq!(all, different, "{said}");
        let warns =
            said.starts_with("warning: the kernel resized its connection table during each reading: ");
        assert_eq!((status, said.is_empty()), (i32::from(warns), !warns), "{said}");
        warns
    });
    assert!(is_said);
    assert_eq!(run(OURS, "-Lnc").0, 0);
}
