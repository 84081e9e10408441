//! Services that their scheduler cannot balance.

use ipvs::{Change, DestinationEntry, Family, Service};

use crate::balance;
use crate::change::warnings::weighted_alternative;
use crate::check::checks::fixes::set_weight;
use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::protocols::UDP;
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::rules::Packet;
use crate::check::fix::{Fix, Step};
use crate::check::verdict::Examined;

const WEIGHTS_IGNORED: Kind = Kind::warning("weights-ignored", "connections are not distributed by weight");
const PERSISTENT_ONE_PACKET: Kind = Kind::warning(
    "persistent-one-packet",
    "persistence sends all packets of a client to one server, so -o cannot spread them",
);
const ALL_TO_ONE: Kind =
    Kind::warning("all-to-one", "the other servers get nothing while that one can take it");
const HASH_WEIGHTS: Kind = Kind::warning(
    "hash-weights",
    "the shares of clients are not those of the weights, or change when a server is drained",
);
const ONE_PACKET_MASQUERADED: Kind = Kind::error(
    "one-packet-masqueraded",
    "the answers of masqueraded servers find no connection and keep the servers' addresses: clients ignore them",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check {
    kinds: &[WEIGHTS_IGNORED, PERSISTENT_ONE_PACKET, ALL_TO_ONE, HASH_WEIGHTS, ONE_PACKET_MASQUERADED],
    run,
};

fn run(director: &Examined<'_>) -> Vec<Finding> {
    [
        weights_ignored(director),
        persistent_one_packet(director),
        unbalanced(director),
        hash_weights(director),
        one_packet_masqueraded(director),
    ]
    .concat()
}

fn weights_ignored(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let mut weights = servers.iter().map(|server| server.destination.weight).filter(|weight| *weight > 0);
        let first = weights.next();
        let differ = weights.any(|weight| Some(weight) != first);
        // Where all goes to one server, that is reported.
        let differ = differ && balance::unbalanced(service).is_none();
        if let Some(scheduler) = weighted_alternative(service.scheduler).filter(|_| differ) {
            let what = format!("the weights differ, and scheduler {} ignores them", service.scheduler);
            let fix = Step::Table(Change::EditService(Service { scheduler, ..*service }));
            findings.push(WEIGHTS_IGNORED.of_service(&service.id, what, fix));
        }
    }
    findings
}

fn persistent_one_packet(director: &Examined<'_>) -> Vec<Finding> {
    // An engine identifies clients by packet contents: then the two work together.
    let both =
        |service: &Service| service.one_packet && service.persistence.is_some() && service.engine.is_none();
    let services = director.services().filter(|(service, _)| both(service));
    services
        .map(|(service, _)| {
            let fix = Step::Table(Change::EditService(Service { persistence: None, ..*service }));
            PERSISTENT_ONE_PACKET.of_service(
                &service.id,
                "the service is persistent, and one-packet (-o)",
                fix,
            )
        })
        .collect()
}

/// All goes to one of several servers.
fn unbalanced(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let used = servers.iter().filter(|server| server.destination.weight > 0).count();
        let Some((what, scheduler)) = balance::unbalanced(service).filter(|_| used > 1) else { continue };
        let fix = Step::Table(Change::EditService(Service { scheduler, ..*service }));
        findings.push(ALL_TO_ONE.of_service(&service.id, what, fix));
    }
    findings
}

/// Weights that are larger than the table of `sh`, or than they need to be.
fn hash_weights(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let weights: Vec<u32> = servers.iter().map(|server| server.destination.weight).collect();
        let Some(smaller) = balance::smaller_weights(&service.scheduler, &weights) else { continue };
        let edits =
            servers.iter().zip(smaller).filter(|(server, weight)| server.destination.weight != *weight);
        let fix: Fix = edits.map(|(server, weight)| set_weight(&service.id, server, weight)).collect();
        findings.push(HASH_WEIGHTS.of_service(&service.id, balance::too_large(&weights), fix));
    }
    findings
}

/// One-packet services with masqueraded servers, unless a rule translates their answers.
fn one_packet_masqueraded(director: &Examined<'_>) -> Vec<Finding> {
    let is_astray = |service: &Service, server: &DestinationEntry| {
        let id = server.destination.id;
        let answer = Packet {
            from: Some(id.address),
            from_port: Some(id.port).filter(|port| *port != 0),
            ..Packet::of(Family::from(id.address), UDP)
        };
        balance::answers_untranslated(service, &server.destination) && !director.rules.may_translate(&answer)
    };
    let services = director
        .services()
        .filter(|(service, servers)| servers.iter().any(|server| is_astray(service, server)));
    services
        .map(|(service, _)| {
            let fix = Step::Table(Change::EditService(Service { one_packet: false, ..*service }));
            let what = "the service schedules each packet by itself (-o), and has masqueraded servers (-m)";
            ONE_PACKET_MASQUERADED.of_service(&service.id, what, fix)
        })
        .collect()
}
