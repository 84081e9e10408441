//! Which clients would have another server if one were deleted, or had another weight.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use ipvs::{Connections, DestinationEntry, DestinationId, Scheduler, Service, ServiceId};
use serde::Serialize;

use super::choice::{Choices, Flow, Verdict};
use crate::check::facts::table::address;
use crate::check::failure::refused;
use crate::command::Explain;
use crate::messages::{self, Result};

/// What a change of one server does to clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Moves {
    /// The change in words.
    change: String,
    /// Of 1000 clients that may come, so many get another server than now; none if the scheduler does not choose by the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    permille: Option<u32>,
    /// Of those that have other servers, so many of 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    others_permille: Option<u32>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    /// Clients in the table of connections that would get another server for their next connection.
    clients: Vec<String>,
    /// How many clients are in the table of connections.
    of_clients: usize,
}

impl Moves {
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}:", self.change)?;
        if let (Some(all), Some(others)) = (self.permille, self.others_permille) {
            writeln!(
                out,
                "  {} of all clients would have another server, and {} of those of the other servers",
                percent(all),
                percent(others)
            )?;
        }
        if let Some(unknown) = &self.unknown {
            writeln!(out, "  {unknown}")?;
        }
        if self.of_clients > 0 && self.unknown.is_none() {
            let names = self.clients.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" ");
            let more = if self.clients.len() > SHOWN { " ..." } else { "" };
            let text = format!(
                "  {} of the {} clients with connections: {names}{more}",
                self.clients.len(),
                self.of_clients
            );
            writeln!(out, "{}", text.trim_end_matches(": "))?;
        }
        Ok(())
    }
}

/// So many clients are named.
const SHOWN: usize = 10;

fn percent(permille: u32) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// What the change of a command line would do; none if it names none.
pub(super) fn of(what: &Explain, service: &Service, servers: &[DestinationEntry]) -> Result<Option<Moves>> {
    let Some((address, port)) = what.without else { return Ok(None) };
    let is_it = |server: &DestinationEntry| {
        let id = server.destination.id;
        id.address == address && port.is_none_or(|port| port == id.port)
    };
    if !servers.iter().any(is_it) {
        return Err(messages::no_such_server(&super::end(address, port), &service.id));
    }
    let name = super::end(address, port);
    let (change, later): (String, Vec<DestinationEntry>) = match what.weight {
        Some(weight) => {
            let mut later = servers.to_vec();
            later
                .iter_mut()
                .filter(|server| is_it(server))
                .for_each(|server| server.destination.weight = weight);
            (format!("if {name} had weight {weight}"), later)
        }
        None => {
            (format!("without {name}"), servers.iter().filter(|server| !is_it(server)).copied().collect())
        }
    };
    let mut moves = Moves {
        change,
        permille: None,
        others_permille: None,
        unknown: None,
        clients: Vec::new(),
        of_clients: 0,
    };
    // An edit to 0 keeps the weight that mh counts with.
    let kept = |server: &DestinationEntry| {
        servers
            .iter()
            .find(|old| old.destination.id == server.destination.id)
            .map(|old| old.destination.weight)
            .filter(|weight| *weight > 0)
    };
    let (now, then) = (Choices::new(service, servers, &|_| None), Choices::new(service, &later, &kept));
    let compare = Comparison { now: &now, then: &then, servers, later: &later, changed: &is_it };
    if !matches!(service.scheduler, Scheduler::SH | Scheduler::MH | Scheduler::DH) {
        moves.unknown = Some(format!(
            "{} does not choose by the client: connections that exist stay where they are, clients of the server go to any other",
            service.scheduler
        ));
        return Ok(Some(moves));
    }
    if compare.shares(&mut moves) {
        compare.clients(service, &mut moves)?;
    }
    Ok(Some(moves))
}

/// Two lists of servers.
struct Comparison<'a> {
    now: &'a Choices<'a>,
    then: &'a Choices<'a>,
    servers: &'a [DestinationEntry],
    later: &'a [DestinationEntry],
    changed: &'a dyn Fn(&DestinationEntry) -> bool,
}

/// The server of a flow, or that it is refused; none if that is not known.
type Chosen = Option<Option<DestinationId>>;

impl Comparison<'_> {
    fn chosen(&self, flow: &Flow) -> Option<(Option<DestinationId>, Option<DestinationId>)> {
        let server = |choices: &Choices<'_>, servers: &[DestinationEntry]| -> Chosen {
            match choices.of(flow) {
                Verdict::Server(at) => Some(servers.get(at).map(|server| server.destination.id)),
                Verdict::Refused(_) => Some(None),
                Verdict::Unknown(_) => None,
            }
        };
        Some((server(self.now, self.servers)?, server(self.then, self.later)?))
    }

    /// The shares of all clients, of a sample that is the same each time; false if they are not known.
    fn shares(&self, moves: &mut Moves) -> bool {
        const SAMPLE: u32 = 20_000;
        let (mut all, mut others, mut of_others) = (0_u32, 0, 0);
        for number in 0..SAMPLE {
            let flow = sample(number);
            let Some((now, then)) = self.chosen(&flow) else {
                moves.unknown = Some("the shares depend on what no listing has: a last weight of mh, or whether a server was full".to_owned());
                return false;
            };
            let is_own = self
                .servers
                .iter()
                .any(|server| (self.changed)(server) && Some(server.destination.id) == now);
            let goes = u32::from(now != then);
            all += goes;
            if !is_own {
                of_others += 1;
                others += goes;
            }
        }
        let permille = |part: u32, of: u32| (part * 1000).checked_div(of).unwrap_or(0);
        moves.permille = Some(permille(all, SAMPLE));
        moves.others_permille = Some(permille(others, of_others));
        true
    }

    /// The clients of the table of connections.
    fn clients(&self, service: &Service, moves: &mut Moves) -> Result<()> {
        let mut clients: BTreeSet<(IpAddr, u16)> = BTreeSet::new();
        let mut rows = Connections::open().map_err(refused)?;
        while let Some(row) = rows.next_row().map_err(refused)? {
            let is_it = match service.id {
                ServiceId::Address { address, port, .. } => {
                    row.service.ip() == address && (port == 0 || port == row.service.port())
                }
                ServiceId::Fwmark { .. } => false,
            };
            if is_it && row.client.port() != 0 {
                clients.insert((row.client.ip(), row.client.port()));
            }
        }
        let vip = address(&service.id);
        let mut all = BTreeSet::new();
        let mut gone = BTreeSet::new();
        for (client, port) in clients {
            all.insert(client);
            let flow = Flow { client, port: Some(port), to: vip };
            if self.chosen(&flow).is_some_and(|(now, then)| now != then) {
                gone.insert(client);
            }
        }
        moves.of_clients = all.len();
        moves.clients = gone.into_iter().map(|client| client.to_string()).collect();
        Ok(())
    }
}

/// One of the clients that stand for all: their numbers are spread evenly over what the schedulers hash.
fn sample(number: u32) -> Flow {
    const APART: u32 = 214_748; // so many numbers lie between two of them
    let client = Ipv4Addr::from_bits(number.wrapping_mul(APART));
    Flow { client: client.into(), port: Some(0), to: Some(client.into()) }
}
