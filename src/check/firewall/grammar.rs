//! Both readers on rulesets that are made of words their tools know, each with a value that belongs there or another.

use ipvs::Family;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::rules::{ARRIVING, Packet, RuleTable, SYN};
use super::ruleset::Ruleset;
use super::{iptables, nft};

/// The first packet of a client.
pub(super) fn request() -> Packet {
    Packet {
        to: Some([192, 168, 1, 100].into()),
        to_port: Some(80),
        arrives: Some("eth0".to_owned()),
        state: Some("new"),
        is_local: Some(true),
        flags: Some(SYN),
        ..Packet::of(Family::V4, 6)
    }
}

/// Whatever the rules are, a request is judged by them.
fn judge(tables: Vec<RuleTable>) {
    let request = request();
    let rules = Ruleset::new(tables);
    let _ = (rules.drops(&ARRIVING, 98, &request), rules.redirects(&request), rules.may_translate(&request));
    let _ = (rules.marked(7, Family::V4), rules.may_set(7, Family::V4), rules.ports());
}

fn rule_of_iptables() -> impl Strategy<Value = String> {
    const OPTIONS: &str = "-p -s -d -i -o --sport --dports --ctstate --icmp-type --tcp-flags --src-range -m --comment ! --dst-type";
    const VALUES: &str = "tcp 17 10.0.0.0/8 10.0.0.0/255.0.0.0 ::1/128 10.0.0.1-10.0.0.9 eth+ 80 22:23,80 \
                          NEW,INVALID 8/0 SYN,ACK conntrack LOCAL \"a\" x";
    const ENDS: [&str; 9] = [
        "-j DROP",
        "-j ACCEPT",
        "-j sub",
        "-g sub",
        "-j DNAT --to-destination 10.0.0.1:80",
        "-j REDIRECT --to-ports 8080",
        "-j MARK --set-xmark 0x7/0xff",
        "-j LOG",
        "",
    ];
    let words = |words: &'static str| select(words.split_whitespace().collect::<Vec<_>>());
    let options = vec((words(OPTIONS), words(VALUES)), 0..5);
    (words("INPUT PREROUTING other"), options, select(&ENDS[..])).prop_map(|(chain, options, end)| {
        let options = options.into_iter().flat_map(|(name, value)| [name, value]);
        let words = ["-A", chain].into_iter().chain(options).chain([end]).collect::<Vec<_>>();
        words.join(" ").trim_end().to_owned()
    })
}

fn statement_of_nft() -> impl Strategy<Value = Value> {
    let left = select(vec![
        json!({ "meta": { "key": "iifname" } }),
        json!({ "meta": { "key": "l4proto" } }),
        json!({ "ct": { "key": "state" } }),
        json!({ "fib": { "result": "type", "flags": ["daddr"] } }),
        json!({ "payload": { "protocol": "ip", "field": "daddr" } }),
        json!({ "payload": { "protocol": "tcp", "field": "dport" } }),
        json!({ "payload": { "protocol": "icmp", "field": "type" } }),
        json!({ "&": [{ "payload": { "protocol": "tcp", "field": "flags" } }, { "|": ["syn", "ack"] }] }),
    ]);
    let right = select(vec![
        json!("lo"),
        json!("tcp"),
        json!(80),
        json!(-1),
        json!(null),
        json!("@web"),
        json!(["new", "invalid"]),
        json!({ "set": [22, { "range": [79, 81] }] }),
        json!({ "prefix": { "addr": "10.0.0.0", "len": 99 } }),
        json!({ "range": ["10.0.0.9", "10.0.0.1"] }),
        json!({ "set": [[80, { "drop": null }], [443, { "goto": { "target": "sub" } }]] }),
    ]);
    let end = select(vec![
        json!({ "drop": null }),
        json!({ "accept": null }),
        json!({ "jump": { "target": "sub" } }),
        json!({ "dnat": { "addr": "10.0.0.1", "port": 80 } }),
        json!({ "mangle": { "key": { "meta": { "key": "mark" } }, "value": 7 } }),
        json!({ "limit": { "rate": 5 } }),
        json!("notrack"),
    ]);
    let matched = (select(vec!["==", "!=", "in", "<"]), left.clone(), right.clone())
        .prop_map(|(op, left, right)| json!({ "match": { "op": op, "left": left, "right": right } }));
    let mapped = (left, right).prop_map(|(key, data)| json!({ "vmap": { "key": key, "data": data } }));
    prop_oneof![4 => matched, 1 => mapped, 2 => end]
}

proptest! {
    #[test]
    fn every_rule_of_iptables_is_read(rules in vec(rule_of_iptables(), 1..12), cut in 0_usize..2000) {
        let front = "*filter\n:INPUT DROP [0:0]\n:PREROUTING ACCEPT [0:0]\n:sub - [0:0]\n:other - [0:0]\n";
        let printed = format!("{front}{}\nCOMMIT\n", rules.join("\n"));
        let tables = iptables::tables(&printed, "iptables", Family::V4);
        let all = tables.iter().flat_map(|table| table.chains.values().flatten());
        let mut read: Vec<&str> = all.map(|rule| rule.text.as_str()).collect();
        let mut written: Vec<&str> = rules.iter().map(String::as_str).collect();
        read.sort_unstable();
        written.sort_unstable();
        prop_assert_eq!(read, written);
        judge(tables.clone());
        judge(iptables::tables(printed.get(..cut).unwrap_or_default(), "iptables", Family::V4));
    }

    #[test]
    fn every_rule_of_nft_is_read(rules in vec(vec(statement_of_nft(), 0..5), 1..8), drops: bool) {
        let policy = if drops { "drop" } else { "accept" };
        let rule = |expr: &Vec<Value>| {
            json!({ "rule": { "family": "inet", "table": "f", "chain": "in", "handle": 4, "expr": expr } })
        };
        let mut all = vec![
            json!({ "table": { "family": "inet", "name": "f" } }),
            json!({ "chain": { "family": "inet", "table": "f", "name": "in", "hook": "input", "prio": 0, "policy": policy } }),
        ];
        all.extend(rules.iter().map(rule));
        let (tables, is_whole) = nft::tables(&json!({ "nftables": all }).to_string());
        // A map of verdicts makes at least one more rule.
        let maps = rules.iter().flatten().filter(|statement| statement.get("vmap").is_some()).count();
        let read = tables.iter().flat_map(|table| table.chains.values().flatten()).count();
        prop_assert!(is_whole && read >= rules.len() + maps, "{} of {} and {}", read, rules.len(), maps);
        judge(tables);
    }
}
