//! The ways of answers to clients that wait, and what was mistyped.

use ipvs::{ForwardingMethod, ServiceId};

use super::{ETH0, director, found, ip, server, table, two_servers};
use crate::check::facts::address::Address;
use crate::check::facts::machine::{Link, LinkFacts, LinkKind, Neighbour};
use crate::check::facts::question::{Refusal, Way};
use crate::check::facts::routes::{RouteEntry, RouteEntryKind};
use crate::check::facts::settings::Settings;
use crate::check::facts::ways::ClientWay;

const ETH1: u32 = 3;
const VIPS: u32 = 4;

fn route(to: &str, prefix: u8, gateway: Option<&str>, link: Option<u32>, kind: RouteEntryKind) -> RouteEntry {
    RouteEntry {
        to: ip(to),
        prefix,
        link,
        gateway: gateway.map(ip),
        source: None,
        metric: None,
        table: 254,
        kind,
        is_automatic: false,
        is_onlink: false,
        mtu: None,
        hops: Vec::new(),
    }
}

#[test]
fn answers_that_go_astray_are_given_a_way() {
    let leaves = |gateway: Option<&str>, link| Way::Leaves { gateway: gateway.map(ip), link, table: 254 };
    let home = || leaves(Some("192.168.1.254"), ETH0);
    let blackhole = route("192.0.2.0", 24, None, None, RouteEntryKind::Other);
    let known = route("0.0.0.0", 0, Some("192.168.1.254"), Some(ETH0), RouteEntryKind::Unicast);
    let by = |gateway: &str| {
        format!(
            "ip route replace default via {gateway} dev eth0 table 100 && ip rule add from 192.168.1.100 lookup 100 && \
             ip rule add from 192.168.1.100 lookup main suppress_prefixlength 0"
        )
    };
    let astray = "no-way-to-clients";
    for (way, unrouted, routes, reroutes, answers, expected) in [
        (home(), home(), vec![], 1, 9, None),
        // The other uplink may do, unless clients get none of the answers.
        (leaves(Some("10.9.9.9"), ETH1), home(), vec![], 1, 0, None),
        (leaves(Some("10.9.9.9"), ETH1), home(), vec![], 1, 9, Some((astray, by("GATEWAY")))),
        (leaves(Some("10.9.9.9"), ETH1), home(), vec![known], 1, 9, Some((astray, by("192.168.1.254")))),
        (leaves(Some("10.9.9.7"), ETH1), home(), vec![], 1, 0, Some((astray, by("GATEWAY")))),
        (leaves(None, VIPS), home(), vec![], 1, 0, Some((astray, by("GATEWAY")))),
        (
            Way::Refused(Refusal::NoRoute),
            home(),
            vec![],
            1,
            0,
            Some((astray, "ip route replace default via GATEWAY dev eth0".to_owned())),
        ),
        (
            Way::Refused(Refusal::Invalid),
            home(),
            vec![blackhole],
            1,
            0,
            Some((astray, "ip route del 192.0.2.0/24".to_owned())),
        ),
        (
            home(),
            leaves(Some("10.9.9.9"), ETH1),
            vec![],
            0,
            0,
            Some(("snat-reroute", "sysctl -w net.ipv4.vs.snat_reroute=1".to_owned())),
        ),
        (home(), leaves(Some("10.9.9.9"), ETH1), vec![], 1, 0, None),
    ] {
        let mut masqueraded = server("192.168.1.11", 80, ForwardingMethod::Masquerade);
        masqueraded.stats.total.out_packets = answers;
        let mut director = director(table("rr", vec![masqueraded]));
        for (index, name, kind) in [(ETH1, "eth1", LinkKind::Ethernet), (VIPS, "vips", LinkKind::Dummy)] {
            let (name, facts) = (name.to_owned(), LinkFacts::default());
            director.machine.links.push(Link {
                index,
                name,
                is_up: true,
                has_carrier: true,
                parent: None,
                kind,
                facts,
            });
        }
        director.machine.neighbours.push(Neighbour {
            address: ip("10.9.9.7"),
            link: ETH1,
            is_silent: true,
            has_answered: false,
            ethernet: None,
        });
        director.machine.settings = Settings::from_iter([("net/ipv4/vs/snat_reroute".to_owned(), reroutes)]);
        director.ways = vec![ClientWay {
            service: director.table[0].0.service.id,
            server: masqueraded.destination.id,
            client: ip("192.0.2.10"),
            vip: ip("192.168.1.100"),
            way,
            unrouted,
            routes,
        }];
        assert_eq!(found(&director), Vec::from_iter(expected), "{way:?} {unrouted:?} {answers}");
    }
}

#[test]
fn a_service_with_another_address_than_the_director_is_mistyped() {
    let own = |address: &str| Address { link: ETH0, ..Address::network(ip(address), 32) };
    let take = "ping -c 1 -W 1 192.168.1.110 || ! ipvsadm --check --nobody-has 192.168.1.110%eth0 || \
                ip addr replace 192.168.1.110/32 dev eth0";
    let again = "ipvsadm -A -t 192.168.1.100:80 -s rr && ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 1 && \
                 ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.12:80 -g -w 1 && ipvsadm -D -t 192.168.1.110:80";
    for (more, is_used, fix) in [
        (vec![], false, again),
        // Another service has it, or it is not clear which is meant.
        (vec![], true, take),
        (vec![own("192.168.1.101")], false, take),
    ] {
        let mut director = director(table("rr", two_servers()));
        director.table[0].0.service.id = ServiceId::tcp(ip("192.168.1.110"), 80);
        director.machine.addresses.extend(more);
        director
            .machine
            .lookups
            .insert(ip("192.168.1.110"), crate::check::facts::address::Route::OnLink(ETH0));
        if is_used {
            director.table.extend(table("rr", two_servers()));
        }
        assert_eq!(found(&director), [("vip-missing", fix.to_owned())]);
    }
}
