//! Removes a real server from a service when its last connection has ended: `drain 'TCP 192.0.2.1:80' 192.0.2.11:80`.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::time::{Duration, Instant};
use std::{env, thread};

use ipvs::{Client, DestinationId, ServiceId};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [service, server] = &words[..] else { return Err("usage: drain SERVICE SERVER".into()) };
    let is_gone = drain(&mut Client::open()?, &service.parse()?, &server.parse()?, Duration::from_secs(600))?;
    println!("{}", if is_gone { "it is gone" } else { "it has connections after ten minutes, and stays" });
    Ok(())
}

/// Stops new connections to a server, and deletes it when it has none; false if that took too long.
pub(crate) fn drain(
    client: &mut Client,
    service: &ServiceId,
    server: &DestinationId,
    patience: Duration,
) -> ipvs::Result<bool> {
    let end = Instant::now() + patience;
    loop {
        // A missing service is an error; a missing server is the desired state.
        let servers = client.destinations(service)?;
        let Some(entry) = servers.iter().find(|entry| entry.destination.id == *server) else {
            return Ok(true);
        };
        if entry.destination.weight > 0 {
            client.edit_destination(service, &entry.destination.with_weight(0))?;
        } else if entry.active_connections == 0 {
            return match client.delete_destination(service, server) {
                Err(error) if !error.is_not_found() => Err(error),
                _ => Ok(true),
            };
        } else if Instant::now() >= end {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(100));
    }
}
