//! Many names: asked for together, each once, from name servers that answer late, wrongly, or not at all.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::names::machine;
use crate::{OURS, feed, run, set_up, table};
use lab::dns::{self, Way};

/// What the README and the manual promise.
const BOUND: Duration = Duration::from_secs(12);

/// At least as many are on their way together, however busy the machine is; the original has one.
const AT_ONCE: usize = 12;

const LATE: Duration = Duration::from_millis(50);

/// A service with servers from 10.1.0.1 on, in numbers.
fn rules(servers: usize) -> String {
    let server = |number: usize| {
        format!("-a -t 10.1.255.1:80 -r 10.1.{}.{}:80 -m -w 1\n", number / 250, number % 250 + 1)
    };
    "-A -t 10.1.255.1:80 -s rr\n".to_owned() + &(0..servers).map(server).collect::<String>()
}

/// The same by names.
fn by_name(rules: &str) -> String {
    let words = rules.split_inclusive([' ', '\n']).map(|word| {
        match word.strip_prefix("10.1.").and_then(|rest| rest.split_once(":80")) {
            Some((end, blank)) => format!("s{}.example.test:http{blank}", end.replace('.', "-")),
            None => word.to_owned(),
        }
    });
    words.collect()
}

/// The words of a listing, with names turned back into numbers.
fn in_numbers(listing: &str) -> Vec<Vec<String>> {
    let number = |word: &str| {
        let word = word.replace(":http", ":80");
        match word.strip_prefix('s').and_then(|rest| rest.split_once(".example.test")) {
            Some((name, port)) => format!("10.1.{}{port}", name.replace('-', ".")),
            None => word,
        }
    };
    listing.lines().map(|line| line.split_whitespace().map(number).collect()).collect()
}

/// A name server for [`rules`] that answers late: a listing, a save and a restore ask for many names at once, and for each
/// once in each direction. `others` come behind it in nsswitch.conf, if the C library is to be asked.
fn asks_for_many_at_once(hosts: &str) {
    const SERVERS: usize = 150;
    machine(hosts, "");
    let log = dns::serve("127.0.0.1:53", dns::cluster, |_, _| Way::Late(LATE));
    let numeric = rules(SERVERS);
    set_up(&numeric);
    for (line, directions) in [("-L", 1), ("-S", 2), ("-L --stats", 1)] {
        *log.lock().unwrap() = dns::Log::default();
        let (status, told, complaint) = run(OURS, line);
        assert_eq!((status, complaint.as_str()), (0, ""), "{line}");
        assert_eq!(
            told.matches(".example.test:http").count(),
            SERVERS + if line == "-S" { SERVERS + 1 } else { 1 }
        );
        if line == "-S" {
            assert_eq!(told, by_name(&numeric));
        }
        let log = log.lock().unwrap();
        let different: BTreeSet<&String> = log.asked.iter().collect();
        assert_eq!(different.len(), directions * (SERVERS + 1), "{line}");
        assert_eq!(log.asked.len(), different.len(), "{line}: each is asked for once");
        assert!((AT_ONCE..=256).contains(&log.most_open), "{line}: {} at once", log.most_open);
    }
    run(OURS, "-C");
    *log.lock().unwrap() = dns::Log::default();
    assert_eq!(feed(OURS, "-R", &by_name(&numeric)), (0, String::new(), String::new()));
    assert_eq!(table(), numeric);
    let log = log.lock().unwrap();
    assert_eq!(log.asked.len(), SERVERS + 1);
    assert!(log.most_open >= AT_ONCE, "{} at once", log.most_open);
}

#[test]
fn name_servers_are_asked_for_many_names_at_once() {
    asks_for_many_at_once("files dns");
}

#[test]
fn the_c_library_is_asked_for_many_names_at_once() {
    // A source that this program does not know, and that is not there.
    asks_for_many_at_once("files nosuchsource dns");
}

#[test]
fn what_a_name_server_answers_is_shown_as_by_the_original() {
    machine("files dns", "");
    dns::serve(
        "127.0.0.1:53",
        |name, kind| {
            let records = dns::cluster(name, kind)?;
            match kind {
                _ if name.starts_with("7.") => None,
                _ if name.starts_with("8.") => Some(Vec::new()),
                dns::PTR if name.starts_with("9.") => Some(dns::roundabout(name, records)),
                dns::A if name.starts_with("s0-6.") => Some(dns::roundabout(name, records)),
                _ => Some(records),
            }
        },
        |_, name| match name.as_bytes().first() {
            Some(b'2') => Way::Truncated,
            Some(b'3') => Way::Late(LATE),
            Some(b'4') => Way::Failure,
            _ => Way::Answer,
        },
    );
    set_up(&rules(10));
    for line in ["-L", "-L --thresholds", "-L -t 10.1.255.1:80", "-L -c", "-L --exact --stats"] {
        let (original, ours) = (run(lab::ORIGINAL, line), run(OURS, line));
        assert_eq!(original, ours, "{line}");
    }
    let (_, listing, _) = run(OURS, "-L");
    for shown in
        ["s0-2.example.test:http", "s0-3.example.test:http", "10.1.0.4:http", "another", "10.1.0.7:http"]
    {
        assert_eq!(listing.contains(shown), shown != "another", "{shown}: {listing}");
    }
    // The original does not look whether names are what they were.
    assert_eq!(run(lab::ORIGINAL, "-S").1, run(OURS, "-S").1);
}

#[test]
fn a_name_server_that_does_not_answer_holds_nothing_up() {
    machine("files dns", "");
    dns::serve("127.0.0.1:53", dns::cluster, |_, name| {
        // Nothing for odd addresses.
        let number = name.split('.').next().and_then(|first| first.parse::<u8>().ok());
        if number.is_some_and(|number| number % 2 == 1) { Way::Lost } else { Way::Answer }
    });
    set_up(&rules(150));
    let begin = Instant::now();
    let (status, listing, complaint) = run(OURS, "-L");
    assert!(begin.elapsed() < BOUND, "{:?}", begin.elapsed());
    assert_eq!(status, 0);
    assert_eq!(listing.matches(".example.test:http").count(), 75, "what came is used: {listing}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.starts_with("76 names did not come") && complaint.contains("-n "), "{complaint}");
    assert_eq!(in_numbers(&listing), in_numbers(&run(lab::ORIGINAL, "-L -n").1));
}

#[test]
fn a_change_by_a_name_that_nobody_answers_for_is_refused_in_time() {
    machine("files dns", "");
    dns::serve("127.0.0.1:53", dns::cluster, |_, _| Way::Lost);
    let begin = Instant::now();
    let (status, _, complaint) = run(OURS, "-A -t s0-1.example.test:80");
    assert!(begin.elapsed() < BOUND, "{:?}", begin.elapsed());
    assert_eq!(status, 2);
    assert!(complaint.contains("no name server answered for the host 's0-1.example.test'"), "{complaint}");
}

/// Answers lost, late, wrong and refused in an order that looks random: what is shown is what the original shows, or a number.
#[test]
fn a_soak_of_names() {
    const NAMES: usize = 120;
    machine("files dns", "");
    dns::serve("127.0.0.1:53", dns::cluster, |number, _| match number * 7919 % 23 {
        0..=3 => Way::Lost,
        4 => Way::WrongId,
        5..=9 => Way::Late(Duration::from_millis(300)),
        10 => Way::Truncated,
        _ => Way::Answer,
    });
    set_up(&rules(NAMES));
    let numbers = run(lab::ORIGINAL, "-L -n").1;
    for _ in 0..2 {
        let begin = Instant::now();
        let (status, listing, complaint) = run(OURS, "-L");
        assert!(begin.elapsed() < BOUND, "{:?}", begin.elapsed());
        let named = listing.matches(".example.test:http").count();
        assert_eq!((status, complaint.is_empty()), (0, named == NAMES + 1), "{complaint}");
        assert!(named > NAMES / 2, "{named}: {complaint}");
        assert_eq!(in_numbers(&listing), in_numbers(&numbers));
    }
}
