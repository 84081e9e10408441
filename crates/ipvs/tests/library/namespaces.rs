//! Connections and counters of a network namespace: that of the calling thread, or another.

use std::fs::File;
use std::io::BufReader;

use ipvs::{
    Client, Connections, Destination, Error, ForwardingMethod, Scheduler, Service, ServiceId, Totals,
};

use crate::{EINVAL, client, web};

#[test]
fn connections_are_read_from_this_network() {
    connect(&mut client());
    let table = File::open("/proc/thread-self/net/ip_vs_conn").unwrap();
    let mut connections = Connections::from_reader(BufReader::new(table)).unwrap();
    let row = connections.next_row().unwrap().unwrap();
    assert_eq!((row.protocol, row.state, row.engine), ("UDP", "UDP", None));
    let ends = [row.client, row.service, row.destination].map(|end| end.to_string());
    assert_eq!(ends, ["192.0.2.1:1024", "192.0.2.1:53", "192.0.2.0:53"]);
    assert!((1..=300).contains(&row.expires), "{}", row.expires);
    assert_eq!(connections.next_row().unwrap(), None);
}

/// A connection to a service of this network, made by a packet from this thread.
fn connect(client: &mut Client) {
    let ip = std::process::Command::new("ip").args(["addr", "add", "192.0.2.1/31", "dev", "lo"]).status();
    assert!(ip.unwrap().success());
    let dns = ServiceId::udp("192.0.2.1".parse().unwrap(), 53);
    client.add_service(&Service::new(dns, "rr".parse().unwrap())).unwrap();
    let server = Destination::new("192.0.2.0".parse().unwrap(), 53, ForwardingMethod::Masquerade);
    client.add_destination(&dns, &server).unwrap();
    let socket = std::net::UdpSocket::bind("192.0.2.1:1024").unwrap();
    socket.send_to(b"?", "192.0.2.1:53").unwrap();
}

/// The clients of all connections in the calling thread's network.
fn clients() -> Vec<String> {
    let mut connections = Connections::open().unwrap();
    let mut clients = Vec::new();
    while let Some(connection) = connections.next_row().unwrap() {
        clients.push(connection.client.to_string());
    }
    clients
}

#[test]
fn connections_and_totals_are_those_of_the_threads_network() {
    let _here = client();
    let there = std::thread::spawn(|| {
        connect(&mut client());
        // The totals are refreshed every two seconds.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while Totals::read().unwrap().stats.total.connections == 0 && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        (clients(), Totals::read().unwrap())
    });
    let (clients_there, totals_there) = there.join().unwrap();
    assert_eq!(clients_there, ["192.0.2.1:1024"]);
    assert_eq!(totals_there.stats.total.connections, 1);
    assert_eq!(totals_there.stats.total.in_packets, 1);
    assert_eq!(totals_there.per_cpu.iter().map(|(_, row)| row.connections).sum::<u64>(), 1);
    assert_eq!(clients(), [""; 0]);
    assert_eq!(Totals::read().unwrap().stats.total.connections, 0);
}

#[test]
fn another_network_is_reached_from_this_one() {
    let mut here = client();
    let (file, there) = std::thread::spawn(|| {
        let client = client();
        (File::open("/proc/thread-self/ns/net").unwrap(), client)
    })
    .join()
    .unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let mut there_too = Client::open_in(&path).unwrap();
    // A client works in every thread.
    let mut there = std::thread::spawn(move || {
        let mut there = there;
        there.add_service(&Service::new(web(), Scheduler::RR)).unwrap();
        there
    })
    .join()
    .unwrap();
    assert_eq!(there_too.services().unwrap(), there.services().unwrap());
    assert_eq!((there_too.services().unwrap().len(), here.services().unwrap().len()), (1, 0));
    assert_eq!(Connections::open_in(&path).unwrap().next_row().unwrap(), None);
    assert_eq!(Totals::read_in(&path).unwrap().stats.total.connections, 0);
    let error = Client::open_in("/run/netns/nosuch").unwrap_err();
    assert!(matches!(&error, Error::Namespace { path, .. } if path.ends_with("nosuch")), "{error:?}");
    let error = Client::open_in("/etc/passwd").unwrap_err();
    assert_eq!(error.errno(), Some(EINVAL));
}
