//! The messages that say how long packets may be, where they must be shorter behind this director: in a tunnel, or on a link.

use std::net::IpAddr;

use ipvs::{DestinationEntry, Family, ForwardingMethod, Service};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::machine::Machine;
use crate::check::facts::protocols::ICMP;
use crate::check::facts::table::address;
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::dropped::dropped;
use crate::check::firewall::packets::wires;
use crate::check::firewall::rules::{ALL, ARRIVING, LEAVING, Packet};
use crate::check::verdict::Examined;

const FILTER_ICMP: Kind = Kind::error(
    "filter-icmp",
    "whoever sends packets that are too long for the way to a server is not told so: large requests hang",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[FILTER_ICMP], run: messages };

/// "Fragmentation needed".
const TOO_LONG: (u8, u8) = (3, 4);

/// Such messages to clients, and to this director.
fn messages(director: &Examined<'_>) -> Vec<Finding> {
    let machine = &director.machine;
    if machine.sysctl("net/ipv4/vs/pmtu_disc") == Some(0) {
        return Vec::new();
    }
    let mut used = director.servers().filter(|(_, server)| server.destination.weight > 0);
    let Some((vip, server, why)) = used.find_map(|(service, server)| shorter(machine, service, server))
    else {
        return Vec::new();
    };
    let message = Packet { icmp: Some(TOO_LONG), ..Packet::of(Family::V4, ICMP) };
    let to_clients: Vec<Packet> =
        wires(machine, vip).map(|leaves| Packet { leaves, ..message.clone() }).collect();
    let from_servers = Packet {
        arrives: machine.route(server).link().map(|link| machine.name(link).to_owned()),
        is_local: Some(true),
        ..message
    };
    let mut findings = Vec::new();
    for (at, hooks, packets) in
        [("OUTPUT", &LEAVING[..], to_clients), ("INPUT", &ARRIVING, vec![from_servers])]
    {
        if let Some((what, fix)) = dropped(&director.rules, hooks, ALL, &packets) {
            findings.push(FILTER_ICMP.at(&at, format!("{what}; {why}"), fix));
        }
    }
    findings
}

/// The addresses of a service and of a server whose packets must be shorter than clients send them, and why.
fn shorter(
    machine: &Machine,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(IpAddr, IpAddr, String)> {
    let vip = address(&service.id).filter(IpAddr::is_ipv4)?;
    let to = server.destination.id.address;
    if matches!(server.destination.forwarding, ForwardingMethod::Tunnel(_)) && to.is_ipv4() {
        return Some((vip, to, "packets through a tunnel must be shorter by its header".to_owned()));
    }
    // Servers on such a link may say so themselves, by the MSS of TCP: then nothing is too long.
    if machine.complaints == 0 {
        return None;
    }
    let mtu_of = |link: u32| machine.link(link)?.facts.mtu;
    let link = machine.route(to).link()?;
    let (behind, before) = (mtu_of(link)?, machine.holders(vip).find_map(|(_, link)| link.facts.mtu)?);
    let (name, is_shorter) = (machine.name(link), behind < before);
    is_shorter
        .then(|| (vip, to, format!(
            "packets to servers on {name} must not be longer than {behind} bytes, and some are (nstat -az IcmpOutDestUnreachs)"
        )))
}
