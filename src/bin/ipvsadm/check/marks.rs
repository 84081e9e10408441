//! Firewall marks: which ones the packet filter sets, as far as its tools show them.

use std::net::IpAddr;

use ipvs::{Family, ServiceId};

use super::Table;
use super::address::full_prefix;
use super::fix::{IptablesRule, PORT, Step, VIP, Word, words};
use super::machine::{LinkKind, Machine};
use crate::programs::output;

/// The marks that rules set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Marks {
    /// Value and mask, and the family of the rule's packets if known.
    set: Vec<(u32, u32, Option<Family>)>,
    /// Rules copy marks from elsewhere: any mark is possible.
    any: bool,
    /// The tool to add rules with: the first that has any, or else the first that works.
    tool: Tool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tool {
    #[default]
    Iptables,
    IptablesLegacy,
    Nft,
}

/// Reads the rules, if the table has a service that needs them; none if no tool works.
pub(crate) fn read(table: &Table) -> Option<Marks> {
    table.iter().find(|(entry, _)| matches!(entry.service.id, ServiceId::Fwmark { .. }))?;
    let tools: [(&str, &[&str], Tool, Option<Family>); 5] = [
        ("iptables-save", &[], Tool::Iptables, Some(Family::V4)),
        ("ip6tables-save", &[], Tool::Iptables, Some(Family::V6)),
        ("iptables-legacy-save", &[], Tool::IptablesLegacy, Some(Family::V4)),
        ("ip6tables-legacy-save", &[], Tool::IptablesLegacy, Some(Family::V6)),
        ("nft", &["list", "ruleset"], Tool::Nft, None),
    ];
    of_rules(
        tools.into_iter().filter_map(|(program, arguments, tool, family)| {
            Some((tool, family, output(program, arguments)?))
        }),
    )
}

/// The marks that the tools' rules set; none if no tool printed any.
fn of_rules(printed: impl Iterator<Item = (Tool, Option<Family>, String)>) -> Option<Marks> {
    let mut marks: Option<Marks> = None;
    let mut any_rules = false;
    for (tool, family, rules) in printed {
        let marks = marks.get_or_insert(Marks { tool, ..Marks::default() });
        if !any_rules && has_tables(&rules) {
            (any_rules, marks.tool) = (true, tool);
        }
        marks.take(&rules, family);
    }
    marks
}

/// Whether a tool's output has tables: it may be installed but unused.
fn has_tables(rules: &str) -> bool {
    rules.lines().any(|line| line.starts_with('*') || line.starts_with("table "))
}

impl Marks {
    /// Adds the rules that one of the tools printed.
    fn take(&mut self, rules: &str, family: Option<Family>) {
        for rule in rules.lines() {
            let words: Vec<&str> = rule.split_whitespace().collect();
            for (index, word) in words.iter().enumerate() {
                let next = words.get(index + 1).copied().unwrap_or_default();
                match *word {
                    "--restore-mark" => self.any = true,
                    "--set-mark" | "--set-xmark" | "--or-mark" => {
                        self.set.extend(value(next).map(|(value, mask)| (value, mask, family)));
                    }
                    // nft: `meta mark set 0x1`, or an expression
                    "set"
                        if index > 0
                            && words.get(index - 1) == Some(&"mark")
                            && words.get(index.wrapping_sub(2)) != Some(&"ct") =>
                    {
                        match value(next) {
                            Some((value, mask)) => self.set.push((value, mask, family)),
                            None => self.any = true,
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whether a packet of a family may have a mark.
    pub(crate) fn may_be_set(&self, mark: u32, family: Family) -> bool {
        let of_family = |of: &Option<Family>| of.is_none_or(|of| of == family);
        // A rule with a mask sets some bits, and another may set the rest.
        let fits =
            |value: u32, mask: u32| value == mark || mask != u32::MAX && value != 0 && value & mark == value;
        self.any || self.set.iter().any(|(value, mask, of)| of_family(of) && fits(*value, *mask))
    }

    /// The command that sets a mark on the TCP packets to the address that is probably meant; only on those of one
    /// port, if this machine itself accepts connections to that address, which may be the user's own.
    pub(crate) fn rule(&self, mark: u32, family: Family, machine: &Machine) -> Step {
        let is_vip =
            |address: IpAddr, prefix| Family::from(address) == family && prefix == full_prefix(address);
        let on_wire = |link| machine.link(link).is_some_and(|link| link.kind == LinkKind::Ethernet);
        let mut own =
            machine.addresses.iter().filter(|own| is_vip(own.address, own.prefix) && on_wire(own.link));
        let address = own.next().map(|own| own.address);
        let vip = address.map_or(VIP, Word::from);
        let is_served = machine.serves_tcp(address);
        let (six, ip) = if family == Family::V4 { ("", "ip") } else { ("6", "ip6") };
        let suffix = match self.tool {
            Tool::Iptables => "",
            Tool::IptablesLegacy => "-legacy",
            Tool::Nft => {
                let tcp = if is_served { "tcp dport PORT" } else { "meta l4proto tcp" };
                return Step::Firewall(format!(
                    "nft 'add table inet ipvs; add chain inet ipvs marks {{ type filter hook prerouting priority mangle; }}; \
                     add rule inet ipvs marks {ip} daddr {vip} {tcp} meta mark set {mark}'"
                ));
            }
        };
        let tool = format!("ip{six}tables{suffix}");
        let port = if is_served { vec!["--dport".into(), PORT] } else { Vec::new() };
        let set = words(&format!("-j MARK --set-mark {mark}"));
        let words = [words("-d"), vec![vip], words("-p tcp"), port, set].concat();
        Step::Iptables(IptablesRule::append(tool, "mangle", "PREROUTING", words))
    }
}

/// `VALUE` or `VALUE/MASK`.
pub(crate) fn value(word: &str) -> Option<(u32, u32)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    match word.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(word)?, u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(rules: &str) -> Marks {
        let mut marks = Marks::default();
        marks.take(rules, Some(Family::V4));
        marks
    }

    #[test]
    fn rules_of_each_tool_are_read() {
        for (rules, set, unset) in [
            ("-A PREROUTING -d 192.0.2.1/32 -p tcp -j MARK --set-xmark 0x7/0xffffffff", Some(7), 8),
            ("-A PREROUTING -j MARK --set-xmark 0x4/0x4", Some(7), 8),
            ("\t\tip daddr 192.0.2.1 meta mark set 0x0000000a", Some(10), 7),
            ("\t\tct mark set 0x0000000a", None, 10),
            ("-A FORWARD -m mark --mark 0x7 -j ACCEPT", None, 7),
            ("", None, 7),
        ] {
            let marks = marks(rules);
            assert!(set.is_none_or(|mark| marks.may_be_set(mark, Family::V4)), "{rules}");
            assert!(!marks.may_be_set(unset, Family::V4), "{rules}");
            assert!(set.is_none_or(|mark| !marks.may_be_set(mark, Family::V6)), "{rules}");
        }
        for rules in [
            "-A PREROUTING -j CONNMARK --restore-mark",
            "meta mark set ct mark",
            "meta mark set jhash ip saddr mod 2",
        ] {
            assert!(marks(rules).may_be_set(7, Family::V4), "{rules}");
        }
    }

    #[test]
    fn rules_are_added_by_the_tool_that_has_some() {
        let none = || (Tool::Iptables, Some(Family::V4), String::new());
        let legacy = || (Tool::IptablesLegacy, Some(Family::V4), "*mangle\nCOMMIT\n".to_owned());
        let nft = || (Tool::Nft, None, "table inet x {\n\tmeta mark set 0x7\n}\n".to_owned());
        for (printed, tool) in [
            (vec![], None),
            (vec![none()], Some(Tool::Iptables)),
            (vec![none(), legacy()], Some(Tool::IptablesLegacy)),
            (vec![none(), nft()], Some(Tool::Nft)),
            (vec![legacy(), nft()], Some(Tool::IptablesLegacy)),
            (vec![nft(), legacy()], Some(Tool::Nft)),
        ] {
            let marks = of_rules(printed.clone().into_iter());
            assert_eq!(marks.map(|marks| marks.tool), tool, "{printed:?}");
        }
        // Rules printed by nft apply to any family.
        let marks = of_rules([nft()].into_iter()).unwrap();
        assert!(marks.may_be_set(7, Family::V4) && marks.may_be_set(7, Family::V6));
    }

    #[test]
    fn rules_are_written_for_each_tool_and_family() {
        let machine = crate::check::tests::machine();
        for (tool, four, six) in [
            (
                Tool::Iptables,
                "iptables -t mangle -A PREROUTING -d 192.168.1.100 -p tcp -j MARK --set-mark 7",
                "ip6tables -t mangle -A PREROUTING -d VIP -p tcp -j MARK --set-mark 7",
            ),
            (
                Tool::IptablesLegacy,
                "iptables-legacy -t mangle -A PREROUTING -d 192.168.1.100 -p tcp -j MARK --set-mark 7",
                "ip6tables-legacy -t mangle -A PREROUTING -d VIP -p tcp -j MARK --set-mark 7",
            ),
            (
                Tool::Nft,
                "nft 'add table inet ipvs; add chain inet ipvs marks { type filter hook prerouting priority mangle; }; \
                 add rule inet ipvs marks ip daddr 192.168.1.100 meta l4proto tcp meta mark set 7'",
                "nft 'add table inet ipvs; add chain inet ipvs marks { type filter hook prerouting priority mangle; }; \
                 add rule inet ipvs marks ip6 daddr VIP meta l4proto tcp meta mark set 7'",
            ),
        ] {
            let marks = Marks { tool, ..Marks::default() };
            assert_eq!(marks.rule(7, Family::V4, &machine).to_string(), four);
            assert_eq!(marks.rule(7, Family::V6, &machine).to_string(), six);
        }
    }
}
