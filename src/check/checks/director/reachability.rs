//! Routes to the servers that get connections.

use ipvs::{DestinationEntry, Family, Service};

use super::source;
use crate::check::checks::fixes::{examine, take_out, with_weight};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::address::full_prefix;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, RouteChange, RouteStep};
use crate::check::verdict::{Examined, Problem, Trouble, Verdict};

const SERVER_BEHIND_GATEWAY: Kind = Kind::error(
    "server-behind-gateway",
    "a directly routed packet keeps the VIP as its destination. A gateway sends it back or drops it",
);
const SERVER_UNREACHABLE: Kind = Kind::error("server-unreachable", "clients scheduled to it time out");
const SERVER_SILENT: Kind = Kind::error("server-silent", "clients scheduled to it time out");
const SERVER_IS_DIRECTOR: Kind =
    Kind::error("server-is-director", "packets sent to it are delivered to this machine, and refused");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check {
    kinds: &[SERVER_BEHIND_GATEWAY, SERVER_UNREACHABLE, SERVER_SILENT, SERVER_IS_DIRECTOR],
    run: reachability,
};

/// Routes to the servers that get connections.
fn reachability(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers, verdicts) in director.verdicts() {
        for (server, verdict) in servers.iter().zip(verdicts) {
            let Some(Problem { trouble, what }) = verdict.problem.as_ref() else { continue };
            // The gateway may be the server itself.
            let is_serving = || director.connections.is_serving(&service.id, &server.destination.id);
            if server.destination.weight == 0 || *trouble == Trouble::BehindGateway && is_serving() {
                continue;
            }
            let kind = match trouble {
                Trouble::BehindGateway => SERVER_BEHIND_GATEWAY,
                Trouble::Unreachable => SERVER_UNREACHABLE,
                Trouble::Silent => SERVER_SILENT,
                Trouble::IsDirector => SERVER_IS_DIRECTOR,
            };
            if *trouble == Trouble::Silent && source::asker(director, service, server).is_some() {
                continue;
            }
            let fix = fix(director, *trouble, service, verdicts, server);
            let what = with_weight(what, server);
            findings.push(kind.of_server(&service.id, &server.destination.id, what, fix));
        }
    }
    findings
}

/// Fixes the route to a server, or gives the server, whose address may be mistyped, weight 0 until that is fixed.
fn fix(
    director: &Examined<'_>,
    trouble: Trouble,
    service: &Service,
    verdicts: &[Verdict],
    server: &DestinationEntry,
) -> Fix {
    let machine = &director.machine;
    let address = server.destination.id.address;
    // The user may be logged in through its route.
    let is_used = || machine.has_accepted(address);
    match (trouble, machine.on_link(address)) {
        (Trouble::Unreachable | Trouble::BehindGateway, Some(link)) if !is_used() => {
            let words = vec!["dev".into(), link.name.as_str().into()];
            let to = format!("{address}/{}", full_prefix(address));
            RouteStep { family: Family::V4, how: RouteChange::Replace, to, words, is_main: true }.into()
        }
        // It may recover by itself, and then nobody would restore its weight.
        (Trouble::Silent, _) if !verdicts.iter().any(Verdict::works) => examine(trouble, server),
        _ => take_out(director, service, server),
    }
}
