//! Tables made of lines, and the kernel's. All services are TCP, all servers masqueraded.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ipvs::{Change, Client, Destination, ForwardingMethod, Service, ServiceId};

/// The attributes of each service, and of each server of one.
pub(crate) type Table = BTreeMap<String, String>;

/// The lines of some services with the same servers.
pub(crate) fn lines(
    services: RangeInclusive<u8>,
    scheduler: &str,
    servers: RangeInclusive<u8>,
    weight: u32,
) -> Vec<String> {
    let of_one = |service: u8| {
        let servers = servers
            .clone()
            .map(move |server| format!("-a -t 10.0.0.{service}:80 -r 10.1.0.{server}:80 -m -w {weight}\n"));
        std::iter::once(format!("-A -t 10.0.0.{service}:80 -s {scheduler}\n")).chain(servers)
    };
    services.flat_map(of_one).collect()
}

/// Applies a line to a table.
fn carry_out(table: &mut Table, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["-C"] => table.clear(),
        ["-A" | "-E", "-t", service, "-s", scheduler] => {
            table.insert(service.to_owned(), scheduler.to_owned());
        }
        ["-a" | "-e", "-t", service, "-r", server, "-m", "-w", weight] => {
            table.insert(format!("{service} {server}"), weight.to_owned());
        }
        ["-d", "-t", service, "-r", server] => drop(table.remove(&format!("{service} {server}")).unwrap()),
        ["-D", "-t", service] => table.retain(|key, _| key.split(' ').next() != Some(service)),
        _ => unreachable!("{line}"),
    }
}

/// The table that lines make, beginning with an empty one.
pub(crate) fn after(lines: &[String]) -> Table {
    let mut table = Table::new();
    for line in lines {
        carry_out(&mut table, line);
    }
    table
}

/// After how many steps the table equals this one.
pub(crate) fn steps_to(before: &[String], steps: &[String], wanted: &Table) -> Option<usize> {
    let mut table = after(before);
    if table == *wanted {
        return Some(0);
    }
    steps
        .iter()
        .position(|step| {
            carry_out(&mut table, step);
            table.len() == wanted.len() && table == *wanted
        })
        .map(|at| at + 1)
}

/// The kernel's table, read directly.
pub(crate) struct Kernel(Client);

impl Kernel {
    pub(crate) fn open() -> Self {
        Self(Client::open().unwrap())
    }

    /// Replaces the table by lines.
    pub(crate) fn start_with(&mut self, lines: &[String]) {
        self.0.flush().unwrap();
        let changes: Vec<Change> = lines.iter().map(|line| change(line)).collect();
        assert_eq!(self.0.apply_all(&changes).unwrap().len(), 0);
    }

    pub(crate) fn table(&mut self) -> Table {
        let mut table = Table::new();
        for entry in self.0.services().unwrap() {
            let id = entry.service.id;
            let service = id.to_string().replace("TCP ", "");
            for entry in self.0.destinations(&id).unwrap() {
                let server = entry.destination;
                table.insert(format!("{service} {}", server.id), server.weight.to_string());
            }
            table.insert(service, entry.service.scheduler.to_string());
        }
        table
    }
}

fn change(line: &str) -> Change {
    let words: Vec<&str> = line.split_whitespace().collect();
    let address = |word: &str| word.parse::<std::net::SocketAddr>().unwrap();
    let service = address(words[2]);
    let id = ServiceId::tcp(service.ip(), service.port());
    match words[..] {
        ["-A", _, _, _, scheduler] => Change::AddService(Service::new(id, scheduler.parse().unwrap())),
        [_, _, _, _, server, _, _, weight] => {
            let server = address(server);
            let mut server = Destination::new(server.ip(), server.port(), ForwardingMethod::Masquerade);
            server.weight = weight.parse().unwrap();
            Change::AddDestination { service: id, destination: server }
        }
        _ => unreachable!("{line}"),
    }
}
