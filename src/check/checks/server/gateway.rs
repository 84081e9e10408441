//! The gateway of a real server's answers: the director with masquerading, and any other machine otherwise.

use std::net::IpAddr;

use ipvs::Family;

use super::redirected::{self, End};
use crate::check::checks::fixes::{default_route, route_from};
use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::address::Route;
use crate::check::facts::answers::sources;
use crate::check::facts::machine::{Connection, Machine, TcpState};
use crate::check::facts::procfs;
use crate::check::facts::routes::Hop;
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::ruleset::Ruleset;
use crate::check::fix::{DIRECTOR, GATEWAY, PORT, Step, Word, words};
use crate::check::server::Server;
use crate::command::{Method, RealServer};
use crate::programs;

const GATEWAY_IS_DIRECTOR: Kind = Kind::error(
    "gateway-is-director",
    "the director drops answers that carry its own address, the VIP: clients time out",
);
const GATEWAY_NOT_DIRECTOR: Kind = Kind::error(
    "gateway-not-director",
    "answers bypass the director, which must give them the VIP's address: clients ignore them",
);

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[GATEWAY_IS_DIRECTOR, GATEWAY_NOT_DIRECTOR], run };

fn run(server: &Server) -> Vec<Finding> {
    gateway(&server.role, &server.machine, &server.rules).into_iter().collect()
}

/// The route of answers: through the director with masquerading, and around it otherwise.
fn gateway(role: &RealServer, machine: &Machine, rules: &Ruleset) -> Option<Finding> {
    let director = role.director?;
    match role.method {
        Method::Masquerade => gateway_not_director(role, machine, rules, director),
        Method::DirectRouting | Method::Tunnel => gateway_is_director(role, machine, director),
    }
}

fn gateway_is_director(role: &RealServer, machine: &Machine, director: IpAddr) -> Option<Finding> {
    let vip = role.vip;
    let is_director = |route: &Route| matches!(route, Route::Via(gateway, _) if machine.is_same_machine(*gateway, director));
    // Of several gateways, one may be another.
    let spread = machine.routes.spread().map_or(&[][..], |route| &route.hops);
    let is_other = |hop: &&Hop| !is_director(&hop.route());
    let other = spread.iter().find(is_other);
    let is_bad = match other {
        Some(_) => !spread.iter().all(|hop| is_other(&hop)),
        None => machine.routes.answers.iter().all(is_director),
    };
    let link = machine.routes.answers.first().filter(|_| is_bad && !answers_arrive(role, machine))?.link()?;
    let gateway = other.and_then(|hop| Some((hop.gateway?, hop.link)));
    let (gateway, link) = gateway.map_or((GATEWAY, link), |(gateway, link)| (Word::from(gateway), link));
    // Answers to neighbours stay on their networks, and packets not from the VIP keep their route.
    let steered = route_from(machine, &[vip], None, gateway, machine.word(link));
    let near = words(&format!("from {vip} lookup main suppress_prefixlength 0"));
    let near = Step::Rule { family: Family::from(vip), words: near };
    let what = match other {
        Some(_) => format!("one of the gateways of the default route is the director, {director}"),
        None => format!("the default route is via the director, {director}"),
    };
    Some(GATEWAY_IS_DIRECTOR.at(&"default route", what, steered.and(near)))
}

/// Whether clients outside of this server's networks have got its answers: then the director takes them on purpose
/// (`accept_local`, or it has the VIP on no interface).
fn answers_arrive(role: &RealServer, machine: &Machine) -> bool {
    let is_far = |connection: &&Connection| {
        connection.local.ip() == role.vip
            && role.port.is_none_or(|port| port == connection.local.port())
            && machine.on_link(connection.remote.ip()).is_none()
            && machine.holders(connection.remote.ip()).next().is_none()
    };
    let mut far = machine.connections.iter().filter(is_far).peekable();
    if far.peek().is_some() {
        return far.all(|connection| connection.state != TcpState::Opening);
    }
    // Nothing is left of those that clients have ended, but what the kernel has learned of the way.
    let is_learned = |line: &str| {
        let mut words = line.split_whitespace();
        let client = words.next().and_then(|word| word.parse().ok());
        let source = words.skip_while(|word| *word != "source").nth(1).and_then(|word| word.parse().ok());
        source == Some(role.vip) && client.is_some_and(|client| machine.on_link(client).is_none())
    };
    programs::output("ip", &["tcp_metrics", "show"]).is_ok_and(|known| known.lines().any(is_learned))
}

fn gateway_not_director(
    role: &RealServer,
    machine: &Machine,
    rules: &Ruleset,
    director: IpAddr,
) -> Option<Finding> {
    let at = "default route";
    let (hop, link) = match machine.route(director) {
        Route::OnLink(link) => (director, link),
        Route::Via(gateway, link) => (gateway, link),
        Route::Local => return None,
        Route::Unreachable => {
            let what = format!(
                "there is no route to the director, {director}; it has an address next to this server"
            );
            let fix = default_route(director, DIRECTOR, None);
            return Some(GATEWAY_NOT_DIRECTOR.at(&at, what, fix));
        }
    };
    let sources: Vec<IpAddr> = sources(role, machine).into_iter().flatten().collect();
    let ends = redirected::ends(role, machine, rules);
    let is_hop =
        |route: &Route| matches!(route, Route::Via(gateway, _) if machine.is_same_machine(*gateway, hop));
    let spread = machine.routes.spread().map_or(&[][..], |route| &route.hops);
    let is_spread = spread.iter().any(|one| !is_hop(&one.route()));
    if sources.is_empty()
        || machine.routes.answers.iter().any(is_hop) && !is_spread
        || is_translated(role, machine, ends.as_deref(), director)
    {
        return None;
    }
    let what = if is_spread {
        format!("the default route has other gateways than the director, {director}")
    } else {
        format!("the default route is not via the director, {director}")
    };
    let name = machine.word(link);
    let fix = match machine.default_route(director) {
        // The user may be logged in through this route: it stays, and only clients' answers leave it.
        Route::OnLink(_) | Route::Via(..) => {
            // Rules of routing see an answer as it comes from its socket, or from a container.
            let end = ends.as_ref().and_then(|ends| ends.first());
            let port = end.and_then(|end| end.port).or(role.port);
            let port = port.map_or(PORT, |port| port.to_string().into());
            let moved = end.filter(|end| !end.is_here(machine)).map(|end| vec![end.address]);
            route_from(machine, &moved.unwrap_or(sources), Some(&port), hop.into(), name)
        }
        Route::Unreachable | Route::Local => default_route(hop, hop.into(), Some(name)).into(),
    };
    Some(GATEWAY_NOT_DIRECTOR.at(&at, what, fix))
}

/// Whether the director replaces clients' addresses with its own, so that answers return to it anyway: then it has
/// all connections from outside this server's networks.
fn is_translated(role: &RealServer, machine: &Machine, ends: Option<&[End]>, director: IpAddr) -> bool {
    const SSH: u16 = 22;
    let ports: Vec<u16> =
        ends.unwrap_or_default().iter().filter_map(|end| end.port).chain(role.port).collect();
    let is_served = |connection: &&Connection| match (ports.as_slice(), connection.local.port()) {
        ([], local) => local != SSH && machine.listens(connection.local.ip(), local, true),
        (ports, local) => ports.contains(&local),
    };
    let is_moved = ends.is_none_or(|ends| ends.iter().any(|end| !end.is_here(machine)));
    // Those of a container are known to the connection tracking alone.
    let tracked = if is_moved { procfs::tracked() } else { Some(Vec::new()) };
    let Some(tracked) = tracked else { return true };
    let of_containers = tracked.iter().filter(|it| {
        machine.holders(it.local.ip()).next().is_some()
            && role.port.is_none_or(|port| port == it.local.port())
    });
    let served: Vec<&Connection> =
        machine.connections.iter().filter(is_served).chain(of_containers).collect();
    let is_directors = |address: IpAddr| address == director || address == role.vip;
    let (directors, others): (Vec<&Connection>, Vec<&Connection>) =
        served.into_iter().partition(|connection| is_directors(connection.remote.ip()));
    let is_near = |connection: &&Connection| machine.on_link(connection.remote.ip()).is_some();
    directors.iter().any(|connection| connection.state != TcpState::Opening) && others.iter().all(is_near)
}
