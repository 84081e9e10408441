//! The kernel's answers to where packets go, in words.

use std::io;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

use super::Flow;
use crate::check::facts::address::Route;
use crate::check::facts::machine::{LinkKind, Machine};
use crate::check::facts::question::{Question, Refusal, Way};
use crate::check::facts::routes::STANDARD_TABLES;
use crate::check::facts::rtnetlink::Routing;
use crate::check::facts::rtnetlink::questions::{PrintedRule, table_name};
use crate::check::failure::{check_failure, unread};
use crate::messages::Result;

/// A conversation with the kernel about packets.
pub(super) struct Roads {
    routing: Routing,
    rules: Vec<PrintedRule>,
}

impl Roads {
    pub(super) fn open(is_ipv4: bool) -> Result<Self> {
        let read = || -> io::Result<Self> {
            let mut routing = Routing::open()?;
            let rules = routing.printed_rules(is_ipv4)?;
            Ok(Self { routing, rules })
        };
        read().map_err(unread)
    }

    /// What the kernel does with a packet.
    pub(super) fn ask(&mut self, question: &Question) -> Result<Way> {
        self.routing
            .ask(question)
            .map_err(|error| check_failure(format!("the kernel does not tell a route: {error}")))
    }

    /// Whether a neighbour answers; it is asked if that is not known.
    pub(super) fn answers(&mut self, machine: &Machine, hop: IpAddr, link: u32) -> Result<bool> {
        const STEPS: u32 = 75;
        const STEP: Duration = Duration::from_millis(20);
        let has_neighbours = machine.link(link).is_some_and(|link| link.kind == LinkKind::Ethernet);
        if !has_neighbours || machine.answered(hop, link) {
            return Ok(true);
        }
        // Without the privilege to ask, what is known is all there is.
        if self.routing.resolve(hop, link).is_err() {
            return Ok(true);
        }
        for _ in 0..STEPS {
            sleep(STEP);
            let known = self.routing.neighbours().map_err(unread)?;
            let mut of_hop = known.iter().filter(|known| known.address == hop && known.link == link);
            if of_hop.any(|known| known.has_answered) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rule that selected a table, if that is not one of those that every kernel has.
    fn rule(&self, table: u32) -> Option<&PrintedRule> {
        let is_own = |rule: &&PrintedRule| rule.table == Some(table) && !STANDARD_TABLES.contains(&table);
        self.rules.iter().find(is_own)
    }

    /// How a packet leaves, in words: `via 192.168.1.254 dev eth0`, and the rule behind it.
    pub(super) fn words(&self, way: Way, machine: &Machine) -> String {
        let (how, table) = match way {
            Way::Local { table } => ("local".to_owned(), table),
            Way::Leaves { gateway: Some(gateway), link, table } => {
                (format!("via {gateway} dev {}", machine.name(link)), table)
            }
            Way::Leaves { gateway: None, link, table } => (format!("dev {}", machine.name(link)), table),
            Way::Refused(refusal) => return self.why(refusal),
        };
        match self.rule(table) {
            Some(rule) => format!("{how} ({})", rule.text),
            None if STANDARD_TABLES.contains(&table) || table == 0 => how,
            None => format!("{how} (table {})", table_name(table)),
        }
    }

    /// Why there is no way, in words.
    fn why(&self, refusal: Refusal) -> String {
        let barriers = || {
            let texts: Vec<&str> =
                self.rules.iter().filter(|rule| rule.is_barrier).map(|rule| rule.text.as_str()).collect();
            if texts.is_empty() { String::new() } else { format!(" ({})", texts.join("; ")) }
        };
        match refusal {
            Refusal::NoRoute => "there is no route".to_owned(),
            Refusal::Unreachable => format!("the route is of the type unreachable{}", barriers()),
            Refusal::Prohibited => format!("the route is of the type prohibit{}", barriers()),
            Refusal::Invalid => format!("the route is of the type blackhole{}", barriers()),
            Refusal::ReversePath => "rp_filter drops it".to_owned(),
            Refusal::Other(errno) => io::Error::from_raw_os_error(errno).to_string(),
        }
    }
}

/// As the routes that are looked up elsewhere.
pub(super) fn plain(way: Way) -> Route {
    match way {
        Way::Local { .. } => Route::Local,
        Way::Leaves { gateway: Some(gateway), link, .. } => Route::Via(gateway, link),
        Way::Leaves { gateway: None, link, .. } => Route::OnLink(link),
        Way::Refused(_) => Route::Unreachable,
    }
}

impl Flow {
    /// The client's packet, as it arrives.
    pub(super) fn request(&self, arrives: Option<u32>) -> Question {
        Question {
            to: self.vip,
            from: Some(self.client),
            arrives,
            mark: self.mark,
            protocol: self.protocol,
            from_port: self.client_port,
            to_port: self.port,
        }
    }

    /// The answer to it, as it leaves.
    pub(super) fn answer(&self) -> Question {
        Question {
            to: self.client,
            from: Some(self.vip),
            arrives: None,
            mark: None,
            protocol: self.protocol,
            from_port: self.port,
            to_port: self.client_port,
        }
    }
}
