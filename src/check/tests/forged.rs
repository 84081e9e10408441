//! Packets with forged senders, and clients that wait for a server in vain.

use super::waiting::{RS1, RS2, connections, expiry, rows};
use super::{director, found, table, two_servers};

/// Rows of connections, each of another client, from this one on.
fn strangers(server: &str, count: usize, idle: u64, first: usize) -> String {
    let lines = rows(server, "SYN_RECV", count, idle);
    let each = lines.lines().enumerate();
    each.map(|(at, line)| line.replace("C0A8010A", &format!("0A4D{:04X}", first + at)) + "\n").collect()
}

#[test]
fn forged_senders_are_no_evidence() {
    let alike = |count, idle| strangers(RS1, count, idle, 0) + &strangers(RS2, count, idle, 1000);
    let served = |server, idle| rows(server, "TIME_WAIT", 1, idle);
    for (lines, is_found) in [
        // A burst, and then one request.
        (alike(4, 20) + &served(RS1, 5), false),
        (alike(40, 20) + &served(RS1, 5), false),
        (alike(40, 20), false),
        (strangers(RS1, 50, 20, 0) + &strangers(RS2, 10, 20, 1000), false),
        // So few that come once each may be anybody.
        (alike(4, 20), false),
        (strangers(RS1, 6, 20, 0), false),
        // So many are none of the other server's.
        (strangers(RS1, 20, 20, 0), true),
        (strangers(RS1, 20, 20, 0) + &served(RS2, 5), true),
        // Those who come again are clients.
        (rows(RS1, "SYN_RECV", 4, 20) + &served(RS2, 5), true),
        (rows(RS1, "SYN_RECV", 4, 20) + &rows(RS2, "SYN_RECV", 4, 20), true),
        (strangers(RS1, 3, 20, 0) + &strangers(RS1, 3, 20, 0), true),
        // Somebody else is served by both meanwhile.
        (
            rows(RS1, "SYN_RECV", 4, 20)
                + &rows(RS2, "SYN_RECV", 4, 20)
                + &served(RS1, 5).replace("C0A8010A", "C0000209"),
            false,
        ),
    ] {
        let mut director = director(table("rr", two_servers()));
        director.connections = connections(&lines, &director.table, expiry());
        assert_eq!(found(&director).iter().any(|(id, _)| *id == "syn-recv"), is_found, "{lines}");
    }
    // A single server that serves others.
    let mut director = director(table("rr", vec![two_servers().remove(0)]));
    for (lines, is_found) in [
        (strangers(RS1, 40, 20, 0) + &served(RS1, 5), false),
        (strangers(RS1, 40, 20, 0) + &served(RS1, 30), true),
        (strangers(RS1, 40, 20, 0), true),
    ] {
        director.connections = connections(&lines, &director.table, expiry());
        assert_eq!(!found(&director).is_empty(), is_found, "{lines}");
    }
}
