//! A table that changes while it is listed.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;

use ipvs::{Change, Client, Service, ServiceId, Transport};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_GENERIC;

use crate::lab;

/// Of so many services, each tenth comes and goes.
const SERVICES: u32 = 5000;

fn id(number: u32) -> ServiceId {
    ServiceId::tcp(Ipv4Addr::from_bits(0x0a00_0000 + number).into(), 80)
}

fn service(number: u32) -> Change {
    Change::AddService(Service::new(id(number), "rr".parse().unwrap()))
}

/// The kernel, where behind each of its datagrams somebody else deletes 50 services, or adds them again.
struct Meddling {
    socket: Socket,
    other: Client,
    random: u64,
}

impl Transport for Meddling {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.socket.recv(buffer, MSG_DONTWAIT)?;
        // A simple generator of random numbers, always the same ones.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = u32::try_from(self.random >> 33).unwrap();
        let first = random / 10 * 10 % SERVICES;
        let numbers = (first..first + 500).step_by(10).map(|number| number % SERVICES);
        let changes: Vec<Change> = match random % 3 {
            0 => numbers.map(|number| Change::DeleteService(id(number))).collect(),
            1 => numbers.map(service).collect(),
            _ => Vec::new(),
        };
        self.other.apply_all(&changes).unwrap();
        Ok(())
    }
}

/// How many services that nobody touched are not told, and how many of any kind are told twice.
fn wrong(told: impl Iterator<Item = ServiceId>) -> (usize, usize) {
    let mut times: HashMap<ServiceId, usize> = HashMap::new();
    told.for_each(|id| *times.entry(id).or_default() += 1);
    let lost = (0..SERVICES).filter(|number| number % 10 != 0 && !times.contains_key(&id(*number)));
    (lost.count(), times.values().filter(|times| **times > 1).count())
}

#[test]
fn a_listing_is_right_while_the_table_changes() {
    lab::isolate();
    let mut client = Client::open().unwrap();
    client.apply_all(&(0..SERVICES).map(service).collect::<Vec<_>>()).unwrap();
    let socket = Socket::new(NETLINK_GENERIC).unwrap();
    let mut meddled = Client::over(Meddling { socket, other: Client::open().unwrap(), random: 1 }).unwrap();
    for _ in 0..10 {
        let services = meddled.services().unwrap();
        assert_eq!(wrong(services.iter().map(|entry| entry.service.id)), (0, 0));
    }
    // When it is over, those that went and came are there, and nothing else is.
    client.apply_all(&(0..SERVICES).map(service).collect::<Vec<_>>()).unwrap();
    let services = client.services().unwrap();
    assert_eq!(services.len(), usize::try_from(SERVICES).unwrap());
    assert_eq!(wrong(services.iter().map(|entry| entry.service.id)), (0, 0));
}
