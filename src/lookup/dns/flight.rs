//! One question on its way: to one name server after another, until one tells.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::message::{self, Kind, Reply};

/// After as long as this without an answer, it is asked for again; then after twice as long, and so on.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest reply over TCP.
const LONGEST: usize = 1 << 16;

/// What has come of it so far.
pub(super) enum State {
    Waiting,
    /// A server answered.
    Answered(Reply),
    /// No server can tell, or none answered as long as the C library waits.
    Failed,
}

/// Where a reply comes from.
enum Source {
    Udp(UdpSocket),
    /// The other end has a thread, which asks over TCP.
    Tcp(UnixDatagram),
}

/// A question that was sent.
pub(super) struct Flight {
    name: String,
    kind: Kind,
    id: u16,
    query: Vec<u8>,
    sources: Vec<(SocketAddr, Source)>,
    /// The servers that were not asked for this yet, in this round.
    rest: Vec<SocketAddr>,
    servers: Vec<SocketAddr>,
    pub(super) begin: Instant,
    again: Instant,
    pause: Duration,
    end: Instant,
}

impl Flight {
    /// Sends a question to the first of some servers; none if the name cannot be one of a host.
    pub(super) fn send(
        name: &str,
        kind: Kind,
        id: u16,
        servers: &[SocketAddr],
        patience: Duration,
    ) -> Option<Self> {
        let begin = Instant::now();
        let mut flight = Self {
            name: name.to_owned(),
            kind,
            id,
            query: message::query(id, name, kind)?,
            sources: Vec::new(),
            rest: Vec::new(),
            servers: servers.to_vec(),
            begin,
            again: begin,
            pause: AGAIN,
            end: begin + patience,
        };
        flight.rest = flight.servers.iter().rev().copied().collect();
        flight.next_server();
        Some(flight)
    }

    /// Asks the next server; false if there is none left in this round.
    fn next_server(&mut self) -> bool {
        while let Some(server) = self.rest.pop() {
            self.again = Instant::now() + self.pause;
            let known = self
                .sources
                .iter()
                .position(|(known, source)| *known == server && matches!(source, Source::Udp(_)));
            let is_sent = match known.and_then(|at| self.sources.get(at)) {
                Some((_, Source::Udp(socket))) => socket.send(&self.query).is_ok(),
                _ => match open(server, &self.query) {
                    Ok(socket) => {
                        self.sources.push((server, Source::Udp(socket)));
                        true
                    }
                    Err(_) => false,
                },
            };
            if is_sent {
                return true;
            }
        }
        false
    }

    /// The name that is asked for.
    pub(super) fn into_name(self) -> String {
        self.name
    }

    /// The descriptors to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sources.iter().map(|(_, source)| match source {
            Source::Udp(socket) => socket.as_fd(),
            Source::Tcp(socket) => socket.as_fd(),
        })
    }

    /// When something is to be done even if nothing arrives.
    pub(super) fn due(&self) -> Instant {
        if self.sources.is_empty() { self.begin } else { self.again.min(self.end) }
    }

    /// Reads what has arrived, and returns which server told.
    pub(super) fn read(&mut self) -> (State, Option<SocketAddr>) {
        let mut buffer = vec![0; LONGEST];
        let mut at = 0;
        while let Some((server, source)) = self.sources.get(at) {
            let server = *server;
            let received = match source {
                Source::Udp(socket) => socket.recv(&mut buffer),
                Source::Tcp(socket) => socket.recv(&mut buffer),
            };
            let reply = match received {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    at += 1;
                    continue;
                }
                // Nobody listens there, or the connection failed.
                Err(_) | Ok(0) => Reply::Refused,
                Ok(length) => {
                    message::read(buffer.get(..length).unwrap_or_default(), self.id, &self.name, self.kind)
                }
            };
            match reply {
                Reply::Foreign => {}
                Reply::Truncated => {
                    self.sources.remove(at);
                    self.ask_over_tcp(server);
                }
                Reply::Refused => {
                    self.sources.remove(at);
                    self.servers.retain(|known| *known != server);
                    self.rest.retain(|known| *known != server);
                    if !self.next_server() && self.sources.is_empty() {
                        return (State::Failed, None);
                    }
                }
                reply => return (State::Answered(reply), Some(server)),
            }
        }
        (State::Waiting, None)
    }

    /// Asks again, or the next server, if it is time for that.
    pub(super) fn proceed(&mut self, now: Instant) -> State {
        // Without a source there is no way to any server.
        if now >= self.end || self.sources.is_empty() {
            return State::Failed;
        }
        if now >= self.again && !self.next_server() {
            self.pause *= 2;
            self.again = now + self.pause;
            self.rest = self.servers.iter().rev().copied().collect();
            self.next_server();
        }
        State::Waiting
    }

    fn ask_over_tcp(&mut self, server: SocketAddr) {
        let Ok((ours, theirs)) = UnixDatagram::pair() else { return };
        let query = self.query.clone();
        let patience = self.end.saturating_duration_since(Instant::now()).max(AGAIN);
        let thread = std::thread::Builder::new().stack_size(1 << 17).spawn(move || {
            // An empty datagram tells that it failed.
            let reply = over_tcp(server, &query, patience).unwrap_or_default();
            let _ = theirs.send(&reply);
        });
        if thread.is_ok() && ours.set_nonblocking(true).is_ok() {
            self.sources.push((server, Source::Tcp(ours)));
        }
    }
}

/// A socket that hears this server alone, with a port that the kernel chooses.
fn open(server: SocketAddr, query: &[u8]) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    socket.send(query)?;
    Ok(socket)
}

#[expect(clippy::big_endian_bytes, reason = "so the protocol has them")]
fn over_tcp(server: SocketAddr, query: &[u8], patience: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let [high, low] = u16::try_from(query.len()).map_err(std::io::Error::other)?.to_be_bytes();
    stream.write_all(&[&[high, low], query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}
