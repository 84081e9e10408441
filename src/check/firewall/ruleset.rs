//! What the rules of a packet filter certainly do to a packet: whatever is unknown about a rule or a packet counts in the
//! packet's favour.

use std::collections::BTreeSet;

use ipvs::Family;

use super::rules::{Action, Base, Condition, Hook, Packet, Rule, RuleTable, Target};
use super::tool::Tool;

/// The rules of all tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruleset {
    pub(super) tables: Vec<RuleTable>,
    /// All rules that the kernel has could be read.
    pub(crate) is_whole: bool,
    /// Those that could not, and why.
    pub(crate) unseen: Vec<String>,
    /// nft has chains that packets to servers, or their answers, pass.
    pub(super) filters_by_nft: bool,
    /// What to add rules of IPv4, and of IPv6, with where there are none.
    pub(super) to_add: [Tool; 2],
}

/// What certainly drops a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped<'a> {
    pub(crate) table: &'a RuleTable,
    pub(crate) base: &'a Base,
    /// The rule; none if it is the policy of the chain.
    pub(crate) rule: Option<&'a Rule>,
}

impl Dropped<'_> {
    /// The rule as its tool writes it; nothing for a policy.
    pub(crate) fn text(&self) -> &str {
        self.rule.map_or("", |rule| &rule.text)
    }
}

/// What a chain does with a packet.
enum Walk<'a> {
    /// It comes to the end.
    Falls,
    Drops(&'a Rule),
    /// It may be accepted, or is.
    Passes,
    /// It may get another destination; with a rule, it certainly does.
    Redirects(Option<&'a Rule>),
}

impl Ruleset {
    pub(crate) fn new(mut tables: Vec<RuleTable>) -> Self {
        for table in &mut tables {
            table.has_drops = table.chains.values().flatten().any(|rule| rule.action == Action::Drop);
        }
        let to_add = ["iptables", "ip6tables"].map(|tool| Tool::Iptables(tool.to_owned()));
        Self { tables, is_whole: true, unseen: Vec::new(), filters_by_nft: false, to_add }
    }

    /// What certainly drops a packet at some hooks; only chains below a priority count.
    pub(crate) fn drops(&self, hooks: &[Hook], below: i32, packet: &Packet) -> Option<Dropped<'_>> {
        // Rules may have kept it out of the connection tracking.
        let mut rules = self.tables.iter().flat_map(|table| table.chains.values().flatten());
        let untracked = rules.any(|rule| rule.action == Action::Untrack);
        let packet = &Packet { state: packet.state.filter(|_| !untracked), ..packet.clone() };
        for hook in hooks {
            for (table, base) in self.bases(*hook, below, packet.family) {
                match table.walk(&base.chain, packet, 0) {
                    Walk::Drops(rule) => return Some(Dropped { table, base, rule: Some(rule) }),
                    Walk::Falls if base.drops => return Some(Dropped { table, base, rule: None }),
                    Walk::Falls | Walk::Passes => {}
                    Walk::Redirects(_) => return None,
                }
            }
        }
        None
    }

    /// The chains at a hook below a priority, as packets of a family pass them.
    pub(super) fn bases(&self, hook: Hook, below: i32, family: Family) -> Vec<(&RuleTable, &Base)> {
        let of_family = self.tables.iter().filter(|table| table.family.is_none_or(|of| of == family));
        let passed = move |base: &&Base| base.hook == hook && base.priority < below;
        let bases =
            of_family.flat_map(|table| table.bases.iter().filter(passed).map(move |base| (table, base)));
        let mut bases: Vec<(&RuleTable, &Base)> = bases.collect();
        bases.sort_by_key(|(_, base)| base.priority);
        bases
    }

    /// The rule that certainly changes the destination of a packet before it is routed, and the new one.
    pub(crate) fn redirects(&self, packet: &Packet) -> Option<(Dropped<'_>, Target)> {
        for (table, base) in self.bases(Hook::Prerouting, i32::MAX, packet.family) {
            match table.walk(&base.chain, packet, 0) {
                Walk::Redirects(Some(rule)) => {
                    let Action::Redirect(target) = rule.action else { return None };
                    return Some((Dropped { table, base, rule: Some(rule) }, target?));
                }
                Walk::Redirects(None) | Walk::Drops(_) => return None,
                Walk::Falls | Walk::Passes => {}
            }
        }
        None
    }

    /// Whether there is a rule that changes the destination of packets.
    pub(crate) fn has_redirects(&self) -> bool {
        let mut rules = self.tables.iter().flat_map(|table| table.chains.values().flatten());
        rules.any(|rule| matches!(rule.action, Action::Redirect(_)))
    }

    /// Whether something may change the destination of a packet at some hooks.
    pub(crate) fn may_redirect(&self, hooks: &[Hook], packet: &Packet) -> bool {
        let redirects = |table: &RuleTable| {
            let of_family = table.family.is_none_or(|family| family == packet.family);
            let mut bases = table.bases.iter().filter(|base| of_family && hooks.contains(&base.hook));
            bases.any(|base| matches!(table.walk(&base.chain, packet, 0), Walk::Redirects(_)))
        };
        !self.unseen.is_empty() || self.tables.iter().any(redirects)
    }

    /// Whether a rule may change the source of a packet as it leaves.
    pub(crate) fn may_translate(&self, packet: &Packet) -> bool {
        let translates = |table: &RuleTable| {
            let mut bases = table.bases.iter().filter(|base| base.hook == Hook::Postrouting);
            bases.any(|base| {
                let mut rules = table.reached(&base.chain).into_iter();
                rules.any(|rule| rule.action == Action::Translate && rule.matches(packet) != Some(false))
            })
        };
        !self.unseen.is_empty() || self.tables.iter().any(translates)
    }

    /// Ports that stand for all: those with which the ranges begin that rules are about, and those that follow the ranges.
    pub(crate) fn ports(&self) -> BTreeSet<u16> {
        let rules = self.tables.iter().flat_map(|table| table.chains.values().flatten());
        let ranges = rules.flat_map(|rule| &rule.tests).filter_map(|(condition, _)| match condition {
            Condition::ToPort(ranges) => Some(ranges),
            _ => None,
        });
        let ends = ranges.flatten().flat_map(|range| [Some(*range.start()), range.end().checked_add(1)]);
        ends.flatten().chain([1]).collect()
    }

    /// The tables of a tool.
    pub(super) fn tables_of(&self, tool: &str) -> impl Iterator<Item = &RuleTable> {
        self.tables.iter().filter(move |table| table.tool == tool)
    }

    /// The tool that has tables for a family, the first of several.
    pub(crate) fn tool(&self, family: Family) -> Option<&str> {
        let mut of_family = self.tables.iter().filter(|table| table.family.is_none_or(|of| of == family));
        of_family.next().map(|table| table.tool.as_str())
    }

    /// Whether no chain at some hooks drops anything.
    pub(crate) fn is_open(&self, hooks: &[Hook]) -> bool {
        let drops = |table: &RuleTable| {
            table.bases.iter().any(|base| hooks.contains(&base.hook) && (base.drops || table.has_drops))
        };
        !self.tables.iter().any(drops)
    }
}

impl RuleTable {
    pub(crate) fn new(tool: &str, name: &str, family: Option<Family>) -> Self {
        Self { tool: tool.to_owned(), name: name.to_owned(), family, ..Self::default() }
    }

    /// Whether any rule is about the state of connections.
    pub(crate) fn looks_at_states(&self) -> bool {
        let mut tests = self.chains.values().flatten().flat_map(|rule| &rule.tests);
        tests.any(|(condition, _)| matches!(condition, Condition::States(_)))
    }

    fn walk(&self, chain: &str, packet: &Packet, depth: usize) -> Walk<'_> {
        const DEEPEST: usize = 16;
        if depth > DEEPEST {
            return Walk::Passes;
        }
        // It may have been accepted by an earlier rule, or sent back.
        let (mut may_pass, mut may_return) = (false, false);
        let dropped = |may_pass: bool, may_return: bool, rule| {
            if may_pass || may_return { Walk::Passes } else { Walk::Drops(rule) }
        };
        for rule in self.chains.get(chain).into_iter().flatten() {
            let matches = rule.matches(packet);
            if matches == Some(false) {
                continue;
            }
            let is_sure = matches == Some(true);
            match &rule.action {
                Action::Redirect(_) => {
                    return Walk::Redirects(Some(rule).filter(|_| is_sure && !may_pass && !may_return));
                }
                Action::Drop if is_sure => return dropped(may_pass, may_return, rule),
                Action::Drop | Action::Continue | Action::Untrack | Action::Mark(_) => {}
                Action::Return if is_sure => break,
                Action::Return => may_return = true,
                Action::Accept | Action::Translate | Action::SynProxy | Action::Unknown => may_pass = true,
                Action::Jump(target) | Action::Goto(target) => {
                    match self.walk(target, packet, depth + 1) {
                        Walk::Redirects(rule) => {
                            return Walk::Redirects(rule.filter(|_| is_sure && !may_pass && !may_return));
                        }
                        Walk::Drops(rule) if is_sure => return dropped(may_pass, may_return, rule),
                        Walk::Drops(_) | Walk::Falls => {}
                        Walk::Passes => may_pass = true,
                    }
                    if matches!(rule.action, Action::Goto(_)) {
                        if is_sure {
                            break;
                        }
                        may_return = true;
                    }
                }
            }
            if is_sure && matches!(rule.action, Action::Accept) {
                break;
            }
        }
        if may_pass { Walk::Passes } else { Walk::Falls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(matches: Option<bool>, action: Action) -> Rule {
        let tests = match matches {
            Some(wanted) => vec![(Condition::Protocol(vec![6]), wanted)],
            None => vec![(Condition::Unknown, true)],
        };
        Rule { tests, action, text: String::new() }
    }

    /// What becomes of a TCP packet in a chain `A` with a policy, beside a chain `B`.
    fn fate(drops: bool, first: Vec<Rule>, second: Vec<Rule>) -> &'static str {
        let base = Base { chain: "A".to_owned(), hook: Hook::Input, priority: 0, drops };
        let table = RuleTable {
            bases: vec![base],
            chains: [("A".to_owned(), first), ("B".to_owned(), second)].into(),
            ..RuleTable::default()
        };
        let ruleset = Ruleset::new(vec![table]);
        match ruleset.drops(&[Hook::Input], i32::MAX, &Packet::of(Family::V4, 6)) {
            None => "passes",
            Some(Dropped { rule: None, .. }) => "policy",
            Some(_) => "rule",
        }
    }

    #[test]
    fn only_what_is_certain_counts() {
        use Action::{Accept, Continue, Drop, Goto, Jump, Return, Unknown};
        const YES: Option<bool> = Some(true);
        const NO: Option<bool> = Some(false);
        const PERHAPS: Option<bool> = None;
        let jump = || Jump("B".to_owned());
        let goto = || Goto("B".to_owned());
        for (drops, first, second, expected) in [
            (false, vec![], vec![], "passes"),
            (true, vec![], vec![], "policy"),
            (false, vec![(YES, Drop)], vec![], "rule"),
            (false, vec![(NO, Drop)], vec![], "passes"),
            (false, vec![(PERHAPS, Drop)], vec![], "passes"),
            (true, vec![(PERHAPS, Drop)], vec![], "policy"),
            (true, vec![(YES, Accept)], vec![], "passes"),
            (true, vec![(NO, Accept)], vec![], "policy"),
            (true, vec![(PERHAPS, Accept)], vec![], "passes"),
            (false, vec![(PERHAPS, Accept), (YES, Drop)], vec![], "passes"),
            (false, vec![(YES, Accept), (YES, Drop)], vec![], "passes"),
            (false, vec![(NO, Accept), (YES, Drop)], vec![], "rule"),
            (false, vec![(YES, Continue), (YES, Drop)], vec![], "rule"),
            (true, vec![(YES, Unknown)], vec![], "passes"),
            (true, vec![(PERHAPS, Action::Redirect(None))], vec![], "passes"),
            (true, vec![(YES, Return), (YES, Accept)], vec![], "policy"),
            (false, vec![(PERHAPS, Return), (YES, Drop)], vec![], "passes"),
            (false, vec![(YES, jump())], vec![(YES, Drop)], "rule"),
            (false, vec![(PERHAPS, jump())], vec![(YES, Drop)], "passes"),
            (false, vec![(YES, jump()), (YES, Drop)], vec![(YES, Return)], "rule"),
            (true, vec![(PERHAPS, jump())], vec![(YES, Accept)], "passes"),
            (true, vec![(YES, jump())], vec![(PERHAPS, Accept)], "passes"),
            (true, vec![(YES, jump())], vec![(PERHAPS, Return), (YES, Drop)], "passes"),
            (true, vec![(YES, goto()), (YES, Accept)], vec![], "policy"),
            (false, vec![(PERHAPS, goto()), (YES, Drop)], vec![], "passes"),
            (false, vec![(YES, jump())], vec![(YES, jump())], "passes"),
        ] {
            let rules = |list: &[(Option<bool>, Action)]| {
                list.iter().map(|(matches, action)| rule(*matches, action.clone())).collect()
            };
            assert_eq!(fate(drops, rules(&first), rules(&second)), expected, "{drops} {first:?} {second:?}");
        }
    }
}
