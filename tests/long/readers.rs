//! What reads the table, and judges each reading.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use ipvs::{Client, ServiceId};

use crate::{CHANGING, FIRST, FIRST_SERVER, OURS, WEIGHTS, id};

/// How the table is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Library,
    Tool(&'static str),
    Connections,
}

pub(crate) const ALL: [Read; 4] =
    [Read::Library, Read::Tool("-L -n"), Read::Tool("-S -n"), Read::Connections];

/// A reader, and what it has found.
pub(crate) struct Reader {
    read: Read,
    services: u32,
    connections: u32,
    /// When connections began to be made.
    made: Instant,
    readings: AtomicUsize,
    wrong: AtomicUsize,
}

/// How often a reading has each service, and its server.
struct Seen {
    services: Vec<u8>,
    servers: Vec<u8>,
    /// Rows that nobody has written.
    strange: usize,
}

impl Seen {
    fn new(services: u32) -> Self {
        let none = || vec![0; services.try_into().unwrap()];
        Self { services: none(), servers: none(), strange: 0 }
    }

    fn service(&mut self, address: Ipv4Addr) -> u32 {
        let number = address.to_bits().wrapping_sub(FIRST);
        self.services.get_mut(number as usize).map_or_else(|| self.strange += 1, |times| *times += 1);
        number
    }

    fn server(&mut self, service: u32, address: Ipv4Addr, weight: u32) {
        let allowed = if service % CHANGING == 0 { 1..=WEIGHTS } else { 1..=1 };
        if address.to_bits() != FIRST_SERVER.wrapping_add(service) || !allowed.contains(&weight) {
            self.strange += 1;
        }
        self.servers.get_mut(service as usize).map_or_else(|| self.strange += 1, |times| *times += 1);
    }

    fn wrong(&self) -> usize {
        let is_right =
            |(number, times): (usize, &u8)| *times == 1 || *times == 0 && number % CHANGING as usize == 0;
        let wrong = |all: &[u8]| all.iter().enumerate().filter(|one| !is_right(*one)).count();
        self.strange + wrong(&self.services) + wrong(&self.servers)
    }
}

impl Reader {
    pub(crate) fn new(read: Read, services: u32, connections: u32, made: Instant) -> Self {
        let none = AtomicUsize::new(0);
        Self { read, services, connections, made, readings: none, wrong: AtomicUsize::new(0) }
    }

    pub(crate) fn count(&self) -> usize {
        self.readings.load(Relaxed)
    }

    pub(crate) fn told(&self) -> String {
        let name = match self.read {
            Read::Library => "the library",
            Read::Tool(words) => words,
            Read::Connections => "-L -n -c",
        };
        let wrong = self.wrong.load(Relaxed);
        assert_eq!(wrong, 0, "rows of {name}");
        format!("{name}: {} readings, {wrong} rows wrong", self.count())
    }

    pub(crate) fn read_until(&self, stop: &AtomicBool) {
        let mut client = Client::open().unwrap();
        while !stop.load(Relaxed) {
            let wrong = match self.read {
                Read::Library => self.by_library(&mut client),
                Read::Tool(words) => self.by_tool(words),
                Read::Connections => self.connections(),
            };
            self.readings.fetch_add(1, Relaxed);
            self.wrong.fetch_add(wrong, Relaxed);
        }
    }

    /// All services, and of some the servers.
    fn by_library(&self, client: &mut Client) -> usize {
        let mut seen = Seen::new(self.services);
        seen.servers.clear();
        for entry in client.services().unwrap() {
            match entry.service.id {
                ServiceId::Address { address: std::net::IpAddr::V4(address), .. } => {
                    let _ = seen.service(address);
                }
                _ => seen.strange += 1,
            }
        }
        for number in (1..self.services).step_by(101).filter(|number| number % CHANGING != 0) {
            let servers = client.destinations(&id(number)).unwrap();
            seen.strange += usize::from(servers.len() != 1 || servers[0].destination.weight != 1);
        }
        seen.wrong()
    }

    fn by_tool(&self, words: &str) -> usize {
        let text = output(words);
        let mut seen = Seen::new(self.services);
        let mut service = u32::MAX;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["TCP", at, "rr"] | ["-A", "-t", at, "-s", "rr"] => service = seen.service(address(at)),
                ["->", at, "Route", weight, "0", "0"] | ["-a", "-t", _, "-r", at, "-g", "-w", weight] => {
                    seen.server(service, address(at), weight.parse().unwrap());
                }
                ["IP" | "Prot", ..] | ["->", "RemoteAddress:Port", ..] => {}
                _ => seen.strange += 1,
            }
        }
        seen.wrong()
    }

    /// No connection is there twice, and none is gone before its time.
    fn connections(&self) -> usize {
        const LIFE: Duration = Duration::from_secs(890);
        let text = output("-L -n -c");
        let rows: Vec<&str> = text.lines().skip(2).collect();
        // Without the time that is left.
        let key = |row: &str| row.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        let different: HashSet<String> = rows.iter().map(|row| key(row)).collect();
        let lost = (self.connections as usize).abs_diff(rows.len());
        rows.len() - different.len() + if self.made.elapsed() < LIFE { lost } else { 0 }
    }
}

fn output(words: &str) -> String {
    let output = Command::new(OURS).args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "ipvsadm {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The address of an endpoint with port 80.
fn address(endpoint: &str) -> Ipv4Addr {
    endpoint.strip_suffix(":80").and_then(|address| address.parse().ok()).unwrap_or(Ipv4Addr::UNSPECIFIED)
}
