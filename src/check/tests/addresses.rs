//! Like `real_servers.rs`, for the VIP and what is moved with it.

use super::real_servers::{ETH1, LO, Server, VIP, assert_healthy, assert_one, found, set_all};
use super::{ETH0, ip, link, own};
use crate::check::facts::address::{Address, Route};
use crate::check::facts::machine::{Connection, LinkKind, TcpState};
use crate::check::facts::routes::{Hop, RouteEntry, RouteEntryKind};
use crate::command::{Method, RealServer};

pub(super) fn route(to: &str, prefix: u8) -> RouteEntry {
    RouteEntry {
        to: ip(to),
        prefix,
        link: Some(ETH0),
        gateway: None,
        source: None,
        metric: None,
        table: 254,
        kind: RouteEntryKind::Unicast,
        is_automatic: false,
        is_onlink: false,
        mtu: None,
        hops: Vec::new(),
    }
}

fn without(server: &mut Server) {
    server.machine.addresses.retain(|own| own.address != ip(VIP));
    server.machine.lookups.insert(ip(VIP), Route::OnLink(ETH0));
}

const MISSING: [&str; 4] = [
    "server-vip-missing",
    VIP,
    "192.168.1.100 is not on this server",
    "ip addr replace 192.168.1.100/32 dev lo",
];

#[test]
fn connections_from_the_address_stay() {
    let connected = |remote: &'static str, state| {
        move |server: &mut Server| {
            without(server);
            let local = "192.168.1.11:22".parse().unwrap();
            server.machine.connections.push(Connection { local, remote: remote.parse().unwrap(), state });
        }
    };
    for (remote, state) in [
        ("192.168.1.100:4000", TcpState::Closed),
        ("192.168.1.100:4000", TcpState::Opening),
        ("192.168.1.1:4000", TcpState::Established),
    ] {
        assert_one(&found(Method::DirectRouting, connected(remote, state)), MISSING);
    }
    let what = "192.168.1.100 is not on this server, and the director's own connections use it as source: they would be cut";
    let on_director = "'ip addr replace 192.168.1.100/32 dev INTERFACE && \
         sysctl -w net.ipv4.conf.all.promote_secondaries=1 && ip addr del 192.168.1.100/PREFIX dev INTERFACE'";
    for (director, host) in [(Some(ip("192.168.1.1")), "192.168.1.1"), (None, "DIRECTOR")] {
        let found = found(Method::DirectRouting, |server| {
            connected("192.168.1.100:4000", TcpState::Established)(server);
            server.role.director = director;
        });
        assert_one(&found, [MISSING[0], VIP, what, &format!("ssh {host} {on_director}")]);
    }
}

#[test]
fn addresses() {
    assert_one(&found(Method::DirectRouting, without), MISSING);
    let on_tunnel = "ip addr replace 192.168.1.100/32 dev tunl0";
    assert_one(&found(Method::Tunnel, without), [MISSING[0], MISSING[1], MISSING[2], on_tunnel]);
    // A tunnel for another method does not count, nor does one that is down.
    let down = found(Method::Tunnel, |server| {
        without(server);
        server.machine.links.last_mut().unwrap().is_up = false;
    });
    assert_eq!((down[0].id, down[0].fix.to_string().as_str()), (MISSING[0], MISSING[3]));
    let other = found(Method::DirectRouting, |server| {
        without(server);
        server.machine.links.push(link(ETH1, "tunl0", LinkKind::Tunnel));
    });
    assert_one(&other, MISSING);

    let masked = |server: &mut Server| {
        server.machine.addresses.retain(|own| own.address != ip(VIP));
        server.machine.addresses.push(own(VIP, 24, LO));
    };
    assert_one(
        &found(Method::DirectRouting, masked),
        [
            "server-vip-mask",
            VIP,
            "192.168.1.100 is on lo with the mask /24, not /32",
            "ip addr replace 192.168.1.100/32 dev lo && ip addr del 192.168.1.100/24 dev lo",
        ],
    );
    // Its network is to be removed.
    let with_network = found(Method::DirectRouting, |server| {
        masked(server);
        server.machine.routes.all =
            vec![RouteEntry { link: Some(LO), is_automatic: true, ..route("192.168.1.0", 24) }];
    });
    assert_eq!(with_network, found(Method::DirectRouting, masked));
    assert_healthy(
        Method::DirectRouting,
        &[("on a dummy", |server| {
            server.machine.links.push(link(ETH1, "dummy0", LinkKind::Dummy));
            server.machine.addresses.retain(|own| own.address != ip(VIP));
            server.machine.addresses.push(own(VIP, 32, ETH1));
        })],
    );
    assert_healthy(Method::Tunnel, &[("on lo", |server| server.machine.addresses.push(own(VIP, 32, LO)))]);
}

#[test]
fn addresses_on_wires() {
    let on_wire = |prefix| {
        move |server: &mut Server| {
            server.machine.addresses.retain(|own| own.address != ip(VIP));
            server.machine.addresses.push(own(VIP, prefix, ETH0));
        }
    };
    let id = "server-vip-on-wire";
    let what = "192.168.1.100 is on eth0, which is connected to a network";
    let moved = "ip addr replace 192.168.1.100/32 dev lo && ip addr del 192.168.1.100/32 dev eth0";
    assert_one(&found(Method::DirectRouting, on_wire(32)), [id, VIP, what, moved]);
    let to_tunnel = "ip addr replace 192.168.1.100/32 dev tunl0 && ip addr del 192.168.1.100/32 dev eth0";
    assert_one(&found(Method::Tunnel, on_wire(32)), [id, VIP, what, to_tunnel]);
    // The server's own address is on the same interface and in the same network.
    let kept = "ip addr replace 192.168.1.100/32 dev lo && sysctl -w net.ipv4.conf.eth0.promote_secondaries=1 && \
        ip addr del 192.168.1.100/24 dev eth0";
    assert_one(&found(Method::DirectRouting, on_wire(24)), [id, VIP, what, kept]);
    let promoted = found(Method::DirectRouting, |server| {
        on_wire(24)(server);
        set_all(
            &mut server.machine,
            &[("arp_ignore", 1), ("arp_announce", 2), ("all/promote_secondaries", 1)],
        );
    });
    assert_eq!(promoted[0].fix.to_string(), moved.replace("/32 dev eth0", "/24 dev eth0"));

    // There is no other address to log in by.
    let alone = |server: &mut Server| {
        server.machine.addresses = vec![own(VIP, 24, ETH0)].into();
    };
    let first = "192.168.1.100 is on eth0, which is connected to a network, and eth0 has no other address: \
        if this is the VIP, add the server's own first";
    let add = "ip addr replace ADDRESS/24 dev eth0";
    assert_one(&found(Method::DirectRouting, alone), [id, VIP, first, add]);
    for other in [own("127.0.0.1", 8, ETH0), own("2001:db8::1", 64, ETH0), own("192.168.1.11", 32, LO)] {
        let found = found(Method::DirectRouting, |server| {
            alone(server);
            server.machine.addresses.push(other);
        });
        assert_eq!(
            found[0].fix.to_string() == add,
            other.link != ETH0 || other.address.is_ipv6(),
            "{other:?}"
        );
    }
    // The director is reached through another interface.
    let apart = |director: Option<&'static str>| {
        found(Method::DirectRouting, |server| {
            alone(server);
            server.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
            server.machine.addresses.push(own("10.0.0.11", 24, ETH1));
            server.machine.lookups.insert(ip("10.0.0.1"), Route::OnLink(ETH1));
            server.role.director = director.map(ip);
            set_all(&mut server.machine, &[("arp_ignore", 1), ("arp_announce", 2)]);
        })
    };
    let named = moved.replace(" && ", " && ip addr replace 10.0.0.11/32 dev eth0 && ");
    assert_eq!(
        apart(Some("10.0.0.1"))[0].fix.to_string(),
        named.replace("100/32 dev eth0", "100/24 dev eth0")
    );
    assert_eq!(apart(None)[0].fix.to_string(), add);
}

#[test]
fn routes_that_go_with_an_address_are_put_back() {
    let network = RouteEntry { is_automatic: true, source: Some(ip(VIP)), ..route("192.168.1.0", 24) };
    let default = RouteEntry { gateway: Some(ip("192.168.1.254")), ..route("0.0.0.0", 0) };
    let routes = [
        RouteEntry { metric: Some(100), is_onlink: true, table: 7, source: Some(ip(VIP)), ..default.clone() },
        default.clone(),
        network.clone(),
        RouteEntry { kind: RouteEntryKind::Local, ..route(VIP, 32) },
        RouteEntry { kind: RouteEntryKind::Other, ..route("192.168.1.255", 32) },
        RouteEntry { link: Some(ETH1), ..route("10.0.0.0", 24) },
        RouteEntry { is_automatic: true, ..route("2001:db8::", 64) },
    ];
    let fix = |beside: &[Address], routes: &[RouteEntry]| {
        let found = found(Method::DirectRouting, |server| {
            server.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
            server.machine.addresses = vec![own(VIP, 24, ETH0), own("10.0.0.11", 24, ETH1)].into();
            server.machine.addresses.extend(beside);
            server.machine.lookups.insert(ip("192.168.1.1"), Route::OnLink(ETH1));
            server.machine.routes.all = routes.to_vec();
            set_all(
                &mut server.machine,
                &[("arp_ignore", 1), ("arp_announce", 2), ("promote_secondaries", 1)],
            );
        });
        found[0].fix.to_string()
    };
    let moved = "ip addr replace 192.168.1.100/32 dev lo && ip addr del 192.168.1.100/24 dev eth0";
    let put_back = "ip route replace 192.168.1.0/24 dev eth0";
    // ARP requests name an address of the interface as sender, or else the VIP, which other servers have too.
    let named = moved.replace(" && ", " && ip addr replace 10.0.0.11/32 dev eth0 && ");
    let all = format!(
        "{named} && {put_back} && ip route replace default via 192.168.1.254 dev eth0 src 192.168.1.100 metric 100 \
         table 7 onlink && ip route replace default via 192.168.1.254 dev eth0"
    );
    assert_eq!(fix(&[], &routes), all);
    assert_eq!(fix(&[own("2001:db8::11", 64, ETH0)], &routes), all, "IPv4 has its own last address");
    assert_eq!(fix(&[own("172.16.0.1", 24, ETH0)], &routes), format!("{moved} && {put_back}"));
    assert_eq!(fix(&[own("192.168.1.11", 25, ETH0)], &routes), format!("{moved} && {put_back}"));
    assert_eq!(fix(&[own("192.168.1.11", 24, ETH0)], &routes), moved);
    // A route of several gateways leaves by the interface too.
    let hop =
        |gateway: &str, link, weight, is_onlink| Hop { gateway: Some(ip(gateway)), link, weight, is_onlink };
    let spread = RouteEntry {
        link: None,
        gateway: None,
        mtu: Some((1400, true)),
        hops: vec![hop("192.168.1.254", ETH0, 2, false), hop("10.0.0.1", ETH1, 1, true)],
        ..default
    };
    let again = "ip route replace default mtu lock 1400 nexthop via 192.168.1.254 dev eth0 weight 2 \
                 nexthop via 10.0.0.1 dev eth1 weight 1 onlink";
    assert_eq!(fix(&[], &[spread, network.clone()]), format!("{named} && {put_back} && {again}"));
    // Routes to other networks stay, and those that were added manually.
    let others = [
        network,
        RouteEntry { is_automatic: true, ..route("172.16.0.0", 24) },
        RouteEntry { is_automatic: true, ..route("192.168.1.0", 25) },
        RouteEntry { metric: Some(5), ..route("192.168.1.0", 24) },
    ];
    assert_eq!(fix(&[own("172.16.0.1", 24, ETH0)], &others), format!("{moved} && {put_back}"));
}

#[test]
fn addresses_of_ipv6() {
    let six = |place: Address| {
        found(Method::DirectRouting, |server| {
            server.role.vip = ip("2001:db8::100");
            server.role.director = Some(ip("2001:db8::1"));
            server.machine.lookups.insert(ip("2001:db8::1"), Route::OnLink(ETH0));
            server.machine.lookups.insert(ip("2001:db8::100"), Route::Local);
            server.machine.addresses = vec![own("2001:db8::11", 64, ETH0), place].into();
            server.machine.routes.all = vec![RouteEntry { is_automatic: true, ..route("2001:db8::", 64) }];
            server.machine.listeners[0].address = ip("::");
            set_all(&mut server.machine, &[]);
        })
    };
    assert_eq!(six(own("2001:db8::100", 128, LO)), vec![]);
    let to_lo = "ip addr replace 2001:db8::100/128 dev lo nodad preferred_lft 0";
    let off_wire = "ip addr del 2001:db8::100/64 dev eth0";
    assert_eq!(six(own("2001:db8::100", 64, ETH0))[0].fix.to_string(), format!("{to_lo} && {off_wire}"));
    // It is on an interface only once.
    let masked = six(own("2001:db8::100", 64, LO));
    assert_eq!(masked[0].fix.to_string(), format!("ip addr del 2001:db8::100/64 dev lo && {to_lo}"));

    let alone = found(Method::DirectRouting, |server| {
        server.role.vip = ip("2001:db8::100");
        server.machine.lookups.insert(ip("2001:db8::100"), Route::Local);
        server.machine.addresses = vec![own("2001:db8::100", 64, ETH0), own("fe80::1", 64, ETH0)].into();
    });
    assert_eq!(alone[0].fix.to_string(), "ip addr replace ADDRESS/64 dev eth0");
    // With the last IPv6 address of an interface only its own network is removed.
    let last = found(Method::DirectRouting, |server| {
        server.role = RealServer { vip: ip("2001:db8::100"), director: Some(ip("10.0.0.1")), ..server.role };
        server.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
        server.machine.addresses =
            vec![own("2001:db8::100", 64, ETH0), own("2001:db8:1::11", 64, ETH1)].into();
        server.machine.lookups.insert(ip("10.0.0.1"), Route::OnLink(ETH1));
        server.machine.lookups.insert(ip("2001:db8::100"), Route::Local);
        let network = RouteEntry { is_automatic: true, metric: Some(256), ..route("2001:db8::", 64) };
        server.machine.routes.all = vec![route("2001:db8:9::", 64), network];
    });
    let back = "ip -6 route replace 2001:db8::/64 dev eth0 metric 256";
    assert_eq!(last[0].fix.to_string(), format!("{to_lo} && {off_wire} && {back}"));
}
