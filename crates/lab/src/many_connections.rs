//! Hundreds of thousands of connections without their packets: a master director sends them to the kernel.

#![allow(clippy::big_endian_bytes, reason = "it is written to a network")]

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use ipvs::{Change, Client, DaemonState, Destination, ForwardingMethod, Service, ServiceId, SyncDaemon};

/// The group and port of sync daemons.
const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 81), 8848);

const SERVICE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);

/// As many as fit into an Ethernet frame.
const PER_MESSAGE: u32 = 40;
/// So many are made before the next.
const AT_ONCE: u32 = 20_000;

/// Fills the table of the calling thread's network with connections of so many clients.
pub fn make(count: u32, clients: u32) {
    for line in [
        "link add bench type dummy",
        "addr add 192.0.2.254/24 dev bench",
        "link set bench up",
        "route add 224.0.0.0/4 dev bench",
    ] {
        assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "ip {line}");
    }
    let mut client = Client::open().unwrap();
    let backup = SyncDaemon::new(DaemonState::Backup, "bench".parse().unwrap(), 0);
    client.start_daemon(&backup).unwrap();
    // Their server counts them: reading them all takes minutes where there are many.
    let service = ServiceId::tcp(SERVICE.into(), 80);
    let server = Destination::new(SERVER.into(), 8080, ForwardingMethod::Masquerade);
    client
        .apply_all(&[
            Change::AddService(Service::new(service, "rr".parse().unwrap())),
            Change::AddDestination { service, destination: server },
        ])
        .unwrap();
    let master = UdpSocket::bind(("192.0.2.254", 0)).unwrap();
    for first in (0..count).step_by(AT_ONCE as usize) {
        let end = count.min(first + AT_ONCE);
        // Messages that arrive too fast are lost: repeat until all were received.
        while client.destinations(&service).unwrap()[0].active_connections < end {
            for (number, first) in (first..end).step_by(PER_MESSAGE as usize).enumerate() {
                master.send_to(&message(first, PER_MESSAGE.min(end - first), clients), GROUP).unwrap();
                if number % 50 == 49 {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    client.stop_daemon(DaemonState::Backup, 0).unwrap();
    client.delete_service(&service).unwrap();
}

/// A message of a sync daemon, in the format of version 1: established TCP connections, each from another client or port.
fn message(first: u32, count: u32, clients: u32) -> Vec<u8> {
    const ENTRY: u16 = 36;
    let size = 8 + ENTRY * u16::try_from(count).unwrap();
    let mut message = vec![0, 0];
    message.extend(size.to_be_bytes());
    message.extend([u8::try_from(count).unwrap(), 1, 0, 0]);
    for number in first..first + count {
        message.extend([0, 6]); // IPv4, TCP
        message.extend(ENTRY.to_be_bytes());
        message.extend(0_u32.to_be_bytes()); // forwarded by address translation
        let port = 10_000 + u16::try_from(number / clients).unwrap();
        for short in [1, port, 80, 8080_u16] {
            message.extend(short.to_be_bytes()); // established; the ports of client, service and server
        }
        for long in [0, 900, 0x0a01_0000 + number % clients, SERVICE.to_bits(), SERVER.to_bits()] {
            message.extend(long.to_be_bytes()); // mark, seconds, the addresses
        }
    }
    message
}
