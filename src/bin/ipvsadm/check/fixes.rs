//! The commands of fixes. Those that change addresses and routes do it on a machine in use: the user may be logged in
//! through any other address or route, so these stay as they are. A command that was interrupted can be repeated.

use std::collections::HashSet;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use ipvs::{
    Change, Destination, DestinationEntry, DestinationId, ForwardingMethod, Service, ServiceId, Tunnel,
};

use super::address::{Address, full_prefix};
use super::director::Director;
use super::machine::{Link, LinkKind, Machine};
use super::routes::{MAIN, RouteEntry, RouteEntryKind};
use super::{command_line, set_sysctls};
use crate::shell;

/// The command that moves an address to the interface `home`, as a single address.
pub(crate) fn move_address(machine: &Machine, place: &Address, holder: &Link, home: &str) -> String {
    let there = add_address(place.address, home);
    let mut commands = remove_address(machine, place, holder);
    // It is added first, so that no route from it is lost and it is never missing. But an IPv6 address can be on an
    // interface only once, with one prefix.
    let at = if holder.name == home && place.address.is_ipv6() { commands.len() } else { 0 };
    commands.insert(at, there);
    commands.join(" && ")
}

/// An ARP setting of an interface, in words, and the command that gives it another value.
pub(crate) fn set_arp(machine: &Machine, link: &Link, setting: &str, value: u32) -> (String, String) {
    let path = |name: &str| format!("net/ipv4/conf/{name}/{setting}");
    let current = machine.effective(&link.name, setting);
    let what = format!("{setting} is {current} on {}, the higher of its own and that of all", link.name);
    (what, set_sysctls(&[(path("all"), value), (path(&link.name), value)]))
}

/// The commands that remove an address from an interface, and nothing else.
fn remove_address(machine: &Machine, place: &Address, holder: &Link) -> Vec<String> {
    let is_four = place.address.is_ipv4();
    let on_link = machine.addresses.iter().filter(|own| {
        own.link == holder.index && own.address.is_ipv4() == is_four && own.address != place.address
    });
    let same_network: Vec<&Address> =
        on_link.clone().filter(|own| own.prefix == place.prefix && place.spans(own.address)).collect();
    let mut commands = Vec::new();
    // Removing the first address of a network removes the others.
    if is_four && !same_network.is_empty() && machine.effective(&holder.name, "promote_secondaries") == 0 {
        commands.push(set_sysctls(&[(format!("net/ipv4/conf/{}/promote_secondaries", holder.name), 1)]));
    }
    commands.push(delete_address(place, &holder.name));
    if holder.kind == LinkKind::Ethernet {
        // With the last IPv4 address of an interface all its routes are removed, and its ARP requests would name the
        // moved address as sender: other real servers have that too, and do not answer.
        let is_last = is_four && on_link.count() == 0;
        let is_own = |own: &&Address| {
            own.address.is_ipv4() && own.address != place.address && !own.address.is_loopback()
        };
        if let Some(own) = machine.addresses.iter().find(is_own).filter(|_| is_last) {
            let single = format!("{}/32", own.address);
            commands.insert(0, shell::line(["ip", "addr", "replace", &single, "dev", &holder.name]));
        }
        let is_removed = |route: &&RouteEntry| {
            route.leaves_by(holder.index)
                && route.to.is_ipv4() == is_four
                && route.kind == RouteEntryKind::Unicast
                && (is_last || same_network.is_empty() && route.is_of(place))
        };
        let mut lost: Vec<&RouteEntry> = machine.routes.all.iter().filter(is_removed).collect();
        // Routes to networks first, because gateways are reached through them.
        lost.sort_by_key(|route| route.gateway.is_some() || !route.hops.is_empty());
        commands.extend(lost.into_iter().map(|route| restore_route(machine, route)));
    }
    commands
}

/// The command that makes a route as it is.
pub(crate) fn restore_route(machine: &Machine, route: &RouteEntry) -> String {
    let by = |gateway: Option<IpAddr>, link: u32| {
        let gateway = gateway.map_or(String::new(), |gateway| format!("via {gateway} "));
        format!("{gateway}dev {}", shell::quoted(machine.name(link)))
    };
    let mut words = vec![format!("{} route replace", ip_command(route.to))];
    words.push(match route.prefix {
        0 => "default".to_owned(),
        prefix => format!("{}/{prefix}", route.to),
    });
    words.extend(route.link.map(|link| by(route.gateway, link)));
    let source = route.source.filter(|_| !route.is_automatic);
    words.extend(source.map(|source| format!("src {source}")));
    words.extend(route.metric.map(|metric| format!("metric {metric}")));
    words.extend(Some(route.table).filter(|table| *table != MAIN).map(|table| format!("table {table}")));
    words.extend(route.is_onlink.then(|| "onlink".to_owned()));
    words.extend(
        route.mtu.map(|(mtu, is_locked)| format!("mtu {}{mtu}", if is_locked { "lock " } else { "" })),
    );
    words.extend(route.hops.iter().map(|hop| {
        let onlink = if hop.is_onlink { " onlink" } else { "" };
        format!("nexthop {} weight {}{onlink}", by(hop.gateway, hop.link), hop.weight)
    }));
    words.join(" ")
}

/// The commands that route packets from an address, and from a port if given, through their own gateway, and no
/// others.
pub(crate) fn route_from(
    machine: &Machine,
    from: &[IpAddr],
    port: Option<&str>,
    gateway: &str,
    link: &str,
) -> String {
    let table = machine.routes.free_table();
    let Some(ip_command) = from.first().map(|from| ip_command(*from)) else { return String::new() };
    let link = shell::quoted(link);
    let port = port.map_or(String::new(), |port| format!(" sport {port}"));
    let mut commands =
        vec![format!("{ip_command} route replace default via {gateway} dev {link} table {table}")];
    commands
        .extend(from.iter().map(|from| format!("{ip_command} rule add from {from}{port} lookup {table}")));
    commands.join(" && ")
}

/// `ip` for the family of an address.
pub(crate) fn ip_command(like: IpAddr) -> &'static str {
    if like.is_ipv4() { "ip" } else { "ip -6" }
}

/// The command that adds an address to an interface, usable immediately, if it is not there.
pub(crate) fn add_address(address: IpAddr, link: &str) -> String {
    let single = format!("{address}/{}", full_prefix(address));
    let command = shell::line(["ip", "addr", "replace", &single, "dev", link]);
    // Otherwise IPv6 would use it as source of this machine's own connections, such as those to servers, because it
    // has the longest prefix.
    if address.is_ipv6() { command + " nodad preferred_lft 0" } else { command }
}

/// The command that removes an address from an interface.
pub(crate) fn delete_address(place: &Address, link: &str) -> String {
    shell::line(["ip", "addr", "del", &format!("{}/{}", place.address, place.prefix), "dev", link])
}

/// The command that brings an interface up.
pub(crate) fn bring_up(link: &str) -> String {
    shell::line(["ip", "link", "set", "dev", link, "up"])
}

/// The command that sets a server's weight and keeps its other options.
pub(crate) fn set_weight(service: &ServiceId, server: &DestinationEntry, weight: u32) -> String {
    command_line(&Change::EditDestination {
        service: *service,
        destination: Destination { weight, ..server.destination },
    })
}

/// The command that gives a server weight 0. A supervisor decides that itself, and a weight that is set behind its back may
/// stay when the server is back: then the command shows its log.
pub(crate) fn take_out(director: &Director, service: &Service, server: &DestinationEntry) -> String {
    match director.supervisors.fill_table {
        Some(supervisor) => log_of(supervisor),
        None => set_weight(&service.id, server, 0),
    }
}

/// Adds the weight of a server that gets weight 0, so that it can be restored.
pub(crate) fn with_weight(what: &str, server: &DestinationEntry) -> String {
    match server.destination.weight {
        1 => what.to_owned(),
        weight => format!("{what}; its weight is {weight}"),
    }
}

/// The command that shows why a supervisor, which decides this, removed servers.
pub(crate) fn log_of(supervisor: &str) -> String {
    shell::line(["journalctl", "-n", "20", "-u", supervisor])
}

/// The command that runs the check on the server.
pub(crate) fn remote_check(
    director: &Director,
    vips: &HashSet<IpAddr>,
    service: &Service,
    server: &DestinationEntry,
) -> String {
    let method = method_words(server.destination.forwarding);
    let vip = super::address(&service.id).map_or("VIP".to_owned(), |address| address.to_string());
    let DestinationId { address, port } = server.destination.id;
    let port = if port == 0 { String::new() } else { format!(" --port {port}") };
    let own = director.machine.own_addresses(address, vips);
    // Answers of masqueraded servers pass a gateway that a pair of directors may share; with several addresses, it is
    // unknown which.
    let own = own.first().filter(|_| method != "-m" || own.len() == 1);
    let own = own.map_or(String::new(), |own| format!(" --director {own}"));
    format!("ssh {address} ipvsadm --check -r {vip} {method}{port}{own}")
}

/// The options of a forwarding method.
pub(crate) fn method_words(method: ForwardingMethod) -> String {
    match method {
        ForwardingMethod::Masquerade => "-m".to_owned(),
        ForwardingMethod::Tunnel(Tunnel::Gre { .. }) => "-i --tun-type gre".to_owned(),
        ForwardingMethod::Tunnel(Tunnel::Gue { port, .. }) => format!("-i --tun-type gue --tun-port {port}"),
        ForwardingMethod::Tunnel(_) => "-i".to_owned(),
        _ => "-g".to_owned(),
    }
}

/// Runs a command line, and returns whether it succeeded. This program is found as `ipvsadm` if it is called that.
pub(crate) fn run(line: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let own =
        std::env::current_exe().ok().filter(|exe| exe.file_name().is_some_and(|name| name == "ipvsadm"));
    let folder = own.as_ref().and_then(|exe| exe.parent()).map(|folder| folder.display().to_string() + ":");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).env("PATH", folder.unwrap_or_default() + &path).env("IPVSADM_QUIET", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
