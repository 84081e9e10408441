//! A table that changes while it is listed.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use ipvs::{Change, Client, DestinationId, Service, Transport};
use lab::churn::{COUNT, Kind, SERVERS, SERVICES, id, server, web};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_GENERIC;

/// The kernel, with another program that after each datagram deletes 50 objects of a kind, or adds them again.
struct Meddling {
    socket: Socket,
    other: Client,
    random: u64,
    kind: Kind,
}

impl Meddling {
    fn client(kind: Kind) -> Client {
        let socket = Socket::new(NETLINK_GENERIC).unwrap();
        Client::with_transport(Self { socket, other: Client::open().unwrap(), random: 1, kind }).unwrap()
    }
}

impl Transport for Meddling {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.socket.recv(buffer, MSG_DONTWAIT)?;
        // A simple random generator, with a fixed seed.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = u32::try_from(self.random >> 33).unwrap();
        let first = random / 10 * 10 % COUNT;
        let numbers = (first..first + 500).step_by(10).map(|number| number % COUNT);
        let changes: Vec<Change> = match random % 3 {
            0 => numbers.map(self.kind.delete).collect(),
            1 => numbers.map(self.kind.add).collect(),
            _ => Vec::new(),
        };
        self.other.apply_all(&changes).unwrap();
        Ok(())
    }
}

/// How many unchanged objects are missing, and how many of any kind are repeated.
fn wrong<Id: std::hash::Hash + Eq>(told: impl Iterator<Item = Id>, id: impl Fn(u32) -> Id) -> (usize, usize) {
    let mut times: HashMap<Id, usize> = HashMap::new();
    told.for_each(|id| *times.entry(id).or_default() += 1);
    let lost = (0..COUNT).filter(|number| number % 10 != 0 && !times.contains_key(&id(*number)));
    (lost.count(), times.values().filter(|times| **times > 1).count())
}

/// Checks the listing `told` by a client while objects of a kind are deleted and added, and afterwards.
fn assert_right<Id: std::hash::Hash + Eq>(
    kind: Kind,
    id: impl Fn(u32) -> Id,
    told: impl Fn(&mut Client) -> Vec<Id>,
) {
    let mut client = Client::open().unwrap();
    client.apply_all(&(0..COUNT).map(kind.add).collect::<Vec<_>>()).unwrap();
    let mut meddled = Meddling::client(kind);
    for _ in 0..10 {
        assert_eq!(wrong(told(&mut meddled).into_iter(), &id), (0, 0));
    }
    // Afterwards, all objects are there again, and no others.
    client.apply_all(&(0..COUNT).map(kind.add).collect::<Vec<_>>()).unwrap();
    let told = told(&mut client);
    assert_eq!(told.len(), usize::try_from(COUNT).unwrap());
    assert_eq!(wrong(told.into_iter(), id), (0, 0));
}

#[test]
fn a_listing_is_right_while_the_table_changes() {
    lab::isolate();
    assert_right(SERVICES, id, |client| {
        client.services().unwrap().iter().map(|entry| entry.service.id).collect()
    });
}

#[test]
fn servers_of_a_service_are_right_while_they_change() {
    lab::isolate();
    Client::open().unwrap().add_service(&Service::new(web(), "rr".parse().unwrap())).unwrap();
    assert_right(
        SERVERS,
        |number| server(number).id,
        |client| {
            let servers = client.destinations_or_none(&web()).unwrap();
            servers.iter().map(|entry| entry.destination.id).collect::<Vec<DestinationId>>()
        },
    );
}

/// The kernel, with another program that makes a change as soon as a request is sent: after the first chunk of a
/// dump.
struct Between {
    socket: Socket,
    other: Client,
    change: Arc<Mutex<Option<Change>>>,
}

impl Transport for Between {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram, 0)?;
        let change = self.change.lock().unwrap().take();
        if let Some(change) = change {
            self.other.apply(&change).unwrap();
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.socket.recv(buffer, MSG_DONTWAIT).map(|_| ())
    }
}

/// Of 1, 2, 3 and more objects of a kind, the first is deleted, or another is added, after the first chunk.
fn assert_right_at_the_seam<Id: PartialEq + Copy + std::fmt::Debug>(
    kind: Kind,
    id: impl Fn(u32) -> Id,
    told: impl Fn(&mut Client) -> Vec<Id>,
) {
    let mut other = Client::open().unwrap();
    for count in 1..=110 {
        other.apply(&(kind.add)(count)).unwrap();
        // The first reply on a socket has smaller chunks than later ones.
        for (is_asked, comes) in [(false, false), (false, true), (true, false), (true, true)] {
            let change = Arc::new(Mutex::new(None));
            let between = Between {
                socket: Socket::new(NETLINK_GENERIC).unwrap(),
                other: Client::open().unwrap(),
                change: Arc::clone(&change),
            };
            let mut client = Client::with_transport(between).unwrap();
            let before = told(if is_asked { &mut client } else { &mut other });
            let first = before.first().copied().unwrap();
            let touched = if comes { 1000 } else { (1..=count).find(|number| id(*number) == first).unwrap() };
            let (there, back) = if comes { (kind.add, kind.delete) } else { (kind.delete, kind.add) };
            *change.lock().unwrap() = Some(there(touched));
            let told = told(&mut client);
            for number in (1..=count).filter(|number| *number != touched) {
                let times = told.iter().filter(|told| **told == id(number)).count();
                assert_eq!(times, 1, "{:?} of {count}", id(number));
            }
            other.apply(&back(touched)).unwrap();
        }
    }
}

#[test]
fn none_is_lost_or_doubled_at_the_seam_of_two_chunks() {
    lab::isolate();
    Client::open().unwrap().add_service(&Service::new(web(), "rr".parse().unwrap())).unwrap();
    assert_right_at_the_seam(
        SERVERS,
        |number| server(number).id,
        |client| {
            let servers = client.destinations_or_none(&web()).unwrap();
            servers.iter().map(|entry| entry.destination.id).collect()
        },
    );
    Client::open().unwrap().flush().unwrap();
    assert_right_at_the_seam(SERVICES, id, |client| {
        client.services().unwrap().iter().map(|entry| entry.service.id).collect()
    });
}
