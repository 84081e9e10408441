//! The packet filters of this machine, as far as their tools show them: each tool is run once, and none whose part of the
//! kernel is not loaded, because it would load that.

pub(crate) mod dropped;
#[cfg(test)]
mod grammar;
pub(crate) mod iptables;
mod json;
pub(crate) mod marked;
mod meets;
mod named_sets;
mod nft;
pub(crate) mod packets;
pub(crate) mod rules;
pub(crate) mod ruleset;
mod tool;
mod values;

use ipvs::Family;

pub(crate) use marked::SCHEDULED;
use rules::RuleTable;
use ruleset::Ruleset;
pub(crate) use tool::Tool;
use tool::{Kernel, Programs};

use crate::programs::output;

/// The rules of all packet filters on this machine, as far as their tools may read them.
pub(crate) fn read() -> Ruleset {
    let kernel = Kernel::read();
    let (mut tables, mut unseen) = (Vec::new(), Vec::new());
    let programs = [Family::V4, Family::V6].map(Programs::of);
    for (at, family) in [Family::V4, Family::V6].into_iter().enumerate() {
        let (Some(programs), Some(has_legacy)) = (programs.get(at), kernel.has_legacy.get(at)) else {
            continue;
        };
        let mut read = |tool: &str| {
            let printed = output(&format!("{tool}-save"), &[])?;
            tables.extend(iptables::tables(&printed, tool, family));
            Ok(())
        };
        // What these print of nftables is readable there too, though less.
        if kernel.has_nft && programs.is_nft == Some(true) {
            let _ = read(&programs.name);
        }
        let tool = programs.legacy().unwrap_or_else(|| format!("{}-legacy", programs.name));
        let result = match has_legacy {
            Some(false) => Ok(()),
            Some(true) => read(&tool),
            None => Err("that may not be read: try as root".to_owned()),
        };
        unseen.extend(result.err().map(|why| format!("the rules of {tool}: {why}")));
    }
    let (mut filters_by_nft, mut is_understood) = (false, true);
    if kernel.has_nft {
        let printed = output("nft", &["-j", "list", "ruleset"]);
        let (of_nft, is_all) = nft::tables(printed.as_deref().unwrap_or_default());
        is_understood = is_all;
        unseen.extend(printed.err().map(|why| format!("the rules of nftables: {why}")));
        filters_by_nft = of_nft.iter().any(RuleTable::is_passed_by_forwarded);
        // Tables of iptables are here too, less readable. One of the same name with other chains is not iptables'.
        let is_known = |table: &RuleTable| {
            let (family, name) = table.name.split_once(' ').unwrap_or_default();
            let tool = match family {
                "ip" => "iptables",
                "ip6" => "ip6tables",
                _ => return false,
            };
            let is_it = |known: &RuleTable| known.tool == tool && known.name == name;
            tables.iter().any(is_it)
                && table.bases.iter().all(|base| iptables::hook_of(&base.chain).is_some())
        };
        let others: Vec<_> = of_nft.into_iter().filter(|table| !is_known(table)).collect();
        tables.extend(others);
    }
    let to_add = programs.map(|programs| programs.to_add(kernel));
    let is_whole = is_understood && unseen.is_empty();
    Ruleset { is_whole, unseen, filters_by_nft, to_add, ..Ruleset::new(tables) }
}

/// The tool that has rules for a family, or else one that can add some.
pub(crate) fn tool(rules: &Ruleset, family: Family) -> Tool {
    let [four, six] = &rules.to_add;
    match rules.tool(family) {
        Some("nft") => Tool::Nft,
        Some(tool) => Tool::Iptables(tool.to_owned()),
        None if family == Family::V4 => four.clone(),
        None => six.clone(),
    }
}

/// The command that shows the filter for packets to and from servers; none if it accepts everything, or no tool can
/// read it.
pub(crate) fn show(rules: &Ruleset, family: Family) -> Option<String> {
    let mut commands = Vec::new();
    if rules.filters_by_nft {
        commands.push("nft list ruleset".to_owned());
    }
    let six = if family == Family::V6 { "6" } else { "" };
    // nft also shows the rules of the first; only the second itself shows its own.
    for suffix in ["", "-legacy"] {
        let tool = format!("ip{six}tables{suffix}");
        let is_seen = suffix.is_empty() && rules.filters_by_nft;
        if !is_seen && rules.tables_of(&tool).any(RuleTable::filters_forwarded) {
            commands.push(format!("{tool} -vnL OUTPUT && {tool} -vnL FORWARD"));
        }
    }
    (!commands.is_empty()).then(|| commands.join(" && "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_told_from_those_that_let_all_pass() {
        for (rules, filters) in [
            (
                "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n",
                false,
            ),
            ("*filter\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n", true),
            ("*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j DROP\nCOMMIT\n", true),
            (
                "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT\n",
                false,
            ),
            ("", false),
        ] {
            let tables = iptables::tables(rules, "iptables", Family::V4);
            let command = "iptables -vnL OUTPUT && iptables -vnL FORWARD".to_owned();
            assert_eq!(show(&Ruleset::new(tables), Family::V4), filters.then_some(command), "{rules}");
        }
        let chain = |hook: &str| {
            let chain = format!(
                r#"{{"chain": {{"family": "inet", "table": "f", "name": "c", "hook": "{hook}", "prio": 0}}}}"#
            );
            format!(r#"{{"nftables": [{{"table": {{"family": "inet", "name": "f"}}}}, {chain}]}}"#)
        };
        for (hook, filters) in [("output", true), ("forward", true), ("postrouting", true), ("input", false)]
        {
            let (tables, is_whole) = nft::tables(&chain(hook));
            assert!(is_whole && tables.iter().any(RuleTable::is_passed_by_forwarded) == filters, "{hook}");
        }
    }

    #[test]
    fn rules_are_added_by_the_tool_that_has_some() {
        let table = |tool, family| RuleTable::new(tool, "mangle", family);
        let (legacy, nft) = (table("iptables-legacy", Some(Family::V4)), table("nft", None));
        for (tables, expected) in [
            (vec![], Tool::Iptables("iptables".to_owned())),
            (vec![legacy.clone()], Tool::Iptables("iptables-legacy".to_owned())),
            (vec![nft.clone()], Tool::Nft),
            (vec![legacy.clone(), nft.clone()], Tool::Iptables("iptables-legacy".to_owned())),
        ] {
            assert_eq!(tool(&Ruleset::new(tables), Family::V4), expected);
        }
        assert_eq!(tool(&Ruleset::new(vec![legacy]), Family::V6), Tool::Iptables("ip6tables".to_owned()));
    }
}
