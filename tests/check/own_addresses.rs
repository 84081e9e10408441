//! Addresses that are not what they seem: logins through one of them survive.

use serde_json::Value;

use crate::cluster::{Cluster, Kind};
use crate::logins;
use crate::settles;

/// The fix of the only finding.
fn fix(cluster: &Cluster, options: &str) -> String {
    let (_, json) = cluster.run("rs1", &format!("ipvsadm --check --json {options}"));
    let found: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(found.len(), 1, "{json}");
    found[0]["fix"].as_str().unwrap().to_owned()
}

#[test]
fn a_servers_own_address_taken_for_the_vip_stays() {
    for (kind, options) in [
        (Kind::Routing, "-r 192.168.1.11"),
        (Kind::RoutingBehindRouter, "-r 192.168.1.11 --director 192.168.1.1"),
    ] {
        let mut cluster = Cluster::new(kind);
        let mut logins = logins::open(&mut cluster, "rs1");
        let fix = fix(&cluster, options).replace("ADDRESS", "192.168.1.13");
        cluster.succeed("rs1", &fix);
        logins::assert_open(&mut logins, &fix);
    }
}

#[test]
fn who_comes_from_the_vip_is_not_cut_off() {
    for (kind, as_source, vip, options) in [
        (
            Kind::Routing,
            "ip addr flush dev eth0 && ip addr add 192.168.1.100/24 dev eth0 && ip addr add 192.168.1.1/24 dev eth0",
            "192.168.1.100/32",
            "-r 192.168.1.100 --director 192.168.1.1",
        ),
        (
            Kind::Routing6,
            "ip addr change 2001:db8::100/128 dev eth0 preferred_lft forever valid_lft forever",
            "2001:db8::100/128",
            "-r 2001:db8::100 --director 2001:db8::1",
        ),
    ] {
        let mut cluster = Cluster::new(kind);
        cluster.succeed("director", as_source);
        cluster.succeed("rs1", &format!("ip addr del {vip} dev lo"));
        let mut old = logins::open(&mut cluster, "rs1");
        let line = fix(&cluster, options);
        let on_director = line.replace("PREFIX", "24").replace("INTERFACE", "eth0");
        let (host, command) = on_director.strip_prefix("ssh ").unwrap().split_once(' ').unwrap();
        assert!(options.ends_with(host), "{line}");
        cluster.succeed("director", command.trim_matches('\''));
        logins::assert_open(&mut old, command);
        drop(old);

        let mut new = logins::open(&mut cluster, "rs1");
        let line = fix(&cluster, options);
        cluster.succeed("rs1", &line);
        logins::assert_open(&mut new, &line);
        settles(&cluster, None, "rs1 rs1 rs2 rs2", &line);
    }
}
