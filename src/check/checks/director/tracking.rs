//! What the connection tracking does to clients' packets: a table that is full, and rules that work on the connections of IPVS
//! otherwise than on others.

use ipvs::{DestinationEntry, ForwardingMethod, Service};

use crate::check::checks::full::{CONNTRACK_FULL, full_table};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::facts::protocols::TCP;
use crate::check::facts::table::address;
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::SCHEDULED;
use crate::check::firewall::dropped::{accept, chain, dropped, named};
use crate::check::firewall::packets;
use crate::check::firewall::rules::{ACK, ALL, ARRIVING, Action, Hook, LEAVING, Packet};
use crate::check::fix::Fix;
use crate::check::verdict::Examined;

const SYN_PROXY: Kind = Kind::error(
    "syn-proxy",
    "every connection seems to be open, and then nothing comes: no server ever learns of it",
);
const CLIENT_TRANSLATED: Kind = Kind::error(
    "client-translated",
    "servers answer this director instead of the client, and it drops that: clients time out",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[SYN_PROXY, CONNTRACK_FULL, CLIENT_TRANSLATED], run };

fn run(director: &Examined<'_>) -> Vec<Finding> {
    [syn_proxy(director), full(director), translated_clients(director)].concat()
}

/// The table of the connection tracking.
fn full(director: &Examined<'_>) -> Vec<Finding> {
    if director.table.is_empty() { Vec::new() } else { full_table(&director.machine) }
}

/// Directly routed packets whose sender a rule replaces: with `vs.conntrack` the rules of nat are for them, too.
fn translated_clients(director: &Examined<'_>) -> Vec<Finding> {
    let machine = &director.machine;
    if packets::is_tracked(machine) != Some(true) {
        return Vec::new();
    }
    let found = |(service, servers): (&Service, &[DestinationEntry])| {
        let vip = address(&service.id)?;
        let mut routed = servers.iter().filter(|server| {
            server.destination.weight > 0 && server.destination.forwarding == ForwardingMethod::DirectRouting
        });
        routed.find_map(|server| {
            let link = machine.link(machine.route(server.destination.id.address).link()?)?;
            // The director takes answers that carry its own address on purpose, or has no such address.
            if machine.holders(vip).next().is_none() || machine.effective(&link.name, "accept_local") > 0 {
                return None;
            }
            let first =
                packets::to_server(&director.machine, &director.rules, service, server).into_iter().next()?;
            let packet = Packet { state: Some("new"), ..first };
            let met =
                director.rules.meets(Hook::Postrouting, &packet, |action| *action == Action::Translate)?;
            let what = format!(
                "vs.conntrack is 1, and {} gets this director's address in {}: {}",
                named(&packet),
                chain(&met),
                met.text()
            );
            Some(CLIENT_TRANSLATED.of_service(&service.id, what, accept(met, &packet)))
        })
    };
    director.services().filter_map(found).collect()
}

/// A SYNPROXY before a service: IPVS gets no first packet of a client's, but one of the proxy's own, and schedules it only where it
/// keeps connections as the proxy does.
fn syn_proxy(director: &Examined<'_>) -> Vec<Finding> {
    let is_tracked = packets::is_tracked(&director.machine) == Some(true);
    let found = |(service, servers): (&Service, &[DestinationEntry])| {
        let is_one_sided = packets::is_one_sided(servers);
        let first = packets::requests(&director.machine, &director.rules, service)
            .into_iter()
            .find(|packet| packet.protocol == TCP)?;
        if is_tracked && !is_one_sided {
            return None;
        }
        let (met, packet) = ["untracked", "invalid", "new"].iter().find_map(|state| {
            let packet = Packet { state: Some(state), ..first.clone() };
            let met = director.rules.meets(Hook::Input, &packet, |action| *action == Action::SynProxy)?;
            Some((met, packet))
        })?;
        let why = if is_one_sided {
            "with direct routing and tunnels it does not see the servers' answers"
        } else {
            "vs.conntrack is 0"
        };
        let what = format!(
            "{} is answered by SYNPROXY in {}, and {why}: {}",
            named(&packet),
            chain(&met),
            met.text()
        );
        let fix = if is_one_sided { accept(met, &packet) } else { track(director) };
        Some(SYN_PROXY.of_service(&service.id, what, fix))
    };
    director.services().filter_map(found).collect()
}

/// What has to be accepted before `vs.conntrack` is set to 1: then the connection tracking sees one side of directly routed
/// connections, and takes their packets as INVALID; and the rules of nat are for them, too.
pub(super) fn track(director: &Director) -> Fix {
    let mut fix = Fix::default();
    if packets::is_tracked(&director.machine) == Some(false) {
        let one_sided = director.services().filter(|(_, servers)| packets::is_one_sided(servers));
        for (service, servers) in one_sided {
            let later =
                |packet: &Packet| Packet { flags: Some(ACK), state: Some("invalid"), ..packet.clone() };
            let asked = packets::requests(&director.machine, &director.rules, service);
            let arriving: Vec<Packet> =
                asked.iter().filter(|packet| packet.protocol == TCP).map(later).collect();
            let routed =
                servers.iter().filter(|it| it.destination.forwarding == ForwardingMethod::DirectRouting);
            let sent: Vec<Packet> = routed
                .flat_map(|it| packets::to_server(&director.machine, &director.rules, service, it))
                .collect();
            let leaving: Vec<Packet> =
                sent.iter().filter(|packet| packet.protocol == TCP).map(later).collect();
            let dropped_in = dropped(&director.rules, &ARRIVING, SCHEDULED, &arriving);
            let dropped_out = dropped(&director.rules, &LEAVING, ALL, &leaving);
            for (_, accepting) in [dropped_in, dropped_out].into_iter().flatten() {
                fix = fix.and(accepting);
            }
            let translated = sent.iter().find_map(|packet| {
                let packet = Packet { state: Some("new"), ..packet.clone() };
                let met = director
                    .rules
                    .meets(Hook::Postrouting, &packet, |action| *action == Action::Translate)?;
                Some(accept(met, &packet))
            });
            fix = fix.and(translated.unwrap_or_default());
        }
    }
    fix.and(Fix::set([("net/ipv4/vs/conntrack", 1)]))
}
