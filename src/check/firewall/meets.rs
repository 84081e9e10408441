//! The rule that a packet certainly meets first among those that do something in particular to it.

use super::rules::{Action, Hook, Packet, Rule, RuleTable};
use super::ruleset::{Dropped, Ruleset};

/// What a chain leads a packet to.
enum Met<'a> {
    /// None of these rules: it goes on behind the chain.
    Nothing,
    /// It ends before, or may meet one: that is not known.
    Unknown,
    Rule(&'a Rule),
}

impl Ruleset {
    /// The rule of some kind that a packet certainly meets at a hook, with its table and chain.
    pub(crate) fn meets(
        &self,
        hook: Hook,
        packet: &Packet,
        is_wanted: fn(&Action) -> bool,
    ) -> Option<Dropped<'_>> {
        self.bases(hook, i32::MAX, packet.family).into_iter().find_map(|(table, base)| {
            match table.meets(&base.chain, packet, is_wanted, 0) {
                Met::Rule(rule) => Some(Dropped { table, base, rule: Some(rule) }),
                Met::Nothing | Met::Unknown => None,
            }
        })
    }
}

impl RuleTable {
    fn meets(&self, chain: &str, packet: &Packet, is_wanted: fn(&Action) -> bool, depth: usize) -> Met<'_> {
        const DEEPEST: usize = 16;
        if depth > DEEPEST {
            return Met::Unknown;
        }
        for rule in self.chains.get(chain).into_iter().flatten() {
            let is_sure = match rule.matches(packet) {
                Some(false) => continue,
                matches => matches == Some(true),
            };
            let met = match &rule.action {
                action if is_wanted(action) => Met::Rule(rule),
                Action::Continue | Action::Mark(_) | Action::Untrack => continue,
                Action::Jump(target) | Action::Goto(target) => {
                    let met = self.meets(target, packet, is_wanted, depth + 1);
                    match (met, &rule.action) {
                        (Met::Nothing, Action::Jump(_)) => continue,
                        (Met::Nothing, _) if is_sure => return Met::Nothing,
                        (met, _) => met,
                    }
                }
                Action::Return if is_sure => return Met::Nothing,
                _ => Met::Unknown,
            };
            return if is_sure { met } else { Met::Unknown };
        }
        Met::Nothing
    }
}

#[cfg(test)]
mod tests {
    use ipvs::Family;

    use super::super::iptables::tables;
    use super::*;

    #[test]
    fn only_a_rule_that_is_certainly_met_counts() {
        for (rules, is_met) in [
            ("-A POSTROUTING -j MASQUERADE", true),
            ("-A POSTROUTING -o eth0 -j MASQUERADE", true),
            ("-A POSTROUTING -o eth1 -j MASQUERADE", false),
            ("-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE", false),
            ("-A POSTROUTING -d 192.168.1.100/32 -j ACCEPT\n-A POSTROUTING -j MASQUERADE", false),
            ("-A POSTROUTING -d 192.168.1.9/32 -j ACCEPT\n-A POSTROUTING -j MASQUERADE", true),
            ("-A POSTROUTING -m set --match-set x src -j ACCEPT\n-A POSTROUTING -j MASQUERADE", false),
            ("-A POSTROUTING -m set --match-set x src -j LOG\n-A POSTROUTING -j MASQUERADE", true),
            ("-A POSTROUTING -j sub\n-A POSTROUTING -j MASQUERADE\n-A sub -j RETURN", true),
            ("-A POSTROUTING -j sub\n-A sub -j SNAT --to-source 192.168.1.1", true),
            ("-A POSTROUTING -g sub\n-A POSTROUTING -j MASQUERADE\n-A sub -j LOG", false),
            ("-A POSTROUTING -j POSTROUTING", false),
        ] {
            let printed = format!("*nat\n:POSTROUTING ACCEPT [0:0]\n:sub - [0:0]\n{rules}\nCOMMIT\n");
            let ruleset = Ruleset::new(tables(&printed, "iptables", Family::V4));
            let packet = Packet {
                to: Some([192, 168, 1, 100].into()),
                leaves: Some("eth0".to_owned()),
                ..Packet::of(Family::V4, 6)
            };
            let met =
                ruleset.meets(Hook::Postrouting, &packet, |action| *action == Action::Translate).is_some();
            assert_eq!(met, is_met, "{rules}");
        }
    }
}
