//! Servers that seem silent because this director asks for them with the VIP as its own address: they have it too.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipvs::{DestinationEntry, ForwardingMethod, Service};

use crate::check::checks::fixes::{delete_address, move_address};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::facts::address::{Address, Route};
use crate::check::facts::machine::{Link, Machine};
use crate::check::facts::table;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{ADDRESS, AddressChange, AddressStep, Fix, Step};
use crate::check::verdict::Examined;

const VIP_AS_SOURCE: Kind = Kind::error(
    "vip-as-source",
    "a server takes an ARP request from its own address for a forged one, and does not answer: it seems silent",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[VIP_AS_SOURCE], run: vip_as_source };

fn vip_as_source(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
    for (service, server) in director.servers() {
        let Some((place, link)) =
            asker(director, service, server).filter(|(place, _)| seen.insert(place.address))
        else {
            continue;
        };
        let (machine, vip) = (&director.machine, place.address);
        let has_other = machine.addresses.iter().any(|own| {
            own.link == link.index
                && own.address != vip
                && !own.is_single()
                && own.spans(server.destination.id.address)
        });
        let own = Step::Address(AddressStep {
            how: AddressChange::Add,
            address: ADDRESS,
            prefix: place.prefix,
            link: link.name.as_str().into(),
        });
        let what = format!(
            "{vip}/{} is the first address of {}, so this director asks for {} with it as sender, and is not answered",
            place.prefix, link.name, server.destination.id.address
        );
        let (what, fix) = if has_other {
            (what, move_address(machine, place, link, &link.name))
        } else {
            let keep = Fix::set([(format!("net/ipv4/conf/{}/promote_secondaries", link.name), 1)]);
            let again = Fix::from(Step::add_address(vip, link.name.as_str())).and(own).and(keep);
            let alone = again.and(Step::Address(delete_address(place, &link.name)));
            (format!("{what}; it has no address of its own there"), alone)
        };
        findings.push(VIP_AS_SOURCE.at(&vip, what, fix));
    }
    findings
}

/// The VIP that a silent server is asked with, if it has that too.
pub(super) fn asker<'a>(
    director: &'a Director,
    service: &Service,
    server: &DestinationEntry,
) -> Option<(&'a Address, &'a Link)> {
    let machine = &director.machine;
    let to = server.destination.id.address;
    let has_it = matches!(
        server.destination.forwarding,
        ForwardingMethod::DirectRouting | ForwardingMethod::Tunnel(_)
    );
    let Route::OnLink(link) = machine.route(to) else { return None };
    if !has_it || to.is_ipv6() || machine.silent_hop(to).is_none() {
        return None;
    }
    let place = first(machine, link, to)?;
    let is_vip = match table::address(&service.id) {
        Some(vip) => vip == place.address,
        None => director.rules.marked_addresses().any(|marked| marked == place.address),
    };
    Some((place, machine.link(link)?)).filter(|_| is_vip)
}

/// The address that this machine asks with: the first one whose network contains the other.
fn first(machine: &Machine, link: u32, to: IpAddr) -> Option<&Address> {
    machine.addresses.iter().find(|own| own.link == link && !own.is_single() && own.spans(to))
}
