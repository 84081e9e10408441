//! What the director's connections show about masqueraded servers, both of whose directions it sees.

use ipvs::{DestinationEntry, Family, ForwardingMethod, Service};

use super::beside::{MANY, beside};
use super::fixes::{remote_check, take_out, with_weight};
use super::servers;
use crate::check::director::Director;
use crate::check::finding::{Finding, Kind, counted};
use crate::check::firewall;
use crate::check::fix::{Fix, IptablesRule, Step, words};

fn masqueraded(
    director: &Director,
) -> impl Iterator<Item = (&Service, &[DestinationEntry], &DestinationEntry)> {
    let is_used = |server: &&DestinationEntry| {
        server.destination.weight > 0 && server.destination.forwarding == ForwardingMethod::Masquerade
    };
    director
        .services()
        .flat_map(move |(service, all)| all.iter().filter(is_used).map(move |server| (service, all, server)))
}

/// Clients in the network of their server, which answers them directly.
pub(crate) fn clients_beside(director: &Director) -> Vec<Finding> {
    let troubled = masqueraded(director).filter_map(|(service, _, server)| {
        if servers::problem(&director.machine, service, server).is_some() {
            return None;
        }
        let (clients, network) = beside(director, service, server)?;
        let first = clients.first()?;
        let what = format!(
            "{} from {first}, in the network of the server, in SYN_RECV",
            counted(u64::try_from(clients.len()).unwrap_or(u64::MAX), "connection")
        );
        let id = server.destination.id;
        let track = Fix::set([("net/ipv4/vs/conntrack", 1)]);
        let protocol = if matches!(service.id, ipvs::ServiceId::Address { protocol: ipvs::Protocol::Udp, .. }) {
            "udp"
        } else {
            "tcp"
        };
        let port = if id.port == 0 { String::new() } else { format!(" --dport {}", id.port) };
        let translate = match firewall::tool(&director.rules, Family::from(id.address)) {
            firewall::Tool::Nft => {
                let ip = if id.address.is_ipv4() { "ip" } else { "ip6" };
                let to = if id.port == 0 { format!("meta l4proto {protocol}") } else { format!("{protocol} dport {}", id.port) };
                Step::Firewall(format!(
                    "nft 'add table {ip} ipvs; add chain {ip} ipvs beside {{ type nat hook postrouting priority srcnat; }}; \
                     add rule {ip} ipvs beside {ip} saddr {network} {ip} daddr {} {to} masquerade'",
                    id.address
                ))
            }
            firewall::Tool::Iptables(tool) => {
                let rule = format!("-s {network} -d {} -p {protocol}{port} -j MASQUERADE", id.address);
                Step::Iptables(IptablesRule::append(tool, "nat", "POSTROUTING", words(&rule)))
            }
        };
        Some(Kind::ClientBeside.of_server(&service.id, &id, what, track.and(translate)))
    });
    troubled.collect()
}

/// Servers that reset every connection: nothing listens on their port.
pub(crate) fn refusing(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    let vips = director.vips();
    for (service, all, server) in masqueraded(director) {
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
        findings.push(Kind::ServerRefuses.of_server(&service.id, &of, with_weight(&what, server), fix));
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
