//! Neighbour discovery of IPv6 that a packet filter drops: nobody learns who has an address.

use ipvs::Family;

use crate::check::facts::protocols::ICMP6;
use crate::check::firewall::dropped::dropped;
use crate::check::firewall::packets::NEIGHBOURS;
use crate::check::firewall::rules::{ALL, ARRIVING, LEAVING, Packet};
use crate::check::firewall::ruleset::Ruleset;
use crate::check::fix::Fix;

/// Neighbour discovery of IPv6 that a packet filter drops: nobody learns who has an address.
pub(crate) fn neighbours(rules: &Ruleset, wires: &[Option<String>]) -> Vec<(&'static str, String, Fix)> {
    let mut findings = Vec::new();
    for (at, hooks, is_in) in [("INPUT", &ARRIVING[..], true), ("OUTPUT", &LEAVING, false)] {
        if rules.is_open(hooks) {
            continue;
        }
        let found = NEIGHBOURS.iter().find_map(|kind| {
            let packets: Vec<Packet> = wires
                .iter()
                .map(|link| Packet {
                    icmp: Some(*kind),
                    state: Some("untracked"),
                    arrives: link.clone().filter(|_| is_in),
                    leaves: link.clone().filter(|_| !is_in),
                    ..Packet::of(Family::V6, ICMP6)
                })
                .collect();
            dropped(rules, hooks, ALL, &packets)
        });
        findings.extend(found.map(|(what, fix)| {
            (
                at,
                format!("{what}; IPv6 finds the Ethernet address of a neighbour by it, as IPv4 does by ARP"),
                fix,
            )
        }));
    }
    findings
}
