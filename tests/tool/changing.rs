//! Listings while the table changes: services that nobody touched are all there, once.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use ipvs::{Change, Client, Service, ServiceId};

use crate::{OURS, lab, run};

/// Of so many services, each tenth comes and goes.
const SERVICES: u32 = 5000;

fn id(number: u32) -> ServiceId {
    ServiceId::tcp(Ipv4Addr::from_bits(0x0a00_0000 + number).into(), 80)
}

fn service(number: u32) -> Change {
    Change::AddService(Service::new(id(number), "rr".parse().unwrap()))
}

/// Has services come and go until it is told to stop.
fn meddle(stop: &AtomicBool) {
    let mut client = Client::open().unwrap();
    let some = |from: u32| (from..from + 1000).step_by(10).map(|number| number % SERVICES);
    for from in (0..).step_by(1000).take_while(|_| !stop.load(Ordering::Relaxed)) {
        let gone: Vec<Change> = some(from).map(|number| Change::DeleteService(id(number))).collect();
        let back: Vec<Change> = some(from).map(service).collect();
        client.apply_all(&gone).unwrap();
        client.apply_all(&back).unwrap();
    }
}

/// How many services that nobody touched are not in a listing, and how many lines there are too many.
fn wrong(listing: &str) -> (usize, usize) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    let services =
        listing.lines().filter_map(|line| line.split_whitespace().find(|word| word.ends_with(":80")));
    services.for_each(|service| *times.entry(service).or_default() += 1);
    let untouched = (0..SERVICES).filter(|number| number % 10 != 0).map(|number| id(number).to_string());
    let lost = untouched.filter(|id| !times.contains_key(id.trim_start_matches("TCP ")));
    (lost.count(), times.values().map(|times| times - 1).sum())
}

/// What is wrong with some listings of a tool while the table changes.
fn listings(tool: &str, words: &str, count: usize) -> Vec<(usize, usize)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| meddle(&stop));
        let found = (0..count).map(|_| wrong(&run(tool, words).1)).collect();
        stop.store(true, Ordering::Relaxed);
        found
    })
}

#[test]
fn rows_are_neither_lost_nor_doubled_while_the_table_changes() {
    lab::isolate();
    Client::open().unwrap().apply_all(&(0..SERVICES).map(service).collect::<Vec<_>>()).unwrap();
    let original = listings(lab::ORIGINAL, "-Ln", 2);
    assert!(original.iter().any(|(lost, doubled)| lost + doubled > 0), "the original: {original:?}");
    assert_eq!(listings(OURS, "-Ln", 10), [(0, 0); 10]);
    assert_eq!(listings(OURS, "-Sn", 1), [(0, 0)]);
}
