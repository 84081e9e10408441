//! Servers, and clients that download, reload and come back, as threads on the hosts of a network.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::network::enter;

/// What a client waits for at most: longer than any pause of a busy machine, shorter than TCP's second attempt to resend.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the clients have got.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Whole answers, by the server that gave them.
    pub(crate) answers: BTreeMap<String, usize>,
    pub(crate) failures: Vec<String>,
}

/// Servers and clients that run.
pub(crate) struct Load {
    counts: Arc<Mutex<Counts>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

/// How clients end a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// As usual.
    Fin,
    /// With a reset: the director forgets it in ten seconds, where it has seen both sides close it in two minutes.
    Reset,
}

impl Load {
    /// Starts a server on each host, which listens on a port.
    pub(crate) fn serve(hosts: &[&'static str], port: u16) {
        let (started, ready) = std::sync::mpsc::channel();
        for host in hosts.iter().copied() {
            let started = started.clone();
            std::thread::spawn(move || {
                enter(host);
                let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
                started.send(()).unwrap();
                for stream in listener.incoming().flatten() {
                    std::thread::spawn(move || drop(answer(host, &stream)));
                }
            });
        }
        assert_eq!(ready.iter().take(hosts.len()).count(), hosts.len());
    }

    /// Starts the clients on their hosts.
    pub(crate) fn begin(clients: &[&'static str], vip: SocketAddr, close: Close) -> Self {
        let counts = Arc::<Mutex<Counts>>::default();
        let stop = Arc::<AtomicBool>::default();
        let threads =
            clients.iter().flat_map(|host| [Client::Reloads, Client::Downloads].map(|kind| (*host, kind)));
        let clients = threads
            .map(|(host, kind)| {
                let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
                std::thread::spawn(move || {
                    enter(host);
                    while !stop.load(Ordering::Relaxed) {
                        let result = kind.visit(vip, close);
                        let mut counts = counts.lock().unwrap();
                        match result {
                            Ok(servers) => {
                                for server in servers {
                                    *counts.answers.entry(server).or_default() += 1;
                                }
                            }
                            Err(error) => counts.failures.push(format!("{host} {kind:?}: {error}")),
                        }
                    }
                })
            })
            .collect();
        Self { counts, stop, clients }
    }

    /// How many answers a server has given.
    pub(crate) fn answers(&self, server: &str) -> usize {
        self.counts.lock().unwrap().answers.get(server).copied().unwrap_or(0)
    }

    /// Lets the clients finish what they have begun, and returns what they have got.
    pub(crate) fn end(self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        std::mem::take(&mut self.counts.lock().unwrap())
    }
}

/// What a client does again and again.
#[derive(Debug, Clone, Copy)]
enum Client {
    /// A page, and three reloads by the same connection.
    Reloads,
    /// Something large, which takes a second.
    Downloads,
}

impl Client {
    /// A connection; returns which servers have answered.
    fn visit(self, vip: SocketAddr, close: Close) -> std::io::Result<Vec<String>> {
        let stream = TcpStream::connect_timeout(&vip, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::with_capacity(256, &stream);
        let servers: std::io::Result<Vec<String>> = match self {
            Self::Reloads => (0..4)
                .map(|_| {
                    std::thread::sleep(Duration::from_millis(20));
                    ask(&stream, &mut reader, "page")
                })
                .collect(),
            Self::Downloads => ask(&stream, &mut reader, "large").map(|server| vec![server]),
        };
        if close == Close::Reset {
            // A byte that was not read makes it one.
            (&stream).write_all(b"byte\n")?;
            stream.peek(&mut [0])?;
        }
        servers
    }
}

/// Asks for something, and reads all of it: the server's name, a length, and so many bytes.
fn ask(mut stream: &TcpStream, reader: &mut impl BufRead, what: &str) -> std::io::Result<String> {
    writeln!(stream, "{what}")?;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (server, length) = line.trim_end().split_once(' ').ok_or(ErrorKind::UnexpectedEof)?;
    let length: u64 = length.parse().map_err(|_| ErrorKind::InvalidData)?;
    let read = std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    if read == length { Ok(server.to_owned()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// Answers one client until it closes.
fn answer(host: &str, mut stream: &TcpStream) -> std::io::Result<()> {
    for line in BufReader::new(stream).lines() {
        match line?.as_str() {
            "page" => {
                let page = [b'.'; 1000];
                stream.write_all(&[format!("{host} {}\n", page.len()).as_bytes(), &page].concat())?;
            }
            "large" => {
                let part = [b'.'; 1000];
                writeln!(stream, "{host} {}", 20 * part.len())?;
                for _ in 0..20 {
                    stream.write_all(&part)?;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            _ => stream.write_all(b".")?,
        }
    }
    Ok(())
}
