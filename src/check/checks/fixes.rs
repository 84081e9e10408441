//! The fixes of several checks. Those that change addresses and routes do it on a machine in use: the user may be logged in
//! through any other address or route, so these stay as they are. A command that was interrupted can be repeated.

use std::collections::HashSet;
use std::net::IpAddr;

use ipvs::{
    Change, Destination, DestinationEntry, DestinationId, Family, ForwardingMethod, Service, ServiceId,
    Tunnel,
};

use crate::check::director::Director;
use crate::check::facts::address::{Address, full_prefix};
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::facts::routes::{MAIN, RouteEntry, RouteEntryKind};
use crate::check::facts::table::address;
use crate::check::firewall;
use crate::check::fix::{
    AddressChange, AddressStep, Fix, IptablesRule, PORT, RouteChange, RouteStep, Step, VIP, Word, words,
};
use crate::check::verdict::Trouble;
use crate::shell;

/// Moves an address to the interface `home`, as a single address.
pub(crate) fn move_address(machine: &Machine, place: &Address, holder: &Link, home: &str) -> Fix {
    let there = Step::add_address(place.address, home);
    let mut commands = remove_address(machine, place, holder);
    // It is added first, so that no route from it is lost and it is never missing. But an IPv6 address can be on an
    // interface only once, with one prefix.
    let at = if holder.name == home && place.address.is_ipv6() { commands.len() } else { 0 };
    commands.insert(at, there);
    Fix(commands)
}

/// An ARP setting of an interface, in words, and the fix that gives it another value.
pub(crate) fn set_arp(machine: &Machine, link: &Link, setting: &str, value: u32) -> (String, Fix) {
    let path = |name: &str| format!("net/ipv4/conf/{name}/{setting}");
    let current = machine.effective(&link.name, setting);
    let what = format!("{setting} is {current} on {}, the higher of its own and that of all", link.name);
    (what, Fix::set([(path("all"), value), (path(&link.name), value)]))
}

/// The commands that remove an address from an interface, and nothing else.
fn remove_address(machine: &Machine, place: &Address, holder: &Link) -> Vec<Step> {
    let is_four = place.address.is_ipv4();
    let on_link = machine.addresses.iter().filter(|own| {
        own.link == holder.index && own.address.is_ipv4() == is_four && own.address != place.address
    });
    let same_network: Vec<&Address> =
        on_link.clone().filter(|own| own.prefix == place.prefix && place.spans(own.address)).collect();
    let mut commands = Vec::new();
    // Removing the first address of a network removes the others.
    if is_four && !same_network.is_empty() && machine.effective(&holder.name, "promote_secondaries") == 0 {
        commands.extend(Fix::set([(format!("net/ipv4/conf/{}/promote_secondaries", holder.name), 1)]).0);
    }
    commands.push(Step::Address(delete_address(place, &holder.name)));
    if holder.kind == LinkKind::Ethernet {
        // With the last IPv4 address of an interface all its routes are removed, and its ARP requests would name the
        // moved address as sender: other real servers have that too, and do not answer.
        let is_last = is_four && on_link.count() == 0;
        let is_own = |own: &&Address| {
            own.address.is_ipv4() && own.address != place.address && !own.address.is_loopback()
        };
        if let Some(own) = machine.addresses.iter().find(is_own).filter(|_| is_last) {
            commands.insert(0, Step::add_address(own.address, holder.name.as_str()));
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
        commands.extend(lost.into_iter().map(|route| restore_route(machine, route).into()));
    }
    commands
}

/// Makes a route as it is.
pub(crate) fn restore_route(machine: &Machine, route: &RouteEntry) -> RouteStep {
    let by = |gateway: Option<IpAddr>, link: u32| {
        let gateway = gateway.map_or_else(Vec::new, |gateway| words(&format!("via {gateway}")));
        [gateway, words("dev"), vec![machine.word(link)]].concat()
    };
    let mut all: Vec<Word> = route.link.map_or_else(Vec::new, |link| by(route.gateway, link));
    let source = route.source.filter(|_| !route.is_automatic);
    all.extend(source.into_iter().flat_map(|source| words(&format!("src {source}"))));
    all.extend(route.metric.into_iter().flat_map(|metric| words(&format!("metric {metric}"))));
    let table = Some(route.table).filter(|table| *table != MAIN);
    all.extend(table.into_iter().flat_map(|table| words(&format!("table {table}"))));
    all.extend(route.is_onlink.then(|| "onlink".into()));
    let mtu = |(mtu, is_locked)| words(&format!("mtu {}{mtu}", if is_locked { "lock " } else { "" }));
    all.extend(route.mtu.into_iter().flat_map(mtu));
    for hop in &route.hops {
        let onlink = if hop.is_onlink { " onlink" } else { "" };
        all.push("nexthop".into());
        all.extend(by(hop.gateway, hop.link));
        all.extend(words(&format!("weight {}{onlink}", hop.weight)));
    }
    let to = match route.prefix {
        0 => "default".to_owned(),
        prefix => format!("{}/{prefix}", route.to),
    };
    RouteStep {
        family: Family::from(route.to),
        how: RouteChange::Replace,
        to,
        words: all,
        is_main: table.is_none(),
    }
}

/// Makes a default route.
pub(crate) fn default_route(like: IpAddr, through: Word, link: Option<Word>) -> Step {
    let link = link.map_or_else(Vec::new, |link| [words("dev"), vec![link]].concat());
    let all = [words("via"), vec![through], link].concat();
    let (family, to) = (Family::from(like), "default".to_owned());
    Step::Route(RouteStep { family, how: RouteChange::Replace, to, words: all, is_main: true })
}

/// Routes packets from an address, and from a port if given, through their own gateway, and no others.
pub(crate) fn route_from(
    machine: &Machine,
    from: &[IpAddr],
    port: Option<&Word>,
    gateway: Word,
    link: Word,
) -> Fix {
    let table = machine.routes.free_table();
    let Some(family) = from.first().map(|from| Family::from(*from)) else { return Fix::default() };
    let all =
        [words("via"), vec![gateway], words("dev"), vec![link], words(&format!("table {table}"))].concat();
    let to = "default".to_owned();
    let route = RouteStep { family, how: RouteChange::Replace, to, words: all, is_main: false };
    let port = port.map_or_else(Vec::new, |port| [words("sport"), vec![port.clone()]].concat());
    let rule = |from: &IpAddr| Step::Rule {
        family,
        words: [words(&format!("from {from}")), port.clone(), words(&format!("lookup {table}"))].concat(),
    };
    std::iter::once(Step::Route(route)).chain(from.iter().map(rule)).collect()
}

/// Removes an address from an interface.
pub(crate) fn delete_address(place: &Address, link: &str) -> AddressStep {
    let how = AddressChange::Delete;
    AddressStep { how, address: place.address.into(), prefix: place.prefix, link: link.into() }
}

/// Sets a server's weight and keeps its other options.
pub(crate) fn set_weight(service: &ServiceId, server: &DestinationEntry, weight: u32) -> Step {
    Step::Table(Change::EditDestination {
        service: *service,
        destination: Destination { weight, ..server.destination },
    })
}

/// Gives a server weight 0. A supervisor decides that itself, and a weight that is set behind its back may
/// stay when the server is back: then the fix shows its log.
pub(crate) fn take_out(director: &Director, service: &Service, server: &DestinationEntry) -> Fix {
    match director.supervisors.fill_table {
        Some(supervisor) => log_of(supervisor),
        None => set_weight(&service.id, server, 0).into(),
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
pub(crate) fn log_of(supervisor: &str) -> Fix {
    Fix::look(shell::line(["journalctl", "-n", "20", "-u", supervisor]))
}

/// The command that runs the check on the server.
pub(crate) fn remote_check(
    director: &Director,
    vips: &HashSet<IpAddr>,
    service: &Service,
    server: &DestinationEntry,
) -> Fix {
    let method = method_words(server.destination.forwarding);
    let vip = address(&service.id).map_or("VIP".to_owned(), |address| address.to_string());
    let DestinationId { address, port } = server.destination.id;
    let port = if port == 0 { String::new() } else { format!(" --port {port}") };
    let own = director.machine.own_addresses(address, vips);
    // Answers of masqueraded servers pass a gateway that a pair of directors may share; with several addresses, it is
    // unknown which.
    let own = own.first().filter(|_| method != "-m" || own.len() == 1);
    let own = own.map_or(String::new(), |own| format!(" --director {own}"));
    Step::Remote(format!("ssh {address} ipvsadm --check -r {vip} {method}{port}{own}")).into()
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

/// Sets a mark on the TCP packets to the address that is probably meant; only on those of one port, if this machine itself
/// accepts connections to that address, which may be the user's own.
pub(crate) fn set_mark(director: &Director, mark: u32, family: Family) -> Step {
    let machine = &director.machine;
    let is_vip = |address: IpAddr, prefix| Family::from(address) == family && prefix == full_prefix(address);
    let on_wire = |link| machine.link(link).is_some_and(|link| link.kind == LinkKind::Ethernet);
    let mut own = machine.addresses.iter().filter(|own| is_vip(own.address, own.prefix) && on_wire(own.link));
    let address = own.next().map(|own| own.address);
    let vip = address.map_or(VIP, Word::from);
    let is_served = machine.serves_tcp(address);
    match firewall::tool(&director.rules, family) {
        firewall::Tool::Nft => {
            let ip = if family == Family::V4 { "ip" } else { "ip6" };
            let tcp = if is_served { "tcp dport PORT" } else { "meta l4proto tcp" };
            Step::Firewall(format!(
                "nft 'add table inet ipvs; add chain inet ipvs marks {{ type filter hook prerouting priority mangle; }}; \
                 add rule inet ipvs marks {ip} daddr {vip} {tcp} meta mark set {mark}'"
            ))
        }
        firewall::Tool::Iptables(tool) => {
            let port = if is_served { vec!["--dport".into(), PORT] } else { Vec::new() };
            let set = words(&format!("-j MARK --set-mark {mark}"));
            let words = [words("-d"), vec![vip], words("-p tcp"), port, set].concat();
            Step::Iptables(IptablesRule::append(tool, "mangle", "PREROUTING", words))
        }
    }
}

/// The command that examines a server with a problem.
pub(crate) fn examine(trouble: Trouble, server: &DestinationEntry) -> Fix {
    let address = server.destination.id.address;
    match trouble {
        Trouble::Silent => Fix::look(format!("ping -c 1 -W 1 {address}; ip neigh")),
        _ => Fix::look(format!("ip route get {address}")),
    }
}

/// Deletes a route.
pub(crate) fn delete_route(route: &RouteEntry) -> RouteStep {
    let is_main = route.table == MAIN;
    RouteStep {
        family: Family::from(route.to),
        how: RouteChange::Delete,
        to: format!("{}/{}", route.to, route.prefix),
        words: if is_main { Vec::new() } else { words(&format!("table {}", route.table)) },
        is_main,
    }
}

/// A rule that gives clients' packets to a masqueraded server, from one network or from all, this director's address.
pub(crate) fn masquerade(
    director: &Director,
    service: &ServiceId,
    server: &DestinationId,
    network: Option<&str>,
) -> Step {
    let is_udp = matches!(service, ServiceId::Address { protocol: ipvs::Protocol::Udp, .. });
    let protocol = if is_udp { "udp" } else { "tcp" };
    let DestinationId { address, port } = *server;
    match firewall::tool(&director.rules, Family::from(address)) {
        firewall::Tool::Nft => {
            let ip = if address.is_ipv4() { "ip" } else { "ip6" };
            let from = network.map_or(String::new(), |network| format!("{ip} saddr {network} "));
            let to = if port == 0 {
                format!("meta l4proto {protocol}")
            } else {
                format!("{protocol} dport {port}")
            };
            Step::Firewall(format!(
                "nft 'add table {ip} ipvs; add chain {ip} ipvs beside {{ type nat hook postrouting priority srcnat; }}; \
                 add rule {ip} ipvs beside {from}{ip} daddr {address} {to} masquerade'"
            ))
        }
        firewall::Tool::Iptables(tool) => {
            let from = network.map_or(String::new(), |network| format!("-s {network} "));
            let port = if port == 0 { String::new() } else { format!(" --dport {port}") };
            let rule = format!("{from}-d {address} -p {protocol}{port} -j MASQUERADE");
            Step::Iptables(IptablesRule::append(tool, "nat", "POSTROUTING", words(&rule)))
        }
    }
}
