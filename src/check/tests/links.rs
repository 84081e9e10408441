//! The interfaces of a director's addresses: which one has the address, and what is below it.

use super::super::director::Director;
use super::gallery::{assert_healthy, assert_one, with, without_vip};
use super::{ETH0, ip, link};
use crate::check::facts::address::Address;
use crate::check::facts::machine::{Link, LinkKind};
use crate::check::facts::settings::Settings;

const ETH1: u32 = 3;
const VIP: &str = "192.168.1.100";

/// The address is on another interface, and that of its network does not answer for it.
fn elsewhere(director: &mut Director) {
    without_vip(director);
    director.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
    director.machine.addresses.push(Address { link: ETH1, ..Address::network(ip(VIP), 32) });
    director.machine.settings = Settings::from_iter([("net/ipv4/conf/eth0/arp_ignore", 1)]);
}

#[test]
fn an_address_belongs_where_its_network_is() {
    assert_one(
        &with(elsewhere),
        [
            "vip-on-other-link",
            VIP,
            "192.168.1.100 is on eth1, and belongs to the network of eth0, which does not answer ARP for it",
            "ip addr replace 192.168.1.100/32 dev eth0",
        ],
    );
    let twins: [super::gallery::Twin<Director>; 4] = [
        ("eth0 answers for others' addresses", |director| director.machine.settings = Settings::default()),
        ("eth0 has it, too", |director| {
            director.machine.addresses.push(Address { link: ETH0, ..Address::network(ip(VIP), 32) });
        }),
        ("it is in no network", |director| director.machine.addresses.retain(|own| own.prefix == 32)),
        ("a macvlan of eth0 has it", |director| {
            director.machine.links.iter_mut().for_each(|link| {
                link.parent = Some(ETH0).filter(|_| link.index == ETH1);
            });
        }),
    ];
    for (twin, change) in twins {
        let director = with(|director| {
            elsewhere(director);
            change(director);
        });
        assert_healthy(&director, twin);
    }
}

#[test]
fn what_is_below_an_interface_counts() {
    let cut = |director: &mut Director| director.machine.links[1].has_carrier = false;
    assert_one(
        &with(cut),
        [
            "vip-link-down",
            VIP,
            "192.168.1.100 is on eth0, which has no carrier: examine its cable and the switch",
            "ip -s link show dev eth0",
        ],
    );
    let vlan = with(|director| {
        cut(director);
        director.machine.links[1].parent = Some(ETH1);
        director.machine.links.push(Link { is_up: false, ..link(ETH1, "eth1", LinkKind::Ethernet) });
    });
    assert_one(
        &vlan,
        [
            "vip-link-down",
            VIP,
            "192.168.1.100 is on eth0, and eth1 below it is down",
            "ip link set dev eth1 up",
        ],
    );
    let other_wire = with(|director| {
        cut(director);
        director.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
        director.machine.addresses.push(Address { link: ETH1, ..Address::network(ip("192.168.1.2"), 24) });
    });
    assert_healthy(&other_wire, "another interface of the network answers for it");
}

#[test]
fn an_address_that_another_machine_had_is_not_in_use() {
    let void = with(|director| {
        let held = |own: &&mut Address| own.address == ip(VIP);
        director.machine.addresses.iter_mut().find(held).unwrap().is_void = true;
    });
    assert_one(
        &void,
        [
            "vip-void",
            VIP,
            "192.168.1.100 is on eth0, but not in use: another machine had it when it was added (ip addr shows dadfailed)",
            "ping -c 1 -W 1 192.168.1.100 || ! ipvsadm --check --nobody-has 192.168.1.100%eth0 || \
             { ip addr del 192.168.1.100/32 dev eth0; ip addr replace 192.168.1.100/32 dev eth0; }",
        ],
    );
}
