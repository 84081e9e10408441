//! Neighbours that did not answer: the kernel keeps that state until the next packet to them, even if they answer
//! again.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ipvs::DestinationEntry;

use super::address::Route;
use super::machine::Machine;
use super::rtnetlink::Routing;
use super::table::{Table, address};

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

/// Asks on the networks of the virtual addresses whether other machines answer for them, and for the servers, by whose
/// Ethernet addresses the others are known. Only IPv4: with IPv6 the kernel itself asks before it uses an address.
pub(crate) fn ask_for_addresses(machine: &mut Machine, table: &Table) {
    const MOST: usize = 256;
    let vips: BTreeSet<IpAddr> = table.iter().filter_map(|(entry, _)| address(&entry.service.id)).collect();
    // The question names another address of this machine as sender: one from the VIP would claim it.
    let has_other =
        |vip: IpAddr, link: u32| machine.networks(vip).any(|own| own.link == link && own.address != vip);
    let four = vips.into_iter().filter(IpAddr::is_ipv4);
    let placed = four.filter_map(|vip| Some((vip, machine.on_link(vip)?.index)));
    let asked: BTreeSet<(IpAddr, u32)> =
        placed.filter(|(vip, link)| has_other(*vip, *link)).take(MOST).collect();
    let on_link = |server: &DestinationEntry| match machine.route(server.destination.id.address) {
        Route::OnLink(link) => Some((server.destination.id.address, link)),
        _ => None,
    };
    let servers: BTreeSet<(IpAddr, u32)> =
        table.iter().flat_map(|(_, servers)| servers.iter().filter_map(on_link)).take(MOST).collect();
    let _ = ask(machine, &asked, &servers); // what is not answered is not known
    let answered = |(vip, link): &(IpAddr, u32)| {
        let mut known = machine.neighbours.of(*vip).filter(|it| it.link == *link && it.has_answered);
        Some((*vip, *link, known.find_map(|it| it.ethernet)?))
    };
    machine.twice = asked.iter().filter_map(answered).collect();
}

/// Asks for virtual addresses that this machine does not have, on the networks that they belong to: another director may.
pub(crate) fn ask_for_missing(machine: &mut Machine, table: &Table) {
    const MOST: usize = 64;
    let vips: BTreeSet<IpAddr> = table.iter().filter_map(|(entry, _)| address(&entry.service.id)).collect();
    let missing = vips.into_iter().filter(|vip| machine.route(*vip) != Route::Local);
    let asked: Vec<(IpAddr, u32)> = missing
        .filter_map(|vip| Some((vip, machine.on_link(vip)?.index)))
        .filter(|(vip, link)| !machine.answered(*vip, *link))
        .take(MOST)
        .collect();
    let Ok(mut routing) = Routing::open() else { return };
    for (vip, link) in &asked {
        if routing.resolve(*vip, *link).is_err() {
            return; // what is not answered is not known
        }
    }
    let end = Instant::now() + TIMEOUT;
    while asked.iter().any(|(vip, link)| !machine.answered(*vip, *link)) && Instant::now() < end {
        sleep(STEP);
        let Ok(neighbours) = routing.neighbours() else { return };
        machine.neighbours = neighbours.into();
    }
}

fn ask(
    machine: &mut Machine,
    asked: &BTreeSet<(IpAddr, u32)>,
    servers: &BTreeSet<(IpAddr, u32)>,
) -> io::Result<()> {
    let mut routing = Routing::open()?;
    for (address, link) in asked {
        // What was known of another machine may be old.
        routing.forget(*address, *link)?;
        routing.resolve(*address, *link)?;
    }
    for (address, link) in servers {
        routing.resolve(*address, *link)?;
    }
    sleep(TIMEOUT);
    machine.neighbours = routing.neighbours()?.into();
    Ok(())
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
