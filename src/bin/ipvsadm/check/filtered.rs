//! Packets that a packet filter certainly drops: on the director and on a real server.

use std::net::IpAddr;

use ipvs::{DestinationEntry, Family, ForwardingMethod, Protocol, Service, ServiceId, Tunnel};

use super::address;
use super::address::Route;
use super::director::Director;
use super::filters::SCHEDULED;
use super::filters::rules::{Hook, Packet};
use super::filters::ruleset::{Dropped, Ruleset};
use super::finding::{Finding, Kind};
use super::machine::{LinkKind, Machine};
use super::way_back;
use crate::command::{Method, RealServer};
use crate::shell;

const IPIP: u8 = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const ICMP: u8 = 1;
const SCTP: u8 = 132;
/// "Fragmentation needed".
const TOO_LONG: (u8, u8) = (3, 4);

/// All chains.
const ALL: i32 = i32::MAX;

const ARRIVING: [Hook; 2] = [Hook::Prerouting, Hook::Input];
const FORWARDED: [Hook; 2] = [Hook::Prerouting, Hook::Forward];
const LEAVING: [Hook; 1] = [Hook::Output];

/// Clients' packets that the director drops before they are scheduled.
pub(crate) fn requests(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    if director.rules.is_open(&ARRIVING) {
        return findings;
    }
    let machine = &director.machine;
    for (service, _) in director.services() {
        let ServiceId::Address { protocol, address: vip, port } = service.id else { continue };
        let Some(protocol) = number(protocol).filter(|_| machine.route(vip) == Route::Local) else {
            continue;
        };
        let request = Packet {
            to: Some(vip),
            to_port: Some(port).filter(|port| *port != 0),
            state: Some("new"),
            is_local: Some(true),
            ..Packet::of(service.id.family(), protocol)
        };
        let packets = wires(machine, vip).map(|arrives| Packet { arrives, ..request.clone() });
        if let Some((what, fix)) =
            dropped(&director.rules, &ARRIVING, SCHEDULED, &packets.collect::<Vec<_>>())
        {
            findings.push(Kind::FilterInput.of_service(&service.id, what, fix));
        }
    }
    findings
}

/// Packets to servers that the director drops.
pub(crate) fn forwarded(director: &Director) -> Vec<Finding> {
    of_servers(director, Kind::FilterOutput, to_server)
}

/// Answers of masqueraded servers that the director drops.
pub(crate) fn answers(director: &Director) -> Vec<Finding> {
    of_servers(director, Kind::FilterForward, from_server)
}

/// A finding for each service with servers whose packets are dropped; its command lets those of all of them pass.
fn of_servers(
    director: &Director,
    kind: Kind,
    dropped: fn(&Director, &Service, &DestinationEntry) -> Option<(String, String)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let used = servers.iter().filter(|server| server.destination.weight > 0);
        let all: Vec<(String, String)> =
            used.filter_map(|server| dropped(director, service, server)).collect();
        let mut fixes: Vec<&str> = Vec::new();
        for (_, fix) in &all {
            // With direct routing it is the same for all servers.
            if !fixes.contains(&fix.as_str()) {
                fixes.push(fix);
            }
        }
        findings.extend(all.first().map(|(what, _)| kind.of_service(&service.id, what, fixes.join(" && "))));
    }
    findings
}

/// What drops the packets to a server, and the fix.
pub(crate) fn to_server(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(String, String)> {
    if director.rules.is_open(&LEAVING) {
        return None;
    }
    let machine = &director.machine;
    let to = server.destination.id.address;
    let leaves = Some(machine.name(machine.route(to).link()?).to_owned());
    let packet = match server.destination.forwarding {
        ForwardingMethod::Tunnel(tunnel) => {
            let (protocol, to_port) = match tunnel {
                // What is inside decides: IPv4 or IPv6.
                Tunnel::Ipip if service.id.family() == Family::V4 => (IPIP, None),
                Tunnel::Ipip => (IPV6, None),
                Tunnel::Gre { .. } => (GRE, None),
                Tunnel::Gue { port, .. } => (UDP, Some(port)),
                Tunnel::Other { .. } => return None,
            };
            Packet { to: Some(to), to_port, leaves, ..Packet::of(Family::from(to), protocol) }
        }
        method => {
            let ServiceId::Address { protocol, address: vip, port } = service.id else { return None };
            let (to, port) = if method == ForwardingMethod::Masquerade {
                (to, server.destination.id.port)
            } else {
                (vip, port)
            };
            let to_port = Some(port).filter(|port| *port != 0);
            Packet { to: Some(to), to_port, leaves, ..Packet::of(Family::from(to), number(protocol)?) }
        }
    };
    dropped(&director.rules, &LEAVING, ALL, &[packet])
}

/// What drops the answers of a masqueraded server, and the fix.
pub(crate) fn from_server(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(String, String)> {
    let ServiceId::Address { protocol, address: vip, .. } = service.id else { return None };
    if server.destination.forwarding != ForwardingMethod::Masquerade || director.rules.is_open(&FORWARDED) {
        return None;
    }
    let machine = &director.machine;
    let from = server.destination.id.address;
    let arrives = Some(machine.name(machine.route(from).link()?).to_owned());
    let from_port = Some(server.destination.id.port).filter(|port| *port != 0);
    // Only with this setting does the connection tracking know both directions as one connection.
    let state = (machine.sysctl("net/ipv4/vs/conntrack") == Some(1)).then_some("established");
    let answer = Packet {
        from: Some(from),
        from_port,
        arrives,
        state,
        is_local: Some(false),
        ..Packet::of(Family::from(from), number(protocol)?)
    };
    let packets: Vec<Packet> =
        wires(machine, vip).map(|leaves| Packet { leaves, ..answer.clone() }).collect();
    dropped(&director.rules, &FORWARDED, ALL, &packets)
}

/// The messages that say how long packets through a tunnel may be: to clients, and to this director.
pub(crate) fn too_long(director: &Director) -> Vec<Finding> {
    let is_tunnelled = |server: &DestinationEntry| {
        matches!(server.destination.forwarding, ForwardingMethod::Tunnel(_))
            && server.destination.id.address.is_ipv4()
            && server.destination.weight > 0
    };
    let machine = &director.machine;
    let tunnelled = director.servers().find(|(_, server)| is_tunnelled(server));
    let is_silent = machine.sysctl("net/ipv4/vs/pmtu_disc") == Some(0);
    let Some((service, server)) = tunnelled.filter(|_| !is_silent) else { return Vec::new() };
    let Some(vip) = address(&service.id).filter(IpAddr::is_ipv4) else { return Vec::new() };
    let message = Packet { icmp: Some(TOO_LONG), ..Packet::of(Family::V4, ICMP) };
    let to_clients: Vec<Packet> =
        wires(machine, vip).map(|leaves| Packet { leaves, ..message.clone() }).collect();
    let from_servers = Packet {
        arrives: machine
            .route(server.destination.id.address)
            .link()
            .map(|link| machine.name(link).to_owned()),
        is_local: Some(true),
        ..message
    };
    let mut findings = Vec::new();
    for (at, hooks, packets) in
        [("OUTPUT", &LEAVING[..], to_clients), ("INPUT", &ARRIVING, vec![from_servers])]
    {
        if let Some((what, fix)) = dropped(&director.rules, hooks, ALL, &packets) {
            let what = format!("{what}; packets through a tunnel must be shorter by its header");
            findings.push(Kind::FilterIcmp.at(&at, what, fix));
        }
    }
    findings
}

/// What a real server's own filter drops: what the director sends, and the answers.
pub(crate) fn on_server(role: &RealServer, machine: &Machine, rules: &Ruleset) -> Vec<Finding> {
    let Some(port) = role.port else { return Vec::new() };
    let listens = |is_tcp| machine.listeners.iter().any(|it| it.port == port && it.is_tcp == is_tcp);
    let protocol = if !listens(true) && listens(false) { UDP } else { TCP };
    let packet = || Packet::of(Family::from(role.vip), protocol);
    let near = role.director.and_then(|director| machine.route(director).link());
    let near = near.map(|link| machine.name(link).to_owned());
    let is_ipip = role.method == Method::Tunnel && role.vip.is_ipv4();
    let tunnel = machine.links.iter().find(|link| is_ipip && link.name == "tunl0" && link.is_up);
    let arrives = match role.method {
        Method::Tunnel => tunnel.map(|link| link.name.clone()),
        _ => near.clone(),
    };
    // The addresses that clients' packets have here.
    let ends: Vec<IpAddr> = match role.method {
        Method::Masquerade => way_back::sources(role, machine).into_iter().flatten().collect(),
        _ => vec![role.vip],
    };
    let requests = ends.iter().map(|to| Packet {
        to: Some(*to),
        to_port: Some(port),
        arrives: arrives.clone(),
        state: Some("new"),
        is_local: Some(true),
        ..packet()
    });
    let outer = way_back::own(role, machine).filter(|_| tunnel.is_some()).map(|own| Packet {
        to: Some(own.address),
        arrives: near.clone(),
        is_local: Some(true),
        ..Packet::of(Family::V4, IPIP)
    });
    let by_route = machine.routes.answers.iter().filter_map(|route| machine.link(route.link()?));
    let mut leaving: Vec<Option<String>> =
        by_route.chain(machine.on_links(role.vip)).map(|link| Some(link.name.clone())).collect();
    if leaving.is_empty() {
        leaving.push(None);
    }
    let answers = ends.iter().flat_map(|from| {
        leaving.iter().map(|leaves| Packet {
            from: Some(*from),
            from_port: Some(port),
            leaves: leaves.clone(),
            ..packet()
        })
    });
    let mut findings = Vec::new();
    for (at, hooks, packets) in [
        ("INPUT", &ARRIVING[..], outer.collect::<Vec<_>>()),
        ("INPUT", &ARRIVING, requests.collect()),
        ("OUTPUT", &LEAVING, answers.collect()),
    ] {
        if let Some((what, fix)) = dropped(rules, hooks, ALL, &packets) {
            findings.push(Kind::ServerFilter.at(&at, what, fix));
        }
    }
    findings
}

/// The names of the interfaces that clients of an address are behind: those that hold it, and that of the default
/// route; none for one that is not known.
fn wires(machine: &Machine, vip: IpAddr) -> impl Iterator<Item = Option<String>> {
    let on_wire = machine.holders(vip).filter(|(_, link)| link.kind == LinkKind::Ethernet);
    let mut names: Vec<Option<String>> = on_wire.map(|(_, link)| Some(link.name.clone())).collect();
    names.extend(machine.default_route(vip).link().map(|link| Some(machine.name(link).to_owned())));
    names.dedup();
    if names.is_empty() {
        names.push(None);
    }
    names.into_iter()
}

fn number(protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::Tcp => Some(TCP),
        Protocol::Udp => Some(UDP),
        Protocol::Sctp => Some(SCTP),
        Protocol::Other(_) => None,
    }
}

/// What certainly drops packets, all of them, and the command that lets them pass.
fn dropped(rules: &Ruleset, hooks: &[Hook], below: i32, packets: &[Packet]) -> Option<(String, String)> {
    let all: Option<Vec<Dropped<'_>>> =
        packets.iter().map(|packet| rules.drops(hooks, below, packet)).collect();
    let (dropped, packet) = (*all?.first()?, packets.first()?);
    let chain = format!("{} of {} ({})", dropped.base.chain, dropped.table.name, dropped.table.tool);
    let what = match dropped.rule {
        Some(rule) => format!("{} is dropped in {chain}: {}", named(packet), rule.text),
        None => {
            format!("{} is dropped in {chain}: its policy is DROP, and no rule accepts it", named(packet))
        }
    };
    Some((what, accept(dropped, packet)))
}

/// A packet in words.
fn named(packet: &Packet) -> String {
    let mut words = vec![match packet.protocol {
        TCP => "TCP".to_owned(),
        UDP => "UDP".to_owned(),
        SCTP => "SCTP".to_owned(),
        ICMP => "ICMP 'fragmentation needed'".to_owned(),
        other => format!("IP protocol {other}"),
    }];
    let end = |address: Option<IpAddr>, port: Option<u16>| match (address, port) {
        (Some(address), Some(port)) => Some(std::net::SocketAddr::new(address, port).to_string()),
        (Some(address), None) => Some(address.to_string()),
        _ => None,
    };
    words.extend(end(packet.from, packet.from_port).map(|from| format!("from {from}")));
    words.extend(end(packet.to, packet.to_port).map(|to| format!("to {to}")));
    words.join(" ")
}

/// The command that puts a rule for a packet before all others of the chain.
fn accept(dropped: Dropped<'_>, packet: &Packet) -> String {
    let Dropped { table, base, .. } = dropped;
    if table.name == "inet firewalld" && base.hook == Hook::Input {
        return of_firewalld(packet);
    }
    let protocol = match packet.protocol {
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        SCTP => "sctp".to_owned(),
        ICMP => "icmp".to_owned(),
        other => other.to_string(),
    };
    if table.tool == "nft" {
        let ip = if packet.family == Family::V4 { "ip" } else { "ip6" };
        let mut words = Vec::new();
        words.extend(packet.from.map(|from| format!("{ip} saddr {from}")));
        words.extend(packet.to.map(|to| format!("{ip} daddr {to}")));
        words.push(match (packet.from_port, packet.to_port) {
            (_, Some(port)) => format!("{protocol} dport {port}"),
            (Some(port), None) => format!("{protocol} sport {port}"),
            _ if packet.icmp.is_some() => "icmp type destination-unreachable".to_owned(),
            _ => format!("meta l4proto {protocol}"),
        });
        return format!(
            "nft insert rule {} {} {} accept",
            table.name.split(' ').map(shell::quoted).collect::<Vec<_>>().join(" "),
            shell::quoted(&base.chain),
            words.join(" ")
        );
    }
    let mut words = vec![table.tool.clone()];
    if table.name != "filter" {
        words.extend(["-t".to_owned(), table.name.clone()]);
    }
    words.extend(["-I".to_owned(), base.chain.clone()]);
    let mut option = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| [name.to_owned(), value]).into_iter().flatten());
    };
    option("-s", packet.from.map(|from| from.to_string()));
    option("-d", packet.to.map(|to| to.to_string()));
    option("-p", Some(protocol));
    option("--sport", packet.from_port.map(|port| port.to_string()));
    option("--dport", packet.to_port.map(|port| port.to_string()));
    option("--icmp-type", packet.icmp.map(|_| "fragmentation-needed".to_owned()));
    option("-j", Some("ACCEPT".to_owned()));
    shell::line(words)
}

/// The same by firewalld, which may let nobody else change its table.
fn of_firewalld(packet: &Packet) -> String {
    let what = match (packet.protocol, packet.to_port) {
        (TCP, Some(port)) => format!("--add-port={port}/tcp"),
        (UDP, Some(port)) => format!("--add-port={port}/udp"),
        (SCTP, Some(port)) => format!("--add-port={port}/sctp"),
        (protocol, _) => format!("--add-protocol={protocol}"),
    };
    let zone = packet.arrives.as_ref().map_or(String::new(), |link| {
        let link = shell::quoted(format!("--get-zone-of-interface={link}"));
        format!(" --zone=$(firewall-cmd {link} || firewall-cmd --get-default-zone)")
    });
    format!("firewall-cmd {what}{zone}")
}
