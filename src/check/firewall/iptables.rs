//! Reads the output of `iptables-save`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use ipvs::Family;

use super::rules::{ACK, Action, Base, Condition, FIN, Hook, RST, Rule, RuleTable, SYN, Target};
use super::values::{flags, networks, protocol_number, range, value};

/// The tables that `iptables-save` printed; `tool` is the program that changes them.
pub(crate) fn tables(printed: &str, tool: &str, family: Family) -> Vec<RuleTable> {
    let mut tables: Vec<RuleTable> = Vec::new();
    for line in printed.lines() {
        if let Some(name) = line.strip_prefix('*') {
            tables.push(RuleTable::new(tool, name.trim(), Some(family)));
        }
        let Some(table) = tables.last_mut() else { continue };
        if let Some(chain) = line.strip_prefix(':') {
            add_chain(table, chain);
        } else if line.starts_with("-A ") {
            let words = words(line);
            let Some(chain) = words.get(1) else { continue };
            let rule = rule(words.get(2..).unwrap_or_default(), line);
            table.chains.entry(chain.clone()).or_default().push(rule);
        }
    }
    tables
}

/// The hook of a chain that is not a user's.
pub(super) fn hook_of(chain: &str) -> Option<Hook> {
    Some(match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "FORWARD" => Hook::Forward,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => return None,
    })
}

/// A line `CHAIN POLICY [PACKETS:BYTES]`; chains of users have the policy `-`.
fn add_chain(table: &mut RuleTable, line: &str) {
    let mut words = line.split(' ');
    let (Some(chain), Some(policy)) = (words.next(), words.next()) else { return };
    table.chains.entry(chain.to_owned()).or_default();
    let Some(hook) = hook_of(chain) else { return };
    let priority = match table.name.as_str() {
        "raw" => -300,
        "mangle" => -150,
        "nat" if matches!(hook, Hook::Input | Hook::Postrouting) => 100,
        "nat" => -100,
        "security" => 50,
        _ => 0,
    };
    table.bases.push(Base { chain: chain.to_owned(), hook, priority, drops: policy == "DROP" });
}

/// The words of a line; those in double quotes may contain blanks.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut is_quoted, mut characters) = (false, line.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            _ => {
                let plain = if character == '\\' { characters.next() } else { Some(character) };
                if let Some(word) = words.last_mut() {
                    word.extend(plain);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Matches whose own options say everything, or that say nothing.
const PLAIN_MATCHES: [&str; 12] = [
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmp6",
    "ipv6-icmp",
    "comment",
    "conntrack",
    "state",
    "multiport",
    "addrtype",
    "iprange",
];

fn rule(words: &[String], line: &str) -> Rule {
    let mut rule = Rule { tests: Vec::new(), action: Action::Continue, text: line.to_owned() };
    let mut rest = words.iter().map(String::as_str);
    let mut wanted = true;
    while let Some(word) = rest.next() {
        let mut value = || rest.next().unwrap_or_default();
        let condition = match word {
            "!" => {
                wanted = false;
                continue;
            }
            "-m" | "--match" => match value() {
                "rpfilter" => Some(Condition::WayBack),
                name => (!PLAIN_MATCHES.contains(&name)).then_some(Condition::Unknown),
            },
            // Of rpfilter.
            "--invert" => {
                if let Some((Condition::WayBack, wanted)) = rule.tests.last_mut() {
                    *wanted = false;
                }
                None
            }
            "--comment" => {
                value();
                None
            }
            "-j" | "--jump" => {
                let target = value();
                rule.action = action(target, &rest.map(str::to_owned).collect::<Vec<_>>());
                break;
            }
            "-g" | "--goto" => {
                rule.action = Action::Goto(value().to_owned());
                break;
            }
            "-p" | "--protocol" => protocol(value()),
            "-s" | "--source" => {
                networks(value()).map_or(Some(Condition::Unknown), |all| Some(Condition::From(all)))
            }
            "-d" | "--destination" => {
                networks(value()).map_or(Some(Condition::Unknown), |all| Some(Condition::To(all)))
            }
            "--src-range" => Some(range(value()).map_or(Condition::Unknown, Condition::From)),
            "--dst-range" => Some(range(value()).map_or(Condition::Unknown, Condition::To)),
            "--tcp-flags" => {
                let mask = flags(value());
                Some(
                    mask.zip(flags(value()))
                        .map_or(Condition::Unknown, |(mask, set)| Condition::Flags { mask, set }),
                )
            }
            "--syn" => Some(Condition::Flags { mask: FIN | SYN | RST | ACK, set: SYN }),
            "-i" | "--in-interface" => Some(Condition::Arrives(vec![value().to_owned()])),
            "-o" | "--out-interface" => Some(Condition::Leaves(vec![value().to_owned()])),
            "--sport" | "--source-port" | "--sports" | "--source-ports" => {
                Some(ports(value(), Condition::FromPort))
            }
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
                Some(ports(value(), Condition::ToPort))
            }
            "--ctstate" | "--state" => {
                Some(Condition::States(value().split(',').map(str::to_owned).collect()))
            }
            "--icmp-type" | "--icmpv6-type" => Some(icmp(value())),
            "--dst-type" => Some(if value() == "LOCAL" { Condition::Local } else { Condition::Unknown }),
            _ => Some(Condition::Unknown),
        };
        rule.tests.extend(condition.map(|condition| (condition, wanted)));
        wanted = true;
    }
    rule
}

fn action(target: &str, options: &[String]) -> Action {
    match target {
        "ACCEPT" => Action::Accept,
        "DROP" | "REJECT" => Action::Drop,
        "RETURN" => Action::Return,
        "DNAT" | "REDIRECT" => Action::Redirect(target_of(options)),
        "TPROXY" | "NETMAP" => Action::Redirect(None),
        "CT" | "NOTRACK" => Action::Untrack,
        "MARK" => mark(options),
        "CONNMARK" if options.iter().any(|option| option == "--restore-mark") => Action::Mark(None),
        "HMARK" | "SET" | "CLUSTERIP" | "NFQUEUE" | "QUEUE" => Action::Unknown,
        "SYNPROXY" => Action::SynProxy,
        "SNAT" | "MASQUERADE" => Action::Translate,
        "LOG" | "NFLOG" | "ULOG" | "CONNMARK" | "TRACE" | "TCPMSS" | "CHECKSUM" | "CLASSIFY" | "DSCP"
        | "TOS" | "TTL" | "HL" | "AUDIT" | "ECN" | "TEE" | "SECMARK" | "CONNSECMARK" | "RATEEST" => {
            Action::Continue
        }
        chain => Action::Jump(chain.to_owned()),
    }
}

/// The new destination, `--to-destination ADDRESS[:PORT]` or `--to-ports PORT`; none for ranges.
fn target_of(options: &[String]) -> Option<Target> {
    match options {
        [option, word, ..] if option == "--to-destination" => destination(word),
        [option, word, ..] if option == "--to-ports" => {
            Some(Target { address: None, port: Some(word.parse().ok()?) })
        }
        [] => Some(Target { address: None, port: None }),
        _ => None,
    }
}

fn destination(word: &str) -> Option<Target> {
    let of_socket = |it: SocketAddr| Target { address: Some(it.ip()), port: Some(it.port()) };
    let of_address = |it| Target { address: Some(it), port: None };
    word.parse().map(of_socket).or_else(|_| word.parse().map(of_address)).ok()
}

/// The value and the mask of a target `MARK`.
fn mark(options: &[String]) -> Action {
    let [option, word, ..] = options else { return Action::Mark(None) };
    match option.as_str() {
        "--set-mark" | "--set-xmark" | "--or-mark" => {
            value(word).map_or(Action::Mark(None), |value| Action::Mark(Some(value)))
        }
        _ => Action::Mark(None),
    }
}

/// A condition on the protocol; none for all.
fn protocol(word: &str) -> Option<Condition> {
    let number = match word {
        "all" | "0" => return None,
        other => protocol_number(other),
    };
    Some(number.map_or(Condition::Unknown, |number| Condition::Protocol(vec![number])))
}

/// Ports `PORT[:PORT],...`.
fn ports(list: &str, make: fn(Vec<RangeInclusive<u16>>) -> Condition) -> Condition {
    let range = |word: &str| -> Option<RangeInclusive<u16>> {
        match word.split_once(':') {
            Some((from, to)) => Some(from.parse().ok()?..=to.parse().ok()?),
            None => word.parse().ok().map(|port| port..=port),
        }
    };
    list.split(',').map(range).collect::<Option<Vec<_>>>().map_or(Condition::Unknown, make)
}

/// A type of ICMP, `TYPE[/CODE]`.
fn icmp(word: &str) -> Condition {
    let parsed = match word.split_once('/') {
        Some((kind, code)) => kind.parse().ok().zip(code.parse().ok().map(Some)),
        None => word.parse().ok().map(|kind| (kind, None)),
    };
    parsed.map_or(Condition::Unknown, |parsed| Condition::Icmp(vec![parsed]))
}

#[cfg(test)]
mod tests {
    use super::super::rules::Packet;
    use super::super::ruleset::Ruleset;
    use super::*;

    fn request(port: u16) -> Packet {
        Packet {
            to: Some([192, 168, 1, 100].into()),
            to_port: Some(port),
            arrives: Some("eth0".to_owned()),
            state: Some("new"),
            is_local: Some(true),
            flags: Some(SYN),
            has_way_back: Some(false),
            ..Packet::of(Family::V4, 6)
        }
    }

    /// The rule, or the policy, that drops a request to port 80.
    fn dropped(policy: &str, rules: &[&str]) -> Option<String> {
        let mut printed =
            format!("# Generated\n*filter\n:INPUT {policy} [0:0]\n:FORWARD ACCEPT [0:0]\n:sub - [0:0]\n");
        printed.extend(rules.iter().map(|rule| format!("-A {rule}\n")));
        printed += "COMMIT\n";
        let ruleset = Ruleset::new(tables(&printed, "iptables", Family::V4));
        let dropped = ruleset.drops(&[Hook::Prerouting, Hook::Input], 98, &request(80))?;
        Some(dropped.rule.map_or("policy".to_owned(), |rule| rule.text.replace("-A ", "")))
    }

    #[test]
    fn rules_that_drop_requests() {
        for rule in [
            "INPUT -j DROP",
            "INPUT -j REJECT --reject-with icmp-host-prohibited",
            "INPUT -d 192.168.1.100/32 -p tcp -m tcp --dport 80 -j DROP",
            "INPUT -d 192.168.0.0/255.255.0.0 -j DROP",
            "INPUT -p tcp -m multiport --dports 22,79:81 -j DROP",
            "INPUT -i eth+ -j DROP",
            "INPUT ! -i lo -j DROP",
            "INPUT -p tcp -m tcp ! --dport 22 -m comment --comment \"no \\\"-j ACCEPT\\\" here\" -j DROP",
            "INPUT -m addrtype --dst-type LOCAL -j DROP",
            "INPUT -m conntrack --ctstate INVALID,NEW -j DROP",
            "INPUT -s 0.0.0.0/0 -j DROP",
            "INPUT -m iprange --dst-range 192.168.1.99-192.168.1.100 -j DROP",
            "INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
            "INPUT -p tcp -m tcp ! --tcp-flags ALL NONE -j DROP",
            "INPUT -m rpfilter --invert -j DROP",
        ] {
            assert_eq!(dropped("ACCEPT", &[rule]).as_deref(), Some(rule));
            assert_eq!(
                dropped("ACCEPT", &["INPUT -p tcp -m tcp --dport 80 -j ACCEPT", rule]),
                None,
                "{rule}"
            );
        }
        for rule in [
            "FORWARD -j DROP",
            "INPUT -s 10.0.0.0/8 -j DROP",
            "INPUT ! -s 10.0.0.0/8 -j DROP",
            "INPUT -d 192.168.1.1/32 -j DROP",
            "INPUT -p udp -j DROP",
            "INPUT -p tcp -m tcp --dport 22 -j DROP",
            "INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit 5/sec -j DROP",
            "INPUT -m conntrack --ctstate INVALID -j DROP",
            "INPUT -i lo -j DROP",
            "INPUT -m iprange ! --dst-range 192.168.1.99-192.168.1.100 -j DROP",
            "INPUT -m iprange --dst-range 192.168.1.99-x -j DROP",
            "INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m state --state NEW -j DROP",
            "INPUT -p tcp -m tcp --tcp-flags SYN,RST SYN,RST -j DROP",
            "INPUT -m set --match-set bad src -j DROP",
            "INPUT -m rpfilter -j DROP",
            "INPUT -m rpfilter --loose --invert -j DROP",
            "INPUT -j LOG --log-prefix \"a -j DROP\"",
            "INPUT -j sub",
        ] {
            assert_eq!(dropped("ACCEPT", &[rule]), None, "{rule}");
        }
        let policy = Some("policy");
        for (rules, expected) in [
            (&[][..], policy),
            (
                &["INPUT -i lo -j ACCEPT", "INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"],
                policy,
            ),
            (&["INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "INPUT -p icmp -j ACCEPT"], policy),
            (&["INPUT -s 10.0.0.0/8 -j ACCEPT"], None),
            (&["INPUT -m mark --mark 0x1 -j ACCEPT"], None),
            (&["INPUT -j sub", "sub -p tcp -m multiport --dports 80,443 -j ACCEPT"], None),
            (&["INPUT -j sub", "sub -p tcp -m tcp --dport 443 -j ACCEPT"], policy),
            (&["INPUT -j NFQUEUE --queue-num 1"], None),
        ] {
            assert_eq!(dropped("DROP", rules).as_deref(), expected, "{rules:?}");
        }
    }

    #[test]
    fn a_changed_destination_is_not_followed() {
        let printed = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080\nCOMMIT\n\
                       *filter\n:INPUT DROP [0:0]\nCOMMIT\n";
        let ruleset = Ruleset::new(tables(printed, "iptables", Family::V4));
        let hooks = [Hook::Prerouting, Hook::Input];
        assert!(ruleset.drops(&hooks, 98, &request(80)).is_none());
        assert!(ruleset.drops(&hooks, 98, &request(81)).is_some());
        // IPVS takes packets before chains of a higher priority, and another family has other tables.
        assert!(ruleset.drops(&hooks, 0, &request(81)).is_none());
        assert!(ruleset.drops(&hooks, 98, &Packet { family: Family::V6, ..request(81) }).is_none());
    }

    #[test]
    fn packets_may_be_kept_out_of_the_connection_tracking() {
        for (target, is_dropped) in [("CT --notrack", false), ("NOTRACK", false), ("LOG", true)] {
            let printed = format!(
                "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 192.168.1.100/32 -j {target}\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n\
                 -A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT\nCOMMIT\n"
            );
            let ruleset = Ruleset::new(tables(&printed, "iptables", Family::V4));
            let found = ruleset.drops(&[Hook::Prerouting, Hook::Input], 98, &request(80)).is_some();
            assert_eq!(found, is_dropped, "{target}");
        }
    }
}
