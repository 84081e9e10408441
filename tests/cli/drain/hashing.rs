//! Drains of services whose scheduler has a table of places: whom they refuse and whom they send elsewhere, with real clients.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::time::Duration;

use super::own_notes;
use crate::{OURS, feed, run};

const VIP: &str = "10.0.0.1:53";
const CLIENTS: u8 = 250;

/// Servers 10.1.0.1 to 10.1.0.5 on this machine, of these weights.
struct Servers {
    sockets: Vec<UdpSocket>,
}

impl Servers {
    fn begin(service: &str, weight: u32) -> Self {
        lab::isolate();
        own_notes();
        for address in ["10.0.0.1/32", "10.2.0.0/16"] {
            assert_eq!(run("ip", &format!("addr add {address} dev lo")).0, 0);
        }
        let mut lines = format!("-A -u {VIP} {service}\n");
        let mut sockets = Vec::new();
        for last in 1..=5 {
            assert_eq!(run("ip", &format!("addr add 10.1.0.{last}/32 dev lo")).0, 0);
            let socket = UdpSocket::bind(format!("10.1.0.{last}:53")).unwrap();
            socket.set_nonblocking(true).unwrap();
            sockets.push(socket);
            writeln!(lines, "-a -u {VIP} -r 10.1.0.{last}:53 -m -w {weight}").unwrap();
        }
        assert_eq!(feed(OURS, "-R", &lines), (0, String::new(), String::new()));
        Self { sockets }
    }

    /// The server of each client that has one: the last part of its address.
    fn chosen(&self) -> BTreeMap<u8, u8> {
        for client in 1..=CLIENTS {
            // Another port each time, so that no earlier connection counts.
            let socket = UdpSocket::bind(format!("10.2.0.{client}:0")).unwrap();
            // One that is refused may be told so.
            let _ = socket.send_to(&[client], VIP);
        }
        let mut chosen = BTreeMap::new();
        let mut take = || {
            for (last, socket) in (1..).zip(&self.sockets) {
                let mut client = [0];
                while socket.recv(&mut client).is_ok() {
                    chosen.insert(client[0], last);
                }
            }
            chosen.len()
        };
        let mut before = take();
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(50));
            let now = take();
            if now == before {
                break;
            }
            before = now;
        }
        chosen
    }
}

/// How many of the other servers' clients have another server than before, in percent.
fn moved(before: &BTreeMap<u8, u8>, after: &BTreeMap<u8, u8>, drained: u8) -> usize {
    let others: Vec<_> = before.iter().filter(|(_, server)| **server != drained).collect();
    let moved = others.iter().filter(|(client, server)| after.get(client) != Some(server)).count();
    moved * 100 / others.len()
}

/// The number before the first sign of percent.
fn percent(said: &str) -> usize {
    let before = said.split(" %").next().unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{said}"))
}

/// A warning is about places, and the clients are some of those that there may be.
fn near(said: usize, counted: usize) {
    assert!(said.abs_diff(counted) <= 12, "{said} % was said, {counted} % were counted");
}

fn drain(options: &str) -> (i32, String, String) {
    run(OURS, &format!("--drain -r 10.1.0.3 --ignore-inactive {options}"))
}

/// The printed command makes a drain that refuses nobody, and sends nobody else elsewhere; nor does the way back.
#[test]
fn a_drain_by_sh_refuses_clients_unless_it_falls_back() {
    let servers = Servers::begin("-s sh -b sh-port", 1);
    run(OURS, &format!("-E -u {VIP} -s sh"));
    let before = servers.chosen();
    assert_eq!(before.len(), usize::from(CLIENTS), "each has a server");
    let (status, out, said) = drain("");
    assert_eq!((status, out.contains(" is drained and deleted; ")), (0, true));
    let fix = "ipvsadm -E --keep -u 10.0.0.1:53 -b sh-fallback";
    assert!(
        said.starts_with("warning: UDP 10.0.0.1:53: sh refuses the clients of a server of weight 0 "),
        "{said}"
    );
    assert!(said.ends_with(&format!(": {fix}\n")) && said.lines().count() == 1, "{said}");
    near(percent(&said), moved(&before, &servers.chosen(), 3));
    // It comes back as the first in the order.
    let deleted = servers.chosen();
    let (status, out, said) = run(OURS, "--undrain");
    assert_eq!((status, out.ends_with(" is back with weight 1\n")), (0, true));
    assert!(said.contains("stands first in the order by which sh chooses: "), "{said}");
    near(percent(&said), moved(&deleted, &servers.chosen(), 3));

    let before = servers.chosen();
    assert_eq!(run(OURS, fix.strip_prefix("ipvsadm ").unwrap()), (0, String::new(), String::new()));
    let (status, out, said) = drain("");
    assert_eq!((status, said.as_str()), (0, ""));
    assert!(out.contains(" is drained, and stays in the table with weight 0: without it "), "{out}");
    assert!(
        out.contains(": ipvsadm -d -u 10.0.0.1:53 -r 10.1.0.3:53; this brings it back: ipvsadm -e "),
        "{out}"
    );
    let drained = servers.chosen();
    assert_eq!((drained.len(), moved(&before, &drained, 3)), (usize::from(CLIENTS), 0));
    assert!(drained.values().all(|server| *server != 3));
    assert_eq!(
        run(OURS, "--undrain"),
        (0, "UDP 10.0.0.1:53 -> 10.1.0.3:53 is back with weight 1\n".into(), String::new())
    );
    assert_eq!(servers.chosen(), before);
    // What is said of its deletion is so.
    let said = drain("").1;
    assert_eq!(run(OURS, "-d -u 10.0.0.1:53 -r 10.1.0.3:53").0, 0);
    near(percent(&said), moved(&before, &servers.chosen(), 3));
    assert_eq!(run(OURS, "--undrain").0, 2, "it was taken out for good");
}

/// While a drain waits, its clients are refused: with each of the three.
#[test]
fn who_is_refused_is_told_before() {
    for (service, remedy) in [
        ("-s sh", "ipvsadm -E --keep -u 10.0.0.1:53 -b sh-fallback"),
        ("-s mh", "ipvsadm -E --keep -u 10.0.0.1:53 -b mh-fallback"),
        ("-s mh -b mh-port", "ipvsadm -E --keep -u 10.0.0.1:53 -b mh-fallback,mh-port"),
        ("-s dh", "it has no way around that, another scheduler has"),
    ] {
        let servers = Servers::begin(service, 1);
        let target = if service == "-s dh" { *servers.chosen().values().next().unwrap() } else { 3 };
        let line = format!("--drain -r 10.1.0.{target} --wait 0");
        let before = servers.chosen();
        let (status, _, said) = run(OURS, &line);
        assert_eq!(status, 1, "UDP connections remain: {said}");
        let warnings: Vec<_> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
        assert!(warnings.len() == 1 && warnings[0].ends_with(remedy), "{said}");
        let during = servers.chosen();
        if !service.contains("port") {
            let lost: Vec<_> = before.iter().filter(|(client, _)| !during.contains_key(client)).collect();
            assert!(!lost.is_empty() && lost.iter().all(|(_, server)| **server == target), "{lost:?}");
        }
        assert_eq!(run(OURS, &format!("{line} --quiet")).2.matches("warning").count(), 0);
        assert_eq!(run(OURS, "--undrain").0, 0);
        if service.starts_with("-s dh") {
            continue;
        }
        assert_eq!(run(OURS, remedy.strip_prefix("ipvsadm ").unwrap()).0, 0);
        let (_, _, said) = run(OURS, &line);
        assert!(!said.contains("warning: "), "{said}");
        assert_eq!(servers.chosen().len(), usize::from(CLIENTS), "nobody is refused");
    }
}

/// Weights above 1 are places that a drained server gives back.
#[test]
fn whose_clients_a_weight_of_0_moves_is_told() {
    let servers = Servers::begin("-s sh -b sh-fallback", 10);
    let before = servers.chosen();
    let (status, out, said) = drain("");
    assert_eq!((status, out.contains("stays in the table with weight 0")), (0, true), "{out}");
    assert!(said.starts_with("warning: UDP 10.0.0.1:53: with weight 0 the server has one place "), "{said}");
    near(percent(&said), moved(&before, &servers.chosen(), 3));
    assert_eq!(run(OURS, "--undrain").0, 0);
    assert_eq!(servers.chosen(), before);
}

/// `mh` chooses by the weight that a drained server had, which no listing shows.
#[test]
fn a_restored_table_of_mh_chooses_as_the_saved_one() {
    let servers = Servers::begin("-s mh -b mh-fallback", 1);
    assert_eq!(drain("").0, 0);
    assert_eq!(run(OURS, "-a -u 10.0.0.1:53 -r 10.1.0.3:53 -m -w 1").0, 0);
    let healthy = servers.chosen();
    assert_eq!(run(OURS, "--drain -r 10.1.0.3 --wait 0").0, 1, "it has connections");
    let drained = servers.chosen();
    let differ = |one: &BTreeMap<u8, u8>, other: &BTreeMap<u8, u8>| {
        one.iter().filter(|(client, server)| other.get(client) != Some(server)).count()
    };
    assert_eq!(moved(&healthy, &drained, 3), 0);
    assert_eq!(run(OURS, "-S --full --file /run/saved-mh").0, 0);
    for mode in ["-R --replace", "-R --apply"] {
        assert_eq!(run(lab::ORIGINAL, "-C").0, 0);
        assert_eq!(run(OURS, &format!("{mode} --file /run/saved-mh")).0, 0);
        assert!(run(OURS, "-Sn").1.contains("-r 10.1.0.3:53 -m -w 0"));
        // By another order of the servers, one in a hundred; without the weight, one in six.
        let restored = differ(&drained, &servers.chosen());
        assert!(restored <= 8, "{mode}: {restored} of {CLIENTS} have another server");
    }
    assert_eq!(run(OURS, "--undrain").0, 0);
    assert!(differ(&healthy, &servers.chosen()) <= 8);
}
