//! Frames for a pipe or a file: all services and servers as lines of text, with a form feed between two frames.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::time::Instant;

use ipvs::Info;

use super::columns::{method, name};
use super::model::{KeptServer, Model, Server, Service};
use super::number;
use super::rate::Rate;
use super::reading::Kernel;
use super::schedule::Schedule;
use super::table::mark;
use crate::command::Watch;
use crate::messages::{self, Result};
use crate::text::{AddressFormatter, protocol_of};

/// Between two frames.
const FORM_FEED: &str = "\x0c";

/// Writes frames without end, or a number of them.
pub(super) fn run(
    mut kernel: Kernel<'_>,
    mut model: Model,
    info: Info,
    watch: &Watch,
    out: &mut impl Write,
) -> Result<()> {
    let mut schedule = Schedule::new(watch.interval);
    let mut frames = 1;
    loop {
        let ids: Vec<_> =
            model.services().iter().filter(|one| !one.is_gone()).map(|one| one.entry.service.id).collect();
        let now = Instant::now();
        for id in ids {
            kernel.read_servers(&id, &mut model, now);
        }
        frame(out, &model, info).and_then(|()| out.flush()).map_err(|error| messages::write_error(&error))?;
        if watch.count == Some(frames) {
            return Ok(());
        }
        frames += 1;
        let due = schedule.next(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        kernel.read(&mut model);
        write!(out, "{FORM_FEED}").map_err(|error| messages::write_error(&error))?;
    }
}

fn frame(out: &mut impl Write, model: &Model, info: Info) -> io::Result<()> {
    if let Some(message) = &model.failure {
        return writeln!(out, "IPVS {}: {message}", info.version);
    }
    let total = |of: fn(&Rate) -> f64| Number(model.total_rate().map(of));
    writeln!(
        out,
        "IPVS {}: {} {}, {} connections/s, {} packets/s, {} bytes/s",
        info.version,
        model.count(),
        number::services(model.count()),
        total(|rate| rate.connections),
        total(Rate::packets),
        total(Rate::bytes)
    )?;
    writeln!(
        out,
        "  {:<38} {:<7} {:>6} {:>10} {:>10} {:>9} {:>9} {:>11}",
        "service / server", "method", "weight", "active", "inactive", "conn/s", "pkt/s", "bytes/s"
    )?;
    let mut text = AddressFormatter::numeric();
    model.services().iter().try_for_each(|one| service(out, model, one, &mut text))
}

fn service(
    out: &mut impl Write,
    model: &Model,
    service: &Service,
    text: &mut AddressFormatter<'_>,
) -> io::Result<()> {
    let configured = &service.entry.service;
    let servers = model.servers(&configured.id);
    let is_unusable = !service.is_gone() && model.is_unusable(&configured.id);
    let mark = if is_unusable { '!' } else { mark(service.change()) };
    let scheduler = name(configured.scheduler.as_bytes());
    let left = || servers.iter().filter(|server| !server.is_gone());
    let active: u64 = left().map(|server| u64::from(server.entry.active_connections)).sum();
    let inactive: u64 = left().map(|server| u64::from(server.entry.inactive_connections)).sum();
    let address = text.service(&configured.id);
    write!(out, "{mark} {address:<38} {scheduler:<7} {:>6} {active:>10} {inactive:>10}", "-")?;
    rates(out, service.rate())?;
    for server in servers {
        let id = server.entry.destination.id;
        of_service(out, server, text.endpoint(id.address, id.port, protocol_of(&configured.id)))?;
    }
    Ok(())
}

fn of_service(out: &mut impl Write, server: &Server, address: &str) -> io::Result<()> {
    let KeptServer { destination, active_connections, inactive_connections, .. } = &server.entry;
    let (mark, method) = (mark(server.change()), method(destination.forwarding));
    let weight = destination.weight;
    write!(
        out,
        "{mark}   -> {address:<33} {method:<7} {weight:>6} {active_connections:>10} {inactive_connections:>10}"
    )?;
    rates(out, server.rate())
}

fn rates(out: &mut impl Write, rate: Option<&Rate>) -> io::Result<()> {
    let of = |of: fn(&Rate) -> f64| Number(rate.map(of));
    writeln!(out, " {:>9} {:>9} {:>11}", of(|rate| rate.connections), of(Rate::packets), of(Rate::bytes))
}

/// A rate; `-` where none is known yet.
struct Number(Option<f64>);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(rate) => f.pad(&format!("{rate:.1}")),
            None => f.pad("-"),
        }
    }
}
