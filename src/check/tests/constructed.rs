//! A machine, a table and a director that a test changes.

use std::net::IpAddr;

use ipvs::{Destination, DestinationEntry, ForwardingMethod, Service, ServiceEntry, ServiceId, Stats};

use crate::check::director::Director;
use crate::check::facts::address::{Address, Route};
use crate::check::facts::connections::Count;
use crate::check::facts::machine::{Link, LinkFacts, LinkKind, Machine, Scheduled};
use crate::check::facts::routes::RoutingTables;
use crate::check::facts::settings::Settings;
use crate::check::facts::table::Table;
use crate::check::facts::udp::UdpAnswers;
use crate::check::finding::Finding;
use crate::check::firewall::rules::RuleTable;
use crate::check::firewall::ruleset::Ruleset;
use crate::check::server::Server;
use crate::command::RealServer;
use crate::supervisors::Supervisors;

pub(in crate::check) const ETH0: u32 = 2;

pub(in crate::check) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An interface that is up.
pub(in crate::check) fn link(index: u32, name: &str, kind: LinkKind) -> Link {
    Link {
        index,
        name: name.to_owned(),
        is_up: true,
        has_carrier: true,
        facts: LinkFacts::default(),
        parent: None,
        kind,
    }
}

/// An address of an interface.
pub(in crate::check) fn own(address: &str, prefix: u8, link: u32) -> Address {
    Address { link, ..Address::network(ip(address), prefix) }
}

/// A director with one interface, whose network is 192.168.1.0/24, and the address 192.168.1.100.
pub(in crate::check) fn machine() -> Machine {
    let lookups = [
        ("192.168.1.100", Route::Local),
        ("192.168.1.11", Route::OnLink(ETH0)),
        ("192.168.1.12", Route::OnLink(ETH0)),
        ("240.0.0.1", Route::Via(ip("192.168.1.254"), ETH0)),
    ];
    Machine {
        links: vec![link(1, "lo", LinkKind::Loopback), link(ETH0, "eth0", LinkKind::Ethernet)].into(),
        addresses: vec![own("127.0.0.1", 8, 1), own("192.168.1.1", 24, ETH0), own("192.168.1.100", 32, ETH0)]
            .into(),
        neighbours: Vec::new().into(),
        lookups: lookups.into_iter().map(|(to, route)| (ip(to), route)).collect(),
        routes: RoutingTables::default(),
        listeners: Vec::new(),
        connections: Vec::new(),
        complaints: 0,
        rp_filter_drops: 0,
        without_route: 0,
        waiting: Vec::new(),
        has_ftp_helper: Some(true),
        twice: Vec::new(),
        scheduled: Scheduled::default(),
        settings: Settings::default(),
    }
}

/// Settings of a machine by the ends of their paths; of several that match the first counts.
pub(in crate::check) fn by_ends(machine: &Machine, ends: &[(&str, u32)]) -> Settings {
    let names: Vec<&str> = machine.links.iter().map(|link| link.name.as_str()).collect();
    Settings::by_ends(&names, ends)
}

/// A packet filter without rules.
pub(in crate::check) fn no_rules() -> Ruleset {
    Ruleset::new(vec![RuleTable::new("iptables", "filter", None)])
}

/// What is found on a real server.
pub(in crate::check) fn server_findings(
    role: &RealServer,
    machine: &Machine,
    rules: &Ruleset,
) -> Vec<Finding> {
    let udp = UdpAnswers::default();
    Server { role: *role, machine: machine.clone(), rules: rules.clone(), udp }.findings()
}

pub(in crate::check) fn web() -> ServiceId {
    ServiceId::tcp(ip("192.168.1.100"), 80)
}

pub(in crate::check) fn server(address: &str, port: u16, forwarding: ForwardingMethod) -> DestinationEntry {
    let destination = Destination::new(ip(address), port, forwarding);
    DestinationEntry {
        destination,
        active_connections: 0,
        inactive_connections: 0,
        persistent_connections: 0,
        stats: Stats::default(),
    }
}

pub(in crate::check) fn table(scheduler: &str, servers: Vec<DestinationEntry>) -> Table {
    let service = Service::new(web(), scheduler.parse().unwrap());
    vec![(ServiceEntry { service, stats: Stats::default() }, servers)]
}

pub(in crate::check) fn two_servers() -> Vec<DestinationEntry> {
    ["192.168.1.11", "192.168.1.12"]
        .map(|address| server(address, 80, ForwardingMethod::DirectRouting))
        .into()
}

pub(in crate::check) fn director(table: Table) -> Director {
    Director {
        table,
        daemons: Vec::new(),
        timeouts: None,
        connections: Count::default(),
        ways: Vec::new(),
        load: None,
        estimating: None,
        supervisors: Supervisors::default(),
        unseen: Vec::new(),
        idle_supervisor: None,
        weights: std::collections::HashMap::new(),
        saved: None,
        rules: no_rules(),
        machine: machine(),
    }
}

/// Ids and fixes of the findings.
pub(in crate::check) fn found(director: &Director) -> Vec<(&'static str, String)> {
    director.findings().into_iter().map(|finding| (finding.id, finding.fix.to_string())).collect()
}
