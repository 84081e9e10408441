//! The director's settings that conflict with its table.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipvs::{Change, DestinationId, ForwardingMethod, Protocol, ServiceId, SyncDaemon, Timeouts};

use crate::check::director::Director;
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::facts::routes::{Rule, STANDARD_TABLES};
use crate::check::facts::table::address;
use crate::check::facts::table::connections_of;
use crate::check::finding::{Finding, Kind, counted};
use crate::check::fix::{Fix, Setting, Step};

/// Turns forwarding on, and keeps the default route: a forwarding kernel drops the one that it
/// learned from a router, unless `accept_ra` is 2.
fn enable_forwarding(machine: &Machine, server: IpAddr, path: String) -> Fix {
    let is_learned = matches!(
        machine.default_route(server),
        Route::Via(IpAddr::V6(gateway), _) if gateway.is_unicast_link_local()
    );
    let accepting = |link: &Link| format!("net/ipv6/conf/{}/accept_ra", link.name);
    let learning = machine.links.iter().filter(|link| {
        is_learned
            && link.is_up
            && link.kind == LinkKind::Ethernet
            && machine.sysctl(&accepting(link)) == Some(1)
    });
    let settings: Vec<_> = learning.map(|link| (accepting(link), 2)).chain([(path, 1)]).collect();
    Fix::set(settings)
}

/// Requirements of masquerading: forwarding, and no redirects if clients and servers are behind one interface.
pub(crate) fn forwarding(director: &Director) -> Vec<Finding> {
    let machine = &director.machine;
    let mut findings = Vec::new();
    for (service, server) in director.servers() {
        let to = server.destination.id.address;
        if server.destination.forwarding != ForwardingMethod::Masquerade {
            continue;
        }
        if let Some(path) = machine.blocks_forwarding(to) {
            let name = Setting { path: path.clone(), value: 1 }.name();
            let what = format!("{name} is 0, and real servers are masqueraded");
            findings.push(Kind::IpForward.at(&name, what, enable_forwarding(machine, to, path)));
        }
        let Some(link) = machine.route(to).link().and_then(|link| machine.link(link)) else { continue };
        let is_shared = address(&service.id)
            .is_some_and(|vip| machine.holders(vip).any(|(_, place)| place.index == link.index));
        if to.is_ipv4() && is_shared && machine.effective(&link.name, "send_redirects") > 0 {
            let what = format!(
                "clients and masqueraded servers are both behind {}, and it sends ICMP redirects",
                link.name
            );
            let paths = ["all", &link.name].map(|name| (format!("net/ipv4/conf/{name}/send_redirects"), 0));
            findings.push(Kind::SendRedirects.at(&link.name, what, Fix::set(paths)));
        }
    }
    findings
}

/// `rp_filter` that drops clients' packets.
pub(crate) fn reverse_path(director: &Director) -> Vec<Finding> {
    let machine = &director.machine;
    // With rules for sources, the route back is not the default route.
    if machine.routes.rules.iter().any(|rule| !STANDARD_TABLES.contains(&rule.table)) {
        return Vec::new();
    }
    // Packets arrive where ARP for the address is answered.
    let wire = |vip| {
        let mut holders = machine.holders(vip).map(|(_, link)| link);
        holders.find(|link| link.kind == LinkKind::Ethernet).or_else(|| machine.on_link(vip))
    };
    let vips = director.table.iter().filter_map(|(entry, _)| address(&entry.service.id));
    vips.filter_map(|vip| strict_rp_filter(machine, vip, wire(vip)?)).collect()
}

/// ARP requests for an address that the kernel drops, without counting them, because the way back to the machine that asks is
/// by another interface: that machine is the router in the address's network, or any in it if there is none.
pub(crate) fn dropped_arp(director: &Director) -> Vec<Finding> {
    const STRICT: u32 = 1;
    let machine = &director.machine;
    let is_standard = |rule: &Rule| STANDARD_TABLES.contains(&rule.table);
    if !machine.routes.rules.iter().all(is_standard) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let vips: BTreeSet<IpAddr> = director.vips().into_iter().filter(IpAddr::is_ipv4).collect();
    for vip in vips {
        let mut holders = machine.holders(vip).map(|(_, link)| link);
        let Some(link) = holders.find(|link| link.kind == LinkKind::Ethernet && link.is_up) else { continue };
        let setting = match () {
            () if machine.effective(&link.name, "arp_filter") > 0 => "arp_filter",
            () if machine.effective(&link.name, "rp_filter") == STRICT => "rp_filter",
            () => continue,
        };
        let Some((router, other)) = router_elsewhere(machine, vip, link) else { continue };
        let what = format!(
            "{setting} drops ARP requests on {} from {router}, the router in the network of {vip}, whose route leaves by {}",
            link.name, other.name
        );
        let path = |name: &str| format!("net/ipv4/conf/{name}/{setting}");
        let fix = match setting {
            "rp_filter" => Fix::set([(path(&link.name), 2)]),
            _ => Fix::set([(path("all"), 0), (path(&link.name), 0)]),
        };
        findings.push(Kind::RpFilter.at(&link.name, what, fix));
    }
    findings
}

/// The router in the network of an address, and the interface by which this machine would answer it, if that is another
/// than the address is on and certainly does not answer for the address either.
fn router_elsewhere<'a>(machine: &'a Machine, vip: IpAddr, link: &Link) -> Option<(IpAddr, &'a Link)> {
    let Route::Via(router, _) = machine.default_route(vip) else { return None };
    let mut own = machine.addresses.iter().filter(|own| own.link == link.index && !own.is_single());
    if !own.any(|own| own.spans(vip) && own.spans(router)) {
        return None;
    }
    let Route::OnLink(other) = machine.route(router) else { return None };
    let other = machine.link(other).filter(|other| other.index != link.index)?;
    let has_it = machine.holders(vip).any(|(_, holder)| holder.index == other.index);
    let is_quiet = machine.is_quiet(vip, other);
    // One that shares the wire answers itself.
    let is_related = other.parent == Some(link.index) || link.parent == Some(other.index);
    (!has_it && is_quiet && !is_related).then_some((router, other))
}

/// The same for an interface on which packets for an address arrive, if answers would leave by another.
pub(crate) fn strict_rp_filter(machine: &Machine, vip: IpAddr, link: &Link) -> Option<Finding> {
    const STRICT: u32 = 1;
    let back = machine.default_route(vip).link();
    if !vip.is_ipv4()
        || machine.rp_filter_drops == 0
        || back == Some(link.index)
        || machine.effective(&link.name, "rp_filter") != STRICT
    {
        return None;
    }
    let what = format!(
        "rp_filter has dropped {}; the default route leaves by another interface than {}",
        counted(machine.rp_filter_drops, "packet"),
        link.name
    );
    let path = |name: &str, value| (format!("net/ipv4/conf/{name}/rp_filter"), value);
    let fix = match back {
        Some(_) => Fix::set([path(&link.name, 2)]),
        None => Fix::set([path("all", 0), path(&link.name, 0)]), // loose mode also needs a route back
    };
    Some(Kind::RpFilter.at(&link.name, what, fix))
}

/// A value of `drop_packet`; the others drop packets only while memory is short.
const ALWAYS: u32 = 3;
/// Timeouts of TCP up to this are too short.
const SHORTEST: u32 = 10;

/// Packets that IPVS drops by intention, and connections that it forgets while they are in use.
pub(crate) fn dropped_connections(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    if director.table.is_empty() {
        return findings;
    }
    let path = "net/ipv4/vs/drop_packet";
    if director.machine.sysctl(path) == Some(ALWAYS) {
        let rate = director.machine.sysctl("net/ipv4/vs/am_droprate").unwrap_or(10);
        let at = path.replace('/', ".");
        let what = format!("{at} is 3: one of {rate} new connections is dropped");
        findings.push(Kind::DropPacket.at(&at, what, Fix::set([(path, 0)])));
    }
    let of_tcp = director.services().any(|(service, _)| match service.id {
        ServiceId::Address { protocol, .. } => protocol == Protocol::Tcp,
        ServiceId::Fwmark { .. } => true,
    });
    if let Some(timeouts) =
        director.timeouts.filter(|timeouts| of_tcp && (1..=SHORTEST).contains(&timeouts.tcp))
    {
        let what = format!("IPVS forgets TCP connections that were idle for {} s", timeouts.tcp);
        let usual = Timeouts { tcp: 900, tcp_fin: 0, udp: 0 };
        let fix = Step::Table(Change::SetTimeouts(usual));
        findings.push(Kind::TimeoutShort.at(&"timeouts", what, fix));
    }
    findings
}

/// Settings that keep connections on servers that are being drained.
pub(crate) fn draining(director: &Director) -> Vec<Finding> {
    let is_off = |name: &str| director.machine.sysctl(&format!("net/ipv4/vs/{name}")) == Some(0);
    let on = |name: &str| Fix::set([(format!("net/ipv4/vs/{name}"), 1)]);
    let mut findings = Vec::new();
    if is_off("expire_nodest_conn") {
        for (service, server, count) in director.connections.orphans() {
            let what = format!(
                "{} to a server that is no longer in the table",
                counted(u64::try_from(count).unwrap_or(u64::MAX), "connection")
            );
            let fix = on("expire_nodest_conn");
            let server = DestinationId { address: server.ip(), port: server.port() };
            findings.push(Kind::ExpireNodestConn.of_server(service, &server, what, fix));
        }
    }
    for (service, server) in director.servers().filter(|(_, server)| server.destination.weight == 0) {
        let (id, server_id) = (&service.id, &server.destination.id);
        if is_off("expire_quiescent_template")
            && service.persistence.is_some()
            && server.persistent_connections > 0
        {
            let what = format!(
                "it has weight 0, and persistence still sends {} to it",
                counted(server.persistent_connections, "client")
            );
            findings.push(Kind::ExpireQuiescentTemplate.of_server(
                id,
                server_id,
                what,
                on("expire_quiescent_template"),
            ));
        }
        let connections = connections_of(server);
        if is_off("conn_reuse_mode") && is_off("expire_nodest_conn") && connections > 0 {
            let what = format!(
                "it has weight 0, and {} whose ports clients may reuse",
                counted(connections, "connection")
            );
            // The director sees both directions, and the end of connections, only with masquerading.
            let mode = if server.destination.forwarding == ForwardingMethod::Masquerade { 1 } else { 3 };
            let fix = Fix::set([("net/ipv4/vs/conn_reuse_mode", mode)]);
            findings.push(Kind::ConnReuseMode.of_server(id, server_id, what, fix));
        }
    }
    findings
}

/// Counters that are not refreshed, and a sync daemon that cannot send or receive.
pub(crate) fn estimation_and_sync(director: &Director) -> Vec<Finding> {
    let machine = &director.machine;
    let mut findings = Vec::new();
    let path = "net/ipv4/vs/run_estimation";
    if machine.sysctl(path) == Some(0) && !director.table.is_empty() {
        let at = path.replace('/', ".");
        findings.push(Kind::CountersFrozen.at(
            &at,
            format!("{at} is 0: the kernel does not refresh the counters"),
            Fix::set([(path, 1)]),
        ));
    }
    let nowhere = director.estimating.as_ref().is_some_and(|cpus| cpus.trim().is_empty());
    if nowhere && findings.is_empty() && !director.table.is_empty() {
        let at = "net.ipv4.vs.est_cpulist";
        let what = format!("{at} is empty: no CPU refreshes the counters");
        findings.push(Kind::CountersFrozen.at(&at, what, Fix::set([("net/ipv4/vs/est_cpulist", 0)])));
    }
    for daemon in &director.daemons {
        // Interface names that are not UTF-8 are not read.
        let Ok(name) = std::str::from_utf8(daemon.interface.as_bytes()) else { continue };
        let link = machine.links.iter().find(|link| link.name == name);
        let (how, fix) = match link {
            Some(link) if link.is_up => continue,
            Some(_) => ("which is down", Step::bring_up(name).into()),
            None => ("which is gone", restart(daemon)),
        };
        findings.push(Kind::SyncLinkDown.at(
            &name,
            format!("the sync daemon ({}) is on {name}, {how}", daemon.state),
            fix,
        ));
    }
    findings
}

/// Restarts a daemon on another interface, which the user fills in.
fn restart(daemon: &SyncDaemon) -> Fix {
    let stop = Change::StopDaemon { state: daemon.state, sync_id: daemon.sync_id };
    Fix(vec![Step::Table(stop), Step::NewDaemon(*daemon)])
}
