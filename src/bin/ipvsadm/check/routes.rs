//! Routing tables, and the rules that choose among their tables.

use std::net::IpAddr;

use super::address::{Address, Route};

/// The table of the routes that say no other.
pub(crate) const MAIN: u32 = 254;

/// A packet of this machine's whose way is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) to: IpAddr,
    pub(crate) from: Option<IpAddr>,
    /// The TCP port that it is from.
    pub(crate) port: Option<u16>,
    /// The firewall mark that it bears.
    pub(crate) mark: Option<u32>,
}

impl Packet {
    pub(crate) fn to(to: IpAddr) -> Self {
        Self { to, from: None, port: None, mark: None }
    }
}

/// What there is to choose from, and what is chosen for the answers of a real server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RoutingTables {
    pub(crate) all: Vec<RouteEntry>,
    pub(crate) rules: Vec<Rule>,
    /// The ways of answers to clients that are far away.
    pub(crate) answers: Vec<Route>,
}

impl RoutingTables {
    /// A table that no route is in, and no rule leads to.
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
    /// The address that packets are from if nothing else says so.
    pub(crate) source: Option<IpAddr>,
    pub(crate) metric: Option<u32>,
    pub(crate) table: u32,
    pub(crate) kind: RouteEntryKind,
    /// The kernel made it, with an address of this machine's.
    pub(crate) is_automatic: bool,
    /// The gateway is behind the interface, whatever the other routes say.
    pub(crate) is_onlink: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteEntryKind {
    Local,
    Unicast,
    Other,
}

/// A rule that leads to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The firewall mark of the packets that it is about.
    pub(crate) mark: Option<u32>,
    /// The first port that they are from.
    pub(crate) port: Option<u16>,
    pub(crate) table: u32,
}

impl RouteEntry {
    /// Whether it came with an address, and leads to its network.
    pub(crate) fn is_of(&self, place: &Address) -> bool {
        self.is_automatic && self.prefix == place.prefix && place.spans(self.to)
    }
}
