//! Reads the output of `nft -j list ruleset`.

use ipvs::Family;
use serde_json::Value;

use super::json::{all_of, networks, numbers, ranges, text, values, words};
use super::named_sets::NamedSets;
use super::rules::{Action, Base, Condition, Hook, Rule, RuleTable, Target};
use super::values::{flags, icmp_number, icmp6_number, protocol_number};

/// The tables of the ruleset, and whether these are all that may set marks.
pub(crate) fn tables(printed: &str) -> (Vec<RuleTable>, bool) {
    let whole: Value = serde_json::from_str(printed).unwrap_or_default();
    let mut is_whole = whole.get("nftables").is_some();
    let mut tables: Vec<RuleTable> = Vec::new();
    let mut sets = NamedSets::default();
    for object in whole.get("nftables").and_then(Value::as_array).into_iter().flatten() {
        let Some((kind, object)) = object.as_object().and_then(|object| object.iter().next()) else {
            continue;
        };
        let (Some(family), Some(name)) =
            (text(object, "family"), text(object, "table").or(text(object, "name")))
        else {
            continue;
        };
        let name = format!("{family} {name}");
        let at = tables.iter().position(|table| table.name == name);
        let table = match (kind.as_str(), at.and_then(|at| tables.get_mut(at))) {
            ("table", None) => {
                tables.extend(families_of(family).map(|family| RuleTable::new("nft", &name, family)));
                continue;
            }
            (_, Some(table)) => table,
            (_, None) => {
                // One of another layer.
                is_whole &= !(kind == "rule" && object.to_string().contains("\"mark\""));
                continue;
            }
        };
        match kind.as_str() {
            "chain" => add_chain(table, object),
            "set" | "map" => sets.add(&name, object),
            "rule" => add_rule(table, &sets.resolve(&name, object)),
            _ => {}
        }
    }
    (tables, is_whole)
}

/// A table of another layer.
struct OtherTable;

/// The IP family of a table; none for both.
fn families_of(word: &str) -> Result<Option<Family>, OtherTable> {
    match word {
        "ip" => Ok(Some(Family::V4)),
        "ip6" => Ok(Some(Family::V6)),
        "inet" => Ok(None),
        _ => Err(OtherTable),
    }
}

fn add_chain(table: &mut RuleTable, object: &Value) {
    let Some(chain) = text(object, "name") else { return };
    table.chains.entry(chain.to_owned()).or_default();
    let hook = match text(object, "hook") {
        Some("prerouting") => Hook::Prerouting,
        Some("input") => Hook::Input,
        Some("forward") => Hook::Forward,
        Some("output") => Hook::Output,
        Some("postrouting") => Hook::Postrouting,
        _ => return,
    };
    let priority =
        object.get("prio").and_then(Value::as_i64).and_then(|priority| i32::try_from(priority).ok());
    table.bases.push(Base {
        chain: chain.to_owned(),
        hook,
        priority: priority.unwrap_or(0),
        drops: text(object, "policy") == Some("drop"),
    });
}

/// Adds a rule: as several, if it has verdicts by value.
fn add_rule(table: &mut RuleTable, object: &Value) {
    let (Some(chain), Some(statements)) =
        (text(object, "chain"), object.get("expr").and_then(Value::as_array))
    else {
        return;
    };
    let handle = object.get("handle").and_then(Value::as_u64).unwrap_or(0);
    let text = format!("the rule with handle {handle} in chain {} {chain} (nft -a list ruleset)", table.name);
    let mut rule = Rule { tests: Vec::new(), action: Action::Continue, text };
    let rules = table.chains.entry(chain.to_owned()).or_default();
    for statement in statements {
        let Some((kind, value)) = statement.as_object().and_then(|object| object.iter().next()) else {
            rule.tests.push((Condition::Unknown, true));
            continue;
        };
        match kind.as_str() {
            "match" => rule.tests.extend(tests(value)),
            "vmap" => rules.extend(verdicts(value, &rule)),
            "counter" | "log" | "comment" | "set" | "meter" | "ct helper" => {}
            "notrack" => rule.action = Action::Untrack,
            "mangle" => rule.action = mark(value),
            "limit" | "quota" => rule.tests.push((Condition::Unknown, true)),
            kind => {
                let action = verdict(kind, value);
                // `meta mark set 1 accept`
                if matches!(rule.action, Action::Mark(_)) {
                    rules.push(rule.clone());
                }
                rule.tests.extend(action.is_none().then_some((Condition::Unknown, true)));
                rule.action = action.unwrap_or(Action::Unknown);
            }
        }
    }
    rules.push(rule);
}

fn verdict(kind: &str, value: &Value) -> Option<Action> {
    let target = || text(value, "target").map(str::to_owned);
    Some(match kind {
        "accept" => Action::Accept,
        "snat" | "masquerade" => Action::Translate,
        "drop" | "reject" => Action::Drop,
        "return" => Action::Return,
        "continue" => Action::Continue,
        "jump" => Action::Jump(target()?),
        "goto" => Action::Goto(target()?),
        "dnat" | "redirect" => Action::Redirect(target_of(value)),
        "tproxy" => Action::Redirect(None),
        _ => return None,
    })
}

/// The new destination, if it is one.
fn target_of(value: &Value) -> Option<Target> {
    let address = match value.get("addr") {
        Some(address) => Some(address.as_str()?.parse().ok()?),
        None => None,
    };
    let port = match value.get("port") {
        Some(port) => Some(u16::try_from(port.as_u64()?).ok()?),
        None => None,
    };
    Some(Target { address, port })
}

/// A statement that changes a field: the mark, if it is that.
fn mark(statement: &Value) -> Action {
    let is_mark = statement.pointer("/key/meta/key").and_then(Value::as_str) == Some("mark");
    let value = statement.get("value").and_then(Value::as_u64).and_then(|mark| u32::try_from(mark).ok());
    if is_mark { Action::Mark(value.map(|mark| (mark, u32::MAX))) } else { Action::Continue }
}

/// The rules that a verdict map stands for, each with the conditions before it.
fn verdicts(map: &Value, before: &Rule) -> Vec<Rule> {
    let entries = map.pointer("/data/set").and_then(Value::as_array);
    let rule = |tests: Vec<(Condition, bool)>, action| Rule {
        tests: before.tests.iter().cloned().chain(tests).collect(),
        action,
        text: before.text.clone(),
    };
    let unknown = || rule(vec![(Condition::Unknown, true)], Action::Unknown);
    let (Some(entries), Some(key)) = (entries, map.get("key")) else { return vec![unknown()] };
    let one = |entry: &Value| {
        let [value, decision] = entry.as_array()?.as_slice() else { return None };
        let (kind, target) = decision.as_object()?.iter().next()?;
        Some(rule(conditions(key, value, true), verdict(kind, target)?))
    };
    entries.iter().map(|entry| one(entry).unwrap_or_else(unknown)).collect()
}

/// The conditions of a statement `match`.
fn tests(statement: &Value) -> Vec<(Condition, bool)> {
    let (Some(left), Some(right)) = (statement.get("left"), statement.get("right")) else {
        return vec![(Condition::Unknown, true)];
    };
    match text(statement, "op") {
        Some("==" | "in") | None => conditions(left, right, true),
        Some("!=") => conditions(left, right, false),
        _ => vec![(Condition::Unknown, true)],
    }
}

/// That a property has one of some values, or has not. A field of a protocol is also a condition on the protocol.
fn conditions(left: &Value, right: &Value, wanted: bool) -> Vec<(Condition, bool)> {
    let unknown = || vec![(Condition::Unknown, true)];
    let values = values(right);
    let protocols = |number: u8| (Condition::Protocol(vec![number]), true);
    let known = || -> Option<Vec<(Condition, bool)>> {
        let at = |path: &str| left.pointer(path).and_then(Value::as_str);
        let one = |condition| vec![(condition, wanted)];
        if let Some(key) = at("/meta/key") {
            return Some(match key {
                "iifname" | "iif" => one(Condition::Arrives(words(&values)?)),
                "oifname" | "oif" => one(Condition::Leaves(words(&values)?)),
                "l4proto" => one(Condition::Protocol(numbers(&values)?)),
                "nfproto" | "protocol" => one(family(&values)?),
                _ => return None,
            });
        }
        // `dnat` is no state of a packet here: what may change a destination was before.
        if matches!(at("/ct/key"), Some("state" | "status")) {
            return Some(one(Condition::States(words(&values)?)));
        }
        if (at("/fib/result"), at("/fib/flags")) == (Some("type"), Some("daddr"))
            || left.pointer("/fib/flags/0").and_then(Value::as_str) == Some("daddr")
        {
            return (words(&values)? == ["local"]).then(|| one(Condition::Local));
        }
        if at("/&/0/payload/field") == Some("flags") {
            let mask = flags(&words(&all_of(left.pointer("/&/1")?))?.join(","))?;
            let set = flags(&words(&all_of(right))?.join(","))?;
            return Some(vec![protocols(6), (Condition::Flags { mask, set }, wanted)]);
        }
        let (protocol, field) = (at("/payload/protocol")?, at("/payload/field")?);
        match (protocol, field) {
            ("ip" | "ip6", "saddr" | "daddr") => {
                let of = if protocol == "ip" { Family::V4 } else { Family::V6 };
                let networks = networks(&values)?;
                let condition =
                    if field == "saddr" { Condition::From(networks) } else { Condition::To(networks) };
                Some(vec![(Condition::Family(of), true), (condition, wanted)])
            }
            ("ip", "protocol") | ("ip6", "nexthdr") => Some(one(Condition::Protocol(numbers(&values)?))),
            ("tcp" | "udp" | "sctp" | "th", "sport" | "dport") => {
                let ranges = ranges(&values)?;
                let condition =
                    if field == "sport" { Condition::FromPort(ranges) } else { Condition::ToPort(ranges) };
                let own = protocol_number(protocol).map(protocols);
                Some(own.into_iter().chain([(condition, wanted)]).collect())
            }
            ("icmp" | "icmpv6", "type") => {
                let (number, own): (fn(&str) -> _, _) =
                    if protocol == "icmp" { (icmp_number, 1) } else { (icmp6_number, 58) };
                let kind = |word: &String| Some((number(word)?, None));
                let types = words(&values)?.iter().map(kind).collect::<Option<Vec<_>>>()?;
                Some(vec![protocols(own), (Condition::Icmp(types), wanted)])
            }
            _ => None,
        }
    };
    known().unwrap_or_else(unknown)
}

fn family(values: &[&Value]) -> Option<Condition> {
    match words(values)?.as_slice() {
        [word] if matches!(word.as_str(), "ipv4" | "ip") => Some(Condition::Family(Family::V4)),
        [word] if matches!(word.as_str(), "ipv6" | "ip6") => Some(Condition::Family(Family::V6)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::grammar::request;

    use super::super::ruleset::Ruleset;
    use super::*;

    /// Whether a request to 192.168.1.100:80 on eth0 is dropped, by rules in JSON and a policy.
    fn is_dropped(policy: &str, rules: &[&str]) -> bool {
        let rule = |expr: &&str| {
            format!(r#",{{"rule":{{"family":"inet","table":"f","chain":"in","handle":4,"expr":{expr}}}}}"#)
        };
        let printed = format!(
            r#"{{"nftables":[{{"metainfo":{{"version":"1"}}}},{{"table":{{"family":"inet","name":"f","handle":1}}}},
            {{"chain":{{"family":"inet","table":"f","name":"in","handle":1,"type":"filter","hook":"input","prio":0,"policy":"{policy}"}}}}
            {}]}}"#,
            rules.iter().map(rule).collect::<String>()
        );
        let ruleset = Ruleset::new(tables(&printed).0);
        ruleset.drops(&[Hook::Input], 98, &request()).is_some()
    }

    /// A statement with a payload field.
    fn field(protocol: &str, field: &str, op: &str, right: &str) -> String {
        format!(
            r#"{{"match":{{"op":"{op}","left":{{"payload":{{"protocol":"{protocol}","field":"{field}"}}}},"right":{right}}}}}"#
        )
    }

    /// `tcp flags & (fin | syn | rst | ack)`, as it is printed.
    fn flags_of(op: &str, right: &str) -> String {
        let left =
            r#"{"&":[{"payload":{"protocol":"tcp","field":"flags"}},{"|":["fin","syn","rst","ack"]}]}"#;
        format!(r#"{{"match":{{"op":"{op}","left":{left},"right":{right}}}}}"#)
    }

    #[test]
    fn rules_that_drop_requests() {
        let drop = r#"{"drop":null}"#;
        for (statement, drops) in [
            (r#"{"counter":{"packets":1,"bytes":1}}"#.to_owned(), true),
            (field("tcp", "dport", "==", "80"), true),
            (field("tcp", "dport", "==", "443"), false),
            (field("tcp", "dport", "!=", "443"), true),
            (field("udp", "dport", "!=", "443"), false),
            (field("tcp", "dport", "==", r#"{"set":[22,{"range":[79,81]}]}"#), true),
            (field("tcp", "dport", "==", r#""@web""#), false),
            (field("ip", "daddr", "==", r#""192.168.1.100""#), true),
            (field("ip", "daddr", "==", r#"{"prefix":{"addr":"192.168.0.0","len":16}}"#), true),
            (field("ip", "daddr", "==", r#"{"prefix":{"addr":"10.0.0.0","len":8}}"#), false),
            (field("ip6", "daddr", "!=", r#""2001:db8::1""#), false),
            (field("ip", "saddr", "==", r#""10.0.0.1""#), false),
            (field("ip", "daddr", "==", r#"{"range":["192.168.1.99","192.168.1.103"]}"#), true),
            (field("ip", "daddr", "==", r#"{"range":["192.168.1.101","192.168.1.103"]}"#), false),
            (flags_of("==", r#""syn""#), true),
            (flags_of("!=", r#""syn""#), false),
            (flags_of("==", r#"{"|":["syn","ack"]}"#), false),
            (field("ip", "protocol", "==", r#""tcp""#), true),
            (r#"{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"lo"}}"#.to_owned(), false),
            (r#"{"match":{"op":"!=","left":{"meta":{"key":"iifname"}},"right":"lo"}}"#.to_owned(), true),
            (
                r#"{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","new"]}}"#
                    .to_owned(),
                true,
            ),
            (r#"{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"invalid"}}"#.to_owned(), false),
            (
                r#"{"match":{"op":"==","left":{"fib":{"result":"type","flags":["daddr"]}},"right":"local"}}"#
                    .to_owned(),
                true,
            ),
            (r#"{"match":{"op":"==","left":{"meta":{"key":"skuid"}},"right":0}}"#.to_owned(), false),
            (r#"{"limit":{"rate":5,"per":"second"}}"#.to_owned(), false),
            (r#"{"xt":null}"#.to_owned(), false),
        ] {
            assert_eq!(is_dropped("accept", &[&format!("[{statement},{drop}]")]), drops, "{statement}");
        }
        assert!(is_dropped("drop", &[]));
        let states = r#"[{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["established",{"accept":null}],["invalid",{"drop":null}]]}}}]"#;
        assert!(is_dropped("drop", &[states]));
        let ports = |set: &str| {
            format!(
                r#"[{{"vmap":{{"key":{{"payload":{{"protocol":"tcp","field":"dport"}}}},"data":{set}}}}}]"#
            )
        };
        assert!(!is_dropped("drop", &[&ports(r#"{"set":[[80,{"accept":null}]]}"#)]));
        assert!(!is_dropped("drop", &[&ports(r#""@web""#)]));
        let accept = |statement: &str| format!("[{statement},{}]", r#"{"accept":null}"#);
        assert!(!is_dropped("drop", &[&accept(&field("tcp", "dport", "==", "80"))]));
        assert!(is_dropped("drop", &[&accept(&field("tcp", "dport", "==", "22"))]));
        assert!(!is_dropped("drop", &[&accept(&field("ip", "saddr", "==", r#""10.0.0.1""#))]));
    }
}
