//! Malformed and incomplete replies: none is taken for a complete one.
#![expect(clippy::host_endian_bytes, clippy::indexing_slicing, reason = "answers are changed by hand here")]

use std::collections::VecDeque;
use std::io;

use ipvs::{
    Change, Client, DaemonState, Destination, Error, ForwardingMethod, Operation, Result, Service, ServiceId,
    SyncDaemon, Transport,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_GENERIC;

use crate::{EEXIST, client, web};

const ENOMEM: i32 = 12;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const GENL_ID_CTRL: u16 = 0x10;
const NLM_F_DUMP_INTR: u16 = 0x10;

/// The kernel, whose datagrams are modified by `change`, except the one with the family's number.
struct Changed<F> {
    socket: Socket,
    change: F,
}

impl<F: FnMut(&mut Vec<u8>) + Send + 'static> Changed<F> {
    fn client(change: F) -> Client {
        let socket = Socket::new(NETLINK_GENERIC).unwrap();
        Client::with_transport(Self { socket, change }).unwrap()
    }
}

impl<F: FnMut(&mut Vec<u8>) + Send> Transport for Changed<F> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.socket.recv(buffer, MSG_DONTWAIT)?;
        if u16_at(buffer, 4) != GENL_ID_CTRL {
            (self.change)(buffer);
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn length(message: &[u8]) -> usize {
    usize::from(u16_at(message, 0)) // less than 64 KiB, and the machine little-endian
}

fn flags(message: &[u8]) -> u16 {
    u16_at(message, 6)
}

fn is_end(message: &[u8]) -> bool {
    u16_at(message, 4) == NLMSG_DONE
}

/// Three services, one of them with three servers, and a sync daemon.
fn fill() -> Client {
    let mut client = client();
    for port in [80, 81, 82] {
        let id = ServiceId::tcp("192.0.2.1".parse().unwrap(), port);
        client.add_service(&Service::new(id, "rr".parse().unwrap())).unwrap();
    }
    for port in [80, 81, 82] {
        let server = Destination::new("192.0.2.11".parse().unwrap(), port, ForwardingMethod::Masquerade);
        client.add_destination(&web(), &server).unwrap();
    }
    client.start_daemon(&SyncDaemon::new(DaemonState::Master, "lo".parse().unwrap(), 7)).unwrap();
    client.start_daemon(&SyncDaemon::new(DaemonState::Backup, "lo".parse().unwrap(), 7)).unwrap();
    client
}

/// A dump, how many objects `fill` has made for it, and how many it returns.
type Dump = (Operation, usize, fn(&mut Client) -> Result<usize>);

const DUMPS: [Dump; 3] = [
    (Operation::GetServices, 3, |client| client.services().map(|all| all.len())),
    (Operation::GetDestinations, 3, |client| client.destinations_or_none(&web()).map(|all| all.len())),
    (Operation::GetDaemons, 2, |client| client.daemons().map(|all| all.len())),
];

#[test]
fn a_dump_with_an_object_that_cannot_be_read_is_an_error() {
    let _table = fill();
    for (operation, count, ask) in DUMPS {
        for broken in 0..count {
            // The first attribute of the object's nest is longer than the nest, once.
            let mut is_broken = false;
            let mut client = Changed::client(move |datagram| {
                if is_end(datagram) || std::mem::replace(&mut is_broken, true) {
                    return;
                }
                let mut start = 0;
                for _ in 0..broken {
                    start += length(&datagram[start..]);
                }
                datagram[start + 24..start + 26].copy_from_slice(&500_u16.to_ne_bytes());
            });
            let error = ask(&mut client).unwrap_err();
            assert!(matches!(error, Error::Malformed { operation: of, .. } if of == operation), "{error:?}");
            // Leftovers of it do not affect the next request.
            assert_eq!(ask(&mut client).unwrap(), count, "{operation}");
        }
    }
}

#[test]
fn a_dump_that_the_kernel_gives_up_midway_is_an_error() {
    let _table = fill();
    for (operation, count, ask) in DUMPS {
        let mut is_over = false;
        let mut client = Changed::client(move |datagram| {
            if is_end(datagram) && !std::mem::replace(&mut is_over, true) {
                datagram[16..20].copy_from_slice(&(-ENOMEM).to_ne_bytes());
            }
        });
        let error = ask(&mut client).unwrap_err();
        assert!(
            matches!(error, Error::Kernel { operation: of, errno: ENOMEM } if of == operation),
            "{operation}: {error:?}"
        );
        assert_eq!(ask(&mut client).unwrap(), count, "{operation}");
    }
}

#[test]
fn a_dump_that_was_interrupted_is_asked_for_again() {
    let _table = fill();
    // Daemons always fit into one chunk.
    for (operation, count, ask) in &DUMPS[..2] {
        // The first time, the objects after the first are missing.
        let (mut is_cut, mut is_over) = (false, false);
        let mut client = Changed::client(move |datagram| {
            if is_end(datagram) && !std::mem::replace(&mut is_over, true) {
                let flags = flags(datagram) | NLM_F_DUMP_INTR;
                datagram[6..8].copy_from_slice(&flags.to_ne_bytes());
            } else if !std::mem::replace(&mut is_cut, true) {
                datagram.truncate(length(datagram));
            }
        });
        assert_eq!(ask(&mut client).unwrap(), *count, "{operation}");
    }
}

#[test]
fn an_acknowledgement_is_no_answer_to_a_question() {
    let _table = fill();
    let mut client = Changed::client(|datagram| {
        datagram.truncate(16);
        datagram.extend([0; 20]);
        datagram[..4].copy_from_slice(&36_u32.to_ne_bytes());
        datagram[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
    });
    assert!(matches!(client.timeouts(), Err(Error::NoReply { operation: Operation::GetTimeouts })));
    assert!(matches!(client.info(), Err(Error::NoReply { operation: Operation::GetInfo })));
    assert!(matches!(client.service(&web()), Err(Error::NoReply { operation: Operation::GetService })));
}

/// The kernel, which before the reply to a request repeats those to all earlier ones; after so many requests, it
/// sends nothing else.
struct Again {
    socket: Socket,
    old: Vec<Vec<u8>>,
    queue: VecDeque<Vec<u8>>,
    answered: usize,
}

impl Again {
    fn client(answered: usize) -> Client {
        let socket = Socket::new(NETLINK_GENERIC).unwrap();
        Client::with_transport(Self { socket, old: Vec::new(), queue: VecDeque::new(), answered }).unwrap()
    }
}

impl Transport for Again {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.queue = self.old.iter().cloned().collect();
        if self.answered > 0 {
            self.answered -= 1;
            self.socket.send(datagram, 0)?;
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        if let Some(old) = self.queue.pop_front() {
            buffer.extend(old);
            return Ok(());
        }
        self.socket.recv(buffer, MSG_DONTWAIT)?;
        self.old.push(buffer.clone());
        Ok(())
    }
}

#[test]
fn answers_to_earlier_questions_are_none_to_this_one() {
    let mut table = fill();
    let mut client = Again::client(usize::MAX);
    for (operation, count, ask) in DUMPS {
        assert_eq!(ask(&mut client).unwrap(), count, "{operation}");
    }
    let other = ServiceId::tcp("192.0.2.1".parse().unwrap(), 81);
    assert_eq!(client.service(&web()).unwrap().service.id, web());
    assert_eq!(client.service(&other).unwrap().service.id, other);
    // Refusals and acknowledgements belong to their own changes.
    let there = Change::AddService(Service::new(web(), "rr".parse().unwrap()));
    assert_eq!(client.apply(&there).unwrap_err().errno(), Some(EEXIST));
    client.delete_service(&other).unwrap();
    assert_eq!(client.apply(&there).unwrap_err().errno(), Some(EEXIST));
    assert_eq!(client.services().unwrap().len(), 2);
    table.flush().unwrap();
    assert_eq!(client.services().unwrap(), []);
    assert_eq!(client.destinations_or_none(&web()).unwrap(), []);
    client.set_timeouts(&ipvs::Timeouts { tcp: 100, tcp_fin: 0, udp: 0 }).unwrap();
    assert_eq!(client.timeouts().unwrap().tcp, 100);
    client.set_timeouts(&ipvs::Timeouts { tcp: 200, tcp_fin: 0, udp: 0 }).unwrap();
    assert_eq!(client.timeouts().unwrap().tcp, 200);
}

#[test]
fn an_acknowledgement_of_earlier_changes_is_none_of_these() {
    let _here = client();
    // The number of the family, and the first changes.
    let mut client = Again::client(2);
    let changes = [80, 81].map(|port| {
        let id = ServiceId::tcp("192.0.2.1".parse().unwrap(), port);
        Change::AddService(Service::new(id, "rr".parse().unwrap()))
    });
    assert_eq!(client.apply_all(&changes).unwrap().len(), 0);
    let told = client.apply_all(&changes).unwrap();
    let unknown = |(_, error): &(usize, Error)| matches!(error, Error::NoReply { .. });
    assert!(told.len() == 2 && told.iter().all(unknown), "{told:?}");
}
