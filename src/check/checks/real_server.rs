//! A real server: the conditions for clients of the virtual address to reach it, and for its answers to reach them.

use std::net::IpAddr;

use super::fixes::{default_route, move_address, route_from, set_arp};
use super::listener;
use super::settings::strict_rp_filter;
use super::tunnels;
use super::way_back::way_back;
use crate::check::facts::address::{Address, Route, full_prefix};
use crate::check::facts::answers::{own, sources};
use crate::check::facts::machine::{Connection, Link, LinkKind, Machine, TcpState};
use crate::check::facts::routes::{Hop, RouteEntry, RouteEntryKind};
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::ruleset::Ruleset;
use crate::check::fix::{
    ADDRESS, AddressChange, AddressStep, DIRECTOR, Fix, GATEWAY, PORT, Step, Word, words,
};
use ipvs::Family;

use crate::command::{Method, RealServer};
use crate::shell;

/// Checks this machine as a real server. ARP settings come first, so that the commands, run in order, never let two
/// machines answer for the address.
pub(crate) fn findings(role: &RealServer, machine: &Machine, rules: &Ruleset) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A server that gives the VIP's packets another address needs no VIP.
    let is_held = machine.holders(role.vip).next().is_some();
    let is_redirected = !is_held && listener::is_redirected(role, machine, rules);
    if role.method != Method::Masquerade && !is_redirected {
        match is_director(role, machine) {
            Ok(true) => {}
            Ok(false) => {
                findings.extend(arp(role, machine));
                findings.extend(vip(role, machine));
            }
            Err(finding) => findings.push(*finding),
        }
    }
    if role.method != Method::Masquerade {
        findings.extend(wire(role, machine).and_then(|link| strict_rp_filter(machine, role.vip, link)));
    }
    if role.method == Method::Tunnel {
        findings.extend(tunnels::tunnel(role, machine));
    }
    findings.extend(way_back(role, machine));
    findings.extend(gateway(role, machine));
    findings.extend(listener::unserved(role, machine, rules));
    findings
}

/// Whether this machine is the director, which has the VIP and answers for it, and a real server too. Where that is not known,
/// nothing takes the VIP away.
fn is_director(role: &RealServer, machine: &Machine) -> Result<bool, Box<Finding>> {
    if let Some(director) = role.director {
        return Ok(machine.holders(director).next().is_some());
    }
    let mut holders = machine.holders(role.vip);
    let Some((_, link)) = holders.find(|(_, link)| link.kind == LinkKind::Ethernet) else { return Ok(false) };
    match machine.scheduled.unknown {
        _ if machine.scheduled.addresses.contains(&role.vip) => Ok(true),
        None => Ok(false),
        Some(reason) => {
            let what = format!(
                "{} is on {}, which is connected to a network, and this machine may be the director: {reason}; if it is \
                 not, --director names the director",
                role.vip, link.name
            );
            Err(Box::new(Kind::ServerVipOnWire.at(&role.vip, what, Fix::look("ipvsadm -L -n"))))
        }
    }
}

/// The interface on which the director's packets arrive.
fn wire<'a>(role: &RealServer, machine: &'a Machine) -> Option<&'a Link> {
    let by_director =
        role.director.filter(|_| role.method != Method::Tunnel).map(|director| machine.route(director));
    let by_director = match by_director {
        Some(Route::OnLink(link)) => machine.link(link).filter(|link| link.kind == LinkKind::Ethernet),
        _ => None,
    };
    by_director.or_else(|| machine.on_link(role.vip)).or_else(|| {
        // An interface may have a route to the network, and no address in it.
        let spans = |route: &&RouteEntry| {
            route.prefix > 0
                && route.gateway.is_none()
                && route.kind == RouteEntryKind::Unicast
                && Address::network(route.to, route.prefix).spans(role.vip)
        };
        let mut routes = machine.routes.all.iter().filter(spans);
        routes.find_map(|route| {
            machine.link(route.link?).filter(|link| link.is_up && link.kind == LinkKind::Ethernet)
        })
    })
}

/// The interfaces on which ARP requests for the address arrive.
fn arp_interfaces<'a>(role: &RealServer, machine: &'a Machine) -> Vec<&'a Link> {
    let mut indices: Vec<u32> = machine.on_links(role.vip).map(|link| link.index).collect();
    // With a tunnel, the address belongs to another network.
    if role.method != Method::Tunnel {
        indices.extend(role.director.and_then(|director| machine.route(director).link()));
        let near = role.director.into_iter().flat_map(|director| machine.on_links(director));
        indices.extend(near.map(|link| link.index));
        if indices.is_empty() {
            indices.extend(machine.default_route(role.vip).link());
        }
    }
    machine
        .links
        .iter()
        .filter(|link| indices.contains(&link.index) && link.kind == LinkKind::Ethernet)
        .collect()
}

fn arp(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let mut findings = Vec::new();
    if role.vip.is_ipv6() {
        return findings; // IPv6 never answers for addresses of other interfaces
    }
    for link in arp_interfaces(role, machine) {
        if !machine.is_quiet(role.vip, link) {
            let (what, fix) = set_arp(machine, link, "arp_ignore", 1);
            findings.push(Kind::ArpIgnore.at(&link.name, what, fix));
        }
        // The kernel treats a higher value as 0.
        if machine.effective(&link.name, "arp_announce") != 2 {
            let (what, fix) = set_arp(machine, link, "arp_announce", 2);
            findings.push(Kind::ArpAnnounce.at(&link.name, what, fix));
        }
    }
    findings
}

/// The interface for the address.
fn vip_interface<'a>(role: &RealServer, machine: &'a Machine) -> &'a str {
    let tunnel = tunnels::usable(role, machine).find(|link| link.is_up);
    tunnel.filter(|_| role.method == Method::Tunnel).map_or("lo", |link| &link.name)
}

fn vip(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let vip = role.vip;
    let mut findings = Vec::new();
    for (place, link) in machine.holders(vip) {
        if link.kind == LinkKind::Ethernet {
            let what = format!("{vip} is on {}, which is connected to a network", link.name);
            // The director, and perhaps the user, reaches the server through its own address.
            let near =
                role.director.and_then(|director| machine.route(director).link()).unwrap_or(link.index);
            if own(role, machine).any(|own| own.link == near) {
                let fix = move_address(machine, place, link, vip_interface(role, machine));
                findings.push(Kind::ServerVipOnWire.at(&vip, what, fix));
            } else {
                let name = machine.name(near);
                let what = format!(
                    "{what}, and {name} has no other address: if this is the VIP, add the server's own first"
                );
                let (how, prefix, link) = (AddressChange::Add, place.prefix, machine.word(near));
                let fix = Step::Address(AddressStep { how, address: ADDRESS, prefix, link });
                findings.push(Kind::ServerVipOnWire.at(&vip, what, fix));
            }
        } else if place.prefix != full_prefix(vip) {
            let what = format!(
                "{vip} is on {} with the mask /{}, not /{}",
                link.name,
                place.prefix,
                full_prefix(vip)
            );
            findings.push(Kind::ServerVipMask.at(&vip, what, move_address(machine, place, link, &link.name)));
        }
    }
    if machine.route(vip) != Route::Local {
        findings.push(missing(role, machine));
    }
    findings
}

fn missing(role: &RealServer, machine: &Machine) -> Finding {
    let vip = role.vip;
    let what = format!("{vip} is not on this server");
    let is_from_vip =
        |connection: &Connection| connection.state == TcpState::Established && connection.remote.ip() == vip;
    if !machine.connections.iter().any(is_from_vip) {
        let link = vip_interface(role, machine);
        let path = format!("net/ipv6/conf/{link}/disable_ipv6");
        let is_disabled = vip.is_ipv6() && machine.sysctl(&path) == Some(1);
        let allow = if is_disabled { Fix::set([(path, 0)]) } else { Fix::default() };
        let what = if is_disabled { format!("{what}, and IPv6 is disabled on {link}") } else { what };
        return Kind::ServerVipMissing.at(&vip, what, allow.and(Step::add_address(vip, link)));
    }
    // A user who is connected from it, on the director, would be cut off.
    let what = format!("{what}, and the director's own connections use it as source: they would be cut");
    let director = role.director.map_or("DIRECTOR".to_owned(), |director| director.to_string());
    let change = if vip.is_ipv4() {
        format!(
            "ip addr replace {vip}/32 dev INTERFACE && sysctl -w net.ipv4.conf.all.promote_secondaries=1 && \
             ip addr del {vip}/PREFIX dev INTERFACE"
        )
    } else {
        format!("ip addr change {vip}/128 dev INTERFACE preferred_lft 0")
    };
    Kind::ServerVipMissing.at(&vip, what, Step::Remote(shell::line(["ssh", &director, &change])))
}

/// The route of answers: through the director with masquerading, and around it otherwise.
fn gateway(role: &RealServer, machine: &Machine) -> Option<Finding> {
    let director = role.director?;
    match role.method {
        Method::Masquerade => gateway_not_director(role, machine, director),
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
    Some(Kind::GatewayIsDirector.at(&"default route", what, steered.and(near)))
}

/// Whether clients outside of this server's networks have got its answers: then the director takes them on purpose
/// (`accept_local`).
fn answers_arrive(role: &RealServer, machine: &Machine) -> bool {
    let is_far = |connection: &&Connection| {
        connection.local.ip() == role.vip
            && role.port.is_none_or(|port| port == connection.local.port())
            && machine.on_link(connection.remote.ip()).is_none()
            && machine.holders(connection.remote.ip()).next().is_none()
    };
    let mut far = machine.connections.iter().filter(is_far).peekable();
    far.peek().is_some() && far.all(|connection| connection.state != TcpState::Opening)
}

fn gateway_not_director(role: &RealServer, machine: &Machine, director: IpAddr) -> Option<Finding> {
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
            return Some(Kind::GatewayNotDirector.at(&at, what, fix));
        }
    };
    let sources: Vec<IpAddr> = sources(role, machine).into_iter().flatten().collect();
    let is_hop =
        |route: &Route| matches!(route, Route::Via(gateway, _) if machine.is_same_machine(*gateway, hop));
    let spread = machine.routes.spread().map_or(&[][..], |route| &route.hops);
    let is_spread = spread.iter().any(|one| !is_hop(&one.route()));
    if sources.is_empty()
        || machine.routes.answers.iter().any(is_hop) && !is_spread
        || is_translated(role, machine, director)
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
            let port = role.port.map_or(PORT, |port| port.to_string().into());
            route_from(machine, &sources, Some(&port), hop.into(), name)
        }
        Route::Unreachable | Route::Local => default_route(hop, hop.into(), Some(name)).into(),
    };
    Some(Kind::GatewayNotDirector.at(&at, what, fix))
}

/// Whether the director replaces clients' addresses with its own, so that answers return to it anyway: then it has
/// all connections from outside this server's networks.
fn is_translated(role: &RealServer, machine: &Machine, director: IpAddr) -> bool {
    const SSH: u16 = 22;
    let is_served = |connection: &&Connection| match (role.port, connection.local.port()) {
        (Some(port), local) => local == port,
        (None, local) => local != SSH && machine.listens(connection.local.ip(), local, true),
    };
    let served = machine.connections.iter().filter(is_served);
    let is_directors = |address: IpAddr| address == director || address == role.vip;
    let (directors, others): (Vec<&Connection>, Vec<&Connection>) =
        served.partition(|connection| is_directors(connection.remote.ip()));
    let is_near = |connection: &&Connection| machine.on_link(connection.remote.ip()).is_some();
    directors.iter().any(|connection| connection.state != TcpState::Opening) && others.iter().all(is_near)
}
