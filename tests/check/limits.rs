//! The kernel's limit of connections, and counters that no CPU refreshes.

use crate::cluster::{Cluster, Kind};
use lab::kernel;

/// Findings that only some kernels can have: their faults are made here.
pub(crate) const OF_SOME_KERNELS: [&str; 1] = ["connection-limit"];

#[test]
fn a_limit_of_connections_that_is_reached_is_found_and_raised() {
    if !kernel::has("limit of connections", "test -e /proc/sys/net/ipv4/vs/conn_max") {
        return;
    }
    let cluster = Cluster::new(Kind::Routing);
    let get = || cluster.run("client", "get 192.168.1.100 80 4").1;
    assert_eq!(get(), "rs1 rs1 rs2 rs2");
    cluster.succeed("director", "sysctl -w net.ipv4.vs.conn_max=4");
    assert_eq!(get(), "- - - -");
    let (status, found) = cluster.run("director", "ipvsadm --check --json");
    assert_eq!(status, 1, "{found}");
    let said = "net.ipv4.vs.conn_max allows 4 connections, and there are 4";
    assert!(found.contains("\"connection-limit\"") && found.contains(said), "{found}");
    let fix = "sysctl -w net.ipv4.vs.conn_max=65536";
    assert!(found.contains(fix), "{found}");
    cluster.succeed("director", fix);
    assert_eq!(get(), "rs1 rs1 rs2 rs2");
    assert_eq!(cluster.run("director", "ipvsadm --check --json"), (0, "[]".to_owned()));
    // The same numbers for programs.
    let listed: serde_json::Value =
        serde_json::from_str(&cluster.succeed("director", "ipvsadm -L --json")).unwrap();
    assert_eq!(listed["load"]["connections_allowed"], 65536);
    assert!(listed["load"]["connections"].as_u64().unwrap() >= 8, "{listed}");
    let metrics = cluster.succeed("director", "ipvsadm -L --prometheus");
    assert!(metrics.contains("\nipvs_table_connections_allowed 65536\n"), "{metrics}");
    // What was listed can be restored.
    cluster.succeed(
        "director",
        "ipvsadm -L --json > /run/listed && ipvsadm -R --json --apply --file /run/listed",
    );
}

#[test]
fn counters_that_no_cpu_refreshes_are_found_and_mended() {
    if !kernel::has("choice of CPUs for counters", "test -e /proc/sys/net/ipv4/vs/est_cpulist") {
        return;
    }
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed("director", "echo > /proc/sys/net/ipv4/vs/est_cpulist");
    cluster.run("client", "get 192.168.1.100 80 4");
    let counted =
        || cluster.succeed("director", "sleep 4; ipvsadm -Ln --stats --exact | awk '/^TCP/ { print $3 }'");
    assert_eq!(counted(), "0");
    let (status, found) = cluster.run("director", "ipvsadm --check --json");
    let fix = "sysctl -w net.ipv4.vs.est_cpulist=0";
    assert!(status == 1 && found.contains("\"counters-frozen\"") && found.contains(fix), "{found}");
    cluster.succeed("director", fix);
    assert_eq!(counted(), "4");
    assert_eq!(cluster.run("director", "ipvsadm --check --json"), (0, "[]".to_owned()));
}
