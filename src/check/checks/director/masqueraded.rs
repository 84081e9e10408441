//! What the director's connections show about masqueraded servers, both of whose directions it sees.

use ipvs::{DestinationEntry, ForwardingMethod, Service};

use super::tracking::track;
use crate::check::checks::fixes::{masquerade, remote_check, take_out, with_weight};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::finding::{Finding, Kind, counted};
use crate::check::verdict::{Examined, MANY, Verdict};

const CLIENT_BESIDE: Kind = Kind::error(
    "client-beside",
    "the server answers clients of its own network directly, with its own address: they ignore that",
);
const SERVER_REFUSES: Kind =
    Kind::error("server-refuses", "nothing listens on its port: clients scheduled to it are refused");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[CLIENT_BESIDE, SERVER_REFUSES], run };

fn run(director: &Examined<'_>) -> Vec<Finding> {
    [clients_beside(director), refusing(director)].concat()
}

/// The masqueraded servers that get connections, each with its service, all servers of that, and what is known of it.
fn masqueraded<'a>(
    director: &'a Examined<'_>,
) -> impl Iterator<Item = (&'a Service, &'a [DestinationEntry], &'a DestinationEntry, &'a Verdict)> {
    let is_used = |(server, _): &(&DestinationEntry, &Verdict)| {
        server.destination.weight > 0 && server.destination.forwarding == ForwardingMethod::Masquerade
    };
    director.verdicts().flat_map(move |(service, all, verdicts)| {
        let used = all.iter().zip(verdicts).filter(is_used);
        used.map(move |(server, verdict)| (service, all, server, verdict))
    })
}

/// Clients in the network of their server, which answers them directly.
fn clients_beside(director: &Examined<'_>) -> Vec<Finding> {
    let troubled = masqueraded(director).filter_map(|(service, _, server, verdict)| {
        let near = verdict.near.as_ref().filter(|_| verdict.problem.is_none());
        let (clients, network) = near?;
        let first = clients.first()?;
        let what = format!(
            "{} from {first}, in the network of the server, in SYN_RECV",
            counted(u64::try_from(clients.len()).unwrap_or(u64::MAX), "connection")
        );
        let id = server.destination.id;
        let translate = masquerade(director, &service.id, &id, Some(network));
        Some(CLIENT_BESIDE.of_server(&service.id, &id, what, track(director).and(translate)))
    });
    troubled.collect()
}

/// Servers that reset every connection: nothing listens on their port.
fn refusing(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let vips = director.vips();
    for (service, all, server, _) in masqueraded(director) {
        let Some((count, clients)) = refuses(director, service, server) else { continue };
        let (number, of) = (|count| u64::try_from(count).unwrap_or(u64::MAX), server.destination.id);
        let what = format!(
            "it reset {} of {}, and has accepted none since",
            counted(number(count), "connection"),
            counted(number(clients), "client")
        );
        let works = |other: &DestinationEntry| {
            other.destination.weight > 0 && refuses(director, service, other).is_none()
        };
        let fix = if all.iter().any(works) {
            take_out(director, service, server)
        } else {
            remote_check(director, &vips, service, server)
        };
        findings.push(SERVER_REFUSES.of_server(&service.id, &of, with_weight(&what, server), fix));
    }
    findings
}

/// How many connections a server reset, and of how many clients, if it does nothing else.
fn refuses(director: &Director, service: &Service, server: &DestinationEntry) -> Option<(usize, usize)> {
    // Clients that check whether a server answers, and then reset the connection, look the same; but they are few, and
    // get longer answers than a reset, which is only headers.
    const MANY_CLIENTS: usize = 5;
    let (count, clients) = director.connections.reset(&service.id, &server.destination.id)?;
    let reset = if server.destination.id.address.is_ipv4() { 40 } else { 60 };
    let total = server.stats.total;
    let only_resets = total.out_packets > 0 && total.out_bytes == total.out_packets.saturating_mul(reset);
    (count >= MANY && (only_resets || clients >= MANY_CLIENTS)).then_some((count, clients))
}
