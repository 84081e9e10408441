//! Connections that wait for a server, and the findings about them.

use ipvs::Timeouts;

use super::{ETH0, director, found, ip, table, two_servers};
use crate::check::facts::address::Address;
use crate::check::facts::connections::{Count, Expiry, count_rows};
use crate::check::facts::machine::Neighbour;
use crate::check::facts::settings::Settings;
use crate::check::facts::table::Table;
use crate::check::firewall::iptables;
use crate::check::firewall::ruleset::Ruleset;

pub(super) fn expiry() -> Expiry {
    Expiry::new(Timeouts { tcp: 900, tcp_fin: 120, udp: 300 }, None)
}

/// `count` rows of connections to a server, `idle` seconds after the last packet.
pub(super) fn rows(server: &str, state: &str, count: usize, idle: u64) -> String {
    let whole = match state {
        "ESTABLISHED" => 900,
        "FIN_WAIT" | "TIME_WAIT" => 120,
        "LAST_ACK" => 30,
        "CLOSE" => 10,
        _ => 60,
    };
    let row = |port| {
        format!("TCP C0A8010A {port:04X} C0A80164 0050 {server} 0050 {state:<11} {:7}\n", whole - idle)
    };
    (1..=count).map(row).collect()
}

/// The connections in lines of the kernel.
pub(super) fn connections(lines: &str, table: &Table, expiry: Expiry) -> Count {
    const HEADING: &str = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";
    let file = HEADING.to_owned() + lines;
    count_rows(table, expiry, ipvs::Connections::from_reader(file.as_bytes()).unwrap()).unwrap()
}

pub(super) const RS1: &str = "C0A8010B";
pub(super) const RS2: &str = "C0A8010C";
const WITHOUT_RS1: &str = "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 0";

#[test]
fn connections_that_wait_in_vain_are_told_from_those_that_begin() {
    let look =
        |server| format!("ssh {server} ipvsadm --check -r 192.168.1.100 -g --port 80 --director 192.168.1.1");
    for (lines, expected) in [
        (rows(RS1, "SYN_RECV", 3, 3), vec![WITHOUT_RS1.to_owned()]),
        (rows(RS1, "SYN_RECV", 2, 3), vec![]),
        (rows(RS1, "SYN_RECV", 30, 0), vec![]),
        (rows(RS1, "SYN_RECV", 3, 3) + &rows(RS1, "ESTABLISHED", 10, 3), vec![]),
        (rows(RS1, "SYN_RECV", 3, 3) + &rows(RS1, "ESTABLISHED", 9, 3), vec![WITHOUT_RS1.to_owned()]),
        (rows(RS1, "SYN_RECV", 3, 2), vec![WITHOUT_RS1.to_owned()]),
        (rows(RS1, "SYN_RECV", 3, 1), vec![]),
        (
            rows(RS1, "SYN_RECV", 3, 3) + &rows(RS2, "SYN_RECV", 3, 3),
            vec![look("192.168.1.11"), look("192.168.1.12")],
        ),
    ] {
        let mut director = director(table("rr", two_servers()));
        director.connections = connections(&lines, &director.table, expiry());
        let expected: Vec<_> = expected.into_iter().map(|fix| ("syn-recv", fix)).collect();
        assert_eq!(found(&director), expected, "{lines}");
        // If the cause is known, its effect is not reported.
        let silent = |address| Neighbour {
            address: ip(address),
            link: ETH0,
            is_silent: true,
            has_answered: false,
            ethernet: None,
        };
        director.machine.neighbours = Vec::from(["192.168.1.11", "192.168.1.12"].map(silent)).into();
        assert!(found(&director).iter().all(|(id, _)| *id == "server-silent"));
    }
}

#[test]
fn a_server_that_answers_again_is_left_alone() {
    let stuck = rows(RS1, "SYN_RECV", 4, 20);
    for (since, is_mended) in [
        (String::new(), false),
        (rows(RS1, "ESTABLISHED", 1, 5), true),
        (rows(RS1, "FIN_WAIT", 1, 5), true),
        (rows(RS1, "TIME_WAIT", 1, 5), true),
        (rows(RS1, "LAST_ACK", 1, 5), true),
        // Accepted before it stopped answering, refused, or by another server.
        (rows(RS1, "ESTABLISHED", 4, 20), false),
        (rows(RS1, "FIN_WAIT", 4, 30), false),
        (rows(RS1, "CLOSE", 4, 5), false),
        (rows(RS2, "ESTABLISHED", 4, 5), false),
        // One that is still in use, while new ones wait.
        (rows(RS1, "ESTABLISHED", 1, 0) + &rows(RS1, "SYN_RECV", 1, 0), false),
        (rows(RS1, "ESTABLISHED", 1, 0) + &rows(RS1, "SYN_RECV", 1, 3), true),
        (rows(RS1, "ESTABLISHED", 1, 4) + &rows(RS1, "SYN_RECV", 1, 3), false),
        (rows(RS1, "ESTABLISHED", 9, 0) + &rows(RS1, "SYN_RECV", 2, 0), true),
    ] {
        let mut director = director(table("rr", two_servers()));
        let lines = stuck.clone() + &since;
        director.connections = connections(&lines, &director.table, expiry());
        let expected = if is_mended { vec![] } else { vec![("syn-recv", WITHOUT_RS1.to_owned())] };
        assert_eq!(found(&director), expected, "{lines}");
    }
}

#[test]
fn ages_follow_from_the_timeouts_in_effect() {
    let now = |state: &str, left: u64| {
        format!("TCP C0A8010A 1234 C0A80164 0050 C0A8010B 0050 {state:<11} {left:7}\n")
    };
    let stuck = |left| now("SYN_RECV", left).repeat(3);
    let set = |tcp, tcp_fin, secure| Expiry::new(Timeouts { tcp, tcp_fin, udp: 300 }, secure);
    for (lines, expiry, is_found) in [
        (stuck(50), set(900, 120, None), true),
        // Under attack the kernel drops them after 10 s.
        (stuck(9), set(900, 120, Some(0)), true),
        (stuck(9), set(900, 120, Some(2)), false),
        (stuck(9), set(900, 120, Some(3)), false),
        (stuck(7), set(900, 120, Some(3)), true),
        (stuck(50) + &now("ESTABLISHED", 850), set(900, 120, None), true),
        (stuck(50) + &now("ESTABLISHED", 850), set(855, 120, None), false),
        (stuck(50) + &now("FIN_WAIT", 100), set(900, 120, None), true),
        (stuck(50) + &now("FIN_WAIT", 100), set(900, 100, None), false),
        // It was set while they existed.
        (stuck(50) + &now("ESTABLISHED", 850), set(1, 120, None), false),
    ] {
        let mut director = director(table("rr", two_servers()));
        director.connections = connections(&lines, &director.table, expiry);
        assert_eq!(!found(&director).is_empty(), is_found, "{lines} {expiry:?}");
    }
}

#[test]
fn the_directors_own_filter_comes_first_where_no_server_answers() {
    let one = rows(RS1, "SYN_RECV", 3, 3);
    let both = one.clone() + &rows(RS2, "SYN_RECV", 3, 3);
    for (lines, first) in [
        (one, ("syn-recv", WITHOUT_RS1)),
        (both, ("syn-recv", "iptables -vnL OUTPUT && iptables -vnL FORWARD")),
    ] {
        let mut director = director(table("rr", two_servers()));
        director.connections = connections(&lines, &director.table, expiry());
        let printed = "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp -j DROP\nCOMMIT\n";
        director.rules = Ruleset::new(iptables::tables(printed, "iptables", ipvs::Family::V4));
        let found = found(&director);
        assert_eq!((found[0].0, found[0].1.as_str()), first, "{lines}");
        let of_filter = found.iter().filter(|(_, fix)| fix.starts_with("iptables")).count();
        assert_eq!(of_filter, usize::from(found.len() > 1), "{found:?}");
    }
}

#[test]
fn a_server_is_told_the_address_of_this_director_that_it_sees() {
    let mut director = director(table("rr", two_servers()));
    let own = |address, prefix| Address { link: ETH0, ..Address::network(ip(address), prefix) };
    director.machine.addresses = vec![
        own("10.0.0.1", 8),
        own("192.168.1.7", 32),
        own("2001:db8::1", 64),
        own("192.168.1.100", 24), // the VIP
        own("192.168.1.1", 24),
        Address { link: 1, ..own("192.168.1.9", 24) },
    ]
    .into();
    let found = director.machine.own_addresses(ip("192.168.1.11"), &[ip("192.168.1.100")].into());
    assert_eq!(found, ["192.168.1.1", "10.0.0.1", "192.168.1.7"].map(ip));
    director.machine.lookups.remove(&ip("192.168.1.11"));
    assert_eq!(
        director.machine.own_addresses(ip("192.168.1.11"), &[].into()),
        Vec::<std::net::IpAddr>::new()
    );
}

#[test]
fn a_look_at_a_server_says_how_it_serves() {
    // Clients beside a masqueraded server have another cause.
    let lines = rows(RS1, "SYN_RECV", 3, 3).replace("C0A8010A", "C0000209");
    let look = |change: fn(&mut super::Director)| {
        let mut director = director(table("rr", vec![two_servers().remove(0)]));
        director.connections = connections(&lines, &director.table, expiry());
        change(&mut director);
        found(&director).remove(0).1
    };
    let masqueraded: fn(&mut super::Director) = |director| {
        director.table[0].1[0].destination.forwarding = ipvs::ForwardingMethod::Masquerade;
    };
    assert_eq!(
        look(masqueraded),
        "ssh 192.168.1.11 ipvsadm --check -r 192.168.1.100 -m --port 80 --director 192.168.1.1"
    );
    // Which of two addresses is the gateway of its servers?
    let shared: fn(&mut super::Director) = |director| {
        director.table[0].1[0].destination.forwarding = ipvs::ForwardingMethod::Masquerade;
        director.machine.addresses.push(Address { link: ETH0, ..Address::network(ip("192.168.1.254"), 24) });
    };
    assert_eq!(look(shared), "ssh 192.168.1.11 ipvsadm --check -r 192.168.1.100 -m --port 80");
    let tunnelled: fn(&mut super::Director) = |director| {
        director.table[0].1[0].destination.forwarding = ipvs::ForwardingMethod::Tunnel(ipvs::Tunnel::Ipip);
    };
    assert_eq!(
        look(tunnelled),
        "ssh 192.168.1.11 ipvsadm --check -r 192.168.1.100 -i --port 80 --director 192.168.1.1"
    );
}

#[test]
fn clients_beside_a_server_are_told_from_a_server_that_fails() {
    const NEAR: &str = "C0A8010A";
    const FAR: &str = "C0000209";
    let of = |client: &str, server, state, age| rows(server, state, 3, age).replacen(NEAR, client, 3);
    let stuck = of(NEAR, RS1, "SYN_RECV", 20);
    let own = |state| super::Connection {
        local: "192.168.1.1:40000".parse().unwrap(),
        remote: "192.168.1.11:80".parse().unwrap(),
        state,
    };
    for (lines, health, expected) in [
        (stuck.clone(), None, "client-beside"),
        (stuck.clone(), Some(super::TcpState::Closed), "client-beside"),
        (stuck.clone(), Some(super::TcpState::Opening), "syn-recv"),
        (stuck.clone() + &of(FAR, RS1, "ESTABLISHED", 10), None, "client-beside"),
        (stuck.clone() + &of(FAR, RS1, "SYN_RECV", 10), None, "syn-recv"),
        (stuck.clone() + &of(NEAR, RS2, "FIN_WAIT", 10), None, "syn-recv"),
        (stuck.clone() + &of(NEAR, RS2, "FIN_WAIT", 40), None, "client-beside"),
    ] {
        let mut director = director(table("rr", two_servers()));
        for server in &mut director.table[0].1 {
            server.destination.forwarding = ipvs::ForwardingMethod::Masquerade;
        }
        director.connections = connections(&lines, &director.table, expiry());
        director.machine.connections = health.into_iter().map(own).collect();
        let found: Vec<_> = director.findings().into_iter().map(|it| (it.id, it.what)).collect();
        assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [expected], "{lines}");
    }
    // It answers the director, and no client from elsewhere.
    let mut director = director(table("rr", two_servers()));
    director.table[0].1[0].destination.forwarding = ipvs::ForwardingMethod::Masquerade;
    director.connections = connections(&of(FAR, RS1, "SYN_RECV", 20), &director.table, expiry());
    director.machine.connections = vec![own(super::TcpState::Closed)];
    let what = "3 of 3 connections are in SYN_RECV, the newest for 20 s; it answers this director itself, so its answers to \
                clients probably take another gateway";
    assert_eq!(director.findings()[0].what, what);
}

#[test]
fn a_server_is_not_suspected_where_the_cause_is_known_or_it_is_out() {
    const CLOSED: &[(&str, u32)] = &[("net/ipv4/ip_forward", 0), ("net/ipv4/conf/eth0/forwarding", 0)];
    for (forwarding, ids) in [
        (ipvs::ForwardingMethod::DirectRouting, vec!["syn-recv"]),
        (ipvs::ForwardingMethod::Masquerade, vec!["ip-forward"]),
    ] {
        let mut director = director(table("rr", vec![two_servers().remove(0)]));
        director.table[0].1[0].destination.forwarding = forwarding;
        director.connections = connections(&rows(RS1, "SYN_RECV", 3, 3), &director.table, expiry());
        super::gallery::set_all(&mut director, CLOSED);
        let found: Vec<_> = found(&director).into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, ids, "{forwarding:?}");
        director.table[0].1[0].destination.weight = 0;
        assert!(director.findings().iter().all(|finding| finding.id != "syn-recv"));
    }
}

#[test]
fn connections_of_servers_that_are_gone_are_counted() {
    let row = |protocol: &str, client_port: &str, port: &str, server: &str, state: &str| {
        format!("{protocol} C0A8010A {client_port} C0A80164 {port} {server} 0050 {state:<11}     800\n")
    };
    let gone = "C0A8010D";
    let what = "1 connection to a server that is no longer in the table";
    for (row, is_found) in [
        (row("TCP", "1234", "0050", gone, "ESTABLISHED"), true),
        (row("TCP", "1234", "0050", RS1, "ESTABLISHED"), false), // it exists
        (row("TCP", "1234", "0050", gone, "FIN_WAIT"), false),
        (row("TCP", "0000", "0050", gone, "ESTABLISHED"), false), // a template
        (row("TCP", "1234", "0051", gone, "ESTABLISHED"), false), // no service
        (row("UDP", "1234", "0050", gone, "UDP"), false),
        (row("ICMP", "1234", "0050", gone, "ESTABLISHED"), false),
    ] {
        for setting in [0, 1] {
            let mut director = director(table("rr", two_servers()));
            director.connections = connections(&row, &director.table, expiry());
            director.machine.settings = Settings::from_iter([("net/ipv4/vs/expire_nodest_conn", setting)]);
            let found: Vec<_> =
                director.findings().into_iter().map(|finding| (finding.id, finding.what)).collect();
            let expected = vec![("expire-nodest-conn", what.to_owned())];
            assert_eq!(found, if is_found && setting == 0 { expected } else { vec![] }, "{row}");
        }
    }
}

#[test]
fn a_service_of_all_ports_has_the_connections_of_each() {
    for (port, is_found) in [(0, true), (80, false)] {
        let mut director = director(table("rr", two_servers()));
        director.table[0].0.service.id = ipvs::ServiceId::tcp(ip("192.168.1.100"), port);
        let lines = rows(RS1, "SYN_RECV", 3, 3).replace(" 0050 C0A8010B 0050 ", " 0051 C0A8010B 0051 ");
        director.connections = connections(&lines, &director.table, expiry());
        assert_eq!(found(&director).len(), usize::from(is_found), "{port}");
    }
}

#[test]
fn a_connection_belongs_to_the_only_mark_that_has_its_server() {
    let mark = |number| ipvs::ServiceId::Fwmark {
        mark: std::num::NonZeroU32::new(number).unwrap(),
        family: ipvs::Family::V4,
    };
    for (marks, port, is_found) in
        [(&[7][..], 0, true), (&[7], 80, true), (&[7], 81, false), (&[7, 8], 0, false), (&[], 80, false)]
    {
        let mut director = director(Table::new());
        director.rules.is_whole = false; // whether a rule sets the marks
        for number in marks {
            let mut of_mark = table("rr", two_servers());
            of_mark[0].0.service.id = mark(*number);
            of_mark[0].1.iter_mut().for_each(|server| server.destination.id.port = port);
            director.table.extend(of_mark);
        }
        director.connections = connections(&rows(RS1, "SYN_RECV", 3, 3), &director.table, expiry());
        let fix = format!("ipvsadm -e -f 7 -r 192.168.1.11:{port} -g -w 0");
        assert_eq!(
            found(&director),
            Vec::from_iter(is_found.then_some(("syn-recv", fix))),
            "{marks:?} {port}"
        );
    }
}

#[test]
fn a_trouble_of_one_client_is_its_own() {
    let of = |client: &str, lines: String| lines.replace("C0A8010A", client);
    let stuck = rows(RS1, "SYN_RECV", 4, 20);
    for (lines, is_found) in [
        (stuck.clone(), true),
        (stuck.clone() + &of("C0A80114", rows(RS1, "ESTABLISHED", 1, 30)), false),
        (
            stuck.clone() + &of("C0A80114", rows(RS1, "SYN_RECV", 1, 20) + &rows(RS1, "ESTABLISHED", 1, 30)),
            true,
        ),
        (stuck.clone() + &rows(RS1, "ESTABLISHED", 1, 30), true),
        (stuck.clone() + &of("C0A80114", rows(RS2, "ESTABLISHED", 1, 30)), true),
    ] {
        let mut director = director(table("rr", two_servers()));
        director.connections = connections(&lines, &director.table, expiry());
        assert_eq!(!found(&director).is_empty(), is_found, "{lines}");
    }
}

#[test]
fn a_gateway_may_be_the_server_itself() {
    for (lines, is_found) in [
        (String::new(), true),
        (rows(RS1, "SYN_RECV", 1, 1), true),
        (rows(RS1, "ESTABLISHED", 2, 5), false),
        (rows(RS1, "ESTABLISHED", 2, 5) + &rows(RS1, "SYN_RECV", 1, 0), true),
        (rows(RS2, "ESTABLISHED", 2, 5), true),
    ] {
        let mut director = director(table("rr", two_servers()));
        director.machine.lookups.insert(ip("192.168.1.11"), super::Route::Via(ip("192.168.1.13"), ETH0));
        director.connections = connections(&lines, &director.table, expiry());
        assert_eq!(!found(&director).is_empty(), is_found, "{lines}");
    }
}
