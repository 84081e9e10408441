//! Choices that were seen on kernels, and those of the kernel that runs the tests, with real packets.

mod traffic;

use std::net::{IpAddr, SocketAddr};

use ipvs::{Destination, DestinationEntry, Family, ForwardingMethod, SchedulerFlags, Service, ServiceId};

use super::Availability::{Available, Between, Full};
use super::{Availability, Choices, Flow, Unknown, Verdict};

/// The servers of a history, `+11=3 ~11=0 -11` for added, edited and deleted, in the kernel's order; and their last weights
/// other than 0.
fn servers(history: &str, port: u16, address: impl Fn(u8) -> IpAddr) -> Vec<(DestinationEntry, u32)> {
    let mut servers: Vec<(DestinationEntry, u32)> = Vec::new();
    for word in history.split_whitespace() {
        let (number, weight) = word[1..].split_once('=').unwrap_or((&word[1..], "0"));
        let (address, weight) = (address(number.parse().unwrap()), weight.parse().unwrap());
        let destination = Destination::new(address, port, ForwardingMethod::Masquerade).with_weight(weight);
        let own = servers.iter_mut().filter(|(it, _)| it.destination.id == destination.id);
        match word.as_bytes().first() {
            Some(b'+') => servers.insert(0, (DestinationEntry::new(destination), weight)),
            Some(b'~') => own.for_each(|(entry, last)| {
                entry.destination = destination;
                *last = if weight == 0 { *last } else { weight };
            }),
            _ => servers.retain(|(it, _)| it.destination.id != destination.id),
        }
    }
    servers
}

fn flags(words: &str) -> SchedulerFlags {
    words.split(',').filter(|word| !word.is_empty()).fold(SchedulerFlags::default(), |flags, word| {
        flags | if word == "port" { SchedulerFlags::FLAG_2 } else { SchedulerFlags::FLAG_1 }
    })
}

/// The choices for flows, with known last weights.
fn choose(service: &Service, servers: &[(DestinationEntry, u32)], flows: &[Flow]) -> Vec<Verdict> {
    let entries: Vec<DestinationEntry> = servers.iter().map(|(entry, _)| *entry).collect();
    let last = |server: &DestinationEntry| servers.iter().find(|(it, _)| it == server).map(|(_, last)| *last);
    let choices = Choices::new(service, &entries, &last);
    flows.iter().map(|flow| choices.of(flow)).collect()
}

#[test]
fn choices_are_those_that_were_seen() {
    const SEEN: &str = "
        sh | | 4 | +11=1 +12=1 +13=1 | 12 13 11 11 13
        sh | | 4 | +11=3 +12=1 +13=2 | 11 13 12 12 11
        sh | port | 4 | +11=3 +12=1 +13=2 | 11 13 13 11 11
        sh | fallback | 4 | +11=3 +12=1 +13=2 ~12=0 | 11 13 13 13 11
        sh | fallback | 4 | +11=3 +12=1 +13=2 ~11=0 | 12 13 12 12 13
        sh | fallback,port | 4 | +11=3 +12=1 +13=2 ~11=0 | 13 12 12 13 13
        sh | | 4 | +11=3 +12=1 +13=2 ~11=0 | 12 13 12 12 13
        sh | | 4 | +11=0 +12=1 +13=2 | 12 13 12 12 13
        sh | | 4 | +11=300 +12=200 +13=100 | 13 13 12 12 12
        sh | | 6 | +11=3 +12=1 +13=2 | 11 11 12 11
        sh | port | 6 | +11=3 +12=1 +13=2 | 12 11 13 11
        sh | | mark | +11=3 +12=1 +13=2 | 11 13 12 12 11
        mh | | 4 | +11=1 +12=1 +13=1 | 12 13 13 13 13
        mh | | 4 | +11=3 +12=1 +13=2 | 11 11 13 13 11
        mh | port | 4 | +11=3 +12=1 +13=2 | 11 11 11 12 11
        mh | fallback | 4 | +11=3 +12=1 +13=2 ~12=0 | 11 11 13 13 11
        mh | fallback | 4 | +11=3 +12=1 +13=2 ~11=0 | 12 13 13 13 13
        mh | fallback,port | 4 | +11=3 +12=1 +13=2 ~11=0 | 13 12 13 12 12
        mh | | 4 | +11=3 +12=1 +13=2 ~11=0 | - - 13 13 -
        mh | | 4 | +11=0 +12=1 +13=2 | 13 13 13 13 13
        mh | | 4 | +11=300 +12=200 +13=100 | 12 11 11 11 11
        mh | | 6 | +11=3 +12=1 +13=2 | 12 11 11 13
        mh | port | 6 | +11=3 +12=1 +13=2 | 12 11 12 13
        mh | | mark | +11=3 +12=1 +13=2 | 11 13 13 13 11
        dh | | mark | +11=3 +12=1 +13=2 | 12 13 11 13
        dh | | mark | +11=3 +12=1 +13=2 ~12=0 | - 13 11 13";
    let four =
        "192.0.2.77:40001 198.51.100.1:40001 198.51.100.2:40001 198.51.100.2:40002 203.0.113.254:65535";
    let six =
        "[2001:db8::1]:40001 [2001:db8::2]:40001 [2001:db8::ffff:0:0:1]:40001 [2001:db8:1:2:3:4:5:6]:40001";
    let destinations = ["192.0.2.77", "198.51.100.1", "198.51.100.2", "203.0.113.254"];
    for row in SEEN.trim().lines() {
        let [scheduler, words, kind, history, seen] = row.split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{row}")
        };
        let is_six = kind == "6";
        let vip: IpAddr = if is_six { "2001:db8::100" } else { "192.0.2.100" }.parse().unwrap();
        let id =
            if kind == "mark" { ServiceId::fwmark(7, Family::V4).unwrap() } else { ServiceId::tcp(vip, 80) };
        let service = Service::new(id, scheduler.parse().unwrap()).with_scheduler_flags(flags(words));
        let address = |number: u8| {
            if is_six { format!("2001:db8::{number}") } else { format!("192.0.2.{number}") }.parse().unwrap()
        };
        let servers = servers(history, id.port(), address);
        let clients =
            (if is_six { six } else { four }).split(' ').map(|it| it.parse::<SocketAddr>().unwrap());
        let by_client = clients.map(|it| Flow { client: it.ip(), port: Some(it.port()), to: Some(vip) });
        let by_destination = destinations.iter().map(|to| Flow {
            client: "192.0.2.1".parse().unwrap(),
            port: None,
            to: Some(to.parse().unwrap()),
        });
        let flows: Vec<Flow> = if scheduler == "dh" { by_destination.collect() } else { by_client.collect() };
        let number = |verdict: Verdict| match verdict {
            Verdict::Server(at) => servers[at].0.destination.id.address.to_string(),
            Verdict::Refused(_) => "-".to_owned(),
            Verdict::Unknown(what) => format!("{what:?}"),
        };
        let chosen: Vec<String> = choose(&service, &servers, &flows).into_iter().map(number).collect();
        let expected: Vec<String> = seen
            .split(' ')
            .map(|it| it.parse().map_or(it.to_owned(), |number| address(number).to_string()))
            .collect();
        assert_eq!(chosen, expected, "{row}");
    }
}

fn entry(number: u8, weight: u32, active: u32, inactive: u32) -> DestinationEntry {
    let destination =
        Destination::new([192, 0, 2, number].into(), 80, ForwardingMethod::DirectRouting).with_weight(weight);
    DestinationEntry {
        active_connections: active,
        inactive_connections: inactive,
        ..DestinationEntry::new(destination)
    }
}

fn flow(client: u8) -> Flow {
    Flow { client: [198, 51, 100, client].into(), port: None, to: Some([192, 0, 2, 100].into()) }
}

fn verdict(scheduler: &str, words: &str, servers: &[DestinationEntry], flow: &Flow) -> Verdict {
    let service = Service::new(ServiceId::tcp([192, 0, 2, 100].into(), 80), scheduler.parse().unwrap())
        .with_scheduler_flags(flags(words));
    Choices::new(&service, servers, &|_| None).of(flow)
}

#[test]
fn what_no_listing_tells_is_not_guessed() {
    let drained = [entry(11, 1, 0, 0), entry(12, 0, 0, 0), entry(13, 2, 0, 0)];
    assert_eq!(verdict("mh", "", &drained, &flow(1)), Verdict::Unknown(Unknown::LastWeight(1)));
    assert_eq!(verdict("mh", "fallback", &drained, &flow(1)), Verdict::Unknown(Unknown::LastWeight(1)));
    // With a single server left there is no choice.
    assert_eq!(verdict("mh", "fallback", &drained[..2], &flow(1)), Verdict::Server(0));
    assert_eq!(verdict("mh", "", &drained[1..2], &flow(1)), Verdict::Refused(None));
    assert_eq!(verdict("sh", "port", &drained, &flow(1)), Verdict::Unknown(Unknown::Port));
    assert_eq!(verdict("rr", "", &drained, &flow(1)), Verdict::Unknown(Unknown::Past));
    assert_eq!(verdict("rr", "", &drained[..2], &flow(1)), Verdict::Server(0));
    assert_eq!(verdict("twos", "", &drained, &flow(1)), Verdict::Unknown(Unknown::Chance));
    assert_eq!(verdict("own", "", &drained, &flow(1)), Verdict::Unknown(Unknown::Scheduler));
    assert_eq!(
        verdict("dh", "", &drained, &Flow { to: None, ..flow(1) }),
        Verdict::Unknown(Unknown::Destination)
    );
    assert_eq!(verdict("wlc", "", &[], &flow(1)), Verdict::Refused(None));
}

#[test]
fn a_server_between_its_thresholds_was_full_or_not() {
    let limited = |count: u32, upper, lower| {
        let entry = entry(11, 1, count, 0);
        let destination = entry.destination.with_upper_threshold(upper).with_lower_threshold(lower);
        Availability::of(&DestinationEntry { destination, ..entry })
    };
    assert_eq!([0, 2, 3, 4].map(|count| limited(count, 4, 0)), [Available, Available, Between, Full]);
    assert_eq!([0, 1, 2, 4].map(|count| limited(count, 4, 2)), [Available, Available, Between, Full]);
    assert_eq!(limited(9, 0, 0), Available);
    let between = {
        let entry = entry(11, 1, 3, 0);
        DestinationEntry { destination: entry.destination.with_upper_threshold(4), ..entry }
    };
    let servers = [between, entry(12, 1, 9, 0)];
    assert_eq!(verdict("lc", "", &servers, &flow(1)), Verdict::Unknown(Unknown::BetweenThresholds(0)));
    let idle = [between, entry(12, 1, 0, 0)];
    assert_eq!(verdict("lc", "", &idle, &flow(1)), Verdict::Server(1));
}

#[test]
fn counting_schedulers_take_the_newest_of_those_that_are_alike() {
    let servers = [entry(13, 1, 2, 0), entry(12, 3, 4, 9), entry(11, 1, 2, 0)];
    for (scheduler, chosen) in [("lc", 0), ("wlc", 1), ("sed", 1), ("nq", 1), ("fo", 1), ("ovf", 0)] {
        let expected = if scheduler == "ovf" { Verdict::Refused(None) } else { Verdict::Server(chosen) };
        assert_eq!(verdict(scheduler, "", &servers, &flow(1)), expected, "{scheduler}");
    }
    let idle = [entry(13, 1, 1, 0), entry(12, 3, 3, 0), entry(11, 1, 0, 0)];
    for (scheduler, chosen) in [("lc", 2), ("wlc", 2), ("sed", 2), ("nq", 2), ("fo", 1), ("ovf", 1)] {
        assert_eq!(verdict(scheduler, "", &idle, &flow(1)), Verdict::Server(chosen), "{scheduler}");
    }
}
