//! What the manual says of the kernel: connections whose service or server is deleted, and whose messages a backup takes.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::{OURS, feed, run, set_up};

/// An own network with a virtual address, two servers and a client, whose packets go to 10.0.0.1:53.
fn network() -> ([UdpSocket; 2], UdpSocket) {
    lab::isolate();
    let lines = "addr add 10.0.0.1/32 dev lo\naddr add 10.1.0.1/32 dev lo\naddr add 10.1.0.2/32 dev lo\n";
    assert_eq!(feed("ip", "-batch -", lines).0, 0);
    let server = |address| {
        let server = UdpSocket::bind((address, 53)).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        server
    };
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect("10.0.0.1:53").unwrap();
    (["10.1.0.1", "10.1.0.2"].map(server), client)
}

const TABLE: &str =
    "-A -u 10.0.0.1:53 -s rr\n-a -u 10.0.0.1:53 -r 10.1.0.1:53 -m\n-a -u 10.0.0.1:53 -r 10.1.0.2:53 -m\n";

#[test]
fn packets_of_a_deleted_service_are_dropped_or_refused_by_the_director_if_it_was_the_last() {
    let (_servers, client) = network();
    set_up(&format!("{TABLE}-A -u 10.0.0.1:54 -s rr\n"));
    client.send(b"").unwrap();
    set_up("-D -u 10.0.0.1:53\n");
    // The kernel drops the packet, and says so to a program of its own.
    assert_eq!(client.send(b"").unwrap_err().kind(), ErrorKind::PermissionDenied);
    set_up("-D -u 10.0.0.1:54\n");
    client.send(b"").unwrap();
    assert_eq!(client.recv(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn udp_goes_to_another_server_at_once_with_expire_nodest_conn() {
    let (servers, client) = network();
    set_up(TABLE);
    let got = || servers.each_ref().map(|server| server.recv(&mut [0; 9]).is_ok());
    client.send(b"").unwrap();
    assert_eq!(got(), [false, true]);
    assert_eq!(run(OURS, "-d -u 10.0.0.1:53 -r 10.1.0.2:53").0, 0);
    assert_eq!(client.send(b"").unwrap_err().kind(), ErrorKind::PermissionDenied);
    std::fs::write("/proc/sys/net/ipv4/vs/expire_nodest_conn", "1").unwrap();
    client.send(b"").unwrap();
    assert_eq!(got(), [true, false]);
}

#[test]
fn a_backup_with_syncid_0_takes_the_messages_of_every_id() {
    for (master, backup, arrives) in [(7, 7, true), (7, 0, true), (7, 8, false)] {
        let (_servers, client) = network();
        let name = format!("sync{master}{backup}");
        let links = format!(
            "netns add {name}\nlink add vs type veth peer name eth0 netns {name}\nlink set vs up\naddr add 10.9.0.1/24 dev vs\n\
             -n {name} addr add 10.9.0.2/24 dev eth0\n-n {name} link set eth0 up\n-n {name} link set lo up\n"
        );
        for line in links.lines() {
            assert_eq!(run("ip", line).0, 0, "{line}");
        }
        let there = format!("--netns {name} --start-daemon backup --mcast-interface eth0 --syncid {backup}");
        assert_eq!(run(OURS, &there).0, 0);
        let here = format!("--start-daemon master --mcast-interface vs --syncid {master}");
        assert_eq!(run(OURS, &here).0, 0);
        set_up(TABLE);
        let arrived = || run(OURS, &format!("--netns {name} -Lcn")).1.contains("10.0.0.1:53");
        let end = Instant::now() + Duration::from_secs(6);
        while !arrived() && Instant::now() < end {
            client.send(b"").unwrap(); // the third packet is told of, and then each fiftieth
            std::thread::sleep(Duration::from_millis(60));
        }
        assert_eq!(arrived(), arrives, "{master} to {backup}");
        assert_eq!(run(OURS, "--stop-daemon master").0, 0);
        assert_eq!(run(OURS, &format!("--netns {name} --stop-daemon backup")).0, 0);
        assert_eq!(run("ip", &format!("netns del {name}")).0, 0);
    }
}
