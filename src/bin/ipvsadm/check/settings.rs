//! The director's settings, where they work against what its table wants.

use std::net::IpAddr;

use ipvs::{DaemonState, Forwarding};

use super::director::{Director, bring_up};
use super::finding::{Finding, Kind};
use super::machine::{Machine, Sort};
use super::{address, servers, set};

/// Whether answers of a server would be forwarded.
pub(crate) fn forwards(machine: &Machine, server: IpAddr) -> bool {
    let Some(link) = machine.way(server).link() else { return true };
    let path = match server {
        IpAddr::V4(_) => format!("net/ipv4/conf/{}/forwarding", machine.name(link)),
        IpAddr::V6(_) => "net/ipv6/conf/all/forwarding".to_owned(),
    };
    machine.sysctl(&path) != Some(0)
}

/// What masquerading needs: forwarding, and no redirects where clients and servers are behind one interface.
pub(crate) fn forwarding(director: &Director) -> Vec<Finding> {
    let machine = &director.machine;
    let mut findings = Vec::new();
    for (service, server) in director.servers() {
        let to = server.destination.id.address;
        if server.destination.forwarding != Forwarding::Masquerade {
            continue;
        }
        if !forwards(machine, to) {
            let path = if to.is_ipv4() { "net/ipv4/ip_forward" } else { "net/ipv6/conf/all/forwarding" };
            let what = format!("{} is 0, and real servers are masqueraded", path.replace('/', "."));
            findings.push(Kind::IpForward.at(&path.replace('/', "."), what, set(&[(path.to_owned(), 1)])));
        }
        let Some(link) = machine.way(to).link().and_then(|link| machine.link(link)) else { continue };
        let is_shared = address(&service.id)
            .is_some_and(|vip| machine.places(vip).any(|(_, place)| place.index == link.index));
        if to.is_ipv4() && is_shared && machine.higher(&link.name, "send_redirects") > 0 {
            let what = format!(
                "clients and masqueraded servers are both behind {}, and it sends redirects",
                link.name
            );
            let paths = ["all", &link.name].map(|name| (format!("net/ipv4/conf/{name}/send_redirects"), 0));
            findings.push(Kind::SendRedirects.at(&link.name, what, set(&paths)));
        }
    }
    findings
}

/// `rp_filter` that drops clients' packets.
pub(crate) fn reverse_path(director: &Director) -> Vec<Finding> {
    let vips = director.table.iter().filter_map(|(entry, _)| address(&entry.service.id));
    vips.filter_map(|vip| filter_on_the_way(&director.machine, vip)).collect()
}

/// The same for the interface that packets for an address come in by: by it answers would not go out.
pub(crate) fn filter_on_the_way(machine: &Machine, vip: IpAddr) -> Option<Finding> {
    const STRICT: u32 = 1;
    let back = machine.default_way(vip).link();
    // Packets come in where the network asks for the address.
    let place = machine.places(vip).map(|(_, link)| link).find(|link| link.sort == Sort::Wire);
    let link = place.or_else(|| machine.on_link(vip))?;
    if !vip.is_ipv4()
        || machine.filtered == 0
        || back == Some(link.index)
        || machine.higher(&link.name, "rp_filter") != STRICT
    {
        return None;
    }
    let what = format!(
        "rp_filter has dropped {} packets; the default route is not by {}",
        machine.filtered, link.name
    );
    let path = |name: &str, value| (format!("net/ipv4/conf/{name}/rp_filter"), value);
    let cure = match back {
        Some(_) => set(&[path(&link.name, 2)]),
        None => set(&[path("all", 0), path(&link.name, 0)]), // even the loose one wants a way back
    };
    Some(Kind::RpFilter.at(&link.name, what, cure))
}

/// Settings that keep connections on servers that are being taken out.
pub(crate) fn draining(director: &Director) -> Vec<Finding> {
    let is_off = |name: &str| director.machine.sysctl(&format!("net/ipv4/vs/{name}")) == Some(0);
    let on = |name: &str| set(&[(format!("net/ipv4/vs/{name}"), 1)]);
    let mut findings = Vec::new();
    if is_off("expire_nodest_conn") {
        for (service, server, count) in director.connections.orphans() {
            let what = format!("{count} connections are to a server that is no longer in the table");
            let cure = on("expire_nodest_conn");
            findings.push(Kind::ExpireNodestConn.at(&format!("{service} -> {server}"), what, cure));
        }
    }
    for (service, server) in director.servers().filter(|(_, server)| server.destination.weight == 0) {
        let at = servers::at(service, server);
        if is_off("expire_quiescent_template") && service.persistence.is_some() && server.persistent > 0 {
            let what =
                format!("it has weight 0, and {} clients come back to it by persistence", server.persistent);
            findings.push(Kind::ExpireQuiescentTemplate.at(&at, what, on("expire_quiescent_template")));
        }
        let connections = server.active.saturating_add(server.inactive);
        if is_off("conn_reuse_mode") && is_off("expire_nodest_conn") && connections > 0 {
            let what =
                format!("it has weight 0, and {connections} connections whose ports clients may use again");
            // The director sees both directions, and the end of connections, of masqueraded servers alone.
            let mode = if server.destination.forwarding == Forwarding::Masquerade { 1 } else { 3 };
            let cure = set(&[("net/ipv4/vs/conn_reuse_mode".to_owned(), mode)]);
            findings.push(Kind::ConnReuseMode.at(&at, what, cure));
        }
    }
    findings
}

/// Counters that stand still, and a sync daemon that nobody hears.
pub(crate) fn machinery(director: &Director) -> Vec<Finding> {
    let machine = &director.machine;
    let mut findings = Vec::new();
    let path = "net/ipv4/vs/run_estimation";
    if machine.sysctl(path) == Some(0) && !director.table.is_empty() {
        let at = path.replace('/', ".");
        findings.push(Kind::CountersFrozen.at(
            &at,
            format!("{at} is 0: the kernel counts nothing"),
            set(&[(path.to_owned(), 1)]),
        ));
    }
    for daemon in &director.daemons {
        let name = daemon.interface.to_string();
        if machine.links.iter().any(|link| link.name == name && link.is_up) {
            continue;
        }
        let side = match daemon.state {
            DaemonState::Master => "master",
            DaemonState::Backup => "backup",
        };
        let what = format!("the sync daemon ({side}) is on {name}, which is down");
        findings.push(Kind::SyncLinkDown.at(&name.clone(), what, bring_up(&name)));
    }
    findings
}
