//! Servers with problems, and what is printed about them.

use ipvs::{DestinationEntry, ForwardingMethod, ServiceId};

use super::{ETH0, by_ends, director, found, ip, server, table, two_servers, web};
use crate::check::director::Director;
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Connection, Listener, Neighbour, TcpState};
use crate::check::facts::neighbours::silent_hops;

const OUT_1: &str = "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 0";
const IN_1: &str = "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 1";
const IN_2: &str = "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12:80 -g -w 1";
const ROUTE: &str = "ip route replace 192.168.1.11/32 dev eth0";
const PING_1: &str = "ping -c 1 -W 1 192.168.1.11; ip neigh";

fn silent(director: &mut Director, addresses: &[&str]) {
    let neighbour = |address: &&str| Neighbour {
        address: ip(address),
        link: ETH0,
        is_silent: true,
        has_answered: false,
        ethernet: None,
    };
    director.machine.neighbours = addresses.iter().map(neighbour).collect::<Vec<_>>().into();
}

fn fixes(director: &Director) -> Vec<String> {
    found(director).into_iter().map(|(_, fix)| fix).collect()
}

#[test]
fn a_server_behind_a_gateway_may_be_mistyped() {
    let mut director =
        director(table("rr", vec![server("198.51.100.11", 80, ForwardingMethod::DirectRouting)]));
    director.machine.lookups.insert(ip("198.51.100.11"), Route::Via(ip("192.168.1.254"), ETH0));
    let finding = &director.findings()[0];
    assert_eq!(finding.id, "server-behind-gateway");
    assert_eq!(finding.fix.to_string(), "ipvsadm -e -t 192.168.1.100:80 -r 198.51.100.11:80 -g -w 0");
    assert!(
        finding
            .what
            .ends_with("if the address is right, use a tunnel (-i), which the server must decapsulate")
    );
    // In a network of the director's a wrong route is the cause.
    let mut director = super::director(table("rr", two_servers()));
    director.machine.lookups.insert(ip("192.168.1.11"), Route::Via(ip("192.168.1.254"), ETH0));
    let finding = &director.findings()[0];
    assert_eq!(finding.fix.to_string(), "ip route replace 192.168.1.11/32 dev eth0");
    assert!(!finding.what.contains("tunnel"), "{}", finding.what);
    // Not if the user may be logged in through it.
    director.machine.listeners =
        vec![Listener { address: ip("0.0.0.0"), port: 22, is_tcp: true, is_v6only: false }];
    for (local, remote, state, fix) in [
        ("192.168.1.1:22", "192.168.1.12:4000", TcpState::Established, ROUTE),
        ("192.168.1.1:22", "192.168.1.11:4000", TcpState::Established, OUT_1),
        ("192.168.1.1:22", "192.168.1.11:4000", TcpState::Closed, ROUTE),
        ("192.168.1.1:4000", "192.168.1.11:80", TcpState::Established, ROUTE), // a connection to the server itself
    ] {
        director.machine.connections =
            vec![Connection { local: local.parse().unwrap(), remote: remote.parse().unwrap(), state }];
        assert_eq!(fixes(&director), [fix], "{local} {remote} {state:?}");
    }
    let check = Connection {
        local: "192.168.1.1:4000".parse().unwrap(),
        remote: "192.168.1.11:80".parse().unwrap(),
        state: TcpState::Established,
    };
    let login = Connection { local: "192.168.1.1:22".parse().unwrap(), ..check };
    director.machine.connections = vec![check, login];
    assert_eq!(fixes(&director), [OUT_1]);
    // With other forwarding methods, gateways are no problem.
    for forwarding in [ForwardingMethod::Masquerade, ForwardingMethod::Tunnel(ipvs::Tunnel::Ipip)] {
        director.table[0].1[0].destination.forwarding = forwarding;
        assert_eq!(found(&director), vec![], "{forwarding:?}");
    }
}

#[test]
fn a_silent_server_is_taken_out_where_another_serves() {
    let mut director = director(table("rr", two_servers()));
    silent(&mut director, &["192.168.1.11"]);
    assert_eq!(fixes(&director), [OUT_1]);
    // The last one may recover by itself.
    silent(&mut director, &["192.168.1.11", "192.168.1.12"]);
    assert_eq!(fixes(&director), [PING_1, "ping -c 1 -W 1 192.168.1.12; ip neigh"]);
    silent(&mut director, &["192.168.1.11"]);
    director.table[0].1[1].destination.weight = 0;
    assert_eq!(fixes(&director), [PING_1]);
    // The weight to restore is shown.
    for (weight, end) in [(1, "(ip neigh)"), (5, "(ip neigh); its weight is 5")] {
        director.table[0].1[0].destination.weight = weight;
        let finding = &director.findings()[0];
        assert!(finding.what.ends_with(end), "{}", finding.what);
    }
    // Without weight, it is no problem.
    director.table[0].1[0].destination.weight = 0;
    director.table[0].1[1].destination.weight = 1;
    assert_eq!(found(&director), vec![]);
}

#[test]
fn servers_without_a_way_are_taken_out() {
    let mut director = director(table("rr", two_servers()));
    director.machine.lookups.remove(&ip("192.168.1.12"));
    assert_eq!(
        found(&director),
        [("server-unreachable", "ip route replace 192.168.1.12/32 dev eth0".to_owned())]
    );
    director.table[0].1.push(server("10.9.9.9", 80, ForwardingMethod::Masquerade));
    let fix = "ipvsadm -e -t 192.168.1.100:80 -r 10.9.9.9:80 -m -w 0";
    assert_eq!(fixes(&director)[1], fix);
    // This director itself.
    director.table[0].1.truncate(1);
    director.machine.lookups.insert(ip("192.168.1.11"), Route::Local);
    assert_eq!(found(&director), [("server-is-director", OUT_1.to_owned())]);
}

#[test]
fn only_servers_that_can_serve_get_a_weight_again() {
    let all_out =
        |servers: &mut [DestinationEntry]| servers.iter_mut().for_each(|entry| entry.destination.weight = 0);
    let mut servers = two_servers();
    all_out(&mut servers);
    let mut director = director(table("rr", servers));
    assert_eq!(fixes(&director), [format!("{IN_1} && {IN_2}")]);
    let second = director.table[0].1[1].destination.id;
    director.weights.insert((director.table[0].0.service.id, second), 5);
    assert_eq!(
        fixes(&director),
        [format!("{IN_1} && {}", IN_2.replace("-w 1", "-w 5"))],
        "its earlier weight"
    );
    director.weights.clear();
    silent(&mut director, &["192.168.1.11"]);
    assert_eq!(fixes(&director), [IN_2]);
    silent(&mut director, &["192.168.1.11", "192.168.1.12"]);
    assert_eq!(fixes(&director), [PING_1]);
    let what = "all real servers have weight 0, and 192.168.1.11 does not answer on eth0 (ip neigh)";
    assert_eq!(director.findings()[0].what, what);
    director.machine.lookups.remove(&ip("192.168.1.11"));
    assert_eq!(fixes(&director), ["ip route get 192.168.1.11"]);
    // The supervisor found the servers unhealthy.
    silent(&mut director, &[]);
    director.supervisors.fill_table = Some("ldirectord");
    assert_eq!(fixes(&director), ["journalctl -n 20 -u ldirectord"]);
    director.table[0].1[1].destination.weight = 1;
    assert_eq!(found(&director), vec![]);
}

#[test]
fn servers_of_another_port_are_taken_for_a_service_without_any() {
    let mut director = director(table("rr", two_servers()));
    for (id, fix) in [
        (
            ServiceId::tcp(ip("192.168.1.100"), 443),
            "ipvsadm -a -t 192.168.1.100:443 -r 192.168.1.11:443 -g -w 1 && \
             ipvsadm -a -t 192.168.1.100:443 -r 192.168.1.12:443 -g -w 1",
        ),
        (ServiceId::udp(ip("192.168.1.100"), 53), "ipvsadm -a -u 192.168.1.100:53 -r SERVER -g -w 1"),
        (ServiceId::tcp(ip("192.168.1.1"), 80), "ipvsadm -a -t 192.168.1.1:80 -r SERVER -g -w 1"),
    ] {
        director.table.truncate(1);
        director.table.extend(table("rr", vec![]));
        director.table[1].0.service.id = id;
        director.machine.lookups.insert(ip("192.168.1.1"), Route::Local);
        assert_eq!(found(&director), [("no-server", fix.to_owned())]);
    }
    director.supervisors.fill_table = Some("keepalived");
    assert_eq!(fixes(&director), ["journalctl -n 20 -u keepalived"]);
    director.table.truncate(1);
    assert_eq!((found(&director), director.table[0].0.service.id), (vec![], web()));
}

#[test]
fn who_listens_here_is_judged_as_far_as_it_can_be() {
    let mark = ServiceId::fwmark(7, ipvs::Family::V4).unwrap();
    let sctp = ServiceId::Address { protocol: ipvs::Protocol::Sctp, address: ip("192.168.1.100"), port: 80 };
    for (id, is_tcp, is_served) in [
        (ServiceId::udp(ip("192.168.1.100"), 53), false, true),
        (ServiceId::udp(ip("192.168.1.100"), 53), true, false),
        (web(), true, true),
        (web(), false, false),
        // Any port, or a protocol that this tool does not see.
        (ServiceId::tcp(ip("192.168.1.100"), 0), false, true),
        (sctp, false, true),
        (mark, false, true),
    ] {
        let mut director = director(table("rr", two_servers()));
        director.table[0].0.service.id = id;
        director.rules.is_whole = false; // whether a rule sets the mark
        director.machine.lookups.insert(ip("192.168.1.11"), Route::Local);
        director.machine.listeners = vec![80, 53]
            .into_iter()
            .map(|port| Listener { address: ip("192.168.1.100"), port, is_tcp, is_v6only: false })
            .collect();
        assert_eq!(found(&director).is_empty(), is_served, "{id}");
    }
}

#[test]
fn silent_neighbours_are_asked_again_where_their_servers_are_judged() {
    let [first, second] = ["192.168.1.11", "192.168.1.12"];
    let mut director = director(table("rr", two_servers()));
    silent(&mut director, &[first, second, "192.168.1.99"]);
    for (weights, probed) in [
        ([1, 1], vec![first, second]),
        ([1, 0], vec![first]),
        ([0, 1], vec![second]),
        ([0, 0], vec![first, second]),
    ] {
        for (entry, weight) in director.table[0].1.iter_mut().zip(weights) {
            entry.destination.weight = weight;
        }
        let expected = probed.into_iter().map(|address| (ip(address), ETH0)).collect();
        assert_eq!(silent_hops(&director.machine, &director.table), expected, "{weights:?}");
    }
    silent(&mut director, &[]);
    assert!(silent_hops(&director.machine, &director.table).is_empty());
}

#[test]
fn a_supervisor_decides_about_servers_itself() {
    let mut director = director(table("rr", two_servers()));
    director.supervisors.fill_table = Some("keepalived");
    director.table[0].1[1].destination.weight = 3;
    director.machine.lookups.remove(&ip("192.168.1.11"));
    director.machine.addresses.retain(|own| own.prefix != 24);
    let shown: Vec<_> =
        director.findings().into_iter().map(|it| (it.id, it.what, it.fix.to_string())).collect();
    let [(weights, what, change), (unreachable, _, log)] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!((*weights, change.as_str()), ("weights-ignored", "ipvsadm -E -t 192.168.1.100:80 -s wrr"));
    assert!(what.ends_with("; keepalived fills the table, so change its configuration, too"), "{what}");
    assert_eq!((*unreachable, log.as_str()), ("server-unreachable", "journalctl -n 20 -u keepalived"));
}

#[test]
fn the_services_of_kubernetes_are_as_they_should_be() {
    let of = |supervisor: &'static str, change: fn(&mut Director)| {
        let mut director = director(table("rr", two_servers()));
        director.supervisors.fill_table = Some(supervisor);
        change(&mut director);
        found(&director).into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    let cases: [super::gallery::Twin<Director>; 3] = [
        ("no-server", |director| director.table[0].1.clear()),
        ("all-weights-zero", |director| {
            director.table[0].1.iter_mut().for_each(|entry| entry.destination.weight = 0);
        }),
        ("vip-on-loopback", |director| {
            let kind = crate::check::facts::machine::LinkKind::Dummy;
            let mut dummy = director.machine.links[1].clone();
            (dummy.index, dummy.name, dummy.kind) = (9, "kube-ipvs0".to_owned(), kind);
            director.machine.links.push(dummy);
            let held = |own: &&mut super::Address| own.address == ip("192.168.1.100");
            director.machine.addresses.iter_mut().find(held).unwrap().link = 9;
            director.machine.settings = by_ends(&director.machine, &[("arp_ignore", 1)]);
        }),
    ];
    for (id, change) in cases {
        assert_eq!(of("keepalived-like", change), [id]);
        assert_eq!(of("kube-proxy", change), Vec::<&str>::new(), "{id}");
    }
}
