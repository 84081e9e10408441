//! A cluster that was just fixed is healthy, whatever the kernel remembers of the fault; and what to examine when no
//! server answers.

use std::process::Command;

use serde_json::Value;

use crate::cluster::{Cluster, Kind};

/// Eight clients at once, with enough time for those that wait.
const CROWD: &str = "for i in 1 2 3 4 5 6 7 8; do get 192.168.1.100 80 1 & done; wait; sleep 3";

fn findings(cluster: &Cluster) -> Vec<(String, String)> {
    let (_, json) = cluster.run("director", "ipvsadm --check --json");
    let found: Vec<Value> = serde_json::from_str(&json).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    found.iter().map(|one| (text(one, "id"), text(one, "fix"))).collect()
}

fn ids(cluster: &Cluster) -> Vec<String> {
    findings(cluster).into_iter().map(|(id, _)| id).collect()
}

#[test]
fn a_server_that_was_just_brought_back_is_left_alone() {
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed("rs1", "ip addr del 192.168.1.100/32 dev lo");
    cluster.succeed("client", CROWD);
    assert_eq!(ids(&cluster), ["syn-recv"]);
    cluster.succeed("rs1", "ip addr add 192.168.1.100/32 dev lo");
    assert_eq!(cluster.fetch(), "rs1 rs1 rs2 rs2");
    let waiting = cluster.succeed("director", "ipvsadm -L -n -c | grep -c SYN_RECV");
    assert_eq!((waiting.as_str(), ids(&cluster)), ("4", vec![]));
}

#[test]
fn a_neighbour_that_was_just_brought_back_is_left_alone() {
    for (kind, hop, address) in [
        (Kind::Routing, "rs1", "192.168.1.11"),
        (Kind::Routing6, "rs1", "2001:db8::11"),
        (Kind::Tunnel, "router", "192.0.2.254"),
    ] {
        let cluster = Cluster::new(kind);
        // The cable, because an interface that is down loses its IPv6 addresses.
        let plug = |state| {
            let cable = format!("{hop}-eth0");
            assert!(Command::new("ip").args(["link", "set", &cable, state]).status().unwrap().success());
        };
        plug("down");
        cluster.succeed("director", "ip neigh flush dev eth0");
        cluster.succeed("client", &format!("get {} 80 4", kind.vip()));
        let found = ids(&cluster);
        assert!(!found.is_empty() && found.iter().all(|id| id == "server-silent"), "{kind:?}: {found:?}");
        plug("up");
        // It may have probed the director meanwhile, which then knows it.
        cluster.succeed("director", &format!("ip neigh replace {address} dev eth0 nud failed"));
        assert_eq!(ids(&cluster), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn the_directors_own_filter_is_shown_where_no_server_answers() {
    let cluster = Cluster::new(Kind::Routing);
    // A rule that might drop nothing; those that certainly do are named.
    cluster.succeed("director", "iptables-legacy -A OUTPUT -p tcp -d 192.168.1.100 --dport 80 -m statistic --mode nth --every 1 --packet 0 -j DROP");
    cluster.succeed("client", CROWD);
    let found = findings(&cluster);
    let [(_, show), servers @ ..] = &found[..] else { panic!("{found:?}") };
    assert!(found.iter().all(|(id, _)| id == "syn-recv"), "{found:?}");
    let shown = cluster.succeed("director", show);
    assert!(shown.contains("DROP") && shown.contains("Chain FORWARD"), "{show}: {shown}");
    // The servers are healthy, and their checks say so.
    assert_eq!(servers.len(), 2);
    for (name, (_, command)) in ["rs1", "rs2"].into_iter().zip(servers) {
        let there = command.split_once(" ipvsadm ").unwrap().1;
        assert_eq!(cluster.run(name, &format!("ipvsadm {there}")), (0, String::new()), "{command}");
    }
}

#[test]
fn the_look_at_a_server_names_its_gateway() {
    let cluster = Cluster::new(Kind::RoutingBehindRouter);
    for server in ["rs1", "rs2"] {
        cluster.succeed(server, "ip route replace default via 192.168.1.1");
    }
    cluster.succeed("client", CROWD);
    let found = findings(&cluster);
    let commands: Vec<&str> = found.iter().map(|(_, command)| command.as_str()).collect();
    for (name, address) in [("rs1", "192.168.1.11"), ("rs2", "192.168.1.12")] {
        let command = commands.iter().find_map(|command| command.strip_prefix(&format!("ssh {address} ")));
        let command = command.unwrap_or_else(|| panic!("{found:?}"));
        let (_, seen) = cluster.run(name, command);
        assert!(seen.contains("gateway-is-director"), "{command}: {seen}");
    }
}

#[test]
fn a_look_sends_questions_for_silent_neighbours_and_nothing_else() {
    const SENT: &str = "awk '/eth0:/ { print $11 }' /proc/net/dev; awk '/^Ip:/ { sent = $11 } END { print sent }' /proc/net/snmp";
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed("director", "sysctl -w net.ipv6.conf.all.disable_ipv6=1");
    let sent_by_look = || {
        let sent = || {
            let text = cluster.succeed("director", SENT);
            text.lines().map(|line| line.parse().unwrap()).collect::<Vec<u64>>()
        };
        let before = sent();
        cluster.run("director", "ipvsadm --check");
        let after = sent();
        (after[0] - before[0], after[1] - before[1])
    };
    cluster.fetch();
    assert_eq!(sent_by_look(), (0, 0));
    cluster.succeed("rs1", "ip link set eth0 down");
    cluster.succeed("director", "ip neigh flush dev eth0");
    cluster.succeed("client", "get 192.168.1.100 80 4; sleep 3");
    let (frames, packets) = sent_by_look();
    assert_eq!(((1..=2).contains(&frames), packets), (true, 0), "{frames} frames");
}
