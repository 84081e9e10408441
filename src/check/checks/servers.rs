//! The real servers as seen by the director.

use ipvs::{
    Change, Destination, DestinationEntry, DestinationId, Family, ForwardingMethod, Protocol, Service,
    ServiceId,
};

use super::beside;
use super::filtered;
use super::fixes::{remote_check, take_out, with_weight};
use crate::check::director::Director;
use crate::check::facts::address::{Route, full_prefix};
use crate::check::facts::connections::Stuck;
use crate::check::facts::machine::Machine;
use crate::check::facts::table::connections_of;
use crate::check::finding::{Finding, Kind, counted};
use crate::check::firewall;
use crate::check::fix::{Fix, RouteChange, RouteStep, Step};

/// Routes to the servers that get connections.
pub(crate) fn reachability(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        for server in servers.iter().filter(|server| server.destination.weight > 0) {
            let Some((kind, what)) = problem(&director.machine, service, server) else { continue };
            // The gateway may be the server itself.
            let is_serving = || director.connections.is_serving(&service.id, &server.destination.id);
            if kind == Kind::ServerBehindGateway && is_serving() {
                continue;
            }
            let fix = fix(director, kind, service, servers, server);
            let what = with_weight(&what, server);
            findings.push(kind.of_server(&service.id, &server.destination.id, what, fix));
        }
    }
    findings
}

/// What is wrong with the route to a server; none if nothing is.
pub(crate) fn problem(
    machine: &Machine,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(Kind, String)> {
    let address = server.destination.id.address;
    let is_direct_routing = server.destination.forwarding == ForwardingMethod::DirectRouting;
    match machine.route(address) {
        Route::Unreachable => Some((Kind::ServerUnreachable, format!("there is no route to {address}"))),
        Route::Via(gateway, _) if is_direct_routing => {
            let mut what = format!("the route to {address} is via {gateway}, not on-link");
            if machine.on_link(address).is_none() {
                what += "; if the address is right, use a tunnel (-i), which the server must decapsulate";
            }
            Some((Kind::ServerBehindGateway, what))
        }
        Route::Local if is_unserved(machine, service, server) => {
            let what = format!("{address} is this director, where nothing listens for the service");
            Some((Kind::ServerIsDirector, what))
        }
        Route::Local => None,
        Route::OnLink(_) | Route::Via(..) => machine.silent_hop(address).map(|(hop, link)| {
            let what = format!("{hop} does not answer on {} (ip neigh)", machine.name(link));
            (Kind::ServerSilent, what)
        }),
    }
}

/// Fixes the route to a server, or gives the server, whose address may be mistyped, weight 0 until that is fixed.
fn fix(
    director: &Director,
    kind: Kind,
    service: &Service,
    servers: &[DestinationEntry],
    server: &DestinationEntry,
) -> Fix {
    let machine = &director.machine;
    let address = server.destination.id.address;
    // The user may be logged in through its route.
    let is_used = || machine.has_accepted(address);
    match (kind, machine.on_link(address)) {
        (Kind::ServerUnreachable | Kind::ServerBehindGateway, Some(link)) if !is_used() => {
            let words = vec!["dev".into(), link.name.as_str().into()];
            let to = format!("{address}/{}", full_prefix(address));
            RouteStep { family: Family::V4, how: RouteChange::Replace, to, words, is_main: true }.into()
        }
        // It may recover by itself, and then nobody would restore its weight.
        (Kind::ServerSilent, _) if !has_working_server(director, service, servers) => examine(kind, server),
        _ => take_out(director, service, server),
    }
}

/// The command that examines a server with a problem.
pub(crate) fn examine(kind: Kind, server: &DestinationEntry) -> Fix {
    let address = server.destination.id.address;
    match kind {
        Kind::ServerSilent => Fix::look(format!("ping -c 1 -W 1 {address}; ip neigh")),
        _ => Fix::look(format!("ip route get {address}")),
    }
}

/// Whether nothing listens on the director for packets delivered to itself, as far as that is known.
fn is_unserved(machine: &Machine, service: &Service, server: &DestinationEntry) -> bool {
    let ServiceId::Address { protocol, address, port } = service.id else { return false };
    let (address, port) = match server.destination.forwarding {
        ForwardingMethod::Masquerade => (server.destination.id.address, server.destination.id.port),
        _ => (address, port),
    };
    match protocol {
        _ if port == 0 => false,
        Protocol::Tcp => !machine.listens(address, port, true),
        Protocol::Udp => !machine.listens(address, port, false),
        _ => false,
    }
}

/// Connections that clients opened and the server did not accept.
pub(crate) fn syn_recv(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    let vips = director.vips();
    for (service, servers) in director.services() {
        let used = servers.iter().filter(|server| server.destination.weight > 0);
        let used_ids: Vec<DestinationId> = used.clone().map(|server| server.destination.id).collect();
        if director.connections.is_flood(&service.id, &used_ids) {
            continue;
        }
        let suspects: Vec<(&DestinationEntry, Stuck)> = used
            .filter_map(|server| {
                let stuck = director.connections.stuck(&service.id, &server.destination.id)?;
                (!has_known_cause(director, service, server)).then_some((server, stuck))
            })
            .collect();
        let works = has_working_server(director, service, servers);
        if !works && !suspects.is_empty() {
            findings.extend(own_filter(director, service));
        }
        for (server, stuck) in suspects {
            let mut what = format!(
                "{} of {} connections are in SYN_RECV, the newest for {} s",
                stuck.count, stuck.all, stuck.newest
            );
            let (id, method) = (server.destination.id, server.destination.forwarding);
            if method == ForwardingMethod::Masquerade
                && beside::answers_director(&director.machine, id) == Some(true)
            {
                what += "; it answers this director itself, so its answers to clients probably take another gateway";
            }
            let fix = if works {
                take_out(director, service, server)
            } else {
                remote_check(director, &vips, service, server)
            };
            let what = with_weight(&what, server);
            findings.push(Kind::SynRecv.of_server(&service.id, &server.destination.id, what, fix));
        }
    }
    findings
}

/// The director's own packet filter, which comes first if no server answers.
fn own_filter(director: &Director, service: &Service) -> Option<Finding> {
    let what = "no server answers; packets to them pass this director's own packet filter (OUTPUT), and so do answers of \
                masqueraded ones (FORWARD)";
    firewall::show(&director.rules, service.id.family())
        .map(|show| Kind::SynRecv.of_service(&service.id, what, Fix::look(show)))
}

/// Whether the reason is known why clients get no answers from a server.
fn has_known_cause(director: &Director, service: &Service, server: &DestinationEntry) -> bool {
    problem(&director.machine, service, server).is_some()
        || filtered::to_server(director, service, server).is_some()
        || filtered::from_server(director, service, server).is_some()
        || beside::beside(director, service, server).is_some()
        || server.destination.forwarding == ForwardingMethod::Masquerade
            && !director.machine.forwards(server.destination.id.address)
}

/// Whether a service has a server that answers, as far as the director knows.
fn has_working_server(director: &Director, service: &Service, servers: &[DestinationEntry]) -> bool {
    servers.iter().any(|other| {
        other.destination.weight > 0
            && director.connections.stuck(&service.id, &other.destination.id).is_none()
            && !has_known_cause(director, service, other)
    })
}

/// Whether a server has reached its upper threshold.
pub(crate) fn is_full(server: &DestinationEntry) -> bool {
    let upper = server.destination.upper_threshold;
    upper > 0 && connections_of(server) >= upper
}

/// Servers that have reached their upper threshold.
pub(crate) fn thresholds(director: &Director) -> Vec<Finding> {
    let full = director.servers().filter(|(_, server)| is_full(server));
    full.map(|(service, server)| {
        let upper = server.destination.upper_threshold;
        let connections = connections_of(server);
        let what =
            format!("it has {}, and its upper threshold is {upper}", counted(connections, "connection"));
        let room = upper.max(connections).saturating_mul(2).min(i32::MAX.unsigned_abs());
        // Newer kernels give it no new ones before it is below the lower threshold, where none is set three quarters.
        let lower_threshold = match server.destination.lower_threshold {
            0 => 0,
            lower => lower.max(room - room / 4),
        };
        let wider = Destination { upper_threshold: room, lower_threshold, ..server.destination };
        let fix = Step::Table(Change::EditDestination { service: service.id, destination: wider });
        Kind::ThresholdReached.of_server(&service.id, &server.destination.id, what, fix)
    })
    .collect()
}
