//! Rules that set a firewall mark where no client's packet comes by.

use std::collections::HashSet;

use ipvs::Family;

use super::super::machine::Machine;
use super::rules::{Action, Base, Condition, Hook, Rule, RuleTable};
use super::ruleset::Ruleset;

impl Ruleset {
    /// Why a mark that rules set is on no packet that arrives here; none if it may be.
    pub(crate) fn misplaced(&self, mark: u32, family: Family, machine: &Machine) -> Option<String> {
        let of_family = |table: &&RuleTable| table.family.is_none_or(|of| of == family);
        let mut setting = Vec::new();
        for table in self.tables.iter().filter(of_family) {
            for base in &table.bases {
                let rules = table.reached(&base.chain);
                setting.extend(rules.into_iter().filter(|rule| may_set(rule, mark)).map(|rule| (base, rule)));
            }
        }
        let arrives = |base: &Base| matches!(base.hook, Hook::Prerouting | Hook::Input);
        let (right, wrong): (Vec<_>, Vec<_>) = setting.into_iter().partition(|(base, _)| arrives(base));
        if right.is_empty() {
            let (base, _) = wrong.first()?;
            return Some(format!(
                "the mark {mark} is set only in {}, where no client's packet comes by",
                base.chain
            ));
        }
        // A rule by mark may route any address here.
        if machine.routes.rules.iter().any(|rule| rule.mark.is_some()) {
            return None;
        }
        let is_strange = |rule: &Rule| {
            rule.tests.iter().any(|(condition, wanted)| *wanted && is_elsewhere(condition, machine))
        };
        let (_, rule) = right.first().filter(|_| right.iter().all(|(_, rule)| is_strange(rule)))?;
        Some(format!(
            "the mark {mark} is set only for an address that this director does not have: {}",
            rule.text
        ))
    }
}

/// Whether a rule may set a mark: that value, a part of it, or any.
fn may_set(rule: &Rule, mark: u32) -> bool {
    match rule.action {
        Action::Mark(Some((value, bits))) => value == mark || bits != u32::MAX && value & mark == value,
        Action::Mark(None) | Action::Unknown => true,
        _ => false,
    }
}

/// Whether a condition holds for no packet to this machine: it is about single addresses of others.
fn is_elsewhere(condition: &Condition, machine: &Machine) -> bool {
    let is_other = |address| machine.holders(address).next().is_none();
    matches!(condition, Condition::To(all) if all.iter().all(|one| one.is_single() && is_other(one.address)))
}

impl RuleTable {
    /// The rules that packets may meet from a chain on.
    pub(super) fn reached(&self, from: &str) -> Vec<&Rule> {
        let (mut seen, mut next) = (HashSet::from([from]), vec![from]);
        let mut rules = Vec::new();
        while let Some(chain) = next.pop() {
            for rule in self.chains.get(chain).into_iter().flatten() {
                rules.push(rule);
                if let Action::Jump(target) | Action::Goto(target) = &rule.action {
                    if seen.insert(target) {
                        next.push(target);
                    }
                }
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::super::iptables::tables;
    use super::*;

    #[test]
    fn marks_are_set_where_packets_arrive() {
        let machine = crate::check::tests::machine();
        for (rules, expected) in [
            ("-A PREROUTING -d 192.168.1.100/32 -p tcp -j MARK --set-xmark 0x7/0xffffffff", ""),
            ("-A PREROUTING -p tcp -j MARK --set-xmark 0x7/0xffffffff", ""),
            ("-A PREROUTING -d 192.168.2.0/24 -j MARK --set-xmark 0x7/0xffffffff", ""),
            ("-A PREROUTING ! -d 192.168.1.99/32 -j MARK --set-xmark 0x7/0xffffffff", ""),
            ("-A PREROUTING -j sub\n-A sub -p tcp -j MARK --set-xmark 0x7/0xffffffff", ""),
            ("-A INPUT -p tcp -j MARK --set-xmark 0x7/0xffffffff", ""),
            (
                "-A PREROUTING -d 192.168.1.99/32 -j MARK --set-xmark 0x7/0xffffffff\n-A PREROUTING -j CONNMARK --restore-mark",
                "",
            ),
            (
                "-A PREROUTING -d 192.168.1.99/32 -j MARK --set-xmark 0x7/0xffffffff\n-A PREROUTING -j HMARK",
                "",
            ),
            ("-A OUTPUT -p tcp -j MARK --set-xmark 0x7/0xffffffff", "the mark 7 is set only in OUTPUT, "),
            (
                "-A FORWARD -j sub\n-A sub -p tcp -j MARK --set-xmark 0x7/0xffffffff",
                "the mark 7 is set only in FORWARD, ",
            ),
            (
                "-A PREROUTING -d 192.168.1.99/32 -j MARK --set-xmark 0x7/0xffffffff",
                "the mark 7 is set only for an address ",
            ),
            ("-A PREROUTING -d 192.168.1.99/32 -j MARK --set-xmark 0x8/0xffffffff", ""),
        ] {
            let chains = ":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:sub - [0:0]";
            let printed = format!("*mangle\n{chains}\n{rules}\nCOMMIT\n");
            let ruleset = Ruleset::new(tables(&printed, "iptables", Family::V4));
            let found = ruleset.misplaced(7, Family::V4, &machine).unwrap_or_default();
            assert!(
                found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                "{rules}: {found}"
            );
        }
        let mut machine = crate::check::tests::machine();
        machine.routes.rules = vec![crate::check::routes::Rule { mark: Some(7), port: None, table: 7 }];
        let printed = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 192.168.1.99/32 -j MARK --set-xmark 0x7/0xffffffff\n";
        let ruleset = Ruleset::new(tables(printed, "iptables", Family::V4));
        assert_eq!(ruleset.misplaced(7, Family::V4, &machine), None, "routed here by the mark");
    }
}
