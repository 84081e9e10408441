//! Every finding on a real server, to the letter; and beside each, similar but healthy conditions.

use super::super::finding::Finding;
use super::server_findings as findings;
use super::{ETH0, by_ends, ip, link, machine, no_rules, own};
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind, Listener, Machine};
use crate::check::facts::routes::RoutingTables;
use crate::command::{Method, RealServer};
use ipvs::Protocol;

pub(super) const VIP: &str = "192.168.1.100";
pub(super) const LO: u32 = 1;
pub(super) const ETH1: u32 = 3;
pub(super) const TUNL0: u32 = 4;

/// A healthy real server, and its role.
pub(super) struct Server {
    pub(super) role: RealServer,
    pub(super) machine: Machine,
}

pub(super) fn by(gateway: &str) -> Route {
    Route::Via(ip(gateway), ETH0)
}

/// Settings by the ends of their paths; the first match counts.
pub(super) fn set_all(machine: &mut Machine, settings: &[(&'static str, u32)]) {
    machine.settings = by_ends(machine, settings);
}

/// 192.168.1.11 on eth0, with the VIP on lo, or on a tunnel; the director is 192.168.1.1, the router 192.168.1.254.
pub(super) fn server(method: Method) -> Server {
    let mut machine = machine();
    let mut gateway = "192.168.1.254";
    machine.addresses = vec![own("127.0.0.1", 8, LO), own("192.168.1.11", 24, ETH0)].into();
    machine.lookups.insert(ip("192.168.1.1"), Route::OnLink(ETH0));
    match method {
        Method::DirectRouting => machine.addresses.push(own(VIP, 32, LO)),
        Method::Tunnel => {
            machine.links.push(link(TUNL0, "tunl0", LinkKind::Tunnel));
            machine.addresses.push(own(VIP, 32, TUNL0));
        }
        Method::Masquerade => {
            gateway = "192.168.1.1";
            machine.lookups.insert(ip(VIP), Route::OnLink(ETH0));
        }
    }
    machine.lookups.insert(ip("240.0.0.1"), by(gateway));
    machine.routes.answers = vec![by(gateway)];
    machine.listeners = vec![Listener { address: ip("0.0.0.0"), port: 80, is_tcp: true, is_v6only: false }];
    set_all(&mut machine, &[("eth0/arp_ignore", 1), ("eth0/arp_announce", 2)]);
    let role = RealServer {
        vip: ip(VIP),
        method,
        director: Some(ip("192.168.1.1")),
        port: Some(80),
        protocol: None,
        tunnel: None,
    };
    Server { role, machine }
}

pub(super) fn found(method: Method, change: impl FnOnce(&mut Server)) -> Vec<Finding> {
    let mut server = server(method);
    change(&mut server);
    findings(&server.role, &server.machine, &no_rules())
}

pub(super) fn assert_one(found: &[Finding], expected: [&str; 4]) {
    let [finding] = found else { panic!("{expected:?}: {found:?}") };
    assert_eq!([finding.id, &finding.at, &finding.what, &finding.fix.to_string()], expected);
    assert!(finding.why.split(' ').count() > 3, "{}", finding.why);
}

/// Changes that leave a server healthy.
pub(super) type Twins<'a> = &'a [(&'a str, fn(&mut Server))];

pub(super) fn assert_healthy(method: Method, twins: Twins) {
    for (twin, change) in twins {
        assert_eq!(found(method, change), vec![], "{method:?}: {twin}");
    }
}

#[test]
fn healthy_servers_give_nothing() {
    for method in [Method::DirectRouting, Method::Tunnel, Method::Masquerade] {
        assert_healthy(
            method,
            &[
                ("as it is", |_| {}),
                ("no director is given", |server| server.role.director = None),
                ("no port is given", |server| (server.role.port, server.machine.listeners) = (None, vec![])),
            ],
        );
    }
}

#[test]
fn arp() {
    const NAMED: &[(&str, u32)] = &[("all/arp_ignore", 1), ("all/arp_announce", 1), ("eth0/arp_announce", 0)];
    const LOUD: &[(&str, u32)] = &[("eth0/arp_ignore", 3), ("all/arp_ignore", 1), ("eth0/arp_announce", 2)];
    assert_one(
        &found(Method::DirectRouting, |server| set_all(&mut server.machine, LOUD)),
        [
            "arp-ignore",
            "eth0",
            "arp_ignore is 3 on eth0, the higher of its own and that of all",
            "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.eth0.arp_ignore=1",
        ],
    );
    assert_one(
        &found(Method::DirectRouting, |server| set_all(&mut server.machine, NAMED)),
        [
            "arp-announce",
            "eth0",
            "arp_announce is 1 on eth0, the higher of its own and that of all",
            "sysctl -w net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.eth0.arp_announce=2",
        ],
    );
    assert_healthy(
        Method::DirectRouting,
        &[
            ("2 keeps quiet", |server| {
                set_all(&mut server.machine, &[("arp_ignore", 2), ("arp_announce", 2)]);
            }),
            ("8 keeps quiet", |server| {
                set_all(&mut server.machine, &[("arp_ignore", 8), ("arp_announce", 2)]);
            }),
            ("an interface that is elsewhere", |server| {
                server.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
                server.machine.addresses.push(own("10.0.0.1", 24, ETH1));
            }),
            ("an interface that is down", |server| {
                server.machine.links.push(Link { is_up: false, ..link(ETH1, "eth1", LinkKind::Ethernet) });
                server.machine.addresses.push(own("192.168.1.12", 24, ETH1));
            }),
            ("the director behind a tunnel", |server| {
                server.machine.links.push(link(ETH1, "wg0", LinkKind::Dummy));
                server.machine.lookups.insert(ip("192.168.1.1"), Route::OnLink(ETH1));
            }),
            ("an interface that nobody is behind", |server| {
                server.machine.links.push(link(ETH1, "dummy0", LinkKind::Dummy));
                server.machine.addresses.push(own("192.168.1.12", 24, ETH1));
            }),
        ],
    );
    let loud = |server: &mut Server| set_all(&mut server.machine, &[]);
    assert_eq!(found(Method::Masquerade, loud), vec![], "a masqueraded server has no VIP");
    let elsewhere = |server: &mut Server| {
        loud(server);
        server.machine.addresses.retain(|own| own.link != ETH0);
        server.machine.addresses.push(own("198.51.100.11", 24, ETH0));
    };
    assert_eq!(found(Method::Tunnel, elsewhere), vec![], "behind a tunnel nobody asks");
    assert_eq!(found(Method::Tunnel, loud).len(), 2, "but in the VIP's network");
}

#[test]
fn arp_where_the_address_is_asked_for() {
    const LOUD: &[(&str, u32)] = &[("eth0/arp_ignore", 1), ("eth1/arp_ignore", 0), ("arp_announce", 2)];
    let two = |server: &mut Server| {
        set_all(&mut server.machine, LOUD);
        server.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
    };
    let holders = |change: fn(&mut Server)| {
        let found = found(Method::DirectRouting, |server| {
            two(server);
            change(server);
        });
        found.into_iter().map(|finding| finding.at).collect::<Vec<_>>()
    };
    assert_eq!(holders(|_| {}), Vec::<String>::new());
    let in_network = holders(|server| server.machine.addresses.push(own("192.168.1.12", 24, ETH1)));
    assert_eq!(in_network, ["eth1"]);
    let to_director = holders(|server| {
        server.machine.lookups.insert(ip("192.168.1.1"), Route::OnLink(ETH1));
    });
    assert_eq!(to_director, ["eth1"]);
    let by_default = |server: &mut Server| {
        server.machine.addresses.retain(|own| own.link != ETH0);
        server.machine.lookups.insert(ip("240.0.0.1"), Route::Via(ip("10.0.0.254"), ETH1));
    };
    let mut server = server(Method::DirectRouting);
    two(&mut server);
    by_default(&mut server);
    assert_eq!(findings(&server.role, &server.machine, &no_rules()), vec![], "the director is behind eth0");
    server.role.director = None;
    assert_eq!(findings(&server.role, &server.machine, &no_rules())[0].at, "eth1");
}

#[test]
fn tunnels() {
    const STRICT: &[(&str, u32)] = &[("tunl0/rp_filter", 1), ("arp_ignore", 1), ("arp_announce", 2)];
    let four = |change: fn(&mut Machine)| {
        found(Method::Tunnel, |server| {
            server.machine.addresses.last_mut().unwrap().link = LO;
            change(&mut server.machine);
        })
    };
    let down = ["tunnel-down", "tunl0", "no tunnel is up on this server"];
    let up = "ip link set dev tunl0 up";
    let load = format!("modprobe ipip && {up}");
    let none = four(|machine| machine.links.retain(|link| link.kind != LinkKind::Tunnel));
    assert_one(&none, [down[0], down[1], down[2], &load]);
    let is_down = four(|machine| machine.links[2].is_up = false);
    assert_one(&is_down, [down[0], down[1], down[2], up]);
    let six = found(Method::Tunnel, |server| {
        server.role = RealServer { vip: ip("2001:db8::100"), director: None, port: None, ..server.role };
        server.machine.lookups.insert(ip("2001:db8::100"), Route::Local);
        server.machine.links[2].is_up = false;
    });
    assert_one(&six, [down[0], "ip6tnl0", down[2], "modprobe ip6_tunnel && ip link set dev ip6tnl0 up"]);
    let without = found(Method::DirectRouting, |server| server.machine.links[0].is_up = true);
    assert_eq!(without, vec![], "direct routing needs none");

    let strict = ["tunnel-rp-filter", "tunl0", "rp_filter is strict on tunl0"];
    let loose = "sysctl -w net.ipv4.conf.tunl0.rp_filter=2";
    assert_one(&four(|machine| set_all(machine, STRICT)), [strict[0], strict[1], strict[2], loose]);
    let off = "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0";
    let lost = four(|machine| {
        set_all(machine, STRICT);
        machine.lookups.remove(&ip("240.0.0.1"));
    });
    assert_one(&lost, [strict[0], strict[1], strict[2], off]);
    let six = found(Method::Tunnel, |server| {
        server.role = RealServer { vip: ip("2001:db8::100"), director: None, port: None, ..server.role };
        server.machine.lookups.insert(ip("2001:db8::100"), Route::Local);
        set_all(&mut server.machine, STRICT);
    });
    assert_eq!(six, vec![], "IPv6 has no such filter");
    let twins: [fn(&mut Machine); 3] = [
        |machine| set_all(machine, &[("all/rp_filter", 2), STRICT[0], STRICT[1], STRICT[2]]),
        |machine| set_all(machine, &[("rp_filter", 0), STRICT[1], STRICT[2]]),
        |machine| {
            machine.links.push(Link { is_up: false, ..link(7, "tunl7", LinkKind::Tunnel) });
            set_all(machine, &[("tunl7/rp_filter", 1), STRICT[1], STRICT[2]]);
        },
    ];
    for twin in twins {
        assert_eq!(four(twin), vec![]);
    }
}

#[test]
fn filters() {
    const STRICT: &[(&str, u32)] = &[("eth0/rp_filter", 1), ("arp_ignore", 1), ("arp_announce", 2)];
    fn rp_filter_drops(server: &mut Server) {
        server.machine.links.push(link(ETH1, "eth1", LinkKind::Ethernet));
        server.machine.lookups.insert(ip("240.0.0.1"), Route::Via(ip("10.0.0.254"), ETH1));
        server.machine.rp_filter_drops = 3;
        set_all(&mut server.machine, STRICT);
    }
    let what = "rp_filter has dropped 3 packets; the default route leaves by another interface than eth0";
    let fix = "sysctl -w net.ipv4.conf.eth0.rp_filter=2";
    for method in [Method::DirectRouting, Method::Tunnel] {
        assert_one(&found(method, rp_filter_drops), ["rp-filter", "eth0", what, fix]);
    }
    assert_eq!(
        found(Method::Masquerade, rp_filter_drops).iter().filter(|one| one.id == "rp-filter").count(),
        0
    );
    assert_healthy(
        Method::DirectRouting,
        &[
            ("nothing was dropped", |server| {
                rp_filter_drops(server);
                server.machine.rp_filter_drops = 0;
            }),
            ("answers go back", |server| {
                rp_filter_drops(server);
                server.machine.lookups.insert(ip("240.0.0.1"), by("192.168.1.254"));
            }),
            ("loose", |server| {
                rp_filter_drops(server);
                set_all(&mut server.machine, &[("rp_filter", 2), STRICT[1], STRICT[2]]);
            }),
        ],
    );
}

#[test]
fn listeners_of_another_kind() {
    let listen = |protocol, listener: Listener, setting: u32| {
        found(Method::DirectRouting, |server| {
            server.role.protocol = protocol;
            server.machine.listeners = vec![listener];
            set_all(&mut server.machine, &[("arp_ignore", 1), ("arp_announce", 2), ("bindv6only", setting)]);
        })
    };
    let all = |address, is_tcp, is_v6only| Listener { address: ip(address), port: 80, is_tcp, is_v6only };
    let id = ["no-listener", "80"];
    let of = |what: &str| format!("nothing listens on port 80 of 192.168.1.100, only {what}");
    let restart = "systemctl restart SERVICE";
    // TCP is usual on this port: the director's service is mistyped.
    let change = "ssh 192.168.1.1 'ipvsadm -S -n | sed -n '\\''s/ -u 192\\.168\\.1\\.100:80 / -t 192.168.1.100:80 /p'\\'' | ipvsadm -R && \
                  ipvsadm -D -u 192.168.1.100:80'";
    for (protocol, is_tcp, what, fix) in
        [(Protocol::Udp, true, "with TCP", change), (Protocol::Tcp, false, "with UDP", restart)]
    {
        let other = listen(Some(protocol), all("0.0.0.0", is_tcp, false), 0);
        assert_one(&other, [id[0], id[1], &of(what), fix]);
        assert_eq!(listen(Some(protocol), all("0.0.0.0", !is_tcp, false), 0), vec![]);
    }
    let v6only = of("on :: without IPv4 (IPV6_V6ONLY)");
    assert_one(&listen(None, all("::", true, true), 0), [id[0], id[1], &v6only, restart]);
    let both = format!("sysctl -w net.ipv6.bindv6only=0 && {restart}");
    assert_one(&listen(None, all("::", true, true), 1), [id[0], id[1], &v6only, &both]);
    assert_eq!(listen(None, all("::", true, false), 1), vec![]);
}

#[test]
fn listeners() {
    let listen = |method, address: &str, port, is_tcp| {
        found(method, |server| {
            server.machine.listeners =
                vec![Listener { address: ip(address), port, is_tcp, is_v6only: false }];
        })
    };
    let at = ["no-listener", "80"];
    let fix = "systemctl restart SERVICE";
    let nobody = "nothing listens on port 80 of 192.168.1.100";
    let other_port = "nothing listens on port 80 of 192.168.1.100, but on port 8080";
    let elsewhere = "nothing listens on port 80 of 192.168.1.100, only on 192.168.1.11";
    let loopback = "nothing listens on port 80 of 192.168.1.100, only on 127.0.0.1";
    let redirect = |to: &str| {
        format!(
            "iptables -t nat -A PREROUTING -d 192.168.1.100 -p tcp --dport 80 -j DNAT --to-destination {to}"
        )
    };
    for method in [Method::DirectRouting, Method::Tunnel] {
        assert_one(&listen(method, "0.0.0.0", 8080, false), [at[0], at[1], nobody, fix]);
        assert_one(&listen(method, "0.0.0.0", 22, true), [at[0], at[1], nobody, fix]);
        let to_port = redirect("192.168.1.100:8080");
        assert_one(&listen(method, "0.0.0.0", 8080, true), [at[0], at[1], other_port, &to_port]);
        let to_own = redirect("192.168.1.11:80");
        assert_one(&listen(method, "192.168.1.11", 80, true), [at[0], at[1], elsewhere, &to_own]);
        assert_one(&listen(method, "127.0.0.1", 80, true), [at[0], at[1], loopback, fix]);
        for address in ["0.0.0.0", "::", VIP] {
            for is_tcp in [true, false] {
                assert_eq!(listen(method, address, 80, is_tcp), vec![], "{address}");
            }
        }
    }
    let nobody = "nothing listens on port 80 of this server";
    assert_one(&listen(Method::Masquerade, "0.0.0.0", 8080, false), [at[0], at[1], nobody, fix]);
    let of_own = redirect("192.168.1.11:8080").replace("-d 192.168.1.100", "-d 192.168.1.11");
    let other_port = &format!("{nobody}, but on port 8080");
    assert_one(&listen(Method::Masquerade, "0.0.0.0", 8080, true), [at[0], at[1], other_port, &of_own]);
    for (address, is_served) in [
        ("127.0.0.1", false),
        ("2001:db8::11", false),
        (VIP, false),
        ("192.168.1.11", true),
        ("0.0.0.0", true),
        ("::", true),
    ] {
        let found = found(Method::Masquerade, |server| {
            server.machine.addresses.push(own("2001:db8::11", 64, ETH0));
            server.machine.listeners =
                vec![Listener { address: ip(address), port: 80, is_tcp: true, is_v6only: false }];
        });
        assert_eq!(found.is_empty(), is_served, "{address}");
    }
}

#[test]
fn what_keeps_a_server_quiet_comes_first() {
    let found = found(Method::DirectRouting, |server| {
        server.machine.addresses.retain(|own| own.address != ip(VIP));
        server.machine.lookups.insert(ip(VIP), Route::OnLink(ETH0));
        server.machine.listeners.clear();
        server.machine.routes =
            RoutingTables { answers: vec![by("192.168.1.1")], ..RoutingTables::default() };
        set_all(&mut server.machine, &[]);
    });
    let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
    assert_eq!(
        ids,
        ["arp-ignore", "arp-announce", "server-vip-missing", "gateway-is-director", "no-listener"]
    );
}
