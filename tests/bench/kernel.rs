//! The kernel's own part of a task: a program that sends prepared messages, and receives the replies without reading
//! them.
//!
//! The messages are those sent by the library, recorded in a file in memory. The library requests all services twice
//! (see `Client::services`), the kernel's part once.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex};

use ipvs::{Change, Client, RECEIVE_BUFFER, Transport};
use netlink_packet_core::{NLM_F_ACK, NLMSG_DONE};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_GENERIC;

/// A little less than the default send buffer allows.
const DATAGRAM: usize = 200_000;

/// The chunks of a dump grow to the largest buffer ever offered on a socket, and the kernel clears all of a chunk's
/// memory before it fills it: for a few servers a small chunk is cheaper. This is the smallest that it makes.
const SMALL_CHUNK: usize = 3_776;

/// After so many small chunks, large ones are faster.
const LONG: usize = 4;

/// A kernel socket that records what is sent.
struct Recorder {
    socket: Socket,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Transport for Recorder {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.sent.lock().unwrap().push(datagram.to_vec());
        self.socket.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.socket.recv(buffer, MSG_DONTWAIT).map(|_| ())
    }
}

/// The library's messages during `work`.
fn recorded(work: impl FnOnce(&mut Client)) -> Vec<Vec<u8>> {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let socket = Socket::new(NETLINK_GENERIC).unwrap();
    let mut client = Client::with_transport(Recorder { socket, sent: Arc::clone(&sent) }).unwrap();
    sent.lock().unwrap().clear(); // the request for the family
    work(&mut client);
    let mut sent = std::mem::take(&mut *sent.lock().unwrap());
    // A repeated request, with another sequence number.
    sent.dedup_by(|again, first| again.len() == first.len() && again[16..] == first[16..]);
    sent
}

/// The messages of many changes, in datagrams as large as the socket accepts, each with one acknowledgement.
pub(crate) fn changes(changes: &[Change]) -> Vec<Vec<u8>> {
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    let recorded = recorded(|client| assert!(client.apply_all(changes).unwrap().is_empty()));
    for datagram in &recorded {
        match datagrams.last_mut() {
            Some(last) if last.len() + datagram.len() <= DATAGRAM => last.extend_from_slice(datagram),
            _ => datagrams.push(datagram.clone()),
        }
    }
    for datagram in &mut datagrams {
        acknowledge_last(datagram);
    }
    datagrams
}

/// Removes the request for an acknowledgement from all messages but the last.
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

/// The requests of a listing: for all services, then for the servers of each.
pub(crate) fn questions() -> Vec<Vec<u8>> {
    recorded(|client| {
        for entry in client.services().unwrap() {
            client.destinations_or_none(&entry.service.id).unwrap();
        }
    })
}

/// Keeps messages in a file for [`run`].
pub(crate) fn keep(datagrams: &[Vec<u8>], name: &str) {
    let mut file = Vec::new();
    for datagram in datagrams {
        file.extend(u32::try_from(datagram.len()).unwrap().to_ne_bytes());
        file.extend(datagram);
    }
    std::fs::write(name, file).unwrap();
}

/// The argument that makes this program do only the kernel's part.
pub(crate) const PART: &str = "--kernels-part";

/// Does the kernel's part: of changes or of a listing, whose messages are in a file, or of reading the connections.
pub(crate) fn run(words: &[String]) {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["change", file] => each(file, |socket, datagram, room| {
            socket.send(datagram, 0).unwrap();
            room.clear();
            socket.recv(room, 0).unwrap();
        }),
        ["ask", file] => each(file, ask),
        ["connections"] => {
            // The kernel returns one page at a time, whatever the buffer.
            let mut file = File::open("/proc/net/ip_vs_conn").unwrap();
            let mut room = vec![0; 1 << 13];
            while file.read(&mut room).unwrap() > 0 {}
        }
        _ => panic!("{words:?}"),
    }
}

/// Sends the messages of a file, the first on a separate socket: for a dump of all services large chunks are best.
fn each(file: &str, mut send: impl FnMut(&Socket, &[u8], &mut Vec<u8>)) {
    let mut file = BufReader::new(File::open(file).unwrap());
    let (mut length, mut datagram, mut number) = ([0; 4], Vec::new(), 0);
    let mut socket = Socket::new(NETLINK_GENERIC).unwrap();
    let mut room = Vec::with_capacity(RECEIVE_BUFFER);
    while file.read_exact(&mut length).is_ok() {
        datagram.resize(usize::try_from(u32::from_ne_bytes(length)).unwrap(), 0);
        file.read_exact(&mut datagram).unwrap();
        send(&socket, &datagram, &mut room);
        number += 1;
        if number == 1 {
            socket = Socket::new(NETLINK_GENERIC).unwrap();
            room = Vec::with_capacity(SMALL_CHUNK);
        }
    }
}

/// Sends a request and receives the reply.
fn ask(socket: &Socket, question: &[u8], room: &mut Vec<u8>) {
    socket.send(question, 0).unwrap();
    let mut chunks = 0;
    loop {
        room.clear();
        if chunks == LONG {
            room.reserve_exact(RECEIVE_BUFFER);
        }
        socket.recv(room, 0).unwrap();
        chunks += 1;
        if u16::from_ne_bytes([room[4], room[5]]) == NLMSG_DONE {
            return;
        }
    }
}
