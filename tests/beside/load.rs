//! Servers, and clients that download, reload and come back, as threads on the hosts of a network.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::running::unpacked;
use lab::network::{enter, within};

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

/// The load generator wrk, which runs until it is ended.
pub(crate) struct Wrk(Child);

impl Wrk {
    /// Starts it on a host, with four connections that it keeps as long as the servers let it.
    pub(crate) fn begin(host: &str, vip: SocketAddr) -> Self {
        let package = unpacked("wrk", "usr");
        let mut wrk = Command::new(package.join("bin/wrk"));
        wrk.env("LD_LIBRARY_PATH", package.join("lib/x86_64-linux-gnu"));
        wrk.args([
            "--threads",
            "1",
            "--connections",
            "4",
            "--duration",
            "1h",
            "--timeout",
            "20s",
            &format!("http://{vip}/page"),
        ]);
        Self(within(host, || wrk.stdout(Stdio::piped()).spawn()).unwrap())
    }

    /// Ends it, and returns how many requests it has made; a panic if one has failed.
    pub(crate) fn end(self) -> usize {
        kill(lab::pid(&self.0), Signal::SIGINT).unwrap();
        let output = self.0.wait_with_output().unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        let requests =
            report.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
        let is_good = !report.contains("Socket errors") && !report.contains("Non-2xx");
        assert!(output.status.success() && is_good, "{report}");
        requests.unwrap_or_else(|| panic!("{report}"))
    }
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
                    ask(&stream, &mut reader, "/page")
                })
                .collect(),
            Self::Downloads => ask(&stream, &mut reader, "/large").map(|server| vec![server]),
        };
        if close == Close::Reset {
            // An answer that was not read makes it one.
            write!(&stream, "GET /page HTTP/1.1\r\n\r\n")?;
            stream.peek(&mut [0])?;
        }
        servers
    }
}

/// Asks for something, and reads all of it; the server's name is in the head.
fn ask(mut stream: &TcpStream, reader: &mut impl BufRead, what: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {what} HTTP/1.1\r\nHost: vip\r\n\r\n").as_bytes())?;
    let head = head(reader)?;
    let value =
        |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).ok_or(ErrorKind::UnexpectedEof);
    let server = value("Server: ")?.to_owned();
    let length: u64 = value("Content-Length: ")?.parse().map_err(|_| ErrorKind::InvalidData)?;
    let read = std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    if read == length { Ok(server) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// The lines up to an empty one; none at the end.
fn head(reader: &mut impl BufRead) -> std::io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in reader.lines() {
        match line? {
            line if line.is_empty() => return Ok(lines),
            line => lines.push(line),
        }
    }
    Ok(Vec::new())
}

/// Answers one client until it closes, or has asked often: servers close connections that are kept alive.
fn answer(host: &str, mut stream: &TcpStream) -> std::io::Result<()> {
    const REQUESTS: usize = 20;
    const PART: [u8; 1000] = [b'.'; 1000];
    let mut reader = BufReader::new(stream);
    for number in 1..=REQUESTS {
        let request = head(&mut reader)?;
        let Some(first) = request.first() else { return Ok(()) };
        let parts = if first.starts_with("GET /large ") { 20 } else { 1 };
        let connection = if number == REQUESTS { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: {host}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            parts * PART.len()
        );
        stream.write_all(head.as_bytes())?;
        for _ in 0..parts {
            // A client alone would keep the processor busy.
            std::thread::sleep(Duration::from_millis(if parts == 1 { 10 } else { 50 }));
            stream.write_all(&PART)?;
        }
    }
    Ok(())
}
