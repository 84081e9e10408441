//! Routing tables, and the rules that select among them.

use std::net::IpAddr;

use super::address::{Address, Route};

/// The main table, which routes are in by default.
pub(crate) const MAIN: u32 = 254;
/// The tables of the rules that the kernel begins with.
pub(crate) const STANDARD_TABLES: [u32; 3] = [253, MAIN, 255];

/// A packet of this machine whose route is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) to: IpAddr,
    pub(crate) from: Option<IpAddr>,
    /// Its TCP source port.
    pub(crate) port: Option<u16>,
    /// Its firewall mark.
    pub(crate) mark: Option<u32>,
}

impl Lookup {
    pub(crate) fn to(to: IpAddr) -> Self {
        Self { to, from: None, port: None, mark: None }
    }
}

/// The routing tables, and the routes chosen for the answers of a real server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RoutingTables {
    pub(crate) all: Vec<RouteEntry>,
    pub(crate) rules: Vec<RoutingRule>,
    /// The routes of answers to remote clients.
    pub(crate) answers: Vec<Route>,
}

impl RoutingTables {
    /// The default route of answers, if they are spread over several gateways.
    pub(crate) fn spread(&self) -> Option<&RouteEntry> {
        let Route::Via(gateway, link) = *self.answers.first()? else { return None };
        let is_hop = |hop: &Hop| (hop.gateway, hop.link) == (Some(gateway), link);
        self.all.iter().find(|route| route.prefix == 0 && route.hops.iter().any(is_hop))
    }

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The longest packets that take it, and whether that is fixed.
    pub(crate) mtu: Option<(u32, bool)>,
    /// The ways that packets are spread over, if there are several; then `gateway` and `link` are unset.
    pub(crate) hops: Vec<Hop>,
}

/// One of the ways of a route that has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) link: u32,
    pub(crate) weight: u16,
    pub(crate) is_onlink: bool,
}

impl Hop {
    pub(crate) fn route(&self) -> Route {
        self.gateway.map_or(Route::OnLink(self.link), |gateway| Route::Via(gateway, self.link))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteEntryKind {
    Local,
    Unicast,
    Other,
}

/// A rule that selects a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoutingRule {
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

    /// Whether it leaves by an interface, at least in part.
    pub(crate) fn leaves_by(&self, link: u32) -> bool {
        self.link == Some(link) || self.hops.iter().any(|hop| hop.link == link)
    }

    /// The same route with only some of its ways.
    pub(crate) fn with_hops(&self, hops: &[Hop]) -> Self {
        match hops {
            [hop] => Self {
                gateway: hop.gateway,
                link: Some(hop.link),
                is_onlink: hop.is_onlink,
                hops: Vec::new(),
                ..self.clone()
            },
            hops => Self { hops: hops.to_vec(), ..self.clone() },
        }
    }
}
