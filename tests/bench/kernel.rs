//! The kernel's own part of a work: ready-made messages sent, replies taken and not looked into.
//!
//! The messages are those that the library sends, kept in memory before the clock starts.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipvs::{Change, Client, RECEIVE_BUFFER, Transport};
use netlink_packet_core::{NLM_F_ACK, NLMSG_DONE};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_GENERIC;

/// A little less than the default send buffer allows.
const DATAGRAM: usize = 200_000;

/// The chunks of a dump grow to the largest room ever offered on a socket, and the kernel clears all of a chunk's
/// memory before it fills it: for a few servers a small chunk is cheaper. This is the least that it makes.
const SMALL_CHUNK: usize = 3_776;

/// A socket of the kernel's that keeps what is sent.
struct Recorder {
    socket: Socket,
    sent: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Transport for Recorder {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.sent.borrow_mut().push(datagram.to_vec());
        self.socket.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.socket.recv(buffer, MSG_DONTWAIT).map(|_| ())
    }
}

/// What the library sends while `work` is done.
fn recorded(work: impl FnOnce(&mut Client)) -> Vec<Vec<u8>> {
    let sent = Rc::new(RefCell::new(Vec::new()));
    let socket = Socket::new(NETLINK_GENERIC).unwrap();
    let mut client = Client::over(Recorder { socket, sent: Rc::clone(&sent) }).unwrap();
    sent.borrow_mut().clear(); // the question for the family
    work(&mut client);
    sent.take()
}

/// The messages of many changes in datagrams as large as the socket takes them, each with one acknowledgement.
pub(crate) fn changes(changes: &[Change]) -> Vec<Vec<u8>> {
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    let recorded = recorded(|client| assert!(client.apply_all(changes).unwrap().is_empty()));
    for datagram in &recorded {
        match datagrams.last_mut() {
            Some(last) if last.len() + datagram.len() <= DATAGRAM => last.extend_from_slice(datagram),
            _ => datagrams.push(datagram.clone()),
        }
    }
    datagrams.iter_mut().for_each(|datagram| acknowledge_last(datagram));
    datagrams
}

/// Takes the wish for an acknowledgement from all messages but the last.
fn acknowledge_last(datagram: &mut [u8]) {
    let mut rest = datagram;
    while let Some(length) = rest.first_chunk().map(|length| u32::from_ne_bytes(*length)) {
        let (message, behind) = rest.split_at_mut(usize::try_from(length).unwrap().next_multiple_of(4));
        if !behind.is_empty() {
            let flags = u16::from_ne_bytes([message[6], message[7]]) & !NLM_F_ACK;
            message[6..8].copy_from_slice(&flags.to_ne_bytes());
        }
        rest = behind;
    }
}

/// Has changes carried out.
pub(crate) fn change(datagrams: &[Vec<u8>]) -> Duration {
    let start = Instant::now();
    let socket = Socket::new(NETLINK_GENERIC).unwrap();
    let mut room = Vec::with_capacity(RECEIVE_BUFFER);
    for datagram in datagrams {
        socket.send(datagram, 0).unwrap();
        room.clear();
        socket.recv(&mut room, 0).unwrap();
    }
    start.elapsed()
}

/// The questions of a listing: for all services, then for the servers of each.
pub(crate) fn questions() -> Vec<Vec<u8>> {
    recorded(|client| {
        for entry in client.services().unwrap() {
            client.destinations(&entry.service.id).unwrap();
        }
    })
}

/// Asks and takes the answers; `small` where each service has few servers.
pub(crate) fn ask(questions: &[Vec<u8>], small: bool) -> Duration {
    let start = Instant::now();
    let mut socket = Socket::new(NETLINK_GENERIC).unwrap();
    let mut room = Vec::with_capacity(RECEIVE_BUFFER);
    for (number, question) in questions.iter().enumerate() {
        if number == 1 && small {
            socket = Socket::new(NETLINK_GENERIC).unwrap();
            room = Vec::with_capacity(SMALL_CHUNK);
        }
        socket.send(question, 0).unwrap();
        loop {
            room.clear();
            socket.recv(&mut room, 0).unwrap();
            if u16::from_ne_bytes([room[4], room[5]]) == NLMSG_DONE {
                break;
            }
        }
    }
    start.elapsed()
}

/// Reads the connections and does nothing with them. The kernel hands out one page at a time, whatever the room.
pub(crate) fn read_connections() -> Duration {
    let start = Instant::now();
    let mut file = File::open("/proc/thread-self/net/ip_vs_conn").unwrap();
    let mut room = vec![0; 1 << 16];
    while file.read(&mut room).unwrap() > 0 {}
    start.elapsed()
}
