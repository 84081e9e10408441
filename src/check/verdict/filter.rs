//! What the director's packet filter drops of the packets to a server, and of its answers.

use ipvs::{DestinationEntry, ForwardingMethod, Service};

use crate::check::director::Director;
use crate::check::firewall::dropped::dropped;
use crate::check::firewall::packets;
use crate::check::firewall::rules::{ALL, FORWARDED, LEAVING, Packet, SENT};
use crate::check::fix::Fix;

/// What drops the packets to a server, and the fix.
pub(super) fn to_server(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(String, Fix)> {
    if director.rules.is_open(&LEAVING) {
        return None;
    }
    let first = packets::to_server(&director.machine, &director.rules, service, server);
    let drops = |packets: &[Packet]| dropped(&director.rules, &LEAVING, ALL, packets);
    // What is around a packet in a tunnel is no part of a connection.
    let is_direct = server.destination.forwarding == ForwardingMethod::DirectRouting;
    let is_tracked = packets::is_tracked(&director.machine) == Some(true);
    let later = || drops(&packets::later(&director.machine, &first, true));
    drops(&first).or_else(|| if is_direct && is_tracked { later() } else { None })
}

/// What drops the answers of a masqueraded server, and the fix.
pub(super) fn from_server(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(String, Fix)> {
    let rules = &director.rules;
    if rules.is_open(&FORWARDED) && rules.is_open(&SENT) {
        return None;
    }
    let (forwarded, sent) = packets::from_server(&director.machine, rules, service, server);
    dropped(rules, &FORWARDED, ALL, &forwarded).or_else(|| dropped(rules, &SENT, ALL, &sent))
}
