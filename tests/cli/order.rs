//! Where the scheduler is `sh` or `dh`, the order in which servers were added decides which client goes to which: a save
//! and a restore, and `--apply`, keep it. The clients are real ones, 500 of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, UdpSocket};

use ipvs::Connections;

use crate::{OURS, feed, run};

const CLIENTS: u16 = 500;

/// An address that clients, or virtual services, have here.
fn address(network: u8, number: u16) -> IpAddr {
    let [low, high] = number.to_le_bytes();
    [10, network, high, low].into()
}

/// Which server each client gets, of so many services. The connections of another round do not count, for the port
/// is another.
fn servers(round: &mut u16, services: u16) -> BTreeMap<IpAddr, IpAddr> {
    *round += 1;
    let port = 40_000 + *round;
    for number in 0..CLIENTS {
        let client = UdpSocket::bind((address(9, number), port)).unwrap();
        client.send_to(b"?", (address(8, number % services), 53)).unwrap();
    }
    let mut connections = Connections::open().unwrap();
    let mut found = BTreeMap::new();
    while let Some(connection) = connections.next_row().unwrap() {
        if connection.client.port() == port {
            found.insert(connection.client.ip(), connection.destination.ip());
        }
    }
    assert_eq!(found.len(), usize::from(CLIENTS));
    found
}

/// How many clients have another server.
fn moved(before: &BTreeMap<IpAddr, IpAddr>, after: &BTreeMap<IpAddr, IpAddr>) -> usize {
    before.iter().filter(|(client, server)| after.get(*client) != Some(server)).count()
}

/// A table of so many services with five servers, which are added in this order.
fn table(scheduler: &str, services: u16, order: [u8; 5]) -> String {
    let mut lines = String::new();
    for number in 0..services {
        let service = address(8, number);
        writeln!(lines, "-A -u {service}:53 -s {scheduler}").unwrap();
        for server in order {
            let weight = server % 3 + 1;
            writeln!(lines, "-a -u {service}:53 -r 10.1.0.{server}:53 -m -w {weight}").unwrap();
        }
    }
    lines
}

fn assert_done(line: &str, input: &str) {
    assert_eq!(feed(OURS, line, input), (0, String::new(), String::new()), "{line}");
}

fn saves_and_restores_keep_servers(scheduler: &str, services: u16) {
    lab::isolate();
    run("ip", "link set lo up");
    for network in ["10.1.0.0/24", "10.8.0.0/16", "10.9.0.0/16"] {
        assert_eq!(run("ip", &format!("route add local {network} dev lo")).0, 0);
    }
    let mut round = 0;
    let ours = table(scheduler, services, [3, 1, 5, 2, 4]);
    assert_done("-R", &ours);
    let before = servers(&mut round, services);
    assert_eq!(moved(&before, &servers(&mut round, services)), 0);
    let [full, json, listed] = ["-S --full", "-S --json --full", "-L --json"].map(|line| run(OURS, line).1);

    // What the original saves is in another order, and so is a table that another restored.
    let (_, sorted, _) = run(OURS, "-S -n");
    assert_eq!(sorted, run(lab::ORIGINAL, "-S -n").1);
    for (line, input) in [
        ("-R --replace", &full),
        ("-R --json --replace", &json),
        ("-R --json --replace", &listed),
        ("-R --apply", &full),
        ("-R --apply", &ours),
        ("-R --json --apply", &json),
        ("-R --json --apply", &listed),
    ] {
        assert_done("-R --replace", &sorted);
        let elsewhere = moved(&before, &servers(&mut round, services));
        assert!(elsewhere > 100, "{elsewhere}");
        let diff = line.replace("--replace", "--diff").replace("--apply", "--diff");
        let (status, shown, _) = feed(OURS, &diff, input);
        assert!(status == 1 && !shown.is_empty(), "{diff}: {shown}");
        assert_done(line, input);
        assert_eq!(moved(&before, &servers(&mut round, services)), 0, "{line}");
        assert_eq!(feed(OURS, &diff, input).0, 0, "{diff}");
    }

    // A refused file in another order leaves the order as it was.
    let refused = table(scheduler, services, [5, 4, 3, 2, 1]) + "-A -t 10.0.0.4:80 -s nosuch\n";
    let (status, _, said) = feed(OURS, "-R --apply", &refused);
    assert_eq!(
        (status, said.lines().last()),
        (255, Some("nothing was applied: the table is as before")),
        "{said}"
    );
    assert_eq!(moved(&before, &servers(&mut round, services)), 0);
}

#[test]
fn saves_and_restores_keep_the_servers_of_sh() {
    saves_and_restores_keep_servers("sh", 1);
}

#[test]
fn saves_and_restores_keep_the_servers_of_dh() {
    // A service of one address sends all its clients to one server.
    saves_and_restores_keep_servers("dh", 50);
}

#[test]
fn only_what_must_be_newer_is_added_again() {
    lab::isolate();
    let lines = |scheduler: &str, order: &[u8]| {
        let server = |server: &u8| format!("-a -t 10.0.0.1:80 -r 10.1.0.{server}:80 -m -w 1\n");
        format!("-A -t 10.0.0.1:80 -s {scheduler}\n") + &order.iter().map(server).collect::<String>()
    };
    let diff = |scheduler: &str, now: &[u8], then: &[u8]| {
        assert_done("-R --replace", &lines(scheduler, now));
        feed(OURS, "-R --diff", &lines(scheduler, then)).1
    };
    let delete = |server: u8| format!("-d -t 10.0.0.1:80 -r 10.1.0.{server}:80\n");
    let add = |server: u8| format!("-a -t 10.0.0.1:80 -r 10.1.0.{server}:80 -m -w 1\n");
    // One that is added again by hand has become the newest.
    assert_eq!(diff("sh", &[1, 3, 2], &[1, 2, 3]), delete(3) + &add(3));
    assert_eq!(diff("sh", &[1, 2, 3], &[1, 2, 3, 4]), add(4));
    assert_eq!(diff("sh", &[1, 2, 3], &[1, 3]), delete(2));
    assert_eq!(diff("sh", &[1, 2], &[3, 1, 2]), add(3) + &delete(1) + &add(1) + &delete(2) + &add(2));
    for scheduler in ["rr", "wlc", "mh"] {
        assert_eq!(diff(scheduler, &[1, 3, 2], &[3, 2, 1]), "");
    }
}
