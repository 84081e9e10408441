//! Rules that set a firewall mark on no packet of a client's: in a chain that none passes, for what none is, or in vain,
//! because of another rule.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipvs::Family;

use super::rules::{Action, Base, Condition, Hook, Packet, Rule, RuleTable, is_named};
use super::ruleset::Ruleset;
use super::values::single;
use crate::check::facts::address::Route;
use crate::check::facts::machine::Machine;
use crate::check::fix::{Fix, IptablesRule, Step, Word};

/// IPVS takes requests at INPUT before chains of this priority.
pub(crate) const SCHEDULED: i32 = 98;

/// A mark that rules set, and no packet that arrives here has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misplaced {
    pub(crate) what: String,
    /// What sets it where it is kept; none if a rule has to be added.
    pub(crate) fix: Option<Fix>,
}

/// A rule that sets a mark.
#[derive(Clone, Copy)]
struct Setting<'a> {
    table: &'a RuleTable,
    base: &'a Base,
    /// The rules of its chain, and its place among them.
    chain: &'a [Rule],
    at: usize,
    rule: &'a Rule,
}

impl Ruleset {
    /// Why a mark that rules set is on no packet that arrives here; none if it may be.
    pub(crate) fn misplaced(&self, mark: u32, family: Family, machine: &Machine) -> Option<Misplaced> {
        let of_family = |table: &&RuleTable| table.family.is_none_or(|of| of == family);
        let tables = self.tables.iter().filter(of_family);
        let all: Vec<Setting<'_>> = tables.flat_map(|table| table.settings(mark)).collect();
        let (right, wrong): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| arrives(it.base));
        if right.is_empty() {
            let Base { chain, hook, priority, .. } = wrong.first()?.base;
            let what = match hook {
                Hook::Input => format!(
                    "the mark {mark} is set only in {chain}, after IPVS has taken the packets: its priority is {priority}"
                ),
                _ => format!("the mark {mark} is set only in {chain}, where no client's packet comes by"),
            };
            return Some(Misplaced { what, fix: None });
        }
        let reasons: Option<Vec<Misplaced>> = right.iter().map(|it| it.why_unset(mark, machine)).collect();
        reasons?.into_iter().next()
    }

    /// Whether some rule may set a mark on packets of a family; none if not all rules are known.
    pub(crate) fn may_set(&self, mark: u32, family: Family) -> Option<bool> {
        let of_family = |table: &&RuleTable| table.family.is_none_or(|of| of == family);
        let mut rules =
            self.tables.iter().filter(of_family).flat_map(|table| table.chains.values().flatten());
        let may_be = rules.any(|rule| may_set(rule, mark));
        (may_be || self.is_whole).then_some(may_be)
    }

    /// Packets that certainly get a mark as they arrive, one for each address and port that rules name; none if a rule that may
    /// set it does not say which protocol.
    pub(crate) fn marked(&self, mark: u32, family: Family) -> Vec<Packet> {
        let of_family = |table: &&RuleTable| table.family.is_none_or(|of| of == family);
        let settings = self.tables.iter().filter(of_family).flat_map(|table| table.settings(mark));
        let marked = settings.filter(|it| arrives(it.base)).map(|it| it.rule.packets(mark, family));
        marked.collect::<Option<Vec<_>>>().unwrap_or_default().concat()
    }

    /// The single addresses for which marks are set.
    pub(crate) fn marked_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let rules = self.tables.iter().flat_map(|table| table.chains.values().flatten());
        let tests = rules.filter(|rule| matches!(rule.action, Action::Mark(_))).flat_map(|rule| &rule.tests);
        let singles = tests.filter_map(|(condition, _)| match condition {
            Condition::To(all) => Some(all.iter().filter_map(single)),
            _ => None,
        });
        singles.flatten()
    }
}

/// Whether clients' packets pass a chain before IPVS takes them.
fn arrives(base: &Base) -> bool {
    match base.hook {
        Hook::Prerouting => true,
        Hook::Input => base.priority < SCHEDULED,
        _ => false,
    }
}

impl Setting<'_> {
    /// Why no packet that arrives here has the mark by this rule; none if one may have it.
    fn why_unset(self, mark: u32, machine: &Machine) -> Option<Misplaced> {
        let only = |of: String| Misplaced {
            what: format!("the mark {mark} is set only {of}: {}", self.rule.text),
            fix: None,
        };
        let mut of_packets = self.rule.tests.iter().filter(|(_, wanted)| *wanted);
        of_packets
            .find_map(|(condition, _)| matches_nothing(condition, machine))
            .map(only)
            .or_else(|| self.is_hidden(mark))
    }

    /// Another rule of the chain decides first, or sets another mark afterwards, for all packets of this one.
    fn is_hidden(self, mark: u32) -> Option<Misplaced> {
        let Self { chain, at, rule, .. } = self;
        let is_end = |other: &&Rule| matches!(other.action, Action::Accept | Action::Drop | Action::Return);
        let is_before = |other: &&Rule| is_end(other) && rule.implies(other);
        if let Some(other) = chain.get(..at)?.iter().find(is_before) {
            let what =
                format!("a rule before the one that sets the mark {mark} takes its packets: {}", other.text);
            return Some(Misplaced { what, fix: Some(self.again("-I")) });
        }
        // Only as long as packets certainly go on in this chain.
        let goes_on =
            |other: &&Rule| matches!(other.action, Action::Continue | Action::Untrack | Action::Mark(_));
        let replaces = |other: &&Rule| match other.action {
            Action::Mark(Some((value, u32::MAX))) => value != mark && rule.implies(other),
            _ => false,
        };
        let other = chain.get(at + 1..)?.iter().take_while(goes_on).find(replaces)?;
        let what = format!("a rule after the one that sets the mark {mark} sets another: {}", other.text);
        Some(Misplaced { what, fix: Some(self.again("-A")) })
    }

    /// The command that adds the rule once more, where it is kept; with nft, that shows the chain.
    fn again(self, how: &'static str) -> Fix {
        let Self { table, rule, .. } = self;
        if table.tool == "nft" {
            return Fix::look("nft -a list ruleset");
        }
        let mut all = super::iptables::words(&rule.text).into_iter().skip(1);
        let chain = all.next().unwrap_or_default();
        let words = all.map(Word::from).collect();
        let (tool, table) = (table.tool.clone(), Some(table.name.clone()));
        Step::Iptables(IptablesRule { tool, how, table, chain, words }).into()
    }
}

/// What no packet for this machine fulfils: a condition on single addresses of others, on interfaces that are not in
/// use, or on protocols that IPVS does not schedule.
fn matches_nothing(condition: &Condition, machine: &Machine) -> Option<String> {
    const SCHEDULED: [u8; 5] = [6, 17, 50, 51, 132];
    let is_other =
        |address| machine.holders(address).next().is_none() && machine.route(address) != Route::Local;
    // A rule by mark may route any address here.
    let by_mark = machine.routes.rules.iter().any(|rule| rule.mark.is_some());
    match condition {
        Condition::To(all) if !by_mark && all.iter().all(|one| single(one).is_some_and(is_other)) => {
            Some("for an address that this director does not have".to_owned())
        }
        Condition::Arrives(names) => {
            let up = machine.links.iter().filter(|link| link.is_up);
            let mut matched = up.filter(|link| names.iter().any(|name| is_named(&link.name, name)));
            matched
                .next()
                .is_none()
                .then(|| format!("on {}, and no interface of that name is up", names.join(", ")))
        }
        Condition::Protocol(all) if all.iter().all(|protocol| !SCHEDULED.contains(protocol)) => {
            Some("on packets of a protocol that IPVS does not schedule".to_owned())
        }
        _ => None,
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

impl RuleTable {
    /// The rules that packets may meet from a chain on.
    pub(super) fn reached(&self, from: &str) -> Vec<&Rule> {
        self.chains_from(from).into_iter().flatten().collect()
    }

    /// The chains that packets may meet from one on.
    fn chains_from(&self, from: &str) -> Vec<&[Rule]> {
        let (mut seen, mut next) = (HashSet::from([from]), vec![from]);
        let mut chains = Vec::new();
        while let Some(rules) = next.pop().map(|chain| self.chains.get(chain)) {
            let rules = rules.map(Vec::as_slice).unwrap_or_default();
            for rule in rules {
                if let Action::Jump(target) | Action::Goto(target) = &rule.action {
                    if seen.insert(target) {
                        next.push(target);
                    }
                }
            }
            chains.push(rules);
        }
        chains
    }

    /// The rules that may set a mark.
    fn settings(&self, mark: u32) -> Vec<Setting<'_>> {
        let mut all = Vec::new();
        for base in &self.bases {
            for chain in self.chains_from(&base.chain) {
                let places = chain.iter().enumerate().filter(|(_, rule)| may_set(rule, mark));
                all.extend(places.map(|(at, rule)| Setting { table: self, base, chain, at, rule }));
            }
        }
        all
    }
}

impl Rule {
    /// The packets that it marks, as far as it says.
    fn packets(&self, mark: u32, family: Family) -> Option<Vec<Packet>> {
        let is_it = matches!(self.action, Action::Mark(Some((value, _))) if value == mark);
        let wanted = || self.tests.iter().filter(|(_, wanted)| *wanted).map(|(condition, _)| condition);
        let protocol = wanted().find_map(|condition| match condition {
            Condition::Protocol(all) => all.first().filter(|_| all.len() == 1),
            _ => None,
        });
        let packet = Packet::of(family, *protocol.filter(|_| is_it)?);
        let port = |range: &RangeInclusive<u16>| (range.start() == range.end()).then_some(*range.start());
        let mut packets = vec![packet];
        for condition in wanted() {
            packets = packets
                .into_iter()
                .flat_map(|packet| match condition {
                    Condition::To(all) => {
                        all.iter().map(|to| Packet { to: single(to), ..packet.clone() }).collect()
                    }
                    Condition::ToPort(all) => {
                        all.iter().map(|to| Packet { to_port: port(to), ..packet.clone() }).collect()
                    }
                    Condition::Arrives(names) => match names.as_slice() {
                        [name] if !name.ends_with(['+', '*']) => {
                            vec![Packet { arrives: Some(name.clone()), ..packet }]
                        }
                        _ => vec![packet],
                    },
                    _ => vec![packet],
                })
                .collect();
        }
        Some(packets)
    }

    /// Whether another rule matches all packets that this one matches.
    fn implies(&self, other: &Self) -> bool {
        other.tests.iter().all(|test| test.0 != Condition::Unknown && self.tests.contains(test))
    }
}

#[cfg(test)]
mod tests {
    use super::super::iptables::tables;
    use super::*;

    #[test]
    fn marks_are_set_where_packets_arrive() {
        let mut machine = crate::check::tests::machine();
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
            ("-A PREROUTING -i eth0 -j MARK --set-xmark 0x7/0xffffffff", ""),
            ("-A PREROUTING -i eth+ -j MARK --set-xmark 0x7/0xffffffff", ""),
            ("-A PREROUTING ! -i eth9 -j MARK --set-xmark 0x7/0xffffffff", ""),
            (
                "-A PREROUTING -i eth9 -j MARK --set-xmark 0x7/0xffffffff",
                "the mark 7 is set only on eth9, and no interface of that name is up: -A ",
            ),
            ("-A PREROUTING -p ah -j MARK --set-xmark 0x7/0xffffffff", ""),
            (
                "-A PREROUTING -p icmp -j MARK --set-xmark 0x7/0xffffffff",
                "the mark 7 is set only on packets of a protocol that IPVS does not schedule: -A ",
            ),
            // Another rule is first, or last.
            (
                "-A PREROUTING -p tcp -j ACCEPT\n-A PREROUTING -p tcp --dport 80 -j MARK --set-xmark 0x7/0xffffffff",
                "a rule before the one that sets the mark 7 takes its packets: -A PREROUTING -p tcp -j ACCEPT",
            ),
            (
                "-A PREROUTING -p tcp --dport 22 -j ACCEPT\n-A PREROUTING -p tcp -j MARK --set-xmark 0x7/0xffffffff",
                "",
            ),
            (
                "-A PREROUTING -m set --match-set x src -j ACCEPT\n\
                 -A PREROUTING -m set --match-set y src -j MARK --set-xmark 0x7/0xffffffff",
                "",
            ),
            (
                "-A PREROUTING -p tcp --dport 80 -j MARK --set-xmark 0x7/0xffffffff\n-A PREROUTING -p tcp -j MARK --set-xmark 0x8/0xffffffff",
                "a rule after the one that sets the mark 7 sets another: -A PREROUTING -p tcp -j MARK --set-xmark 0x8/",
            ),
            (
                "-A PREROUTING -p tcp --dport 80 -j MARK --set-xmark 0x7/0xffffffff\n-A PREROUTING -j RETURN\n\
                 -A PREROUTING -p tcp -j MARK --set-xmark 0x8/0xffffffff",
                "",
            ),
            (
                "-A PREROUTING -p tcp -j MARK --set-xmark 0x7/0xffffffff\n-A PREROUTING -p tcp --dport 80 -j MARK --set-xmark 0x8/0xffffffff",
                "",
            ),
            (
                "-A PREROUTING -p tcp -j MARK --set-xmark 0x7/0xffffffff\n-A PREROUTING -p tcp -j MARK --set-xmark 0x8/0x8",
                "",
            ),
        ] {
            let chains = ":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:sub - [0:0]";
            let printed = format!("*mangle\n{chains}\n{rules}\nCOMMIT\n");
            let ruleset = Ruleset::new(tables(&printed, "iptables", Family::V4));
            let found = ruleset.misplaced(7, Family::V4, &machine).map_or(String::new(), |it| it.what);
            assert!(
                found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                "{rules}: {found}"
            );
        }
        machine.routes.rules =
            vec![crate::check::facts::routes::RoutingRule { mark: Some(7), port: None, table: 7 }];
        let printed = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 192.168.1.99/32 -j MARK --set-xmark 0x7/0xffffffff\n";
        let ruleset = Ruleset::new(tables(printed, "iptables", Family::V4));
        assert_eq!(ruleset.misplaced(7, Family::V4, &machine), None, "routed here by the mark");
        machine.routes.rules.clear();
        assert!(ruleset.misplaced(7, Family::V4, &machine).is_some());
        assert_eq!(ruleset.marked_addresses().collect::<Vec<_>>(), [IpAddr::from([192, 168, 1, 99])]);
        machine.lookups.insert([192, 168, 1, 99].into(), Route::Local);
        assert_eq!(ruleset.misplaced(7, Family::V4, &machine), None, "a route makes it local");
    }

    #[test]
    fn a_rule_that_others_hide_is_added_once_more() {
        let machine = crate::check::tests::machine();
        let sets = r#"-A PREROUTING -p tcp -m comment --comment "a; b" -j MARK --set-xmark 0x7/0xffffffff"#;
        let fix = |rules: String| {
            let printed = format!("*mangle\n:PREROUTING ACCEPT [0:0]\n{rules}\n");
            let ruleset = Ruleset::new(tables(&printed, "iptables", Family::V4));
            ruleset.misplaced(7, Family::V4, &machine).and_then(|it| it.fix).map(|it| it.to_string())
        };
        let again = |how| {
            let rule = "PREROUTING -p tcp -m comment --comment 'a; b' -j MARK --set-xmark 0x7/0xffffffff";
            Some(format!("iptables -t mangle {how} {rule}"))
        };
        assert_eq!(fix(format!("-A PREROUTING -j ACCEPT\n{sets}")), again("-I"));
        assert_eq!(fix(format!("{sets}\n-A PREROUTING -j MARK --set-mark 8")), again("-A"));
    }

    #[test]
    fn marks_of_nft() {
        let machine = crate::check::tests::machine();
        let misplaced = |hook: &str, priority: i32, after: &str| {
            let printed = format!(
                r#"{{"nftables":[{{"table":{{"family":"ip","name":"t"}}}},
                {{"chain":{{"family":"ip","table":"t","name":"c","type":"filter","hook":"{hook}","prio":{priority},"policy":"accept"}}}},
                {{"rule":{{"family":"ip","table":"t","chain":"c","handle":4,"expr":[
                    {{"mangle":{{"key":{{"meta":{{"key":"mark"}}}},"value":7}}}}{after}]}}}}]}}"#
            );
            let ruleset = Ruleset::new(super::super::nft::tables(&printed).0);
            ruleset.misplaced(7, Family::V4, &machine).map_or(String::new(), |it| it.what)
        };
        assert_eq!(misplaced("prerouting", 0, ""), "");
        assert_eq!(misplaced("input", 97, ""), "");
        let late = "the mark 7 is set only in c, after IPVS has taken the packets: its priority is 98";
        assert_eq!(misplaced("input", 98, ""), late);
        // The verdict is of the same rule.
        let outside = "the mark 7 is set only in c, where no client's packet comes by";
        assert_eq!(misplaced("output", 0, r#",{"accept":null}"#), outside);
        assert_eq!(misplaced("prerouting", 0, r#",{"accept":null}"#), "");
    }
}
