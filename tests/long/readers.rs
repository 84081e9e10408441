//! What reads the table, and judges each reading.

use std::collections::HashSet;
use std::io::Read;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use ipvs::{Client, ServiceId};

use crate::{CHANGING, FIRST, FIRST_SERVER, OURS, WEIGHTS, id};

/// The commands that read it, each in a process of its own, whose texts are not this one's memory.
pub(crate) const COMMANDS: [&str; 3] = ["-L -n", "-S -n", CONNECTIONS];
const CONNECTIONS: &str = "-L -n -c";

/// The argument that makes this program read by a command until its input ends.
pub(crate) const READ: &str = "--read";

/// What everybody reads.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) services: u32,
    pub(crate) connections: u32,
    /// When connections began to be made, in seconds of the clock.
    pub(crate) made: u64,
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

/// Reads by a command, at least once, until this program's input ends.
pub(crate) fn read(words: &[String]) {
    let [command, numbers @ ..] = words else { unreachable!() };
    let number = |at: usize| numbers[at].parse::<u64>().unwrap();
    let table = Table {
        services: number(0).try_into().unwrap(),
        connections: number(1).try_into().unwrap(),
        made: number(2),
    };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            stop.store(true, Relaxed);
        });
        table.read_until(&stop, command, |table| {
            if command == CONNECTIONS { table.connections() } else { table.by_tool(command) }
        });
    });
}

impl Table {
    /// A process that reads by a command.
    pub(crate) fn start(self, command: &str) -> Child {
        let numbers = [u64::from(self.services), u64::from(self.connections), self.made];
        let mut reader = Command::new("/proc/self/exe");
        reader.args([READ, command]).args(numbers.map(|number| number.to_string()));
        reader.stdin(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn read_by_library(self, stop: &AtomicBool) {
        let mut client = Client::open().unwrap();
        self.read_until(stop, "the library", |table| table.by_library(&mut client));
    }

    fn read_until(self, stop: &AtomicBool, name: &str, mut read: impl FnMut(Self) -> usize) {
        let (mut readings, mut wrong) = (0, 0);
        while readings == 0 || !stop.load(Relaxed) {
            wrong += read(self);
            readings += 1;
        }
        println!("{name}: {readings} readings, {wrong} rows wrong");
        assert_eq!(wrong, 0, "rows of {name}");
    }

    /// All services, and of some the servers.
    fn by_library(self, client: &mut Client) -> usize {
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

    fn by_tool(self, words: &str) -> usize {
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
    fn connections(self) -> usize {
        const LIFE: u64 = 890; // seconds
        let text = output("-L -n -c");
        let rows: Vec<&str> = text.lines().skip(2).collect();
        // Without the time that is left.
        let key = |row: &str| row.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        let different: HashSet<String> = rows.iter().map(|row| key(row)).collect();
        let lost = (self.connections as usize).abs_diff(rows.len());
        rows.len() - different.len() + if now() < self.made + LIFE { lost } else { 0 }
    }
}

/// The clock, in seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
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
