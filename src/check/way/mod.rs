//! `--explain`: the way of a client's packet to a virtual service and back, stage by stage: what decides each stage, and where
//! the packet dies. The kernel is asked for the routes, with all that its rules look at; what another machine decides, that
//! machine is to be asked.
//!
//! `stage` is what a stage is; `arrival`, `scheduled`, `to_server` and `answer` are the stages on a director, `server` those on a
//! real server; `choice` foretells schedulers, `moves` what a change of the servers does to clients; `show` prints.

mod answer;
mod arrival;
mod choice;
mod director;
mod moves;
mod roads;
mod scheduled;
mod server;
mod show;
mod stage;
mod to_server;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use ipvs::{Protocol, ServiceId};
use serde::Serialize;

use super::failure::unwritten;
use super::finding::Finding;
use crate::check::facts::procfs;
use crate::check::facts::protocols;
use crate::command::Explain;
use crate::messages::{Failure, Result};
use crate::session::Session;
use moves::Moves;
use stage::{Step, Verdict};

/// The packet dies.
const STATUS_DIES: u8 = 1;

/// A client's first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flow {
    client: IpAddr,
    client_port: Option<u16>,
    vip: IpAddr,
    /// None if the service has all ports.
    port: Option<u16>,
    protocol: u8,
    mark: Option<u32>,
}

/// The way of a packet, as far as this machine knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Walk {
    client: String,
    service: String,
    /// The server whose way it is; none if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    stages: Vec<Step>,
    /// What becomes of the packet.
    end: String,
    /// The command that goes on where the packet leaves this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moves: Option<Moves>,
}

impl Walk {
    fn dies(&self) -> bool {
        self.stages.iter().any(|step| step.verdict == Verdict::Stops)
    }
}

/// Shows the way of a client's packet.
pub(crate) fn explain(session: &mut Session, what: &Explain, out: &mut impl Write) -> Result<()> {
    let walk = match what.server {
        Some((server, port)) if is_this_server(what, server) => server::walk(what, server, port)?,
        _ => {
            session.info()?;
            director::walk(session.client()?, what)?
        }
    };
    let width = crate::lines::terminal_width();
    show::show(out, &walk, what.json, width).and_then(|()| out.flush()).map_err(|error| unwritten(&error))?;
    if walk.dies() { Err(Failure::reported(STATUS_DIES)) } else { Ok(()) }
}

/// Adds what `--check` finds, and says what becomes of the packet.
fn finish(walk: &mut Walk, findings: &[Finding]) {
    director::add_findings(walk, findings);
    if let Some(step) = walk.stages.iter().find(|step| step.verdict == Verdict::Stops) {
        walk.end = format!("it dies in {}", step.stage.name());
        walk.next = None;
        return;
    }
    let unknown: Vec<&str> = walk
        .stages
        .iter()
        .filter(|step| step.verdict == Verdict::Unknown)
        .map(|step| step.stage.name())
        .collect();
    walk.end = match (&walk.next, &walk.server) {
        (Some(_), Some(server)) => format!("it leaves here for {server}; go on there:"),
        _ if unknown.is_empty() => "it passes".to_owned(),
        _ => format!("it passes, as far as this machine knows (not: {})", unknown.join(", ")),
    };
}

/// Whether this machine is the real server: it is said to be, or has its address and not the service.
fn is_this_server(what: &Explain, server: IpAddr) -> bool {
    if what.method.is_some() || what.director.is_some() {
        return true;
    }
    let own = || {
        crate::check::facts::rtnetlink::Routing::open()
            .and_then(|mut routing| routing.addresses())
            .unwrap_or_default()
    };
    let is_scheduled = || match what.service {
        ServiceId::Address { address, .. } => {
            procfs::scheduled(address.is_ipv4()).addresses.contains(&address)
        }
        ServiceId::Fwmark { .. } => true,
    };
    own().iter().any(|own| own.address == server) && !is_scheduled()
}

/// The number of a protocol, and 0 for one that IPVS does not schedule.
fn number(protocol: Protocol) -> u8 {
    protocols::number(protocol).unwrap_or(0)
}

/// An address with its port, if it has one.
fn end(address: IpAddr, port: Option<u16>) -> String {
    port.map_or(address.to_string(), |port| SocketAddr::new(address, port).to_string())
}
