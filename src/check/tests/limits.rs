//! The limit of connections, and the CPUs that refresh counters, to the letter.

use ipvs::TableLoad;

use super::super::director::Director;
use super::gallery::{assert_healthy, assert_one, first, with};

fn load(director: &mut Director, connections: u64, allowed: u64) {
    let mut load = TableLoad::default();
    (load.connections, load.connections_allowed) = (connections, Some(allowed));
    director.load = Some(load);
}

#[test]
fn a_limit_that_is_nearly_reached_is_found() {
    let at = "net.ipv4.vs.conn_max";
    for (connections, allowed, templates, what, fix) in [
        (90_000, 100_000, 0, "net.ipv4.vs.conn_max allows 100000 connections, and there are 90000", 200_000),
        (1, 1, 0, "net.ipv4.vs.conn_max allows 1 connection, and there are 1", 65_536),
        (0, 0, 0, "net.ipv4.vs.conn_max is 0: no connection is allowed", 65_536),
        (
            1 << 30,
            1 << 30,
            0,
            "net.ipv4.vs.conn_max allows 1073741824 connections, and there are 1073741824",
            1 << 30,
        ),
    ] {
        let director = with(|director| {
            load(director, connections, allowed);
            director.table[0].1[0].persistent_connections = templates;
        });
        assert_one(&director, ["connection-limit", at, what, &format!("sysctl -w {at}={fix}")]);
    }
    let persistent = with(|director| {
        load(director, 10, 10);
        director.table[0].1[0].persistent_connections = 5;
    });
    let what = "net.ipv4.vs.conn_max allows 10 connections, and there are 10, 5 of them persistence templates, which take a \
                place beside their client's connection";
    assert_one(&persistent, ["connection-limit", at, what, "sysctl -w net.ipv4.vs.conn_max=65536"]);
    assert_healthy(&with(|director| load(director, 89_999, 100_000)), "a tenth is left");
    let unused = with(|director| {
        load(director, 9, 9);
        director.table.clear();
    });
    assert_healthy(&unused, "no service");
}

#[test]
fn counters_that_no_cpu_refreshes_are_frozen() {
    let listed = |cpus: &'static str| with(|director| director.estimating = Some(cpus.to_owned()));
    let what = "net.ipv4.vs.est_cpulist is empty: no CPU refreshes the counters";
    let fix = "sysctl -w net.ipv4.vs.est_cpulist=0";
    assert_one(&listed("\n"), ["counters-frozen", "net.ipv4.vs.est_cpulist", what, fix]);
    assert_healthy(&listed("0-3\n"), "some CPUs");
    assert_healthy(&with(|director| first(director).weight = 1), "a kernel without the setting");
}
