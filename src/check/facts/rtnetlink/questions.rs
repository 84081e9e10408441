//! What the kernel would do with a packet: it is asked, with all that its rules and tables look at.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Reply, Routing, messages, values};
use crate::check::facts::address::full_prefix;
use crate::check::facts::protocols::{TCP, UDP};
use crate::check::facts::question::{Question, Refusal, Way};

impl Routing {
    /// What the kernel does with a packet.
    pub(crate) fn ask(&mut self, question: &Question) -> io::Result<Way> {
        Ok(self.route_of(question)?.map_or_else(Way::Refused, way))
    }

    /// The address that the kernel gives a packet without one.
    pub(crate) fn source(&mut self, question: &Question) -> io::Result<Option<IpAddr>> {
        let route = self.route_of(question)?.ok();
        Ok(route.and_then(|message| values::route(RouteNetlinkMessage::NewRoute(message))?.source))
    }

    /// The route of a packet.
    fn route_of(&mut self, question: &Question) -> io::Result<Result<RouteMessage, Refusal>> {
        let request = std::iter::once(RouteNetlinkMessage::GetRoute(request(question)));
        let sequence = self.send(request, 0)?;
        loop {
            for (header, reply) in messages(&self.receive()?) {
                if header.sequence_number != sequence {
                    continue;
                }
                match reply {
                    Ok(Reply::InnerMessage(RouteNetlinkMessage::NewRoute(message))) => {
                        return Ok(Ok(message));
                    }
                    Ok(Reply::Error(error)) => {
                        return Ok(Err(refusal(error.to_io().raw_os_error().unwrap_or(0))));
                    }
                    _ => return Err(io::Error::other("a route is not of a known form")),
                }
            }
        }
    }

    /// The rules that select among routing tables, in the kernel's order, each with its table.
    pub(crate) fn printed_rules(&mut self, is_ipv4: bool) -> io::Result<Vec<PrintedRule>> {
        let mut request = RuleMessage::default();
        let family = if is_ipv4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
        request.header.family = family;
        let dump = match self.dump(&RouteNetlinkMessage::GetRule(request)) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Vec::new(),
            dump => dump?,
        };
        let mut rules: Vec<PrintedRule> = dump.iter().filter_map(|object| printed(object, family)).collect();
        rules.sort_by_key(|rule| rule.priority);
        Ok(rules)
    }
}

fn request(question: &Question) -> RouteMessage {
    let Question { to, from, arrives, mark, protocol, from_port, to_port } = *question;
    let mut request = RouteMessage::default();
    request.header.address_family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    request.header.destination_prefix_length = full_prefix(to);
    request.header.flags = RouteFlags::LookupTable;
    request.attributes.push(RouteAttribute::Destination(to.into()));
    if let Some(from) = from {
        request.header.source_prefix_length = full_prefix(from);
        request.attributes.push(RouteAttribute::Source(from.into()));
    }
    request.attributes.extend(arrives.map(RouteAttribute::Iif));
    request.attributes.extend(mark.map(RouteAttribute::Mark));
    // The kernel takes no other protocol here.
    if matches!(protocol, TCP | UDP) {
        request.attributes.push(RouteAttribute::IpProto(protocol));
        request.attributes.extend(from_port.map(RouteAttribute::Sport));
        request.attributes.extend(to_port.map(RouteAttribute::Dport));
    }
    request
}

fn way(message: RouteMessage) -> Way {
    let kind = message.header.kind;
    let Some(route) = values::route(RouteNetlinkMessage::NewRoute(message)) else {
        return Way::Refused(Refusal::Other(0));
    };
    let hop = route.hops.first().map_or_else(|| route.clone(), |hop| route.with_hops(&[*hop]));
    match (kind, hop.link) {
        (RouteType::Local | RouteType::Anycast, _) => Way::Local { table: route.table },
        (RouteType::Unicast, Some(link)) => Way::Leaves { gateway: hop.gateway, link, table: route.table },
        (RouteType::BlackHole, _) => Way::Refused(Refusal::Invalid),
        (RouteType::Unreachable, _) => Way::Refused(Refusal::Unreachable),
        (RouteType::Prohibit, _) => Way::Refused(Refusal::Prohibited),
        _ => Way::Refused(Refusal::Other(0)),
    }
}

fn refusal(errno: i32) -> Refusal {
    match errno {
        libc::ENETUNREACH => Refusal::NoRoute,
        libc::EHOSTUNREACH => Refusal::Unreachable,
        libc::EACCES => Refusal::Prohibited,
        libc::EXDEV => Refusal::ReversePath,
        libc::EINVAL => Refusal::Invalid,
        other => Refusal::Other(other),
    }
}

/// A rule as `ip rule` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrintedRule {
    pub(crate) priority: u32,
    /// None if it selects no table.
    pub(crate) table: Option<u32>,
    /// It drops what it matches.
    pub(crate) is_barrier: bool,
    pub(crate) text: String,
}

fn printed(object: &RouteNetlinkMessage, family: AddressFamily) -> Option<PrintedRule> {
    let RouteNetlinkMessage::NewRule(message) = object else { return None };
    // Others (of multicast) are no business of these packets.
    if message.header.family != family {
        return None;
    }
    let header = &message.header;
    let (mut priority, mut table, mut words) = (0, u32::from(header.table), Vec::new());
    let mut from = "all".to_owned();
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Source(source) => from = format!("{source}/{}", header.src_len),
            RuleAttribute::Destination(to) => words.push(format!("to {to}/{}", header.dst_len)),
            RuleAttribute::Iifname(name) => words.push(format!("iif {name}")),
            RuleAttribute::Oifname(name) => words.push(format!("oif {name}")),
            RuleAttribute::FwMark(mark) => words.push(format!("fwmark {mark:#x}")),
            RuleAttribute::SourcePortRange(range) => {
                words.push(format!("sport {}-{}", range.start, range.end));
            }
            RuleAttribute::DestinationPortRange(range) => {
                words.push(format!("dport {}-{}", range.start, range.end));
            }
            RuleAttribute::L3MDev(true) => words.push("l3mdev".to_owned()),
            _ => {}
        }
    }
    let action = match header.action {
        RuleAction::ToTable => format!("lookup {}", table_name(table)),
        RuleAction::Blackhole => "blackhole".to_owned(),
        RuleAction::Unreachable => "unreachable".to_owned(),
        RuleAction::Prohibit => "prohibit".to_owned(),
        _ => String::new(),
    };
    words.insert(0, from);
    Some(PrintedRule {
        priority,
        table: (header.action == RuleAction::ToTable).then_some(table),
        is_barrier: matches!(
            header.action,
            RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit
        ),
        text: format!("ip rule {priority}: from {} {action}", words.join(" ")).trim_end().to_owned(),
    })
}

/// The name of a table, if it is one of the kernel's.
pub(crate) fn table_name(table: u32) -> String {
    match table {
        253 => "default".to_owned(),
        254 => "main".to_owned(),
        255 => "local".to_owned(),
        number => number.to_string(),
    }
}
