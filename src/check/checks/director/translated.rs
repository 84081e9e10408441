//! Rules that shall give clients' packets to masqueraded servers this director's address, so that the servers answer it, and do not.

use ipvs::{DestinationEntry, ForwardingMethod, Service};

use super::tracking::track;
use crate::check::checks::fixes::masquerade;
use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::dropped::{chain, named};
use crate::check::firewall::packets;
use crate::check::firewall::rules::{Action, Hook, Packet};
use crate::check::firewall::ruleset::Dropped;
use crate::check::fix::Fix;
use crate::check::verdict::{Examined, Verdict};

const SNAT_IGNORED: Kind = Kind::error(
    "snat-ignored",
    "servers answer clients past this director, with their own addresses: clients ignore that",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[SNAT_IGNORED], run: ignored };

/// One finding for each service whose clients wait in vain.
fn ignored(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers, verdicts) in director.verdicts() {
        let causes: Vec<(String, Fix)> = servers
            .iter()
            .zip(verdicts)
            .filter_map(|(server, verdict)| cause(director, service, server, verdict))
            .collect();
        let mut fix = Fix::default();
        for step in causes.iter().flat_map(|(_, fix)| &fix.0) {
            if !fix.0.contains(step) {
                fix.0.push(step.clone());
            }
        }
        findings.extend(
            causes.into_iter().next().map(|(what, _)| SNAT_IGNORED.of_service(&service.id, what, fix)),
        );
    }
    findings
}

/// Why a rule does not do what it is for, and the fix, if clients wait for a server in vain.
pub(super) fn cause(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
    verdict: &Verdict,
) -> Option<(String, Fix)> {
    let id = server.destination.id;
    let is_used =
        server.destination.weight > 0 && server.destination.forwarding == ForwardingMethod::Masquerade;
    if !is_used || verdict.stuck.is_none() || verdict.problem.is_some() {
        return None;
    }
    let is_tracked = packets::is_tracked(&director.machine)?;
    let new = |packet: Packet| Packet { state: Some("new"), ..packet };
    let sent: Vec<Packet> = packets::to_server(&director.machine, &director.rules, service, server)
        .into_iter()
        .map(new)
        .collect();
    if let Some((met, packet)) = sent.iter().find_map(|packet| Some((translates(director, packet)?, packet)))
    {
        let what = format!(
            "vs.conntrack is 0, so the rules of nat see none of IPVS's packets: {} would get this director's address in {}: {}",
            named(packet),
            chain(&met),
            met.text()
        );
        return (!is_tracked).then(|| (what, track(director)));
    }
    if sent.iter().any(|packet| director.rules.may_translate(packet)) {
        return None;
    }
    // Before IPVS, the same packets had the address of the service.
    let asked = packets::requests(&director.machine, &director.rules, service).into_iter().zip(&sent);
    let mut asked =
        asked.map(|(asked, sent)| Packet { to: asked.to, to_port: asked.to_port, ..sent.clone() });
    let (met, packet) = asked.find_map(|packet| Some((translates(director, &packet)?, packet)))?;
    let what = format!(
        "a rule in {} is for {}, and at that point the packets have the server's address already: {}",
        chain(&met),
        named(&packet),
        met.text()
    );
    let tracked = if is_tracked { Fix::default() } else { track(director) };
    Some((what, tracked.and(masquerade(director, &service.id, &id, None))))
}

fn translates<'a>(director: &'a Director, packet: &Packet) -> Option<Dropped<'a>> {
    director.rules.meets(Hook::Postrouting, packet, |action| *action == Action::Translate)
}
