//! Prints the traffic of each real server every two seconds, the interval at which the kernel refreshes its counters.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use ipvs::{Client, Counters, DestinationId, ServiceId};

fn main() -> ipvs::Result<()> {
    let mut client = Client::open()?;
    let mut poller = Poller::new(&mut client)?;
    loop {
        thread::sleep(Duration::from_secs(2));
        for Traffic { service, server, counters, per_second } in poller.poll(&mut client)? {
            let Counters { in_bytes, out_bytes, .. } = counters;
            println!("{service} -> {server:<22} {per_second:8.1}/s {in_bytes:>12} in {out_bytes:>12} out");
        }
    }
}

/// The traffic of a real server between two readings.
pub(crate) struct Traffic {
    pub(crate) service: ServiceId,
    pub(crate) server: DestinationId,
    pub(crate) counters: Counters,
    /// New connections.
    pub(crate) per_second: f64,
}

/// The last reading.
pub(crate) struct Poller {
    totals: HashMap<(ServiceId, DestinationId), Counters>,
    at: Instant,
}

impl Poller {
    pub(crate) fn new(client: &mut Client) -> ipvs::Result<Self> {
        let mut poller = Self { totals: HashMap::new(), at: Instant::now() };
        poller.poll(client)?;
        Ok(poller)
    }

    /// Reads again. Counters that were reset in between count from there, and so does a new server.
    pub(crate) fn poll(&mut self, client: &mut Client) -> ipvs::Result<Vec<Traffic>> {
        let seconds = self.at.elapsed().as_secs_f64();
        self.at = Instant::now();
        let mut traffic = Vec::new();
        let mut totals = HashMap::new();
        for entry in client.services()? {
            let service = entry.service.id;
            for entry in client.destinations(&service)? {
                let server = entry.destination.id;
                let before = self.totals.get(&(service, server)).copied().unwrap_or_default();
                let counters = entry.stats.total.since(&before);
                #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
                let per_second = counters.connections as f64 / seconds;
                traffic.push(Traffic { service, server, counters, per_second });
                totals.insert((service, server), entry.stats.total);
            }
        }
        self.totals = totals;
        Ok(traffic)
    }
}
