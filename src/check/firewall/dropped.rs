//! What a packet filter drops, in words, and the command that accepts it.

use std::net::IpAddr;

use ipvs::Family;

use super::packets::NEIGHBOURS;
use super::rules::{ACK, Hook, Packet};
use super::ruleset::{Dropped, Ruleset};
use crate::check::facts::protocols::{ICMP, ICMP6, SCTP, TCP, UDP};
use crate::check::fix::{Fix, IptablesRule, Step, Word};
use crate::shell;

/// What certainly drops packets, all of them, and what lets them pass.
pub(crate) fn dropped(
    rules: &Ruleset,
    hooks: &[Hook],
    below: i32,
    packets: &[Packet],
) -> Option<(String, Fix)> {
    let all: Option<Vec<Dropped<'_>>> =
        packets.iter().map(|packet| surely(rules, hooks, below, packet)).collect();
    let (dropped, packet) = (*all?.first()?, packets.first()?);
    let chain = chain(&dropped);
    let mut what = match dropped.rule {
        Some(rule) => format!("{} is dropped in {chain}: {}", named(packet), rule.text),
        None => {
            format!("{} is dropped in {chain}: its policy is DROP, and no rule accepts it", named(packet))
        }
    };
    let is_unexpected = packet.flags == Some(ACK) || matches!(packet.state, Some("untracked" | "invalid"));
    if let Some(state) = packet.state.filter(|_| is_unexpected && dropped.table.looks_at_states()) {
        let state = state.to_ascii_uppercase();
        let whose = if packet.protocol == ICMP6 { "" } else { ", which does not know connections of IPVS," };
        what = format!("{what}; to the connection tracking{whose} it is {state}");
    }
    Some((what, accept(dropped, packet)))
}

/// What certainly drops a packet. If its port may be any, that is what drops those to every port but the administrator's.
fn surely<'a>(rules: &'a Ruleset, hooks: &[Hook], below: i32, packet: &Packet) -> Option<Dropped<'a>> {
    const SSH: u16 = 22;
    let found = rules.drops(hooks, below, packet);
    if found.is_some()
        || packet.to_port.is_some()
        || packet.from_port.is_some()
        || !matches!(packet.protocol, TCP | UDP)
    {
        return found;
    }
    let mut ports = rules.ports();
    ports.remove(&SSH);
    let to = |port: &u16| rules.drops(hooks, below, &Packet { to_port: Some(*port), ..packet.clone() });
    ports.iter().map(to).collect::<Option<Vec<_>>>()?.first().copied()
}

pub(crate) fn chain(it: &Dropped<'_>) -> String {
    format!("{} of {} ({})", it.base.chain, it.table.name, it.table.tool)
}

/// A packet in words.
pub(crate) fn named(packet: &Packet) -> String {
    let mut words = vec![match packet.protocol {
        TCP => "TCP".to_owned(),
        UDP => "UDP".to_owned(),
        SCTP => "SCTP".to_owned(),
        ICMP => "ICMP 'fragmentation needed'".to_owned(),
        ICMP6 if packet.icmp == NEIGHBOURS.first().copied() => "ICMPv6 'neighbour solicitation'".to_owned(),
        ICMP6 => "ICMPv6 'neighbour advertisement'".to_owned(),
        other => format!("IP protocol {other}"),
    }];
    let end = |address: Option<IpAddr>, port: Option<u16>| match (address, port) {
        (Some(address), Some(port)) => Some(std::net::SocketAddr::new(address, port).to_string()),
        (Some(address), None) => Some(address.to_string()),
        _ => None,
    };
    words.extend(end(packet.from, packet.from_port).map(|from| format!("from {from}")));
    words.extend(end(packet.to, packet.to_port).map(|to| format!("to {to}")));
    let later = if packet.flags == Some(ACK) { ", after the first packet," } else { "" };
    words.join(" ") + later
}

/// The command that puts a rule for a packet before all others of the chain.
pub(crate) fn accept(dropped: Dropped<'_>, packet: &Packet) -> Fix {
    let Dropped { table, base, .. } = dropped;
    if table.name == "inet firewalld" && base.hook == Hook::Input {
        return Step::Firewall(of_firewalld(packet)).into();
    }
    let protocol = match packet.protocol {
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        SCTP => "sctp".to_owned(),
        ICMP => "icmp".to_owned(),
        ICMP6 => "ipv6-icmp".to_owned(),
        other => other.to_string(),
    };
    if table.tool == "nft" {
        let ip = if packet.family == Family::V4 { "ip" } else { "ip6" };
        let mut words = Vec::new();
        words.extend(packet.from.map(|from| format!("{ip} saddr {from}")));
        words.extend(packet.to.map(|to| format!("{ip} daddr {to}")));
        words.push(match (packet.from_port, packet.to_port) {
            (_, Some(port)) => format!("{protocol} dport {port}"),
            (Some(port), None) => format!("{protocol} sport {port}"),
            _ if packet.protocol == ICMP => "icmp type destination-unreachable".to_owned(),
            _ => format!("meta l4proto {protocol}"),
        });
        let insert = format!(
            "nft insert rule {} {} {} accept",
            table.name.split(' ').map(shell::quoted).collect::<Vec<_>>().join(" "),
            shell::quoted(&base.chain),
            words.join(" ")
        );
        return Step::Firewall(insert).into();
    }
    let mut words: Vec<Word> = Vec::new();
    let mut option = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| [name.into(), value.into()]).into_iter().flatten());
    };
    option("-s", packet.from.map(|from| from.to_string()));
    option("-d", packet.to.map(|to| to.to_string()));
    option("-p", Some(protocol));
    option("--sport", packet.from_port.map(|port| port.to_string()));
    option("--dport", packet.to_port.map(|port| port.to_string()));
    option("--icmp-type", (packet.protocol == ICMP).then(|| "fragmentation-needed".to_owned()));
    option("-j", Some("ACCEPT".to_owned()));
    let (how, name, chain) = ("-I", &table.name, base.chain.clone());
    let of = (name != "filter").then(|| name.clone());
    Step::Iptables(IptablesRule { tool: table.tool.clone(), how, table: of, chain, words }).into()
}

/// The same by firewalld, which may let nobody else change its table.
fn of_firewalld(packet: &Packet) -> String {
    let what = match (packet.protocol, packet.to_port) {
        (TCP, Some(port)) => format!("--add-port={port}/tcp"),
        (UDP, Some(port)) => format!("--add-port={port}/udp"),
        (SCTP, Some(port)) => format!("--add-port={port}/sctp"),
        (protocol, _) => format!("--add-protocol={protocol}"),
    };
    let zone = packet.arrives.as_ref().map_or(String::new(), |link| {
        let link = shell::quoted(format!("--get-zone-of-interface={link}"));
        format!(" --zone=$(firewall-cmd {link} || firewall-cmd --get-default-zone)")
    });
    format!("firewall-cmd {what}{zone}")
}
