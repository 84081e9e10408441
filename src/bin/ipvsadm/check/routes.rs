//! Routing tables, and the rules that select among them.

use std::net::IpAddr;

use super::address::{Address, Route};

/// The main table, which routes are in by default.
pub(crate) const MAIN: u32 = 254;
/// The tables of the rules that the kernel begins with.
pub(crate) const STANDARD_TABLES: [u32; 3] = [253, MAIN, 255];

/// A packet of this machine whose route is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) to: IpAddr,
    pub(crate) from: Option<IpAddr>,
    /// Its TCP source port.
    pub(crate) port: Option<u16>,
    /// Its firewall mark.
    pub(crate) mark: Option<u32>,
}

impl Packet {
    pub(crate) fn to(to: IpAddr) -> Self {
        Self { to, from: None, port: None, mark: None }
    }
}

/// The routing tables, and the routes chosen for the answers of a real server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RoutingTables {
    pub(crate) all: Vec<RouteEntry>,
    pub(crate) rules: Vec<Rule>,
    /// The routes of answers to remote clients.
    pub(crate) answers: Vec<Route>,
}

impl RoutingTables {
    /// A table without routes, to which no rule refers.
    pub(crate) fn free_table(&self) -> u32 {
        const FIRST: u32 = 100;
        let is_used = |table: u32| {
            self.all.iter().any(|route| route.table == table)
                || self.rules.iter().any(|rule| rule.table == table)
        };
        (FIRST..MAIN).find(|table| !is_used(*table)).unwrap_or(FIRST)
    }
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteEntry {
    pub(crate) to: IpAddr,
    pub(crate) prefix: u8,
    pub(crate) link: Option<u32>,
    pub(crate) gateway: Option<IpAddr>,
    /// The preferred source address.
    pub(crate) source: Option<IpAddr>,
    pub(crate) metric: Option<u32>,
    pub(crate) table: u32,
    pub(crate) kind: RouteEntryKind,
    /// The kernel added it with an address of this machine.
    pub(crate) is_automatic: bool,
    /// The gateway is on the link, whatever the other routes say.
    pub(crate) is_onlink: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteEntryKind {
    Local,
    Unicast,
    Other,
}

/// A rule that selects a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The firewall mark of the packets that it matches.
    pub(crate) mark: Option<u32>,
    /// The first source port that it matches.
    pub(crate) port: Option<u16>,
    pub(crate) table: u32,
}

impl RouteEntry {
    /// Whether it was added with an address, and leads to its network.
    pub(crate) fn is_of(&self, place: &Address) -> bool {
        self.is_automatic && self.prefix == place.prefix && place.spans(self.to)
    }
}
