//! Rules of a packet filter, and which packets they match as far as that is known.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use ipvs::Family;

/// Where packets meet the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

/// The hooks before a local socket, or IPVS.
pub(crate) const ARRIVING: [Hook; 2] = [Hook::Prerouting, Hook::Input];
/// Those of packets that this machine forwards, before they leave.
pub(crate) const FORWARDED: [Hook; 2] = [Hook::Prerouting, Hook::Forward];
pub(crate) const SENT: [Hook; 1] = [Hook::Postrouting];
/// Those of packets that this machine, or IPVS, sends.
pub(crate) const LEAVING: [Hook; 2] = [Hook::Output, Hook::Postrouting];
/// All chains, whatever their priority.
pub(crate) const ALL: i32 = i32::MAX;

/// A packet, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) family: Family,
    pub(crate) protocol: u8,
    pub(crate) from: Option<IpAddr>,
    pub(crate) to: Option<IpAddr>,
    pub(crate) from_port: Option<u16>,
    pub(crate) to_port: Option<u16>,
    /// Its source port is one that clients of TCP use.
    pub(crate) is_of_client: bool,
    /// Type and code, with ICMP.
    pub(crate) icmp: Option<(u8, u8)>,
    /// The flags of TCP.
    pub(crate) flags: Option<u8>,
    /// The interfaces that it arrives on, and leaves by.
    pub(crate) arrives: Option<String>,
    pub(crate) leaves: Option<String>,
    /// Its state in the connection tracking.
    pub(crate) state: Option<&'static str>,
    /// Whether it is for this machine.
    pub(crate) is_local: Option<bool>,
    /// Whether the way back to its sender leaves by the interface that it arrives on.
    pub(crate) has_way_back: Option<bool>,
}

impl Packet {
    /// A packet of which only the protocol is known.
    pub(crate) fn of(family: Family, protocol: u8) -> Self {
        Self {
            family,
            protocol,
            from: None,
            to: None,
            from_port: None,
            to_port: None,
            is_of_client: false,
            icmp: None,
            flags: None,
            arrives: None,
            leaves: None,
            state: None,
            is_local: None,
            has_way_back: None,
        }
    }
}

/// A property of packets that a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Family(Family),
    Protocol(Vec<u8>),
    From(Vec<IpNet>),
    To(Vec<IpNet>),
    FromPort(Vec<RangeInclusive<u16>>),
    ToPort(Vec<RangeInclusive<u16>>),
    /// Types, and codes unless any is meant.
    Icmp(Vec<(u8, Option<u8>)>),
    /// Of the flags of TCP in a mask, those that are set.
    Flags {
        mask: u8,
        set: u8,
    },
    /// Interfaces; `+` or `*` at the end stands for any further characters.
    Arrives(Vec<String>),
    Leaves(Vec<String>),
    States(Vec<String>),
    /// It is for this machine.
    Local,
    /// The way back to its sender leaves by the interface that it arrives on.
    WayBack,
    /// Something else.
    Unknown,
}

/// Clients use no port below this one; those of a few old protocols use ports between it and 1023.
const LOWEST: u16 = 512;

impl Condition {
    /// Whether a packet fulfils it; none if that is not known.
    fn holds(&self, packet: &Packet) -> Option<bool> {
        let within = |address: Option<IpAddr>, networks: &[IpNet]| {
            // Networks of this size are all addresses.
            let is_all = networks.iter().any(|network| network.prefix_len() == 0);
            address.map_or(is_all.then_some(true), |address| {
                Some(networks.iter().any(|network| network.contains(&address)))
            })
        };
        let of_ports = |port: Option<u16>, ranges: &[RangeInclusive<u16>]| {
            port.map(|port| ranges.iter().any(|range| range.contains(&port)))
        };
        let named = |name: &Option<String>, patterns: &[String]| {
            name.as_ref().map(|name| patterns.iter().any(|pattern| is_named(name, pattern)))
        };
        match self {
            Self::Family(family) => Some(packet.family == *family),
            Self::Protocol(protocols) => Some(protocols.contains(&packet.protocol)),
            Self::From(networks) => within(packet.from, networks),
            Self::To(networks) => within(packet.to, networks),
            Self::FromPort(ranges) => {
                let is_never = packet.is_of_client && ranges.iter().all(|range| *range.end() < LOWEST);
                of_ports(packet.from_port, ranges).or(is_never.then_some(false))
            }
            Self::ToPort(ranges) => of_ports(packet.to_port, ranges),
            Self::Icmp(types) => packet.icmp.map(|(kind, code)| {
                types
                    .iter()
                    .any(|(other, wanted)| kind == *other && wanted.is_none_or(|wanted| wanted == code))
            }),
            Self::Flags { mask, set } => packet.flags.map(|flags| flags & mask == *set),
            Self::Arrives(patterns) => named(&packet.arrives, patterns),
            Self::Leaves(patterns) => named(&packet.leaves, patterns),
            Self::States(states) => {
                packet.state.map(|state| states.iter().any(|other| other.eq_ignore_ascii_case(state)))
            }
            Self::Local => packet.is_local,
            Self::WayBack => packet.has_way_back,
            Self::Unknown => None,
        }
    }
}

pub(super) fn is_named(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix(['+', '*']) {
        Some(front) => name.starts_with(front),
        None => name == pattern,
    }
}

/// A new destination; without an address this machine, without a port the same port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// What a rule does with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
    /// It sets the mark to a value, in the bits of a mask; none if the mark is copied or computed.
    Mark(Option<(u32, u32)>),
    /// It looks, or changes something that matters to nobody here.
    Continue,
    /// It keeps the packet out of the connection tracking.
    Untrack,
    /// It changes the destination; none if that is not known.
    Redirect(Option<Target>),
    /// It changes the source, and accepts.
    Translate,
    /// It answers clients of TCP itself, and then opens the connection.
    SynProxy,
    /// Anything.
    Unknown,
}

/// A rule: all its conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Each with whether it is to hold.
    pub(crate) tests: Vec<(Condition, bool)>,
    pub(crate) action: Action,
    /// As its tool shows it.
    pub(crate) text: String,
}

impl Rule {
    pub(crate) fn matches(&self, packet: &Packet) -> Option<bool> {
        let mut all = Some(true);
        for (condition, wanted) in &self.tests {
            match condition.holds(packet).map(|holds| holds == *wanted) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => all = None,
            }
        }
        all
    }
}

/// A chain that packets pass at a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) chain: String,
    pub(crate) hook: Hook,
    pub(crate) priority: i32,
    pub(crate) drops: bool,
}

/// A table of chains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RuleTable {
    /// The tool that changes it: `iptables`, or `nft`.
    pub(crate) tool: String,
    /// `filter`, or with nft `inet filter`.
    pub(crate) name: String,
    /// The family of its packets; none for both.
    pub(crate) family: Option<Family>,
    pub(crate) bases: Vec<Base>,
    pub(crate) chains: HashMap<String, Vec<Rule>>,
    /// It has a rule that drops packets.
    pub(super) has_drops: bool,
}

impl RuleTable {
    /// Whether packets to servers, or their answers, pass a chain.
    pub(super) fn is_passed_by_forwarded(&self) -> bool {
        let hooks = [Hook::Output, Hook::Forward, Hook::Postrouting];
        self.bases.iter().any(|base| hooks.contains(&base.hook))
    }

    /// Whether a chain of iptables may drop them.
    pub(super) fn filters_forwarded(&self) -> bool {
        let has_rules = |name: &str| self.chains.get(name).is_some_and(|rules| !rules.is_empty());
        let drops = |name: &str| self.bases.iter().any(|base| base.chain == name && base.drops);
        ["OUTPUT", "FORWARD"].into_iter().any(|name| has_rules(name) || drops(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_end_in_anything() {
        for (name, pattern, is_it) in [
            ("eth0", "eth0", true),
            ("eth0", "eth", false),
            ("eth0", "eth+", true),
            ("eth0", "*", true),
            ("lo", "e+", false),
        ] {
            assert_eq!(is_named(name, pattern), is_it, "{name} {pattern}");
        }
    }
}
