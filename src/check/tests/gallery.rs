//! Every finding on a director, to the letter; and beside each, similar but healthy conditions.

use std::num::NonZeroU32;

use ipvs::{DaemonState, Destination, Family, Persistence, Service, ServiceId, SyncDaemon};

use super::super::director::Director;
use super::{ETH0, director, ip, link, own, table, two_servers};
use crate::check::facts::address::Route;
use crate::check::facts::machine::{LinkKind, Listener, Neighbour};

pub(super) const SERVICE: &str = "TCP 192.168.1.100:80";
pub(super) const FIRST: &str = "TCP 192.168.1.100:80 -> 192.168.1.11:80";

pub(super) fn healthy() -> Director {
    director(table("rr", two_servers()))
}

/// A healthy condition that is similar to a fault, made by changing it.
pub(super) type Twin<T> = (&'static str, fn(&mut T));

/// A changed condition.
pub(super) fn with(change: impl FnOnce(&mut Director)) -> Director {
    let mut director = healthy();
    change(&mut director);
    director
}

fn listener(address: &str, port: u16, is_tcp: bool) -> Listener {
    Listener { address: ip(address), port, is_tcp, is_v6only: false }
}

pub(super) fn service(director: &mut Director) -> &mut Service {
    &mut director.table[0].0.service
}

pub(super) fn first(director: &mut Director) -> &mut Destination {
    &mut director.table[0].1[0].destination
}

pub(super) fn set_all(director: &mut Director, settings: &'static [(&'static str, u32)]) {
    director.machine.settings = settings.iter().copied().collect();
}

pub(super) fn without_vip(director: &mut Director) {
    director.machine.addresses.retain(|own| own.address != ip("192.168.1.100"));
}

/// The only finding: its id, where it is, what is wrong, and the fix.
pub(super) fn assert_one(director: &Director, expected: [&str; 4]) {
    let found = director.findings();
    let [finding] = &found[..] else { panic!("{expected:?}: {found:?}") };
    assert_eq!([finding.id, &finding.at, &finding.what, &finding.fix.to_string()], expected);
    assert!(finding.why.split(' ').count() > 3, "{}", finding.why);
}

pub(super) fn assert_healthy(director: &Director, twin: &str) {
    assert_eq!(director.findings(), vec![], "{twin}");
}

#[test]
fn a_healthy_director_gives_nothing() {
    assert_healthy(&healthy(), "as it is");
}

#[test]
fn addresses() {
    let missing = |director: &mut Director| {
        without_vip(director);
        director.machine.lookups.insert(ip("192.168.1.100"), Route::OnLink(ETH0));
    };
    assert_one(
        &with(missing),
        [
            "vip-missing",
            "192.168.1.100",
            "no interface of this director has the address 192.168.1.100",
            "ping -c 1 -W 1 192.168.1.100 || ! ipvsadm --check --nobody-has 192.168.1.100%eth0 || ip addr replace 192.168.1.100/32 dev eth0",
        ],
    );
    // In the smallest of several networks.
    let wide = with(|director| {
        missing(director);
        director.machine.links.push(link(3, "wide", LinkKind::Ethernet));
        director.machine.addresses.insert(0, own("192.168.0.1", 16, 3));
    });
    assert!(wide.findings()[0].fix.to_string().ends_with(" dev eth0"));
    // In one whose interface is down.
    let down = with(|director| {
        missing(director);
        director.machine.links[1].is_up = false;
    });
    assert_one(
        &down,
        [
            "vip-missing",
            "192.168.1.100",
            "no interface of this director has the address 192.168.1.100; eth0, whose network contains it, is down",
            "ip link set dev eth0 up && { ping -c 1 -W 1 192.168.1.100 || ! ipvsadm --check --nobody-has 192.168.1.100%eth0 || \
             ip addr replace 192.168.1.100/32 dev eth0; }",
        ],
    );
    // In none of the director's networks: at the default route, or else at a server's.
    let far = |director: &mut Director| {
        service(director).id = ServiceId::tcp(ip("10.0.0.1"), 80);
        director.machine.lookups.insert(ip("10.0.0.1"), Route::Via(ip("192.168.1.254"), ETH0));
    };
    for has_default in [true, false] {
        let mut director = with(far);
        if !has_default {
            director.machine.lookups.remove(&ip("240.0.0.1"));
        }
        assert!(director.findings()[0].fix.to_string().ends_with("|| ip addr replace 10.0.0.1/32 dev eth0"));
    }
    let lost = with(|director| {
        far(director);
        director.machine.lookups.clear();
    });
    assert!(lost.findings()[0].fix.to_string().ends_with("|| ip addr replace 10.0.0.1/32 dev INTERFACE"));

    let answered = |director: &mut Director| {
        missing(director);
        let address = ip("192.168.1.100");
        let neighbour =
            Neighbour { address, link: ETH0, is_silent: false, has_answered: true, ethernet: None };
        director.machine.neighbours.push(neighbour);
    };
    assert_one(
        &with(answered),
        [
            "vip-missing",
            "192.168.1.100",
            "no interface of this director has the address 192.168.1.100; another machine answers for it on eth0 (ip neigh)",
            "ping -c 1 -W 1 192.168.1.100; ip neigh show 192.168.1.100",
        ],
    );
    // Another address, or a request without an answer, is no evidence.
    for (address, has_answered) in [("192.168.1.11", true), ("192.168.1.100", false)] {
        let unheard = with(|director| {
            answered(director);
            let neighbour = &mut director.machine.neighbours[0];
            (neighbour.address, neighbour.has_answered) = (ip(address), has_answered);
        });
        assert!(
            unheard.findings()[0].fix.to_string().ends_with("|| ip addr replace 192.168.1.100/32 dev eth0")
        );
    }
    let standby = with(|director| {
        answered(director);
        director.daemons.push(SyncDaemon::new(DaemonState::Master, "eth0".parse().unwrap(), 1));
    });
    assert_healthy(&standby, "another director has it");
    let any = with(|director| service(director).id = ServiceId::tcp(ip("0.0.0.0"), 80));
    assert_healthy(&any, "a service of all addresses has none of its own");
}

#[test]
fn interfaces_of_addresses() {
    let down = |director: &mut Director| director.machine.links[1].is_up = false;
    assert_one(
        &with(down),
        [
            "vip-link-down",
            "192.168.1.100",
            "192.168.1.100 is on eth0, which is down",
            "ip link set dev eth0 up",
        ],
    );
    let both = with(|director| {
        down(director);
        director.machine.addresses.push(own("192.168.1.100", 32, 1));
    });
    assert_healthy(&both, "it is on lo too, and no other interface asks for it");

    let on_lo = |director: &mut Director| {
        without_vip(director);
        director.machine.addresses.push(own("192.168.1.100", 32, 1));
        set_all(director, &[("net/ipv4/conf/eth0/arp_ignore", 1)]);
    };
    assert_one(
        &with(on_lo),
        [
            "vip-on-loopback",
            "192.168.1.100",
            "192.168.1.100 is only on lo, and eth0 does not answer ARP for it",
            "ip addr replace 192.168.1.100/32 dev eth0 && ip addr del 192.168.1.100/32 dev lo",
        ],
    );
    let answers = with(|director| {
        on_lo(director);
        set_all(director, &[("net/ipv4/conf/eth0/arp_ignore", 3)]);
    });
    assert_healthy(&answers, "eth0 answers for it");
    let too = with(|director| {
        on_lo(director);
        director.machine.addresses.push(own("192.168.1.100", 32, ETH0));
    });
    assert_healthy(&too, "eth0 has it too");
}

#[test]
fn services() {
    let none = |director: &mut Director| director.table[0].1.clear();
    assert_one(
        &with(none),
        [
            "no-server",
            SERVICE,
            "the service has no real server",
            "ipvsadm -a -t 192.168.1.100:80 -r SERVER -g -w 1",
        ],
    );
    let out = |director: &mut Director| {
        director.table[0].1.iter_mut().for_each(|entry| entry.destination.weight = 0);
    };
    assert_one(
        &with(out),
        [
            "all-weights-zero",
            SERVICE,
            "all real servers have weight 0",
            "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 1 && \
             ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12:80 -g -w 1",
        ],
    );
    assert_one(
        &with(|director| first(director).weight = 3),
        [
            "weights-ignored",
            SERVICE,
            "the weights differ, and scheduler rr ignores them",
            "ipvsadm -E -t 192.168.1.100:80 -s wrr",
        ],
    );
    let heavy = with(|director| {
        director.table[0].1.iter_mut().for_each(|entry| entry.destination.weight = 3);
    });
    assert_healthy(&heavy, "equal weights");

    let persistence = Some(Persistence { timeout: 60, netmask: ipvs::Netmask::single(Family::V4) });
    let both = |director: &mut Director| {
        let service = service(director);
        service.id = ServiceId::udp(ip("192.168.1.100"), 53);
        (service.one_packet, service.persistence) = (true, persistence);
    };
    assert_one(
        &with(both),
        [
            "persistent-one-packet",
            "UDP 192.168.1.100:53",
            "the service is persistent, and one-packet (-o)",
            "ipvsadm -E -u 192.168.1.100:53 -s rr -o",
        ],
    );
    let single: [Twin<Service>; 3] = [
        ("one-packet alone", |service| service.persistence = None),
        ("persistent alone", |service| service.one_packet = false),
        ("with an engine", |service| service.engine = Some("sip".parse().unwrap())),
    ];
    for (twin, change) in single {
        let director = with(|director| {
            both(director);
            change(service(director));
        });
        assert_healthy(&director, twin);
    }
}

#[test]
fn marks() {
    let marked = |director: &mut Director| {
        let mark = NonZeroU32::new(7).unwrap();
        service(director).id = ServiceId::Fwmark { mark, family: Family::V4 };
    };
    assert_one(
        &with(marked),
        [
            "mark-unset",
            "FWM 7",
            "no rule of the packet filter sets the mark 7",
            "iptables -t mangle -A PREROUTING -d 192.168.1.100 -p tcp -j MARK --set-mark 7",
        ],
    );
    let served = |address: &'static str, is_tcp| {
        with(|director| {
            marked(director);
            director.machine.listeners.push(listener(address, 22, is_tcp));
        })
    };
    for (address, is_tcp, is_narrow) in [
        ("0.0.0.0", true, true),
        ("::", true, true),
        ("192.168.1.100", true, true),
        ("192.168.1.1", true, false),
        ("127.0.0.1", true, false),
        ("0.0.0.0", false, false),
    ] {
        let fix = &served(address, is_tcp).findings()[0].fix.to_string();
        assert_eq!(fix.contains(" --dport PORT "), is_narrow, "{address}: {fix}");
    }
    // Without an address to mark, any except loopback may be meant.
    for (address, is_narrow) in [("192.168.1.1", true), ("127.0.0.1", false)] {
        let mut director = served(address, true);
        without_vip(&mut director);
        let fix = &director.findings()[0].fix.to_string();
        assert_eq!((fix.contains("-d VIP "), fix.contains(" --dport PORT ")), (true, is_narrow), "{fix}");
    }
    // On lo, no ARP requests arrive for the address.
    let on_lo = with(|director| {
        marked(director);
        without_vip(director);
        director.machine.addresses.push(own("192.168.1.100", 32, 1));
    });
    assert!(on_lo.findings()[0].fix.to_string().contains("-d VIP "));
    let unknown = with(|director| {
        marked(director);
        director.rules.is_whole = false;
    });
    assert_healthy(&unknown, "nobody may read the rules");
}

#[test]
fn servers() {
    let full = |active, inactive, upper| {
        with(|director| {
            let entry = &mut director.table[0].1[0];
            (entry.active_connections, entry.inactive_connections, entry.destination.upper_threshold) =
                (active, inactive, upper);
        })
    };
    assert_one(
        &full(3, 2, 5),
        [
            "threshold-reached",
            FIRST,
            "it has 5 connections, and its upper threshold is 5",
            "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 1 -x 10 -y 0",
        ],
    );
    assert!(full(8, 2, 5).findings()[0].fix.to_string().ends_with("-x 20 -y 0"));
    assert_healthy(&full(3, 2, 6), "there is room");
    assert_healthy(&full(3, 2, 0), "there is no limit");

    let here = |director: &mut Director| {
        director.machine.lookups.insert(ip("192.168.1.11"), Route::Local);
    };
    assert_one(
        &with(here),
        [
            "server-is-director",
            FIRST,
            "192.168.1.11 is this director, where nothing listens for the service",
            "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 0",
        ],
    );
    let served = with(|director| {
        here(director);
        director.machine.listeners.push(listener("192.168.1.100", 80, true));
    });
    assert_healthy(&served, "the service is here");
    assert_one(
        &with(|director| {
            director.machine.lookups.remove(&ip("192.168.1.11"));
        }),
        [
            "server-unreachable",
            FIRST,
            "there is no route to 192.168.1.11",
            "ip route replace 192.168.1.11/32 dev eth0",
        ],
    );
}
