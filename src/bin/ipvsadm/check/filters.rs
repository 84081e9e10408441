//! The director's own packet filter, as far as its tools show it: packets to servers pass OUTPUT, and answers of
//! masqueraded servers pass FORWARD.

use ipvs::Family;

use super::marks::output;

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
