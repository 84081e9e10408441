//! Large services: an edit of one server costs as much as in a small one, and many servers are drained in proportion to their number.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ipvs::{Client, DestinationId, ServiceId};

use crate::drain::own_notes;
use crate::{OURS, feed, run};

const MANY: u32 = 20_000;
const LARGE: &str = "10.0.0.1:80";

/// Fills the table.
fn fill(lines: &str) {
    let (status, _, said) = feed(OURS, "-R", lines);
    assert_eq!((status, said.as_str()), (0, ""));
}

fn server(number: u32) -> String {
    format!("10.1.{}.{}:80", number / 250, number % 250 + 1)
}

/// The best of some times.
fn best(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    (0..7).map(once).min().unwrap()
}

#[test]
fn an_edit_in_a_large_service_is_no_dearer_than_in_a_small_one() {
    lab::isolate();
    let mut lines =
        format!("-A -t {LARGE} -s wrr\n-A -t 10.0.0.2:80 -s wrr\n-a -t 10.0.0.2:80 -r 10.1.0.1:80 -m -w 1\n");
    for number in 0..MANY {
        writeln!(lines, "-a -t {LARGE} -r {} -m -w 1 -x 1000", server(number)).unwrap();
    }
    fill(&lines);
    let edit = |service: &str, server: &str, weight: u32| {
        assert_eq!(run(OURS, &format!("-e -t {service} -r {server} -m -w {weight} -x 1000")).0, 0);
    };
    let mut weight = 1;
    let mut timed = |service: &str, server: &str| {
        best(|| {
            weight += 1;
            edit(service, server, weight);
        })
    };
    let small = timed("10.0.0.2:80", "10.1.0.1:80");
    for number in [0, MANY / 2, MANY - 1] {
        let large = timed(LARGE, &server(number));
        assert!(large < small * 2, "{large:?} for the server {number}, {small:?} in a small service");
    }
    // What is to be kept is found wherever it is; a warning is about what is near.
    assert_eq!(
        run(OURS, &format!("-e -t {LARGE} -r {} --keep -w 9", server(0))),
        (0, String::new(), String::new())
    );
    let (_, _, said) = run(OURS, &format!("-e -t {LARGE} -r {} -m -w 9", server(MANY - 1)));
    assert!(said.contains("reset options that were left out: '-x 1000' to 0"), "{said}");
    let (status, _, said) = run(OURS, &format!("-e -t {LARGE} -r 10.9.0.1:80 --keep -w 9"));
    assert_eq!((status, said.as_str()), (255, "No such destination: '10.9.0.1:80'; there is 10.1.0.1:80\n"));

    // The library, whose client goes on after a list that was broken off.
    let mut client = Client::open().unwrap();
    let service = ServiceId::tcp([10, 0, 0, 1].into(), 80);
    let id = |number| server(number).parse::<DestinationId>().unwrap();
    let expected = [(0, 9), (1, 1), (MANY / 2, 1), (MANY - 2, 1), (MANY - 1, 9)];
    for (number, weight) in expected {
        let found = client.destination(&service, &id(number)).unwrap().map(|entry| entry.destination);
        assert!(found.is_some_and(|found| found.id == id(number) && (found.weight == weight || number == MANY / 2)));
        let recent = client.recent_destination(&service, &id(number), 64).unwrap();
        assert_eq!(recent.is_some(), number > MANY - 64, "{number}");
        let edited = found.unwrap().with_upper_threshold(2000);
        client.edit_destination(&service, &edited).unwrap();
        assert_eq!(client.services().unwrap().len(), 2);
        assert_eq!(client.destination(&service, &id(number)).unwrap().unwrap().destination, edited);
    }
    assert_eq!(client.destination(&service, &id(MANY)).unwrap(), None);
    assert_eq!(client.destinations(&service).unwrap().len(), usize::try_from(MANY).unwrap());
    let nowhere = ServiceId::tcp([10, 0, 0, 9].into(), 80);
    assert_eq!(client.destination(&nowhere, &id(0)).unwrap(), None);
}

#[test]
fn many_servers_are_drained_in_proportion_to_their_number() {
    lab::isolate();
    own_notes();
    let timed = |ports: u32| {
        let mut lines = format!("-A -t {LARGE} -s wrr\n-a -t {LARGE} -r 10.1.0.2:80 -m -w 1\n");
        for port in 1..=ports {
            writeln!(lines, "-a -t {LARGE} -r 10.1.0.1:{port} -m -w 1").unwrap();
        }
        assert_eq!(run(OURS, "-C").0, 0);
        fill(&lines);
        let begin = Instant::now();
        let (status, out, said) = run(OURS, "--drain -r 10.1.0.1");
        assert_eq!((status, out.lines().count(), said.as_str()), (0, ports.try_into().unwrap(), ""));
        let (status, out, said) = run(OURS, "--undrain");
        assert_eq!((status, out.lines().count(), said.as_str()), (0, ports.try_into().unwrap(), ""));
        begin.elapsed()
    };
    timed(10);
    let (few, many) = (timed(1_000), timed(8_000));
    // Eight times in proportion, sixty-four by the square.
    assert!(many < few * 16, "{few:?} for 1,000, {many:?} for 8,000");
}

/// A warning for each of a thousand services would hide the others.
#[test]
fn many_services_are_named_in_a_line_for_a_kind() {
    lab::isolate();
    own_notes();
    let mut lines = String::new();
    for number in 0..600 {
        let vip = format!("10.2.{}.{}:80", number / 250, number % 250 + 1);
        let kind = match number % 3 {
            0 => "-s wrr -p 300",
            1 => "-s sh",
            _ => "-s dh",
        };
        writeln!(
            lines,
            "-A -t {vip} {kind}\n-a -t {vip} -r 10.1.0.1:80 -m -w 0\n-a -t {vip} -r 10.1.0.2:80 -m -w 1"
        )
        .unwrap();
    }
    fill(&lines);
    std::fs::write("/proc/thread-self/root/proc/sys/net/ipv4/vs/expire_quiescent_template", "0").unwrap();
    let (status, out, said) = run(OURS, "--drain -r 10.1.0.1");
    assert_eq!((status, out.lines().count()), (0, 600));
    let of = |words: &str| said.lines().filter(|line| line.contains(words)).count();
    let kinds =
        ["had weight 0 before", "expire_quiescent_template", "-b sh-fallback", "has no way around that"];
    assert_eq!((said.lines().count(), kinds.map(of)), (4, [1; 4]), "{said}");
    assert_eq!(said.matches(" and 199 more").count(), 3, "{said}");
}
