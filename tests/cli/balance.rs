//! What the kernel does with services that its schedulers cannot balance, and that the warnings and their commands are true.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::{OURS, feed, run, set_up};

const SERVERS: [&str; 3] = ["10.1.0.1", "10.1.0.2", "10.1.0.3"];

/// An own network with the virtual address, three servers that count what they get, and 254 addresses for clients.
fn network() -> Vec<UdpSocket> {
    lab::isolate();
    let mut lines = "addr add 10.0.0.1/32 dev lo\naddr add 198.51.100.0/24 dev lo\n".to_owned();
    lines.extend(SERVERS.iter().map(|server| format!("addr add {server}/32 dev lo\n")));
    assert_eq!(feed("ip", "-batch -", &lines).0, 0);
    SERVERS.iter().map(|server| UdpSocket::bind((*server, 53)).unwrap()).collect()
}

/// How many of so many clients, each with one packet, come to each server. Their port is another one each time: the kernel
/// remembers the server of an earlier one.
fn shares(servers: &[UdpSocket], clients: u8) -> Vec<usize> {
    static PORT: AtomicU16 = AtomicU16::new(20000);
    let port = PORT.fetch_add(1, Ordering::Relaxed);
    for last in 1..=clients {
        let client = UdpSocket::bind((Ipv4Addr::new(198, 51, 100, last), port)).unwrap();
        client.send_to(b"", "10.0.0.1:53").unwrap();
    }
    let got = |server: &UdpSocket| {
        server.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        std::iter::from_fn(|| server.recv_from(&mut [0; 9]).ok()).count()
    };
    servers.iter().map(got).collect()
}

/// The command that a warning ends with.
fn advice(said: &str) -> &str {
    said.trim_end().rsplit_once(": ").expect("a command").1
}

/// Types the commands of a warning.
fn follow(said: &str) {
    for command in advice(said).split(" && ") {
        let words = command.strip_prefix("ipvsadm ").unwrap();
        assert_eq!(run(OURS, words).0, 0, "{command}");
    }
}

#[test]
fn schedulers_that_do_not_see_udp_are_warned_about() {
    let servers = network();
    for flag in ["", " -o"] {
        for scheduler in ["rr", "wrr", "lc", "wlc", "sed", "nq", "ovf"] {
            set_up("-C\n");
            let (_, _, said) = run(OURS, &format!("-A -u 10.0.0.1:53 -s {scheduler}{flag}"));
            for server in &SERVERS[..2] {
                let (status, _, said) = run(OURS, &format!("-a -u 10.0.0.1:53 -r {server}:53 -m -w 1"));
                assert_eq!((status, said.contains("its own address")), (0, !flag.is_empty()), "{said}");
            }
            // Servers that are added again still count their former connections: so many clients are more than those.
            let mut counts = shares(&servers[..2], 120);
            counts.sort_unstable();
            let goes_to_one = counts[0] == 0;
            assert_eq!(
                said.contains("goes to one server"),
                goes_to_one,
                "{scheduler}{flag}: {counts:?} {said}"
            );
            if goes_to_one {
                follow(&said);
                assert!(shares(&servers[..2], 240).iter().all(|count| *count > 0), "{scheduler}{flag}");
            }
        }
    }
}

#[test]
fn weights_above_the_table_of_sh_leave_a_server_without_clients() {
    let servers = network();
    set_up(
        "-C\n-A -u 10.0.0.1:53 -s sh\n-a -u 10.0.0.1:53 -r 10.1.0.1:53 -m -w 300\n\
         -a -u 10.0.0.1:53 -r 10.1.0.2:53 -m -w 200\n",
    );
    let (_, _, said) = run(OURS, "-a -u 10.0.0.1:53 -r 10.1.0.3:53 -m -w 100");
    let counts = shares(&servers, 240);
    assert!(counts[0] == 0 && counts[1] > counts[2] && counts[2] > 0, "{counts:?}");
    follow(&said);
    // The clients of before stay where they are, until their entries expire: others come.
    assert_eq!(run("ip", "addr add 203.0.113.0/24 dev lo").0, 0);
    for last in 1..=240 {
        let client = UdpSocket::bind((Ipv4Addr::new(203, 0, 113, last), 0)).unwrap();
        client.send_to(b"", "10.0.0.1:53").unwrap();
    }
    let counts = shares(&servers, 0);
    assert!(counts[0] > counts[1] && counts[1] > counts[2] && counts[2] > 20, "{counts:?}");
}

#[test]
fn dh_sends_all_clients_of_one_address_to_one_server() {
    let servers = network();
    set_up("-C\n");
    let (_, _, said) = run(OURS, "-A -u 10.0.0.1:53 -s dh");
    set_up("-a -u 10.0.0.1:53 -r 10.1.0.1:53 -m\n-a -u 10.0.0.1:53 -r 10.1.0.2:53 -m\n");
    assert_eq!(shares(&servers, 60).iter().filter(|count| **count > 0).count(), 1);
    follow(&said);
    assert!(shares(&servers[..2], 60).iter().all(|count| *count > 0));
}

#[test]
fn answers_of_a_one_packet_service_are_not_translated() {
    let servers = network();
    set_up("-C\n-A -u 10.0.0.1:53 -s rr\n-a -u 10.0.0.1:53 -r 10.1.0.1:53 -m\n");
    let asked = || {
        let client = UdpSocket::bind("198.51.100.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        client.send_to(b"?", "10.0.0.1:53").unwrap();
        let (_, from) = servers[0].recv_from(&mut [0; 9]).unwrap();
        servers[0].send_to(b"!", from).unwrap();
        client.recv_from(&mut [0; 9]).unwrap().1.to_string()
    };
    assert_eq!(asked(), "10.0.0.1:53");
    let (_, _, said) = run(OURS, "-E -u 10.0.0.1:53 -s rr -o");
    assert_eq!(asked(), "10.1.0.1:53");
    assert_eq!(advice(&said), "ipvsadm -E -u 10.0.0.1:53 -s rr");
    assert_eq!(run(OURS, "-E -u 10.0.0.1:53 -s rr --keep").0, 0);
    assert_eq!(run(OURS, "-E -u 10.0.0.1:53 -s rr --quiet").0, 0);
    assert_eq!(asked(), "10.0.0.1:53");
}
