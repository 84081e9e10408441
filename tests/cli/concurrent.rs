//! Listings while the table changes: objects that nobody changes appear exactly once.

use std::collections::HashMap;

use ipvs::{Client, Service};
use lab::churn::{COUNT, Kind, SERVERS, SERVICES, address, web};

use crate::{OURS, feed, run};

/// How many unchanged objects are missing from a listing, and how many lines are extra.
fn wrong(listing: &str) -> (usize, usize) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    // In a save, a server's line follows its service.
    let told = listing.lines().filter_map(|line| line.split_whitespace().rfind(|word| word.ends_with(":80")));
    told.for_each(|id| *times.entry(id).or_default() += 1);
    let untouched =
        (0..COUNT).filter(|number| number % 10 != 0).map(|number| format!("{}:80", address(number)));
    let lost = untouched.filter(|id| !times.contains_key(id.as_str()));
    (lost.count(), times.values().map(|times| times - 1).sum())
}

/// The errors in some listings of a tool while objects of a kind are deleted and added.
fn listings(kind: Kind, tool: &str, words: &str, count: usize) -> Vec<(usize, usize)> {
    kind.meanwhile(|| (0..count).map(|_| wrong(&run(tool, words).1)).collect())
}

/// Asserts that the original loses or doubles objects while others change. On a busy machine it may read the whole table
/// between two changes, several times.
fn assert_original_errs(kind: Kind) {
    let errs = || wrong(&run(lab::ORIGINAL, "-Ln").1) != (0, 0);
    assert!(kind.meanwhile(|| (0..50).any(|_| errs())), "the original shows each once");
}

#[test]
fn rows_are_neither_lost_nor_doubled_while_the_table_changes() {
    lab::isolate();
    SERVICES.add_all();
    assert_original_errs(SERVICES);
    assert_eq!(listings(SERVICES, OURS, "-Ln", 10), [(0, 0); 10]);
    assert_eq!(listings(SERVICES, OURS, "-Sn", 1), [(0, 0)]);
}

#[test]
fn servers_are_neither_lost_nor_doubled_while_those_of_their_service_change() {
    lab::isolate();
    Client::open().unwrap().add_service(&Service::new(web(), "rr".parse().unwrap())).unwrap();
    SERVERS.add_all();
    let saved = run(OURS, "-Sn").1;
    assert_original_errs(SERVERS);
    assert_eq!(listings(SERVERS, OURS, "-Ln", 5), [(0, 0); 5]);
    assert_eq!(listings(SERVERS, OURS, "-Sn", 3), [(0, 0); 3]);
    // A server missing from the listing would be added, and one that is not in the file deleted.
    let differences = SERVERS.meanwhile(|| [(); 3].map(|()| feed(OURS, "-R --diff", &saved).1));
    let untouched: Vec<String> = (0..COUNT)
        .filter(|number| number % 10 != 0)
        .map(|number| format!("{}:80", address(number)))
        .collect();
    for lines in differences {
        let wrong: Vec<&str> =
            lines.lines().filter(|line| untouched.iter().any(|id| line.contains(id))).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
