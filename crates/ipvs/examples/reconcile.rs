//! Keeps the kernel's table equal to a file with a table in YAML, or in JSON: `reconcile FILE`.
//!
//! Only differences are changed, all of them or nothing. A real server that is to be removed gets no new connections
//! first, and is deleted when its last one has ended.

use std::error::Error;
use std::time::Duration;
use std::{env, fs, thread};

use ipvs::{Change, Client, Table};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let path = env::args().nth(1).ok_or("usage: reconcile FILE")?;
    let keeper = thread::spawn(move || keep(&path));
    keeper.join().map_err(|_| "the thread panicked")?
}

fn keep(path: &str) -> Result<()> {
    let mut client = Client::open()?;
    loop {
        let desired = serde_yaml_ng::from_str(&fs::read_to_string(path)?)?;
        let is_there = reconcile(&mut client, &desired)?;
        thread::sleep(Duration::from_secs(if is_there { 10 } else { 1 }));
    }
}

/// Changes the kernel's table to the desired one, except servers that still have connections: true if there are none.
pub(crate) fn reconcile(client: &mut Client, desired: &Table) -> Result<bool> {
    let mut next = desired.clone();
    for change in Table::read_for(client, desired)?.diff(desired) {
        let Change::DeleteDestination { service, destination: id } = change else { continue };
        let servers = client.destinations(&service)?;
        let leaving = servers.iter().find(|entry| entry.destination.id == id);
        if let Some(entry) = leaving.filter(|entry| entry.active_connections > 0) {
            let destination = entry.destination.with_weight(0);
            next.change(&Change::AddDestination { service, destination })?;
        }
    }
    next.apply(client)?;
    Ok(next == *desired)
}
