//! A real server: what it must be so that clients of the virtual address reach it, and its answers reach them.

use std::net::IpAddr;

use super::director::{add, bring_up, delete, keeps_quiet};
use super::finding::{Finding, Kind};
use super::machine::{Link, Machine, Sort, Way, full_prefix};
use super::set;
use super::settings::filter_on_the_way;
use crate::command::{Method, RealServer};
use crate::shell;

/// Looks at this machine as a real server. What keeps it quiet comes first, so that the commands, carried out in their
/// order, never make two machines answer for the address.
pub(crate) fn findings(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let mut findings = Vec::new();
    if role.method != Method::Masquerade {
        findings.extend(arp(role, machine));
        findings.extend(vip(role, machine));
        findings.extend(filter_on_the_way(machine, role.vip));
    }
    if role.method == Method::Tunnel {
        findings.extend(tunnel(role, machine));
    }
    findings.extend(gateway(role, machine));
    findings.extend(listener(role, machine));
    findings
}

/// The interfaces behind which the address is asked for.
fn facing<'a>(role: &RealServer, machine: &'a Machine) -> Vec<&'a Link> {
    let to_director = role.director.and_then(|director| machine.way(director).link());
    let around = || machine.on_link(role.vip).map(|link| link.index);
    // Behind a tunnel the address is at home elsewhere.
    let default = || machine.default_way(role.vip).link().filter(|_| role.method == Method::DirectRouting);
    let index = match role.method {
        Method::Tunnel => around(),
        _ => to_director.or_else(around).or_else(default),
    };
    machine.links.iter().filter(|link| Some(link.index) == index && link.sort == Sort::Wire).collect()
}

fn arp(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let mut findings = Vec::new();
    if role.vip.is_ipv6() {
        return findings; // nobody answers for addresses of other interfaces there
    }
    for link in facing(role, machine) {
        let path = |name: &str, setting: &str| format!("net/ipv4/conf/{name}/{setting}");
        let ignore = machine.higher(&link.name, "arp_ignore");
        if !keeps_quiet(ignore) {
            let what =
                format!("arp_ignore is {ignore} on {}, the higher of its own and that of all", link.name);
            let cure = set(&[(path("all", "arp_ignore"), 1), (path(&link.name, "arp_ignore"), 1)]);
            findings.push(Kind::ArpIgnore.at(&link.name, what, cure));
        }
        let announce = machine.higher(&link.name, "arp_announce");
        if announce < 2 {
            let what =
                format!("arp_announce is {announce} on {}, the higher of its own and that of all", link.name);
            findings.push(Kind::ArpAnnounce.at(&link.name, what, set(&[(path("all", "arp_announce"), 2)])));
        }
    }
    findings
}

/// Where the address belongs.
fn home<'a>(role: &RealServer, machine: &'a Machine) -> &'a str {
    let tunnel = machine.links.iter().find(|link| link.sort == Sort::Tunnel && link.is_up);
    tunnel.filter(|_| role.method == Method::Tunnel).map_or("lo", |link| &link.name)
}

fn vip(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let vip = role.vip;
    let mut findings = Vec::new();
    for (place, link) in machine.places(vip) {
        let del = delete(place, &link.name);
        if link.sort == Sort::Wire {
            let what = format!("{vip} is on {}, which has a network behind it", link.name);
            let cure = format!("{del} && {}", add(vip, home(role, machine)));
            findings.push(Kind::ServerVipOnWire.at(&vip, what, cure));
        } else if place.prefix != full_prefix(vip) {
            let what = format!(
                "{vip} is on {} with the mask /{}, not /{}",
                link.name,
                place.prefix,
                full_prefix(vip)
            );
            findings.push(Kind::ServerVipMask.at(&vip, what, format!("{del} && {}", add(vip, &link.name))));
        }
    }
    if machine.way(vip) != Way::Here {
        let what = format!("{vip} is not on this server");
        findings.push(Kind::ServerVipMissing.at(&vip, what, add(vip, home(role, machine))));
    }
    findings
}

fn tunnel(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let tunnels = || machine.links.iter().filter(|link| link.sort == Sort::Tunnel);
    if !tunnels().any(|link| link.is_up) {
        let (module, name) = if role.vip.is_ipv4() { ("ipip", "tunl0") } else { ("ip6_tunnel", "ip6tnl0") };
        let has_it = tunnels().any(|link| link.name == name);
        let load = if has_it { String::new() } else { format!("modprobe {module} && ") };
        let cure = load + &bring_up(name);
        return vec![Kind::TunnelDown.at(&name, "no tunnel is up on this server", cure)];
    }
    let strict = tunnels()
        .filter(|link| role.vip.is_ipv4() && link.is_up && machine.higher(&link.name, "rp_filter") == 1);
    strict
        .map(|link| {
            let path = |name: &str| format!("net/ipv4/conf/{name}/rp_filter");
            let cure = match machine.default_way(role.vip) {
                Way::None | Way::Here => set(&[(path("all"), 0), (path(&link.name), 0)]),
                _ => set(&[(path(&link.name), 2)]),
            };
            Kind::TunnelRpFilter.at(&link.name, format!("rp_filter is strict on {}", link.name), cure)
        })
        .collect()
}

/// The default route: by the director with masquerading, and past it otherwise.
fn gateway(role: &RealServer, machine: &Machine) -> Option<Finding> {
    let director = role.director?;
    let (gateway, link) = match machine.default_way(role.vip) {
        Way::Gateway(gateway, link) => (Some(gateway), Some(link)),
        other => (None, other.link()),
    };
    let is_director = gateway == Some(director);
    let six = if director.is_ipv6() { " -6" } else { "" };
    match role.method {
        Method::Masquerade if !is_director => {
            let what = format!("the default route is not by the director, {director}");
            let cure = format!("ip{six} route replace default via {director}");
            Some(Kind::GatewayNotDirector.at(&"default route", what, cure))
        }
        Method::DirectRouting | Method::Tunnel if is_director => {
            let what = format!("the default route is by the director, {director}");
            let link = shell::quoted(link.map_or("INTERFACE", |link| machine.name(link)));
            let cure = format!("ip{six} route replace default via GATEWAY dev {link}");
            Some(Kind::GatewayIsDirector.at(&"default route", what, cure))
        }
        _ => None,
    }
}

fn listener(role: &RealServer, machine: &Machine) -> Option<Finding> {
    let port = role.port?;
    let listens =
        |address: IpAddr| [true, false].iter().any(|is_tcp| machine.listens(address, port, *is_tcp));
    // What is masqueraded comes to an address of the server's own.
    let is_own = |address: IpAddr| !address.is_loopback() && address.is_ipv4() == role.vip.is_ipv4();
    let is_served = match role.method {
        Method::Masquerade => machine.addresses.iter().any(|own| is_own(own.address) && listens(own.address)),
        _ => listens(role.vip),
    };
    if is_served {
        return None;
    }
    let elsewhere = machine.listeners.iter().find(|listener| listener.port == port);
    let elsewhere = elsewhere.map_or(String::new(), |listener| format!(", only on {}", listener.address));
    let wanted =
        if role.method == Method::Masquerade { "this server".to_owned() } else { role.vip.to_string() };
    let what = format!("nobody listens on port {port} of {wanted}{elsewhere}");
    Some(Kind::NoListener.at(&port, what, "systemctl restart SERVICE"))
}
