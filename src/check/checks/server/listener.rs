//! Whether a real server serves the port: by a socket that takes the packets, or by a rule that gives them another
//! address.

use std::net::{IpAddr, SocketAddr};

use ipvs::{Family, Protocol};

use super::redirected::{is_redirected, request};
use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::answers::sources;
use crate::check::facts::machine::{Listener, Machine};
use crate::check::facts::protocols::{TCP, UDP, usual};
use crate::check::finding::{Finding, Kind};
use crate::check::firewall;
use crate::check::firewall::dropped::accept;
use crate::check::firewall::ruleset::Ruleset;
use crate::check::fix::{Fix, IptablesRule, SERVICE, Step, words};
use crate::check::server::Server;
use crate::command::{Method, RealServer};
use crate::shell;

const NO_LISTENER: Kind = Kind::error("no-listener", "connections that the director sends here are refused");

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[NO_LISTENER], run };

fn run(server: &Server) -> Vec<Finding> {
    unserved(&server.role, &server.machine, &server.rules).into_iter().collect()
}

/// Nothing takes the packets for the port.
fn unserved(role: &RealServer, machine: &Machine, rules: &Ruleset) -> Option<Finding> {
    let port = role.port?;
    // Either will do if the protocol is not known.
    let is_of_protocol = |is_tcp: bool| match role.protocol {
        Some(Protocol::Udp) => !is_tcp,
        Some(_) => is_tcp,
        None => true,
    };
    let listens = |address: IpAddr| {
        [true, false].iter().any(|is_tcp| is_of_protocol(*is_tcp) && machine.listens(address, port, *is_tcp))
    };
    // Masqueraded packets arrive for the server's own address.
    let is_own = |address: IpAddr| !address.is_loopback() && address.is_ipv4() == role.vip.is_ipv4();
    let is_served = match role.method {
        Method::Masquerade => machine.addresses.iter().any(|own| is_own(own.address) && listens(own.address)),
        _ => listens(role.vip),
    };
    if let Some(finding) = redirected_to_nobody(role, machine, rules, port) {
        return Some(finding);
    }
    if is_served || is_redirected(role, machine, rules) {
        return None;
    }
    let served_address =
        if role.method == Method::Masquerade { "this server".to_owned() } else { role.vip.to_string() };
    let (elsewhere, fix) = instead(role, machine, rules, port);
    let what = format!("nothing listens on port {port} of {served_address}{elsewhere}");
    Some(NO_LISTENER.at(&port, what, fix))
}

/// A rule certainly sends the packets to a port of this machine where nothing listens. If a socket takes them at the port that
/// they have, the command leaves them alone.
fn redirected_to_nobody(role: &RealServer, machine: &Machine, rules: &Ruleset, port: u16) -> Option<Finding> {
    let to = match role.method {
        Method::Masquerade => sources(role, machine).into_iter().flatten().next()?,
        _ => role.vip,
    };
    let is_tcp = role.protocol != Some(Protocol::Udp);
    let packet = request(role, machine, to, if is_tcp { TCP } else { UDP });
    let (redirected, target) = rules.redirects(&packet)?;
    let new_port = target.port.unwrap_or(port);
    let mut ends = match target.address {
        Some(address) => vec![address],
        // Its first address on the interface.
        None => machine.addresses.iter().map(|own| own.address).collect(),
    };
    ends.retain(|end| end.is_ipv4() == to.is_ipv4() && machine.holders(*end).next().is_some());
    if ends.is_empty() || ends.iter().any(|end| machine.listens(*end, new_port, is_tcp)) {
        return None;
    }
    let what = format!(
        "nothing listens on port {new_port}, where a rule sends the packets for port {port}: {}",
        redirected.text()
    );
    let fix = if machine.listens(to, port, is_tcp) {
        accept(redirected, &packet)
    } else {
        Step::Restart(SERVICE).into()
    };
    Some(NO_LISTENER.at(&port, what, fix))
}

/// Ports that are probably not meant.
const SYSTEM: [u16; 4] = [22, 25, 53, 111];

/// What listens instead, and the fix.
fn instead(role: &RealServer, machine: &Machine, rules: &Ruleset, port: u16) -> (String, Fix) {
    let is_tcp = role.protocol != Some(Protocol::Udp);
    let restart = || Fix::from(Step::Restart(SERVICE));
    let mut of_port = machine.listeners.iter().filter(|it| it.port == port);
    if let Some(other) = of_port.clone().find(|it| it.is_tcp == is_tcp).or(of_port.next()) {
        if other.is_tcp != is_tcp {
            let protocol = if other.is_tcp { Protocol::Tcp } else { Protocol::Udp };
            let fix = if usual(port) == Some(protocol) {
                other_protocol(role, port, protocol).into()
            } else {
                restart()
            };
            return (format!(", only with {protocol}"), fix);
        }
        if other.is_v6only {
            let path = "net/ipv6/bindv6only";
            let is_default = machine.sysctl(path) == Some(1);
            let allow = if is_default { Fix::set([(path, 0)]) } else { Fix::default() };
            return (", only on :: without IPv4 (IPV6_V6ONLY)".to_owned(), allow.and(restart()));
        }
        let elsewhere = format!(", only on {}", other.address);
        let is_reached = !other.address.is_loopback()
            && !other.address.is_unspecified()
            && machine.holders(other.address).next().is_some();
        let is_family = other.address.is_ipv4() == role.vip.is_ipv4();
        if is_reached && is_family {
            return (elsewhere, redirect(role, machine, rules, other, other.address).into());
        }
        return (elsewhere, restart());
    }
    // The only other port is probably meant.
    let is_candidate = |it: &&Listener| {
        it.is_tcp && is_tcp && !SYSTEM.contains(&it.port) && machine.listens(role.vip, it.port, true)
    };
    let mut others = machine.listeners.iter().filter(is_candidate);
    match (others.next(), others.next()) {
        (Some(other), None) => {
            let to = if role.method == Method::Masquerade {
                sources(role, machine).into_iter().flatten().next()
            } else {
                Some(role.vip)
            };
            let fix = to.map_or_else(restart, |to| redirect(role, machine, rules, other, to).into());
            (format!(", but on port {}", other.port), fix)
        }
        _ => (String::new(), restart()),
    }
}

/// The command for the director that gives the service the protocol that is usual on its port.
fn other_protocol(role: &RealServer, port: u16, protocol: Protocol) -> Step {
    let (wrong, right) = if protocol == Protocol::Tcp { ("-u", "-t") } else { ("-t", "-u") };
    let service = SocketAddr::new(role.vip, port);
    let pattern = service.to_string().replace('.', "\\.").replace('[', "\\[").replace(']', "\\]");
    let change = format!(
        "ipvsadm -S -n | sed -n 's/ {wrong} {pattern} / {right} {service} /p' | ipvsadm -R && ipvsadm -D {wrong} {service}"
    );
    let director = role.director.map_or("DIRECTOR".to_owned(), |director| director.to_string());
    Step::Remote(shell::line(["ssh", &director, &change]))
}

/// Sends packets for the port to a socket.
fn redirect(role: &RealServer, machine: &Machine, rules: &Ruleset, socket: &Listener, to: IpAddr) -> Step {
    let family = Family::from(role.vip);
    let from = match role.method {
        Method::Masquerade => sources(role, machine).into_iter().flatten().next().unwrap_or(role.vip),
        _ => role.vip,
    };
    let port = role.port.unwrap_or(socket.port);
    let protocol = if socket.is_tcp { "tcp" } else { "udp" };
    let to = SocketAddr::new(to, socket.port);
    match firewall::tool(rules, family) {
        firewall::Tool::Nft => {
            let ip = if family == Family::V4 { "ip" } else { "ip6" };
            Step::Firewall(format!(
                "nft 'add table {ip} ipvs; add chain {ip} ipvs redirect {{ type nat hook prerouting priority dstnat; }}; \
                 add rule {ip} ipvs redirect {ip} daddr {from} {protocol} dport {port} dnat to {to}'"
            ))
        }
        firewall::Tool::Iptables(tool) => {
            let to = to.to_string().into();
            let words = words(&format!("-d {from} -p {protocol} --dport {port} -j DNAT --to-destination"));
            Step::Iptables(IptablesRule::append(tool, "nat", "PREROUTING", [words, vec![to]].concat()))
        }
    }
}
