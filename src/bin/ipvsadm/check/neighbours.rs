//! Neighbours that did not answer: the kernel keeps that state until the next packet to them, even if they answer
//! again.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ipvs::DestinationEntry;

use super::Table;
use super::machine::Machine;
use super::rtnetlink::Routing;

/// The kernel probes a neighbour each second: there is time for two probes.
const TIMEOUT: Duration = Duration::from_millis(1500);
const STEP: Duration = Duration::from_millis(20);

/// Makes the kernel probe silent neighbours again, and waits a little for their answers. Without the privilege to do so,
/// their state stays as it is.
pub(crate) fn probe_again(machine: &mut Machine, hops: &BTreeSet<(IpAddr, u32)>) {
    if !hops.is_empty() {
        // If probing fails, the known state is all there is.
        let _ = wait_for_answers(machine, hops);
    }
}

/// The silent neighbours on the routes to servers. Servers with weight 0 count only if a service has no others.
pub(crate) fn silent_hops(machine: &Machine, table: &Table) -> BTreeSet<(IpAddr, u32)> {
    let is_used = |server: &DestinationEntry| server.destination.weight > 0;
    let used = table.iter().flat_map(|(_, servers)| {
        let all_out = !servers.iter().any(is_used);
        servers.iter().filter(move |server| all_out || is_used(server))
    });
    used.filter_map(|server| machine.silent_hop(server.destination.id.address)).collect()
}

fn wait_for_answers(machine: &mut Machine, hops: &BTreeSet<(IpAddr, u32)>) -> io::Result<()> {
    let mut routing = Routing::open()?;
    for (address, link) in hops {
        routing.resolve(*address, *link)?;
    }
    let end = Instant::now() + TIMEOUT;
    while Instant::now() < end {
        sleep(STEP);
        machine.neighbours = routing.neighbours()?.into();
        let is_silent = |(address, link)| {
            machine.neighbours.of(address).any(|neighbour| neighbour.link == link && neighbour.is_silent)
        };
        if !hops.iter().copied().any(is_silent) {
            break;
        }
    }
    Ok(())
}
