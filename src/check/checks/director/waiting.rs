//! Connections that clients opened and the server did not accept.

use ipvs::{DestinationEntry, DestinationId, ForwardingMethod, Service};

use super::{translated, uplinks};
use crate::check::checks::fixes::{remote_check, take_out, with_weight};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::facts::connections::Stuck;
use crate::check::finding::{Finding, Kind};
use crate::check::firewall;
use crate::check::fix::Fix;
use crate::check::verdict::{Examined, Verdict, answers_director};

const SYN_RECV: Kind = Kind::error(
    "syn-recv",
    "the server does not answer clients, or its answers do not reach them: they time out",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[SYN_RECV], run: syn_recv };

/// Connections that clients opened and the server did not accept, where nothing else says why.
fn syn_recv(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let vips = director.vips();
    for (service, servers, verdicts) in director.verdicts() {
        let used = || servers.iter().zip(verdicts).filter(|(server, _)| server.destination.weight > 0);
        let ids: Vec<DestinationId> = used().map(|(server, _)| server.destination.id).collect();
        if director.connections.is_flood(&service.id, &ids) {
            continue;
        }
        let suspects: Vec<(&DestinationEntry, Stuck)> = used()
            .filter(|(server, verdict)| {
                !verdict.has_known_cause()
                    && translated::cause(director, service, server, verdict).is_none()
                    && uplinks::cause(director, service, server).is_none()
            })
            .filter_map(|(server, verdict)| Some((server, verdict.stuck?)))
            .collect();
        let works = verdicts.iter().any(Verdict::works);
        if !works && !suspects.is_empty() {
            findings.extend(own_filter(director, service));
        }
        for (server, stuck) in suspects {
            let mut what = format!(
                "{} of {} connections are in SYN_RECV, the newest for {} s",
                stuck.count, stuck.all, stuck.newest
            );
            let (id, method) = (server.destination.id, server.destination.forwarding);
            if method == ForwardingMethod::Masquerade && answers_director(&director.machine, id) == Some(true)
            {
                what += "; it answers this director itself, so its answers to clients probably take another gateway";
            }
            let fix = if works {
                take_out(director, service, server)
            } else {
                remote_check(director, &vips, service, server)
            };
            let what = with_weight(&what, server);
            findings.push(SYN_RECV.of_server(&service.id, &server.destination.id, what, fix));
        }
    }
    findings
}

/// The director's own packet filter, which comes first if no server answers.
fn own_filter(director: &Director, service: &Service) -> Option<Finding> {
    let what = "no server answers; packets to them pass this director's own packet filter (OUTPUT), and so do answers of \
                masqueraded ones (FORWARD)";
    firewall::show(&director.rules, service.id.family())
        .map(|show| SYN_RECV.of_service(&service.id, what, Fix::look(show)))
}
