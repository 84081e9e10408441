//! Like `real_servers.rs`, for the routes of their answers.

use super::addresses::route;
use super::real_servers::{LO, Server, VIP, assert_healthy, assert_one, by, found, server};
use super::{ETH0, ip, own};
use crate::check::facts::address::Route;
use crate::check::facts::answers::sources;
use crate::check::facts::machine::{Connection, Listener, Neighbour, TcpState};
use crate::check::facts::routes::{Hop, RouteEntry, RoutingRule};
use crate::command::Method;

fn neighbour(address: &str, ethernet: Option<[u8; 6]>) -> Neighbour {
    Neighbour { address: ip(address), link: ETH0, is_silent: false, has_answered: true, ethernet }
}

#[test]
fn answers_are_from_an_address_that_is_there() {
    let sources = |method, change: fn(&mut Server)| {
        let mut server = server(method);
        change(&mut server);
        sources(&server.role, &server.machine)
    };
    for method in [Method::DirectRouting, Method::Tunnel] {
        assert_eq!(sources(method, |_| {}), [Some(ip(VIP))]);
        let without = |server: &mut Server| server.machine.addresses.retain(|own| own.address != ip(VIP));
        assert_eq!(sources(method, without), [None]);
    }
    assert_eq!(sources(Method::Masquerade, |_| {}), [Some(ip("192.168.1.11"))]);
}

#[test]
fn a_missing_default_route_matters_where_clients_were_dropped() {
    let without = |server: &mut Server| server.machine.routes.answers = vec![Route::Unreachable];
    let what = "there is no default route, and this server has dropped 2 connections of clients because no route leads to \
                them (nstat -az TcpExtListenDrops)";
    for method in [Method::DirectRouting, Method::Tunnel] {
        let found = found(method, |server| {
            without(server);
            server.machine.without_route = 2;
        });
        assert_one(&found, ["no-way-back", "default route", what, "ip route replace default via GATEWAY"]);
        assert_healthy(
            method,
            &[
                ("no client of another network came", |server| {
                    server.machine.routes.answers = vec![Route::Unreachable];
                }),
                ("there is a route since", |server| server.machine.without_route = 2),
            ],
        );
    }
}

/// Answers are spread over gateways, of which the first is taken where it was looked up.
fn spread(server: &mut Server, gateways: &[&str]) {
    let hop = |gateway: &&str| Hop { gateway: Some(ip(gateway)), link: ETH0, weight: 1, is_onlink: false };
    server.machine.routes.answers = vec![by(gateways[0])];
    let hops = gateways.iter().map(hop).collect();
    server.machine.routes.all = vec![RouteEntry { link: None, hops, ..route("0.0.0.0", 0) }];
}

#[test]
fn answers_that_are_spread_over_gateways() {
    let silent = |server: &mut Server, gateway| {
        let silent = Neighbour { is_silent: true, has_answered: false, ..neighbour(gateway, None) };
        server.machine.neighbours.push(silent);
    };
    for silent_one in ["192.168.1.253", "192.168.1.254"] {
        let other = if silent_one.ends_with('3') { "192.168.1.254" } else { "192.168.1.253" };
        let what = format!("of 2 gateways, {silent_one} does not answer on eth0 (ip neigh)");
        let fix = format!("ip route replace default via {other} dev eth0");
        let found = found(Method::DirectRouting, |server| {
            spread(server, &["192.168.1.254", "192.168.1.253"]);
            silent(server, silent_one);
        });
        assert_one(&found, ["no-way-back", "default route", &what, &fix]);
    }
    let steered = "ip route replace default via 192.168.1.254 dev eth0 table 100 && \
        ip rule add from 192.168.1.100 lookup 100 && \
        ip rule add from 192.168.1.100 lookup main suppress_prefixlength 0";
    let what = "one of the gateways of the default route is the director, 192.168.1.1";
    for gateways in [["192.168.1.1", "192.168.1.254"], ["192.168.1.254", "192.168.1.1"]] {
        let found = found(Method::DirectRouting, |server| spread(server, &gateways));
        assert_one(&found, ["gateway-is-director", "default route", what, steered]);
        let found = super::real_servers::found(Method::Masquerade, |server| spread(server, &gateways));
        let what = "the default route has other gateways than the director, 192.168.1.1";
        assert_eq!(
            found.iter().map(|it| (it.id, it.what.as_str())).collect::<Vec<_>>(),
            [("gateway-not-director", what)]
        );
    }
    assert_healthy(
        Method::DirectRouting,
        &[
            ("both answer", |server| spread(server, &["192.168.1.254", "192.168.1.253"])),
            ("with IPv6 the kernel leaves out the silent one", |server| {
                spread(server, &["fe80::1", "fe80::2"]);
                server.machine.routes.all[0].to = ip("::");
                let one = neighbour("fe80::2", None);
                server.machine.neighbours.push(Neighbour { is_silent: true, has_answered: false, ..one });
            }),
            ("the kernel leaves out the silent one", |server| {
                spread(server, &["192.168.1.254", "192.168.1.253"]);
                let one = neighbour("192.168.1.253", None);
                server.machine.neighbours.push(Neighbour { is_silent: true, has_answered: false, ..one });
                let set = [("fib_multipath_use_neigh", 1), ("arp_ignore", 1), ("arp_announce", 2)];
                super::real_servers::set_all(&mut server.machine, &set);
            }),
        ],
    );
}

#[test]
fn answers_past_the_director() {
    let by_director = |server: &mut Server| server.machine.routes.answers = vec![by("192.168.1.1")];
    let fix = "ip route replace default via GATEWAY dev eth0 table 100 && \
        ip rule add from 192.168.1.100 lookup 100 && \
        ip rule add from 192.168.1.100 lookup main suppress_prefixlength 0";
    let what = "the default route is via the director, 192.168.1.1";
    for method in [Method::DirectRouting, Method::Tunnel] {
        assert_one(&found(method, by_director), ["gateway-is-director", "default route", what, fix]);
        assert_healthy(
            method,
            &[
                ("by mark it is another", |server| {
                    server.machine.routes.answers = vec![by("192.168.1.1"), by("192.168.1.254")];
                }),
                ("there is no way", |server| server.machine.routes.answers = vec![Route::Unreachable]),
                ("clients are neighbours", |server| {
                    server.machine.routes.answers = vec![Route::OnLink(ETH0)];
                }),
            ],
        );
    }
    assert_one(
        &found(Method::DirectRouting, |server| {
            by_director(server);
            let used = RoutingRule { mark: None, port: None, table: 100 };
            server.machine.routes.rules = vec![used];
            server.machine.routes.all = vec![RouteEntry { table: 101, ..route("10.0.0.0", 8) }];
        }),
        [
            "gateway-is-director",
            "default route",
            what,
            &fix.replace("100 ", "102 ").replace("1.102 ", "1.100 "),
        ],
    );
    // The same machine has another address.
    for (router, director, is_same_machine) in [
        (Some([2, 0, 0, 0, 0, 1]), Some([2, 0, 0, 0, 0, 1]), true),
        (Some([2, 0, 0, 0, 0, 2]), Some([2, 0, 0, 0, 0, 1]), false),
        (None, None, false),
    ] {
        let found = found(Method::DirectRouting, |server| {
            server.machine.neighbours =
                vec![neighbour("192.168.1.254", router), neighbour("192.168.1.1", director)].into();
        });
        assert_eq!(found.len(), usize::from(is_same_machine), "{found:?}");
    }
}

fn by_router(server: &mut Server) {
    server.machine.lookups.insert(ip("240.0.0.1"), by("192.168.1.254"));
    server.machine.routes.answers = vec![by("192.168.1.254")];
}

const NOT_DIRECTOR: [&str; 4] = [
    "gateway-not-director",
    "default route",
    "the default route is not via the director, 192.168.1.1",
    "ip route replace default via 192.168.1.1 dev eth0 table 100 && ip rule add from 192.168.1.11 sport 80 lookup 100",
];

#[test]
fn answers_from_each_address_of_the_servers() {
    let [id, at, what, rule] = NOT_DIRECTOR;
    // All addresses next to the director are rewritten, and no others.
    let two = found(Method::Masquerade, |server| {
        by_router(server);
        let more = [own("192.168.1.12", 24, ETH0), own("10.0.0.11", 24, ETH0), own("192.168.1.13", 24, LO)];
        server.machine.addresses.extend(more);
    });
    assert_one(&two, [id, at, what, &format!("{rule} && ip rule add from 192.168.1.12 sport 80 lookup 100")]);
    let far = found(Method::Masquerade, |server| {
        by_router(server);
        server.machine.addresses[1] = own("10.0.0.11", 24, ETH0);
        server.machine.lookups.insert(ip("192.168.1.1"), by("10.0.0.1"));
    });
    let farther = "ip route replace default via 10.0.0.1 dev eth0 table 100 && \
        ip rule add from 10.0.0.11 sport 80 lookup 100";
    assert_one(&far, [id, at, what, farther]);
}

#[test]
fn answers_by_the_director() {
    let [id, at, what, rule] = NOT_DIRECTOR;
    assert_one(&found(Method::Masquerade, by_router), [id, at, what, rule]);
    let portless = found(Method::Masquerade, |server| {
        by_router(server);
        server.role.port = None;
    });
    assert_one(&portless, [id, at, what, &rule.replace("80", "PORT")]);
    // There is no other route to keep.
    let none = found(Method::Masquerade, |server| {
        server.machine.lookups.remove(&ip("240.0.0.1"));
        server.machine.routes.answers = vec![Route::Unreachable];
    });
    assert_one(&none, [id, at, what, "ip route replace default via 192.168.1.1 dev eth0"]);
    let stray = found(Method::Masquerade, |server| {
        server.machine.lookups.remove(&ip("192.168.1.1"));
    });
    let lost = "there is no route to the director, 192.168.1.1; it has an address next to this server";
    assert_one(&stray, [id, at, lost, "ip route replace default via DIRECTOR"]);
    assert_healthy(
        Method::Masquerade,
        &[
            ("by a rule", |server| {
                server.machine.lookups.insert(ip("240.0.0.1"), by("192.168.1.254"));
            }),
            ("by mark", |server| {
                server.machine.routes.answers = vec![by("192.168.1.254"), by("192.168.1.1")];
            }),
            ("by another address of the director's", |server| {
                let same = Some([2, 0, 0, 0, 0, 1]);
                server.machine.neighbours =
                    vec![neighbour("192.168.1.254", same), neighbour("192.168.1.1", same)].into();
                server.machine.routes.answers = vec![by("192.168.1.254")];
            }),
            ("the director is behind a gateway", |server| {
                server.machine.lookups.insert(ip("192.168.1.1"), by("10.0.0.1"));
                server.machine.routes.answers = vec![by("10.0.0.1")];
            }),
            ("it is the director", |server| {
                server.machine.lookups.insert(ip("192.168.1.1"), Route::Local);
            }),
            ("no address of its own", |server| {
                server.machine.addresses.truncate(1);
                server.machine.routes.answers = vec![];
                server.role.port = None;
            }),
        ],
    );
}

#[test]
fn answers_to_the_director_itself() {
    let connected = |connections: &[(&str, &str, TcpState)], port| {
        found(Method::Masquerade, |server| {
            server.machine.routes.answers = vec![by("192.168.1.254")];
            server.role.port = port;
            server.machine.listeners.push(Listener {
                address: ip("0.0.0.0"),
                port: 22,
                is_tcp: true,
                is_v6only: false,
            });
            server.machine.connections = connections
                .iter()
                .map(|(local, remote, state)| Connection {
                    local: local.parse().unwrap(),
                    remote: remote.parse().unwrap(),
                    state: *state,
                })
                .collect();
        })
        .is_empty()
    };
    let (web, ssh) = ("192.168.1.11:80", "192.168.1.11:22");
    let director = |state| (web, "192.168.1.1:4000", state);
    for port in [Some(80), None] {
        assert!(connected(&[director(TcpState::Established)], port));
        assert!(connected(&[director(TcpState::Closed), (web, "192.168.1.1:4001", TcpState::Opening)], port));
        assert!(
            connected(&[(web, "192.168.1.100:4000", TcpState::Closed)], port),
            "the VIP is the director's, too"
        );
        assert!(
            connected(&[director(TcpState::Closed), (web, "192.168.1.7:4000", TcpState::Closed)], port),
            "a neighbour"
        );
        assert!(connected(
            &[director(TcpState::Closed), (ssh, "192.0.2.10:4000", TcpState::Established)],
            port
        ));
        assert!(!connected(&[], port));
        assert!(!connected(&[director(TcpState::Opening)], port), "the director never got an answer");
        assert!(
            !connected(&[(ssh, "192.168.1.1:4000", TcpState::Established)], port),
            "somebody is logged in"
        );
        assert!(!connected(&[(web, "192.168.1.7:4000", TcpState::Established)], port), "a neighbour alone");
        for state in [TcpState::Opening, TcpState::Closed] {
            let client = (web, "192.0.2.10:4000", state);
            assert!(
                !connected(&[director(TcpState::Closed), client], port),
                "the director only looks after it"
            );
        }
    }
    let other = ("192.168.1.11:8080", "192.168.1.1:4000", TcpState::Established);
    assert!(!connected(&[other], Some(80)), "another port");
    assert!(!connected(&[other], None), "nobody listens there: the server has called");
}
