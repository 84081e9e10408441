//! Counters of packets that this machine sends to its own services.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use ipvs::{Client, Counters, Destination, ForwardingMethod, Service, ServiceId, Stats, Totals};

use crate::client;

/// The counters of a service, of its server, and of all.
fn counters(client: &mut Client, id: &ServiceId) -> [Counters; 3] {
    let server = client.destinations(id).unwrap().pop().unwrap();
    [client.service(id).unwrap().stats.total, server.stats.total, Totals::read().unwrap().stats.total]
}

#[test]
fn counters_are_set_to_zero_where_they_are_meant() {
    let mut client = client();
    let ip = Command::new("ip").args(["addr", "add", "192.0.2.1/31", "dev", "lo"]).status();
    assert!(ip.unwrap().success());
    let [first, second] = [53, 54].map(|port| ServiceId::udp("192.0.2.1".parse().unwrap(), port));
    // From different ports, which distinguish the answers.
    for (id, port) in [(first, 8), (second, 9)] {
        client.add_service(&Service::new(id, "rr".parse().unwrap())).unwrap();
        let server = Destination::new("192.0.2.0".parse().unwrap(), port, ForwardingMethod::Masquerade);
        client.add_destination(&id, &server).unwrap();
    }
    // Two packets to the first, of 29 bytes each, and three to the second. Nothing listens there: each is answered by
    // an ICMP message, which is 28 bytes longer.
    let socket = UdpSocket::bind("192.0.2.1:1024").unwrap();
    for port in [53, 53, 54, 54, 54] {
        socket.send_to(b"?", ("192.0.2.1", port)).unwrap();
    }
    let sent = |packets| Counters {
        connections: u64::from(packets > 0),
        in_packets: packets,
        in_bytes: packets * 29,
        out_packets: packets,
        out_bytes: packets * 57,
    };
    let all = Counters { connections: 2, ..sent(5) };
    // The kernel refreshes its counters every two seconds.
    let end = Instant::now() + Duration::from_secs(20);
    while counters(&mut client, &second) != [sent(3), sent(3), all] && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(counters(&mut client, &first), [sent(2), sent(2), all]);
    assert_eq!(counters(&mut client, &second), [sent(3), sent(3), all]);

    client.zero(Some(&first)).unwrap();
    assert_eq!(counters(&mut client, &first), [sent(0), sent(0), all]);
    assert_eq!(counters(&mut client, &second), [sent(3), sent(3), all]);

    client.zero(None).unwrap();
    assert_eq!(counters(&mut client, &second), [sent(0); 3]);
    assert_eq!(Totals::read().unwrap().stats, Stats::default());
}
