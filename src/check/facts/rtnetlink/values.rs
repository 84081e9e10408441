//! Objects of the kernel's routing as plain values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressScope};
use netlink_packet_route::link::{
    InfoData, InfoGre, InfoGre6, InfoIpTunnel, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType,
};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMetric, RouteNextHop, RouteNextHopFlags, RouteProtocol,
    RouteType, RouteVia,
};
use netlink_packet_route::rule::RuleAttribute;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::check::facts::address::{Address, Route};
use crate::check::facts::machine::{Link, LinkFacts, LinkKind, Neighbour};
use crate::check::facts::routes::{Hop, RouteEntry, RouteEntryKind, RoutingRule};

pub(super) fn link(message: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let flags = message.header.flags;
    let has_kind = |wanted: &InfoKind| {
        message.attributes.iter().any(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => {
                infos.iter().any(|info| matches!(info, LinkInfo::Kind(kind) if kind == wanted))
            }
            _ => false,
        })
    };
    let kind = match message.header.link_layer_type {
        _ if flags.contains(LinkFlags::Loopback) => LinkKind::Loopback,
        _ if has_kind(&InfoKind::Dummy) => LinkKind::Dummy,
        LinkLayerType::Tunnel | LinkLayerType::Tunnel6 => LinkKind::Tunnel,
        LinkLayerType::Ipgre | LinkLayerType::Ip6gre => LinkKind::Gre,
        LinkLayerType::Sit => LinkKind::OtherTunnel,
        _ if flags.contains(LinkFlags::Noarp) => LinkKind::Dummy,
        _ => LinkKind::Ethernet,
    };
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    // A cable between namespaces names its other end.
    let is_child = [InfoKind::Vlan, InfoKind::MacVlan, InfoKind::IpVlan].iter().any(has_kind);
    let parent = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Link(parent) => Some(*parent),
        _ => None,
    });
    Some(Link {
        index: message.header.index,
        name,
        is_up: flags.contains(LinkFlags::Up),
        has_carrier: flags.contains(LinkFlags::LowerUp),
        parent: parent.filter(|_| is_child),
        kind,
        facts: facts(&message.attributes),
    })
}

fn facts(attributes: &[LinkAttribute]) -> LinkFacts {
    let mut facts = LinkFacts::default();
    for attribute in attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => facts.mtu = Some(*mtu),
            LinkAttribute::Stats64(stats) => facts.received = stats.rx_packets,
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Data(data) = info {
                        (facts.local, facts.remote) = ends(data);
                    }
                }
            }
            _ => {}
        }
    }
    facts
}

/// The ends of a tunnel, as far as it has certain ones.
fn ends(data: &InfoData) -> (Option<IpAddr>, Option<IpAddr>) {
    let (mut local, mut remote) = (None, None);
    match data {
        InfoData::IpTunnel(all) => all.iter().for_each(|it| match it {
            InfoIpTunnel::Local(address) => local = Some(*address),
            InfoIpTunnel::Remote(address) => remote = Some(*address),
            _ => {}
        }),
        InfoData::GreTun(all) => all.iter().for_each(|it| match it {
            InfoGre::Local(address) => local = Some(IpAddr::V4(*address)),
            InfoGre::Remote(address) => remote = Some(IpAddr::V4(*address)),
            _ => {}
        }),
        InfoData::GreTun6(all) => all.iter().for_each(|it| match it {
            InfoGre6::Local(address) => local = Some(IpAddr::V6(*address)),
            InfoGre6::Remote(address) => remote = Some(IpAddr::V6(*address)),
            _ => {}
        }),
        _ => {}
    }
    let certain = |address: Option<IpAddr>| address.filter(|address| !address.is_unspecified());
    (certain(local), certain(remote))
}

pub(super) fn address(message: RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let of = |pick: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(pick);
    // On a point-to-point link, the other address is the peer's.
    let local =
        of(|attribute| if let AddressAttribute::Local(address) = attribute { Some(*address) } else { None });
    let plain = of(
        |attribute| if let AddressAttribute::Address(address) = attribute { Some(*address) } else { None },
    );
    // The header has room for the first eight flags, among them these.
    let is_void =
        message.header.flags.intersects(AddressHeaderFlags::Dadfailed | AddressHeaderFlags::Tentative)
            && !message.header.flags.contains(AddressHeaderFlags::Optimistic);
    Some(Address {
        address: local.or(plain)?,
        prefix: message.header.prefix_len,
        link: message.header.index,
        is_void,
        is_of_host: message.header.scope == AddressScope::Host,
    })
}

pub(super) fn neighbour(message: RouteNetlinkMessage) -> Option<Neighbour> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })?;
    let is_silent = matches!(message.header.state, NeighbourState::Failed | NeighbourState::Incomplete);
    let has_answered = matches!(
        message.header.state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
    );
    let ethernet = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => bytes.as_slice().try_into().ok(),
        _ => None,
    });
    Some(Neighbour { address, link: message.header.ifindex, is_silent, has_answered, ethernet })
}

pub(super) fn lookup(message: RouteNetlinkMessage) -> Option<Route> {
    let route = route(message)?;
    let route = route.hops.first().map_or_else(|| route.clone(), |hop| route.with_hops(&[*hop]));
    Some(match route.kind {
        RouteEntryKind::Local => Route::Local,
        RouteEntryKind::Other => Route::Unreachable,
        RouteEntryKind::Unicast => match route.gateway {
            Some(gateway) => Route::Via(gateway, route.link?),
            None => Route::OnLink(route.link?),
        },
    })
}

pub(super) fn route(message: RouteNetlinkMessage) -> Option<RouteEntry> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let header = &message.header;
    let nowhere = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut route = RouteEntry {
        to: nowhere,
        prefix: header.destination_prefix_length,
        link: None,
        gateway: None,
        source: None,
        metric: None,
        table: header.table.into(),
        kind: match header.kind {
            RouteType::Local => RouteEntryKind::Local,
            RouteType::Unicast => RouteEntryKind::Unicast,
            _ => RouteEntryKind::Other,
        },
        is_automatic: header.protocol == RouteProtocol::Kernel,
        is_onlink: header.flags.contains(RouteFlags::Onlink),
        mtu: None,
        hops: Vec::new(),
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => route.to = ip(to).unwrap_or(nowhere),
            RouteAttribute::Gateway(gateway) => route.gateway = ip(gateway),
            RouteAttribute::Via(RouteVia::Inet(address)) => route.gateway = Some(IpAddr::V4(*address)),
            RouteAttribute::Via(RouteVia::Inet6(address)) => route.gateway = Some(IpAddr::V6(*address)),
            RouteAttribute::PrefSource(source) => route.source = ip(source),
            RouteAttribute::Oif(index) => route.link = Some(*index),
            RouteAttribute::Priority(metric) => route.metric = Some(*metric),
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Metrics(metrics) => route.mtu = mtu(metrics),
            RouteAttribute::MultiPath(hops) => route.hops = hops.iter().map(hop).collect(),
            _ => {}
        }
    }
    Some(route)
}

fn mtu(metrics: &[RouteMetric]) -> Option<(u32, bool)> {
    const LOCKED: u32 = 1 << 2; // RTAX_MTU
    let is_locked =
        metrics.iter().any(|metric| matches!(metric, RouteMetric::Lock(bits) if bits & LOCKED != 0));
    metrics.iter().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) => Some((*mtu, is_locked)),
        _ => None,
    })
}

fn hop(hop: &RouteNextHop) -> Hop {
    let gateway = hop.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(gateway) => ip(gateway),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    });
    Hop {
        gateway,
        link: hop.interface_index,
        weight: u16::from(hop.hops) + 1,
        is_onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

pub(super) fn rule(message: RouteNetlinkMessage) -> Option<RoutingRule> {
    let RouteNetlinkMessage::NewRule(message) = message else { return None };
    let mut rule = RoutingRule { mark: None, port: None, table: message.header.table.into() };
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::FwMark(mark) => rule.mark = Some(*mark),
            RuleAttribute::SourcePortRange(range) => rule.port = Some(range.start),
            RuleAttribute::Table(table) => rule.table = *table,
            _ => {}
        }
    }
    Some(rule)
}
