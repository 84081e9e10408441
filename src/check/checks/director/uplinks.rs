//! Clients that wait in vain for masqueraded servers, because this director's answers to them go astray.

use std::collections::BTreeMap;

use ipvs::{DestinationEntry, Family, Service, ServiceId};

use crate::check::checks::fixes::{default_route, delete_route, move_address, route_from};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::facts::machine::{LinkKind, Machine};
use crate::check::facts::question::{Refusal, Way};
use crate::check::facts::routes::RouteEntryKind;
use crate::check::facts::ways::ClientWay;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, GATEWAY, Step, Word, words};
use crate::check::verdict::Examined;

const SNAT_REROUTE: Kind = Kind::error(
    "snat-reroute",
    "answers of masqueraded servers take the route of the server's address, not that of the VIP: clients time out",
);
const NO_WAY_TO_CLIENTS: Kind = Kind::error(
    "no-way-to-clients",
    "answers of masqueraded servers come to this director and no further: clients time out",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[SNAT_REROUTE, NO_WAY_TO_CLIENTS], run: unanswered };

/// The clients that a service has no way to, and those whose answers take a way that is not the service's.
fn unanswered(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings: BTreeMap<ServiceId, Finding> = BTreeMap::new();
    for (service, server) in director.servers() {
        if let Some((kind, what, fix)) = cause(director, service, server) {
            findings.entry(service.id).or_insert_with(|| kind.of_service(&service.id, what, fix));
        }
    }
    findings.into_values().collect()
}

/// Why a way leads nowhere; none if it may lead to the client.
fn reason(machine: &Machine, it: &ClientWay) -> Option<String> {
    if !it.is_dead(machine) {
        return None;
    }
    match it.way {
        Way::Local { .. } => None,
        Way::Refused(refusal) => match refusal {
            Refusal::NoRoute => Some("there is no route".to_owned()),
            Refusal::Unreachable => Some("the route is of the type unreachable".to_owned()),
            Refusal::Prohibited => Some("the route is of the type prohibit".to_owned()),
            Refusal::Invalid => Some("the route is of the type blackhole".to_owned()),
            Refusal::ReversePath | Refusal::Other(_) => None,
        },
        Way::Leaves { gateway, link, .. } => {
            let name = machine.name(link);
            if machine.link(link).is_some_and(|link| link.kind == LinkKind::Dummy) {
                return Some(format!("the route leaves by {name}, behind which is nobody"));
            }
            let (hop, _) = it.silent_hop(machine)?;
            match gateway {
                Some(_) => Some(format!("the gateway {hop} does not answer on {name} (ip neigh)")),
                None => it.too_wide(machine).map(|(place, _)| {
                    format!(
                        "{}/{} on {name} makes it a neighbour, which does not answer",
                        place.address, place.prefix
                    )
                }),
            }
        }
    }
}

/// Why clients of a server get no answers, by the way of those.
pub(super) fn cause(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(Kind, String, Fix)> {
    let machine = &director.machine;
    let of_server = |it: &&ClientWay| it.service == service.id && it.server == server.destination.id;
    let ways: Vec<&ClientWay> = director.ways.iter().filter(of_server).collect();
    if let Some(it) = ways.iter().find(|it| is_not_rerouted(machine, it)) {
        let what = format!(
            "vs.snat_reroute is 0, so answers to {} leave {}, and from {} they would leave {}",
            it.client,
            words_of(machine, it.unrouted),
            it.vip,
            words_of(machine, it.way)
        );
        return Some((SNAT_REROUTE, what, Fix::set([("net/ipv4/vs/snat_reroute", 1)])));
    }
    if let Some((it, reason)) = ways.iter().find_map(|it| Some((it, reason(machine, it)?))) {
        let what = format!("no way from {} to its client {}: {reason}", it.vip, it.client);
        return Some((NO_WAY_TO_CLIENTS, what, way_out(director, it)));
    }
    // The server answers, and the answers leave where the service's address may be unknown.
    let answers = server.stats.total.out_packets > 0;
    let it = ways.iter().find(|it| answers && it.is_elsewhere(machine))?;
    let home = it.home(machine)?;
    let what = format!(
        "answers from {} to {} leave {}, and {} belongs to the network of {}: whatever is there must take it as a source",
        it.vip,
        it.client,
        words_of(machine, it.way),
        it.vip,
        home.name
    );
    Some((NO_WAY_TO_CLIENTS, what, by_home(director, it)))
}

fn is_not_rerouted(machine: &Machine, it: &ClientWay) -> bool {
    let leaves = |way: Way| match way {
        Way::Leaves { gateway, link, .. } => Some((gateway, link)),
        _ => None,
    };
    machine.sysctl("net/ipv4/vs/snat_reroute") == Some(0)
        && leaves(it.way).is_some()
        && leaves(it.way) != leaves(it.unrouted)
}

fn words_of(machine: &Machine, way: Way) -> String {
    match way {
        Way::Leaves { gateway: Some(gateway), link, .. } => {
            format!("via {gateway} dev {}", machine.name(link))
        }
        Way::Leaves { gateway: None, link, .. } => format!("by {}", machine.name(link)),
        Way::Local { .. } => "to this machine".to_owned(),
        Way::Refused(_) => "nowhere".to_owned(),
    }
}

/// What gives the answers a way.
fn way_out(director: &Director, it: &ClientWay) -> Fix {
    let machine = &director.machine;
    let barriers = it.routes.iter().filter(|route| route.kind == RouteEntryKind::Other);
    match it.way {
        Way::Leaves { gateway: None, .. } => match it.too_wide(machine) {
            Some((place, holder)) => move_address(machine, place, holder, &holder.name),
            None => by_home(director, it),
        },
        Way::Refused(Refusal::NoRoute) => {
            default_route(it.vip, gateway_of(it), home_word(machine, it)).into()
        }
        Way::Refused(_) => match barriers.max_by_key(|route| route.prefix) {
            Some(route) => delete_route(route).into(),
            None => Fix::look(format!("ip rule; ip route get {} from {}", it.client, it.vip)),
        },
        _ => by_home(director, it),
    }
}

/// The gateway in the network of the service's address, if some table knows it.
fn gateway_of(it: &ClientWay) -> Word {
    let mut gateways = it.routes.iter().filter(|route| route.prefix == 0).filter_map(|route| route.gateway);
    gateways.next().map_or(GATEWAY, Word::from)
}

fn home_word(machine: &Machine, it: &ClientWay) -> Option<Word> {
    it.home(machine).map(|link| link.name.as_str().into())
}

/// A table for packets from the service's address, through the interface to its network.
fn by_home(director: &Director, it: &ClientWay) -> Fix {
    let machine = &director.machine;
    let Some(link) = home_word(machine, it) else {
        return Fix::look(format!("ip route get {} from {}", it.client, it.vip));
    };
    let steered = route_from(machine, &[it.vip], None, gateway_of(it), link);
    let near = words(&format!("from {} lookup main suppress_prefixlength 0", it.vip));
    steered.and(Step::Rule { family: Family::from(it.vip), words: near })
}
