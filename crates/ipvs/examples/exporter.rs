//! Serves the connections of each real server as metrics: `exporter ADDRESS:PORT`. A thread reads the table; the requests
//! get what it read last.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, thread};

use ipvs::Client;

fn main() -> Result<(), Box<dyn Error>> {
    let at = env::args().nth(1).ok_or("usage: exporter ADDRESS:PORT")?;
    let mut client = Client::open()?;
    let page = Arc::new(Mutex::new(metrics(&mut client)?));
    thread::spawn({
        let page = page.clone();
        move || {
            loop {
                thread::sleep(Duration::from_secs(2));
                let new = metrics(&mut client).unwrap_or_else(|error| format!("# {error}\n"));
                *page.lock().unwrap_or_else(PoisonError::into_inner) = new;
            }
        }
    });
    for stream in TcpListener::bind(at)?.incoming() {
        let page = page.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Ok(mut stream) = stream else { continue };
        // Whoever hangs up gets nothing.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = stream.read(&mut [0; 4096]);
        let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n{page}");
    }
    Ok(())
}

/// A line for each real server.
pub(crate) fn metrics(client: &mut Client) -> ipvs::Result<String> {
    let mut page = "# TYPE ipvs_active_connections gauge\n".to_owned();
    for entry in client.services()? {
        let service = entry.service.id;
        for entry in client.destinations_or_none(&service)? {
            let (server, active) = (entry.destination.id, entry.active_connections);
            let _ = writeln!(
                page,
                "ipvs_active_connections{{service=\"{service}\",server=\"{server}\"}} {active}"
            );
        }
    }
    Ok(page)
}
