//! Like `gallery.rs`, for settings, daemons and servers that are being drained.

use ipvs::{DaemonState, Family, ForwardingMethod, Persistence, ServiceId, SyncDaemon};

use super::super::director::Director;
use super::gallery::{FIRST, Twin, assert_healthy, assert_one, first, service, set_all, with, without_vip};
use super::{ETH0, ip, link};
use crate::check::facts::address::{Address, Route};
use crate::check::facts::machine::{Link, LinkFacts, LinkKind};
use crate::check::facts::routes::RoutingRule;

const REDIRECTS: &[(&str, u32)] =
    &[("net/ipv4/conf/eth0/forwarding", 1), ("net/ipv4/conf/eth0/send_redirects", 1)];
const TEMPLATES: &[(&str, u32)] = &[("net/ipv4/vs/expire_quiescent_template", 0)];

fn masquerade(director: &mut Director) {
    for entry in &mut director.table[0].1 {
        entry.destination.forwarding = ForwardingMethod::Masquerade;
    }
}

#[test]
fn settings() {
    const CLOSED: &[(&str, u32)] = &[("net/ipv4/ip_forward", 0), ("net/ipv4/conf/eth0/forwarding", 0)];
    let closed = |director: &mut Director| {
        masquerade(director);
        set_all(director, CLOSED);
    };
    let both = with(closed).findings();
    assert_eq!(both[0], both[1], "a fault of the machine is the same for each server");
    let mut one = with(closed);
    one.table[0].1.truncate(1);
    assert_one(
        &one,
        [
            "ip-forward",
            "net.ipv4.ip_forward",
            "net.ipv4.ip_forward is 0, and real servers are masqueraded",
            "sysctl -w net.ipv4.ip_forward=1",
        ],
    );
    assert_healthy(&with(|director| set_all(director, CLOSED)), "direct routing needs no forwarding");

    let redirects = |director: &mut Director| {
        masquerade(director);
        director.table[0].1.truncate(1);
        set_all(director, REDIRECTS);
    };
    assert_one(
        &with(redirects),
        [
            "send-redirects",
            "eth0",
            "clients and masqueraded servers are both behind eth0, and it sends ICMP redirects",
            "sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0",
        ],
    );
    let apart = with(|director| {
        redirects(director);
        without_vip(director);
        director.machine.addresses.push(Address { link: 1, ..Address::network(ip("192.168.1.100"), 32) });
    });
    assert_healthy(&apart, "clients and servers are behind two interfaces");
    assert_healthy(&with(|director| set_all(director, REDIRECTS)), "direct routing causes no redirects");
}

#[test]
fn requests_for_the_address_that_are_dropped() {
    const ETH1: u32 = 3;
    const STRICT: &[(&str, u32)] =
        &[("net/ipv4/conf/eth0/rp_filter", 1), ("net/ipv4/conf/eth1/arp_ignore", 1)];
    const FILTERED: &[(&str, u32)] =
        &[("net/ipv4/conf/all/arp_filter", 1), ("net/ipv4/conf/all/arp_ignore", 1)];
    let by_eth1 = |director: &mut Director| {
        director.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
        director.machine.lookups.insert(ip("192.168.1.254"), Route::OnLink(ETH1));
    };
    for (settings, setting, fix) in [
        (STRICT, "rp_filter", "sysctl -w net.ipv4.conf.eth0.rp_filter=2"),
        (FILTERED, "arp_filter", "sysctl -w net.ipv4.conf.all.arp_filter=0 net.ipv4.conf.eth0.arp_filter=0"),
    ] {
        let what = format!(
            "{setting} drops ARP requests on eth0 from 192.168.1.254, the router in the network of 192.168.1.100, whose \
             route leaves by eth1"
        );
        let dropped = with(|director| {
            by_eth1(director);
            set_all(director, settings);
        });
        assert_one(&dropped, ["rp-filter", "eth0", &what, fix]);
    }
    let twins: [Twin<Director>; 6] = [
        ("the route leaves by the same interface", |director| {
            director.machine.lookups.insert(ip("192.168.1.254"), Route::OnLink(ETH0));
        }),
        ("the other interface answers", |director| {
            set_all(director, &[("net/ipv4/conf/eth0/rp_filter", 1)]);
        }),
        ("it is loose", |director| {
            set_all(director, &[("net/ipv4/conf/eth0/rp_filter", 2), ("net/ipv4/conf/eth1/arp_ignore", 1)]);
        }),
        ("the other interface has the address, too", |director| {
            let too = Address { link: ETH1, ..Address::network(ip("192.168.1.100"), 32) };
            director.machine.addresses.push(too);
        }),
        ("the router is elsewhere", |director| {
            let far = Route::Via(ip("10.0.0.254"), ETH0);
            director.machine.lookups.insert(ip("240.0.0.1"), far);
            director.machine.lookups.insert(ip("10.0.0.254"), Route::OnLink(ETH1));
        }),
        ("a rule may route answers back", |director| {
            director.machine.routes.rules.push(RoutingRule { mark: None, port: None, table: 7 });
        }),
    ];
    for (twin, change) in twins {
        let healthy = with(|director| {
            by_eth1(director);
            set_all(director, STRICT);
            change(director);
        });
        assert_healthy(&healthy, twin);
    }
}

#[test]
fn machinery() {
    const FROZEN: &[(&str, u32)] = &[("net/ipv4/vs/run_estimation", 0)];
    assert_one(
        &with(|director| set_all(director, FROZEN)),
        [
            "counters-frozen",
            "net.ipv4.vs.run_estimation",
            "net.ipv4.vs.run_estimation is 0: the kernel does not refresh the counters",
            "sysctl -w net.ipv4.vs.run_estimation=1",
        ],
    );
    let empty = with(|director| {
        set_all(director, FROZEN);
        director.table.clear();
    });
    assert_healthy(&empty, "there is nothing to count");
    assert_healthy(&with(|director| set_all(director, &[("net/ipv4/vs/run_estimation", 1)])), "it counts");

    let daemon = |interface: &'static str, state| {
        with(|director| director.daemons.push(SyncDaemon::new(state, interface.parse().unwrap(), 4)))
    };
    let mut down = daemon("eth0", DaemonState::Backup);
    assert_healthy(&down, "a daemon on an interface that is up");
    down.machine.links[1].is_up = false;
    assert_one(
        &down,
        [
            "sync-link-down",
            "eth0",
            "the sync daemon (backup) is on eth0, which is down",
            "ip link set dev eth0 up",
        ],
    );
    let mut odd = daemon("eth7", DaemonState::Master);
    odd.daemons[0].interface = ipvs::InterfaceName::new(b"\xff").unwrap();
    assert_healthy(&odd, "an interface whose name is not read");
    assert_one(
        &daemon("eth7", DaemonState::Master),
        [
            "sync-link-down",
            "eth7",
            "the sync daemon (master) is on eth7, which is gone",
            "ipvsadm --stop-daemon master --syncid 4 && \
             ipvsadm --start-daemon master --mcast-interface INTERFACE --syncid 4",
        ],
    );
}

#[test]
fn draining() {
    let leaving = |director: &mut Director| {
        first(director).weight = 0;
        service(director).persistence =
            Some(Persistence { timeout: 60, netmask: ipvs::Netmask::single(Family::V4) });
        director.table[0].1[0].persistent_connections = 2;
    };
    let templates = |director: &mut Director| {
        leaving(director);
        set_all(director, TEMPLATES);
    };
    assert_one(
        &with(templates),
        [
            "expire-quiescent-template",
            FIRST,
            "it has weight 0, and persistence still sends 2 clients to it",
            "sysctl -w net.ipv4.vs.expire_quiescent_template=1",
        ],
    );
    let twins: [Twin<Director>; 4] = [
        ("it is not leaving", |director| first(director).weight = 1),
        ("nobody comes back", |director| director.table[0].1[0].persistent_connections = 0),
        ("no persistence", |director| service(director).persistence = None),
        ("set", |director| set_all(director, &[("net/ipv4/vs/expire_quiescent_template", 1)])),
    ];
    for (twin, change) in twins {
        let director = with(|director| {
            templates(director);
            change(director);
        });
        assert_healthy(&director, twin);
    }

    let reuse = |director: &mut Director| {
        first(director).weight = 0;
        (director.table[0].1[0].active_connections, director.table[0].1[0].inactive_connections) = (2, 1);
        set_all(director, &[("net/ipv4/vs/conn_reuse_mode", 0), ("net/ipv4/vs/expire_nodest_conn", 0)]);
    };
    for (forwarding, mode) in [(ForwardingMethod::DirectRouting, 3), (ForwardingMethod::Masquerade, 1)] {
        let director = with(|director| {
            reuse(director);
            first(director).forwarding = forwarding;
        });
        let fix = format!("sysctl -w net.ipv4.vs.conn_reuse_mode={mode}");
        let what = "it has weight 0, and 3 connections whose ports clients may reuse";
        assert_one(&director, ["conn-reuse-mode", FIRST, what, &fix]);
    }
    let twins: [Twin<Director>; 4] = [
        ("it is not leaving", |director| first(director).weight = 1),
        ("no connections", |director| {
            (director.table[0].1[0].active_connections, director.table[0].1[0].inactive_connections) = (0, 0);
        }),
        ("reused", |director| {
            set_all(director, &[("net/ipv4/vs/conn_reuse_mode", 1), ("net/ipv4/vs/expire_nodest_conn", 0)]);
        }),
        ("expired", |director| {
            set_all(director, &[("net/ipv4/vs/conn_reuse_mode", 0), ("net/ipv4/vs/expire_nodest_conn", 1)]);
        }),
    ];
    for (twin, change) in twins {
        let director = with(|director| {
            reuse(director);
            change(director);
        });
        assert_healthy(&director, twin);
    }
}

#[test]
fn forwarding_of_one_interface() {
    let closed = with(|director| {
        masquerade(director);
        director.table[0].1.truncate(1);
        set_all(director, &[("net/ipv4/ip_forward", 1), ("net/ipv4/conf/eth0/forwarding", 0)]);
    });
    let setting = "net.ipv4.conf.eth0.forwarding";
    let what = format!("{setting} is 0, and real servers are masqueraded");
    assert_one(&closed, ["ip-forward", setting, &what, &format!("sysctl -w {setting}=1")]);
}

#[test]
fn forwarding_of_ipv6() {
    const CLOSED: (&str, u32) = ("net/ipv6/conf/all/forwarding", 0);
    const LEARNING: (&str, u32) = ("net/ipv6/conf/eth0/accept_ra", 1);
    let six = |gateway: &str, change: &dyn Fn(&mut Director)| {
        with(|director| {
            service(director).id = ServiceId::tcp(ip("2001:db8::100"), 80);
            director.table[0].1.truncate(1);
            (first(director).id.address, first(director).forwarding) =
                (ip("2001:db8::11"), ForwardingMethod::Masquerade);
            let machine = &mut director.machine;
            machine.addresses.push(Address { link: ETH0, ..Address::network(ip("2001:db8::100"), 128) });
            machine.lookups.insert(ip("2001:db8::100"), Route::Local);
            machine.lookups.insert(ip("2001:db8::11"), Route::OnLink(ETH0));
            machine.lookups.insert(ip("3ffe::1"), Route::Via(ip(gateway), ETH0));
            change(director);
        })
    };
    let setting = "net.ipv6.conf.all.forwarding";
    let what = format!("{setting} is 0, and real servers are masqueraded");
    let assert_fix = |director: &Director, fix: &str| {
        assert_one(director, ["ip-forward", setting, &what, &format!("sysctl -w {fix}{setting}=1")]);
    };
    let keeps = "net.ipv6.conf.eth0.accept_ra=2 ";
    let learning = |director: &mut Director| set_all(director, &[CLOSED, LEARNING]);
    assert_fix(&six("fe80::1", &learning), keeps);
    assert_fix(&six("2001:db8::fe", &learning), "");
    for accept in [0, 2] {
        let other: &'static [_] =
            if accept == 0 { &[CLOSED] } else { &[CLOSED, ("net/ipv6/conf/eth0/accept_ra", 2)] };
        assert_fix(&six("fe80::1", &|director| set_all(director, other)), "");
    }
    // Others learn no route.
    for (is_up, kind) in [(false, LinkKind::Ethernet), (true, LinkKind::Dummy)] {
        let two = six("fe80::1", &|director| {
            set_all(director, &[CLOSED, LEARNING, ("net/ipv6/conf/eth1/accept_ra", 1)]);
            director.machine.links.push(Link {
                index: 3,
                name: "eth1".into(),
                is_up,
                has_carrier: true,
                facts: LinkFacts::default(),
                parent: None,
                kind,
            });
        });
        assert_fix(&two, keeps);
    }
    let open = |director: &mut Director| {
        set_all(
            director,
            &[
                ("net/ipv6/conf/all/forwarding", 1),
                ("net/ipv4/conf/eth0/send_redirects", 1),
                ("net/ipv4/conf/eth0/rp_filter", 1),
            ],
        );
        director.machine.rp_filter_drops = 7;
        director.machine.lookups.remove(&ip("3ffe::1"));
    };
    assert_healthy(&six("fe80::1", &open), "redirects and reverse paths are IPv4's");
}
