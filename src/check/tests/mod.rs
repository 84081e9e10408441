//! Conditions that the lab cannot produce, on constructed machines.

use ipvs::ForwardingMethod;

use super::director::Director;
use super::fix::Fix;
use crate::check::facts::address::{Address, Route};
use crate::check::facts::machine::{
    Connection, Link, LinkFacts, LinkKind, Listener, Machine, Neighbour, TcpState, default_route_probe,
};
use crate::check::facts::settings::Settings;
use crate::command::{Method, RealServer};

mod addresses;
mod answers;
mod balance;
mod constructed;
mod forged;
mod gallery;
mod limits;
mod links;
mod real_servers;
mod servers;
mod settings;
mod standby;
mod waiting;
mod ways;

pub(super) use constructed::machine;
use constructed::{
    ETH0, by_ends, director, found, ip, link, no_rules, own, server, server_findings, table, two_servers, web,
};

#[test]
fn schedulers_without_weights_are_known() {
    for (scheduler, fix) in [
        ("rr", Some("wrr")),
        ("lc", Some("wlc")),
        ("wrr", None),
        ("sh", None),
        ("mh", None),
        ("lblc", None),
        ("nosuch", None),
    ] {
        let mut servers = two_servers();
        servers[0].destination.weight = 5;
        let line = fix.map(|name| ("weights-ignored", format!("ipvsadm -E -t 192.168.1.100:80 -s {name}")));
        assert_eq!(found(&director(table(scheduler, servers.clone()))), Vec::from_iter(line), "{scheduler}");
        // A server that is being drained is no difference; by some its clients are refused.
        servers[0].destination.weight = 0;
        let remedy = match scheduler {
            "dh" => Some("ipvsadm --drain -t 192.168.1.100:80 -r 192.168.1.11:80".to_owned()),
            "sh" | "mh" => Some(format!("ipvsadm -E --keep -t 192.168.1.100:80 -b {scheduler}-fallback")),
            _ => None,
        };
        let line = remedy.map(|fix| ("clients-refused", fix));
        assert_eq!(found(&director(table(scheduler, servers.clone()))), Vec::from_iter(line), "{scheduler}");
        // One that is full, too; a way out for dh is more room.
        servers[0].destination = servers[0].destination.with_weight(1).with_upper_threshold(5);
        servers[0].active_connections = 5;
        let ids: Vec<_> = found(&director(table(scheduler, servers))).into_iter().map(|(id, _)| id).collect();
        let both = ["clients-refused", "threshold-reached"];
        assert_eq!(ids, if matches!(scheduler, "sh" | "mh") { &both[..] } else { &both[1..] }, "{scheduler}");
    }
}

#[test]
fn an_address_in_no_network_of_the_directors_is_routed_to_it() {
    let mut director = director(table("rr", two_servers()));
    director.machine.addresses.retain(|own| own.address != ip("192.168.1.100"));
    director.machine.addresses.push(Address { link: 1, ..Address::network(ip("192.168.1.100"), 32) });
    director.machine.settings = by_ends(&director.machine, &[("arp_ignore", 1)]);
    assert_eq!(found(&director)[0].0, "vip-on-loopback");
    director.machine.addresses.retain(|own| own.link != ETH0);
    assert_eq!(found(&director), vec![]);
}

#[test]
fn a_gateway_that_is_silent_is_named() {
    let mut director = director(table("rr", vec![server("10.9.9.9", 80, ForwardingMethod::Masquerade)]));
    director.machine.lookups.insert(ip("10.9.9.9"), Route::Via(ip("192.168.1.254"), ETH0));
    director.machine.neighbours.push(Neighbour {
        address: ip("192.168.1.254"),
        link: ETH0,
        is_silent: true,
        has_answered: false,
        ethernet: None,
    });
    let finding = &director.findings()[0];
    assert_eq!((finding.id, finding.at.as_str()), ("server-silent", "TCP 192.168.1.100:80 -> 10.9.9.9:80"));
    assert_eq!(finding.what, "192.168.1.254 does not answer on eth0 (ip neigh)");
}

#[test]
fn the_directors_own_address_serves_if_somebody_listens() {
    let mut director = director(table("rr", vec![server("192.168.1.1", 8080, ForwardingMethod::Masquerade)]));
    director.machine.lookups.insert(ip("192.168.1.1"), Route::Local);
    let listens =
        |address, port, is_tcp| vec![Listener { address: ip(address), port, is_tcp, is_v6only: false }];
    for (listeners, is_served) in [
        (vec![], false),
        (listens("0.0.0.0", 8080, true), true),
        (listens("::", 8080, true), true),
        (listens("192.168.1.1", 8080, true), true),
        (listens("127.0.0.1", 8080, true), false),
        (listens("0.0.0.0", 8080, false), false),
        (listens("0.0.0.0", 80, true), false),
    ] {
        director.machine.listeners = listeners;
        assert_eq!(found(&director).is_empty(), is_served, "{:?}", director.machine.listeners);
    }
}

#[test]
fn limits_stay_within_what_the_kernel_takes() {
    let mut servers = two_servers();
    servers[0].destination.upper_threshold = 2_000_000_000;
    (servers[0].active_connections, servers[0].inactive_connections) = (u32::MAX, u32::MAX);
    let fix = "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 1 -x 2147483647 -y 0";
    assert_eq!(found(&director(table("rr", servers.clone()))), vec![("threshold-reached", fix.to_owned())]);
    // With one connection, which is below the lower threshold afterwards.
    (servers[0].destination.upper_threshold, servers[0].destination.lower_threshold) = (1, 1);
    (servers[0].active_connections, servers[0].inactive_connections) = (1, 0);
    let fix = "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 1 -x 2 -y 2";
    assert_eq!(found(&director(table("rr", servers))), vec![("threshold-reached", fix.to_owned())]);
}

#[test]
fn settings_of_interfaces_with_dots_are_written_with_slashes() {
    let path = |link: &str| format!("net/ipv4/conf/{link}/rp_filter");
    assert_eq!(
        Fix::set([(path("eth0"), 2), (path("all"), 0)]).to_string(),
        "sysctl -w net.ipv4.conf.eth0.rp_filter=2 net.ipv4.conf.all.rp_filter=0"
    );
    assert_eq!(Fix::set([(path("eth0.7"), 2)]).to_string(), "sysctl -w net/ipv4/conf/eth0.7/rp_filter=2");
}

#[test]
fn networks_span_what_their_prefix_says() {
    for (own, prefix, other, is_inside) in [
        ("192.168.1.1", 24, "192.168.1.254", true),
        ("192.168.1.1", 24, "192.168.2.1", false),
        ("192.168.1.1", 0, "8.8.8.8", true),
        ("192.168.1.1", 32, "192.168.1.1", true),
        ("192.168.1.1", 32, "192.168.1.2", false),
        ("192.168.1.1", 99, "192.168.1.2", false),
        ("2001:db8::1", 64, "2001:db8::ffff", true),
        ("2001:db8::1", 64, "2001:db8:1::1", false),
        ("2001:db8::1", 0, "::1", true),
        ("2001:db8::1", 24, "192.168.1.1", false),
    ] {
        let own = Address { link: ETH0, ..Address::network(ip(own), prefix) };
        assert_eq!(own.spans(ip(other)), is_inside, "{own:?} {other}");
    }
}

#[test]
fn networks_are_behind_interfaces_that_are_up() {
    let mut machine = machine();
    let of = |machine: &Machine, address| machine.on_link(ip(address)).map(|link| link.index);
    assert_eq!((of(&machine, "192.168.1.7"), of(&machine, "10.0.0.7")), (Some(ETH0), None));
    assert_eq!(of(&machine, "127.0.0.7"), None, "nobody is behind lo");
    machine.addresses.retain(|own| own.prefix == 32);
    assert_eq!(of(&machine, "192.168.1.100"), None, "one address is no network");
    let mut machine = self::machine();
    machine.links[1].is_up = false;
    assert_eq!(of(&machine, "192.168.1.7"), None);
}

#[test]
fn a_real_server_asks_the_interface_that_faces_the_director() {
    let mut machine = machine();
    machine.links.push(Link {
        index: 3,
        name: "docker0".into(),
        is_up: true,
        has_carrier: true,
        facts: LinkFacts::default(),
        parent: None,
        kind: LinkKind::Ethernet,
    });
    machine.addresses.push(Address { link: 3, ..Address::network(ip("172.17.0.1"), 16) });
    machine.addresses.retain(|own| own.address != ip("192.168.1.100"));
    machine.settings = Settings::from_iter([
        ("net/ipv4/conf/eth0/arp_ignore", 1),
        ("net/ipv4/conf/eth0/arp_announce", 2),
        ("net/ipv4/conf/eth0/arp_filter", 2),
    ]);
    let mut role = RealServer {
        vip: ip("192.168.1.100"),
        method: Method::DirectRouting,
        director: None,
        port: None,
        protocol: None,
        tunnel: None,
    };
    assert_eq!(server_findings(&role, &machine, &no_rules()), vec![]);
    machine.lookups.insert(ip("192.168.1.2"), Route::OnLink(3));
    role.director = Some(ip("192.168.1.2"));
    let ids: Vec<_> =
        server_findings(&role, &machine, &no_rules()).iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["arp-ignore", "arp-announce"]);
}

#[test]
fn a_director_that_serves_too_keeps_the_address() {
    let mut machine = machine();
    let vip = ip("192.168.1.100");
    assert!(machine.holders(vip).any(|(_, link)| link.name == "eth0"), "it has the VIP");
    let director = ip("192.168.1.1");
    let role = RealServer {
        vip,
        method: Method::DirectRouting,
        director: Some(director),
        port: None,
        protocol: None,
        tunnel: None,
    };
    let ids = |machine: &Machine| -> Vec<&str> {
        server_findings(&role, machine, &no_rules()).iter().map(|finding| finding.id).collect()
    };
    // A prefix on lo that contains the director's address does not make the server a director.
    machine.lookups.insert(director, Route::Local);
    machine.addresses.retain(|own| own.address != director);
    assert!(ids(&machine).contains(&"server-vip-on-wire"));
    machine.addresses.push(Address { link: ETH0, ..Address::network(director, 24) });
    assert_eq!(ids(&machine), Vec::<&str>::new());
}

#[test]
fn an_active_director_is_known_by_its_table() {
    let mut machine = machine();
    let vip = ip("192.168.1.100");
    let role = RealServer {
        vip,
        method: Method::DirectRouting,
        director: None,
        port: None,
        protocol: None,
        tunnel: None,
    };
    let takes_it_away = |machine: &Machine| {
        server_findings(&role, machine, &no_rules()).iter().any(|it| it.id == "server-vip-on-wire")
    };
    assert!(takes_it_away(&machine));
    // What is not known proves nothing.
    machine.scheduled.unknown = Some("its table cannot be read");
    let found = server_findings(&role, &machine, &no_rules());
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!((finding.id, finding.fix.to_string().as_str()), ("server-vip-on-wire", "ipvsadm -L -n"));
    machine.scheduled.addresses.insert(vip);
    assert_eq!(server_findings(&role, &machine, &no_rules()), vec![]);
    machine.scheduled.unknown = None;
    assert!(!takes_it_away(&machine));
}

#[test]
fn without_a_default_route_filters_are_turned_off() {
    let mut machine = machine();
    machine.lookups.remove(&default_route_probe(ip("192.168.1.100")));
    machine.links.push(Link {
        index: 3,
        name: "tunl0".into(),
        is_up: true,
        has_carrier: true,
        facts: LinkFacts::default(),
        parent: None,
        kind: LinkKind::Tunnel,
    });
    machine.settings = by_ends(&machine, &[("/rp_filter", 1)]);
    machine.rp_filter_drops = 5;
    let role = RealServer {
        vip: ip("192.168.1.100"),
        method: Method::Tunnel,
        director: None,
        port: None,
        protocol: None,
        tunnel: None,
    };
    let fixes: Vec<_> = server_findings(&role, &machine, &no_rules())
        .into_iter()
        .map(|finding| (finding.id, finding.fix.to_string()))
        .collect();
    let off =
        |link: &str| format!("sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{link}.rp_filter=0");
    assert!(fixes.contains(&("rp-filter", off("eth0"))), "{fixes:?}");
    assert!(fixes.contains(&("tunnel-rp-filter", off("tunl0"))), "{fixes:?}");
}
