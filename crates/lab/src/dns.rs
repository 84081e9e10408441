//! A name server for tests, with the faults that name servers have.
#![allow(clippy::big_endian_bytes, reason = "so the protocol has them")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The type of a record: an address.
pub const A: u16 = 1;
/// The type of a record: the name that another stands for.
pub const CNAME: u16 = 5;
/// The type of a record: the name of an address.
pub const PTR: u16 = 12;

/// A record of an answer: its owner, its type, and its data.
pub type Record = (String, u16, Vec<u8>);

/// What the server does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// At once.
    Answer,
    /// After a while.
    Late(Duration),
    /// Nothing comes.
    Lost,
    /// With another id, once: the right answer does not come.
    WrongId,
    /// Only over TCP.
    Truncated,
    /// "I cannot tell."
    Failure,
}

/// What was asked for, and how many questions were open at once.
#[derive(Debug, Default)]
pub struct Log {
    /// The questions, in their order.
    pub asked: Vec<String>,
    /// The most that were open at once.
    pub most_open: usize,
}

/// Starts a server at an address of this network namespace. `records` are the answer to a name and a type, none if there is
/// no such name; `way` is what to do with the n-th question, for a name.
pub fn serve(
    address: &str,
    records: impl Fn(&str, u16) -> Option<Vec<Record>> + Send + Sync + 'static,
    way: impl Fn(usize, &str) -> Way + Send + 'static,
) -> Arc<Mutex<Log>> {
    let (socket, listener) = (UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap());
    let log = Arc::new(Mutex::new(Log::default()));
    let records = Arc::new(records);
    let over_tcp = Arc::clone(&records);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut length) = (stream.unwrap(), [0; 2]);
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut query = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut query).unwrap();
            let (name, kind, _) = question(&query);
            let reply = reply(&query, over_tcp(&name, kind));
            let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&length, &reply[..]].concat());
        }
    });
    let record = Arc::clone(&log);
    std::thread::spawn(move || answer(&socket, &*records, &way, &record));
    log
}

fn answer(
    socket: &UdpSocket,
    records: &dyn Fn(&str, u16) -> Option<Vec<Record>>,
    way: &dyn Fn(usize, &str) -> Way,
    log: &Mutex<Log>,
) {
    let mut waiting: BTreeMap<(Instant, usize), (SocketAddr, Vec<u8>)> = BTreeMap::new();
    let mut buffer = [0; 512];
    loop {
        let now = Instant::now();
        while let Some(first) = waiting.first_entry().filter(|first| first.key().0 <= now) {
            let (client, reply) = first.remove();
            let _ = socket.send_to(&reply, client);
        }
        let next = waiting.first_key_value().map(|((due, _), _)| *due - now);
        socket.set_read_timeout(next.map(|next| next.max(Duration::from_millis(1)))).unwrap();
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        let query = &buffer[..length];
        let (name, kind, end) = question(query);
        let number = {
            let mut log = log.lock().unwrap();
            log.asked.push(name.clone());
            log.asked.len()
        };
        let mut whole = reply(query, records(&name, kind));
        let mut due = Instant::now();
        match way(number, &name) {
            Way::Answer => {}
            Way::Late(delay) => due += delay,
            Way::Lost => continue,
            Way::WrongId => whole[0] ^= 0x55,
            Way::Truncated => {
                whole[2] |= 2;
                whole[6..12].fill(0);
                whole.truncate(end);
            }
            Way::Failure => {
                whole[3] = 0x82;
                whole[6..12].fill(0);
                whole.truncate(end);
            }
        }
        waiting.insert((due, number), (client, whole));
        let mut log = log.lock().unwrap();
        log.most_open = log.most_open.max(waiting.len());
    }
}

/// The name, the type and the end of a query's question.
fn question(query: &[u8]) -> (String, u16, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).into_owned());
        at += length + 1;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
}

fn reply(query: &[u8], records: Option<Vec<Record>>) -> Vec<u8> {
    let (_, _, end) = question(query);
    let code = if records.is_some() { 0 } else { 3 };
    let records = records.unwrap_or_default();
    let count = u8::try_from(records.len()).unwrap();
    let mut reply = [query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0].to_vec();
    reply.extend(&query[12..end]);
    for (owner, kind, data) in records {
        let length = u8::try_from(data.len()).unwrap();
        reply.extend(labels(&owner));
        reply.extend([0, u8::try_from(kind).unwrap(), 0, 1, 0, 0, 0, 60, 0, length]);
        reply.extend(data);
    }
    reply
}

/// A name in DNS encoding.
pub fn labels(name: &str) -> Vec<u8> {
    let length = |label: &str| u8::try_from(label.len()).unwrap();
    name.split('.').flat_map(|label| [&[length(label)], label.as_bytes()].concat()).chain([0]).collect()
}

/// The records of a cluster in which 10.1.B.C is `sB-C.example.test`, and the other way round.
pub fn cluster(name: &str, kind: u16) -> Option<Vec<Record>> {
    let number = |text: &str| text.parse::<u8>().ok();
    let data = if let Some(front) = name.strip_suffix(".1.10.in-addr.arpa") {
        let (c, b) = front.split_once('.')?;
        labels(&format!("s{}-{}.example.test", number(b)?, number(c)?))
    } else {
        let (b, c) = name.strip_prefix('s')?.strip_suffix(".example.test")?.split_once('-')?;
        vec![10, 1, number(b)?, number(c)?]
    };
    let own = if data.len() == 4 { A } else { PTR };
    Some(if kind == own { vec![(name.to_owned(), kind, data)] } else { Vec::new() })
}

/// The same answer behind two aliases, and where it is the name of an address, with a second one behind it.
pub fn roundabout(name: &str, records: Vec<Record>) -> Vec<Record> {
    let Some((_, kind, data)) = records.into_iter().next() else { return Vec::new() };
    let (first, second) = ("one.alias.test", "two.alias.test");
    let mut records = vec![
        (name.to_owned(), CNAME, labels(first)),
        (first.to_owned(), CNAME, labels(second)),
        (second.to_owned(), kind, data),
    ];
    if kind == PTR {
        records.push((second.to_owned(), PTR, labels("another.example.test")));
    }
    records
}
