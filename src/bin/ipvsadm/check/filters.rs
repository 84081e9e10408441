//! The director's own packet filter, as far as its tools show it: packets to servers pass OUTPUT, and answers of
//! masqueraded servers pass FORWARD.

mod iptables;
mod json;
pub(crate) mod marked;
mod named_sets;
mod nft;
pub(crate) mod rules;
pub(crate) mod ruleset;
mod values;

use std::fs;
use std::path::Path;

use ipvs::Family;

pub(crate) use marked::SCHEDULED;
use rules::RuleTable;
use ruleset::Ruleset;

use crate::programs::output;

/// The rules of all packet filters on this machine, as far as their tools may read them. A filter that the kernel does
/// not have is not asked for, because its tool would load it.
pub(crate) fn read() -> Ruleset {
    let mut tables = Vec::new();
    let has_nft = Path::new("/sys/module/nf_tables").exists() || is_built_in("nf_tables");
    for (family, six, names) in [(Family::V4, "", "ip_tables_names"), (Family::V6, "6", "ip6_tables_names")] {
        let has_legacy =
            fs::read_to_string(format!("/proc/net/{names}")).is_ok_and(|names| !names.is_empty());
        if !has_legacy && !has_nft {
            continue;
        }
        let tool = format!("ip{six}tables");
        let first = output(&format!("{tool}-save"), &[]).unwrap_or_default();
        let is_nft = first.contains("(nf_tables)");
        tables.extend(iptables::tables(&first, &tool, family));
        // The first may be the same program.
        if has_legacy && (is_nft || first.is_empty()) {
            let legacy = output(&format!("{tool}-legacy-save"), &[]).unwrap_or_default();
            tables.extend(iptables::tables(&legacy, &format!("{tool}-legacy"), family));
        }
    }
    if has_nft {
        let printed = output("nft", &["-j", "list", "ruleset"]).unwrap_or_default();
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
        let others: Vec<_> = nft::tables(&printed).into_iter().filter(|table| !is_known(table)).collect();
        tables.extend(others);
    }
    Ruleset::new(tables)
}

/// What to add a rule with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `iptables`, or one of its kinds.
    Iptables(String),
    Nft,
}

/// The tool that has rules for a family, or else the first that works.
pub(crate) fn tool(rules: &Ruleset, family: Family) -> Tool {
    let six = if family == Family::V6 { "6" } else { "" };
    let kinds = ["", "-legacy"].map(|kind| format!("ip{six}tables{kind}"));
    match rules.tool(family) {
        Some("nft") => Tool::Nft,
        Some(tool) => Tool::Iptables(tool.to_owned()),
        None => {
            let mut works = kinds.iter().filter(|tool| output(&format!("{tool}-save"), &[]).is_some());
            let works = works.next().cloned();
            let is_nft = || output("nft", &["list", "tables"]).is_some();
            match works {
                None if is_nft() => Tool::Nft,
                tool => Tool::Iptables(tool.unwrap_or_else(|| kinds.into_iter().next().unwrap_or_default())),
            }
        }
    }
}

/// Whether a module is a part of the running kernel.
fn is_built_in(module: &str) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let list = fs::read_to_string(format!("/lib/modules/{}/modules.builtin", release.trim_end()));
    list.is_ok_and(|list| list.lines().any(|line| line.ends_with(&format!("/{module}.ko"))))
}

/// The command that shows the filter for packets to and from servers; none if it accepts everything, or no tool can
/// read it.
pub(crate) fn show(family: Family) -> Option<String> {
    let six = if family == Family::V6 { "6" } else { "" };
    let mut commands = Vec::new();
    let ruleset = output("nft", &["list", "ruleset"]).filter(|rules| nft_filters(rules));
    if ruleset.is_some() {
        commands.push("nft list ruleset".to_owned());
    }
    // nft also shows the rules of the first; only the second itself shows its own.
    for suffix in ["", "-legacy"] {
        let tool = format!("ip{six}tables{suffix}");
        let is_seen = suffix.is_empty() && ruleset.is_some();
        if !is_seen && output(&format!("{tool}-save"), &[]).is_some_and(|rules| iptables_filters(&rules)) {
            let command = format!("{tool} -vnL OUTPUT && {tool} -vnL FORWARD");
            // If both are the same program, skip the duplicate.
            if suffix.is_empty() && is_legacy(&tool) {
                continue;
            }
            commands.push(command);
        }
    }
    (!commands.is_empty()).then(|| commands.join(" && "))
}

/// Whether a program shows the same rules as the legacy tool.
fn is_legacy(tool: &str) -> bool {
    output(tool, &["-V"]).is_some_and(|version| version.contains("legacy"))
        && output(&format!("{tool}-legacy-save"), &[]).is_some()
}

/// Whether rules of `iptables-save` may drop packets to servers, or their answers.
fn iptables_filters(rules: &str) -> bool {
    rules.lines().any(|line| {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("-A"), Some("OUTPUT" | "FORWARD")) => true,
            (Some(":OUTPUT" | ":FORWARD"), Some(policy)) => policy == "DROP",
            _ => false,
        }
    })
}

/// The same of `nft list ruleset`.
fn nft_filters(rules: &str) -> bool {
    const HOOKS: [&str; 4] = ["hook output ", "hook forward ", "hook postrouting ", "hook egress "];
    rules.lines().any(|line| HOOKS.iter().any(|hook| line.contains(hook)))
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
            assert_eq!(iptables_filters(rules), filters, "{rules}");
        }
        let chain =
            |hook| format!("table inet filter {{\n\tchain c {{\n\t\ttype filter hook {hook} priority 0;\n");
        assert!(nft_filters(&chain("output")) && nft_filters(&chain("forward")));
        assert!(!nft_filters(&chain("input")) && !nft_filters(""));
    }
}
