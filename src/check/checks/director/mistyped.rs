//! Services that were probably meant to have another address, or another protocol.

use std::net::IpAddr;

use ipvs::{Change, DestinationEntry, Protocol, Service, ServiceId};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::facts::address::Address;
use crate::check::facts::machine::LinkKind;
use crate::check::facts::protocols;
use crate::check::facts::table;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::Fix;
use crate::check::verdict::Examined;

const PROTOCOL_UNUSUAL: Kind =
    Kind::warning("protocol-unusual", "packets of clients, of the other protocol, find no service");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[PROTOCOL_UNUSUAL], run: protocol };

/// An address that this director lacks, where it has another one of the same network that no service uses.
pub(super) fn address(director: &Director, vip: IpAddr, missing: Kind) -> Option<Finding> {
    let machine = &director.machine;
    let network = machine.on_link(vip)?;
    let (vips, marked): (_, Vec<IpAddr>) = (director.vips(), director.rules.marked_addresses().collect());
    let is_unused = |own: &&Address| {
        own.link == network.index
            && network.kind == LinkKind::Ethernet
            && own.is_single()
            && own.address.is_ipv4() == vip.is_ipv4()
            && !vips.contains(&own.address)
            && !marked.contains(&own.address)
            && !machine.listeners.iter().any(|listener| listener.address == own.address)
    };
    let mut unused = machine.addresses.iter().filter(is_unused);
    let meant = unused.next().filter(|_| unused.next().is_none())?.address;
    let services = director.services().filter(|(service, _)| table::address(&service.id) == Some(vip));
    let fix: Fix =
        services.flat_map(|(service, servers)| with_id(service, servers, at(service.id, meant))).collect();
    let what = format!(
        "no interface of this director has the address {vip}, and no service has {meant}, which is on {}: probably that is meant",
        network.name
    );
    Some(missing.at(&vip, what, fix))
}

/// Services of a protocol that nobody speaks on their port, and that nobody has used.
fn protocol(director: &Examined<'_>) -> Vec<Finding> {
    let entries = director.table.iter().filter(|(entry, _)| entry.stats.total.in_packets == 0);
    let found = entries.filter_map(|(entry, servers)| {
        let service = &entry.service;
        let ServiceId::Address { protocol, address, port } = service.id else { return None };
        let meant = protocols::usual(port).filter(|usual| *usual != protocol)?;
        let id = ServiceId::Address { protocol: meant, address, port };
        let is_there = |id: ServiceId| director.services().any(|(other, _)| other.id == id);
        let of_all_ports = ServiceId::Address { protocol: meant, address, port: 0 };
        if !matches!(protocol, Protocol::Tcp | Protocol::Udp) || is_there(id) || is_there(of_all_ports) {
            return None;
        }
        let what = format!("the service is of {protocol}, nobody has used it, and the usual protocol of port {port} is {meant}");
        let fix = with_id(service, servers, id).into_iter().collect::<Fix>();
        Some(PROTOCOL_UNUSUAL.of_service(&service.id, what, fix))
    });
    found.collect()
}

fn at(id: ServiceId, meant: IpAddr) -> ServiceId {
    match id {
        ServiceId::Address { protocol, port, .. } => ServiceId::Address { protocol, address: meant, port },
        mark @ ServiceId::Fwmark { .. } => mark,
    }
}

/// What gives a service another identity.
fn with_id(service: &Service, servers: &[DestinationEntry], id: ServiceId) -> Vec<Change> {
    let is_udp = matches!(id, ServiceId::Address { protocol: Protocol::Udp, .. });
    let again = Service { id, one_packet: service.one_packet && is_udp, ..*service };
    let servers =
        servers.iter().map(|server| Change::AddDestination { service: id, destination: server.destination });
    std::iter::once(Change::AddService(again))
        .chain(servers)
        .chain([Change::DeleteService(service.id)])
        .collect()
}
