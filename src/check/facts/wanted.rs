//! Whether another machine has an address that this one is to take. Only an answer to that question counts, or that it was
//! asked and nobody answered; where it cannot be asked, nothing is known.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::address::Route;
use super::machine::{Link, LinkKind, Neighbour};
use super::routes::Lookup;
use super::rtnetlink::Routing;
use crate::check::failure::STATUS_NOT_CHECKED;
use crate::command::Wanted;
use crate::messages::{self, Failure, Result};
use crate::sysctl;

/// Another machine has the address.
const STATUS_TAKEN: u8 = 1;
/// How long an interface that was just brought up may take to be connected.
const CARRIER: Duration = Duration::from_secs(3);
/// The kernel asks three times, once a second.
const ANSWERS: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(20);

/// Succeeds if the machines on the network of an interface were asked for an address, by ARP or neighbour discovery, and none
/// answered.
pub(crate) fn nobody_has(wanted: &Wanted) -> Result<()> {
    let Wanted { address, .. } = *wanted;
    let unasked = |reason: String| {
        let message = format!("cannot ask other machines for {address}: {reason}");
        Failure { status: STATUS_NOT_CHECKED, message, continue_restore: false }
    };
    let of_kernel = |error: std::io::Error| unasked(messages::reason(&error));
    let mut routing = Routing::open().map_err(of_kernel)?;
    let link = connected(&mut routing, wanted).map_err(of_kernel)?.map_err(unasked)?;
    routing
        .forget(address, link.index)
        .and_then(|()| routing.resolve(address, link.index))
        .map_err(of_kernel)?;
    match answer(&mut routing, address, link.index).map_err(of_kernel)? {
        Some(Neighbour { has_answered: true, ethernet, .. }) => {
            let of_whom = ethernet.map_or_else(
                || "another machine".to_owned(),
                |bytes| bytes.map(|byte| format!("{byte:02x}")).join(":"),
            );
            let message = format!("{address} is taken: {of_whom} answers for it on {}", link.name);
            Err(Failure { status: STATUS_TAKEN, message, continue_restore: false })
        }
        Some(Neighbour { is_silent: true, .. }) if is_up(&mut routing, &link).map_err(of_kernel)? => Ok(()),
        Some(_) => Err(unasked(format!("{} was not connected all the time", link.name))),
        None => Err(unasked(format!(
            "the kernel does not ask on {}; it needs CAP_NET_ADMIN: try sudo",
            link.name
        ))),
    }
}

/// The interface on whose network to ask, once it is connected; or why there is none.
fn connected(routing: &mut Routing, wanted: &Wanted) -> std::io::Result<std::result::Result<Link, String>> {
    let address = wanted.address;
    let index = if wanted.link.is_none() { index_for(routing, address)? } else { None };
    let is_it = |link: &Link| match &wanted.link {
        Some(name) => link.name == *name,
        None => Some(link.index) == index,
    };
    let end = Instant::now() + CARRIER;
    loop {
        let link = routing.links()?.into_iter().find(is_it);
        let Some(link) = link else {
            let name = wanted.link.as_deref().map(messages::printable);
            return Ok(Err(name.map_or_else(
                || "no interface leads to it; name one: ADDRESS%INTERFACE".to_owned(),
                |name| format!("there is no interface {name}"),
            )));
        };
        if link.kind != LinkKind::Ethernet {
            return Ok(Err(format!("{} is connected to no network on which machines are asked", link.name)));
        }
        // With this setting the kernel says at once that nobody answers.
        let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        let questions = format!("net/{family}/neigh/{}/mcast_solicit", link.name);
        if sysctl::read(&questions) == Some(0) {
            return Ok(Err(format!("{questions} is 0, so the kernel asks nobody")));
        }
        match (link.is_up && link.has_carrier, Instant::now() < end) {
            (true, _) => return Ok(Ok(link)),
            (false, true) => sleep(STEP),
            (false, false) if link.is_up => {
                return Ok(Err(format!("{} has no carrier", link.name)));
            }
            (false, false) => return Ok(Err(format!("{} is down", link.name))),
        }
    }
}

/// The interface whose network contains an address, the smallest of several; or else that of the route to it.
fn index_for(routing: &mut Routing, address: IpAddr) -> std::io::Result<Option<u32>> {
    let own = routing.addresses()?;
    let around = own.iter().filter(|own| !own.is_single() && own.address != address && own.spans(address));
    if let Some(own) = around.max_by_key(|own| own.prefix) {
        return Ok(Some(own.link));
    }
    let routes = routing.look_up(&[Lookup::to(address)])?;
    Ok(routes.first().copied().and_then(Route::link))
}

fn is_up(routing: &mut Routing, link: &Link) -> std::io::Result<bool> {
    let now = routing.links()?.into_iter().find(|now| now.index == link.index);
    Ok(now.is_some_and(|now| now.is_up && now.has_carrier))
}

/// What the kernel learns of a neighbour that it asks for; none if it does not ask.
fn answer(routing: &mut Routing, address: IpAddr, link: u32) -> std::io::Result<Option<Neighbour>> {
    let end = Instant::now() + ANSWERS;
    loop {
        let known = routing.neighbours()?.into_iter().find(|it| (it.address, it.link) == (address, link));
        if known.is_none_or(|known| known.has_answered) || Instant::now() > end {
            return Ok(known);
        }
        sleep(STEP);
    }
}
