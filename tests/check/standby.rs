//! A standby has the table, and another machine has the addresses: whichever printed commands are run, that machine
//! remains the only one that answers for them.

use serde_json::Value;

use crate::cluster::{Cluster, Kind};

/// How many machines answer ARP when a client requests the address.
const ANSWERS: &str = "busybox arping -c 2 -w 2 -I eth0 192.168.1.100 | grep -o '\\[.*\\]' | sort -u | wc -l";

const BOTH_DAEMONS: &str = "ipvsadm --start-daemon master --mcast-interface eth1 && \
                            ipvsadm --start-daemon backup --mcast-interface eth1";
const NO_DAEMON: &str = "ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup; true";

/// A program with this name runs, and does nothing.
fn supervised_by(name: &str) -> String {
    format!("ln -sf $(command -v sleep) /run/{name} && (/run/{name} 20 </dev/null >/dev/null 2>&1 & echo $!)")
}

fn findings(cluster: &Cluster) -> Vec<(String, String, String)> {
    let (_, json) = cluster.run("backup", "ipvsadm --check --json");
    let found: Vec<Value> = serde_json::from_str(&json).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    found.iter().map(|one| (text(one, "id"), text(one, "what"), text(one, "fix"))).collect()
}

/// The findings on a standby. Their commands are then run: none changes which machine answers.
fn found_on_standby(cluster: &Cluster, way: &str) -> Vec<(String, String, String)> {
    let found = findings(cluster);
    for (_, _, command) in &found {
        cluster.run("backup", &command.replace("DIRECTOR", "192.168.1.1"));
        assert_eq!(cluster.run("client", ANSWERS), (0, "1".to_owned()), "{way}: {command}");
    }
    found
}

fn standby() -> Cluster {
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed("backup", "ipvsadm -R --file /etc/sysconfig/ipvsadm");
    cluster
}

/// Asserts that there is exactly one finding with an id, whose command begins like this.
fn assert_one(found: &[(String, String, String)], id: &str, reason: &str, command: &str) {
    let [(found_id, what, fix)] = found else { panic!("{found:?}") };
    assert_eq!(found_id, id);
    assert!(what.contains(reason), "{what}");
    assert!(fix.starts_with(command), "{fix}");
}

#[test]
fn no_fix_gives_a_standby_the_address() {
    const SYNC: &str = "a sync daemon runs here, so another director may have it";
    const SUPERVISOR: &str = "a supervisor runs here, so another director may have it";
    const ANSWERED: &str = "another machine answers for it on eth0";
    const ASK: &str = "ping -c 1 -W 1 192.168.1.100; ip neigh show 192.168.1.100";
    let cluster = standby();
    // Nothing indicates another director: the address is missing. But the command does not add it if another machine
    // answers.
    let take = "|| ip addr replace 192.168.1.100/32 dev eth0";
    let [(id, _, command)] = &found_on_standby(&cluster, "nothing is known")[..] else { panic!() };
    assert_eq!((id.as_str(), command.ends_with(take)), ("vip-missing", true), "{command}");
    cluster.succeed("backup", "ip neigh flush dev eth0");

    cluster.succeed("backup", BOTH_DAEMONS);
    // The other director answers for the address when it is asked.
    assert_eq!(findings(&cluster), vec![]);
    cluster.succeed("backup", "ip neigh flush dev eth0; ipvsadm --stop-daemon backup");
    assert_eq!(findings(&cluster), vec![]);
    // Nobody has it.
    cluster.succeed("director", "ip addr del 192.168.1.100/32 dev eth0");
    cluster.succeed("backup", "ip neigh flush dev eth0");
    assert_one(&findings(&cluster), "vip-missing", SYNC, ASK);
    cluster.succeed("director", "ip addr add 192.168.1.100/32 dev eth0");
    cluster.succeed("backup", "ip neigh flush dev eth0");

    cluster.succeed("backup", NO_DAEMON);
    cluster.succeed("backup", "busybox ping -c 1 192.168.1.100");
    assert_one(&found_on_standby(&cluster, "somebody answers"), "vip-missing", ANSWERED, ASK);
    cluster.succeed("backup", "ip neigh flush dev eth0");
    let supervisor = cluster.succeed("backup", &supervised_by("ldirectord"));
    assert_eq!(findings(&cluster), vec![]);
    cluster.succeed("director", "ip addr del 192.168.1.100/32 dev eth0");
    cluster.succeed("backup", "ip neigh flush dev eth0");
    assert_one(&findings(&cluster), "vip-missing", SUPERVISOR, ASK);
    cluster.succeed("director", "ip addr add 192.168.1.100/32 dev eth0");
    cluster.succeed("backup", &format!("kill {supervisor}; ip neigh flush dev eth0"));
}

#[test]
fn a_supervised_standby_is_healthy() {
    for name in ["keepalived", "heartbeat", "corosync", "ucarp"] {
        let cluster = standby();
        let pid = cluster.succeed("backup", &supervised_by(name));
        assert_eq!(cluster.run("backup", "ipvsadm --check"), (0, String::new()), "{name}");
        // The address is on this machine: another director does not matter.
        cluster.succeed("director", "ip addr del 192.168.1.100/32 dev eth0");
        let (status, found) = cluster.run("director", "ipvsadm --check");
        assert_eq!(
            (status, found.contains("ip addr replace 192.168.1.100/32 dev eth0")),
            (1, true),
            "{found}"
        );
        cluster.succeed("backup", &format!("kill {pid}"));
    }
}

#[test]
fn no_fix_gives_a_standby_that_serves_too_the_address() {
    let cluster = standby();
    cluster.succeed(
        "backup",
        "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 && ip addr add 192.168.1.100/32 dev lo",
    );
    let (id, _, command) = findings(&cluster).remove(0);
    assert_eq!(id, "vip-on-loopback");
    assert!(command.contains("dev eth0"), "{command}");
    cluster.succeed("backup", BOTH_DAEMONS);
    let found = found_on_standby(&cluster, "a server too");
    assert_one(
        &found,
        "vip-on-loopback",
        "a sync daemon runs here",
        "ssh DIRECTOR ip addr show to 192.168.1.100",
    );

    // The address is on an interface that is down.
    cluster.succeed(
        "backup",
        "ip addr del 192.168.1.100/32 dev lo && ip link add spare type veth peer name end && ip addr add 192.168.1.100/32 dev spare",
    );
    let found = found_on_standby(&cluster, "an interface that is down");
    assert_one(
        &found,
        "vip-link-down",
        "a sync daemon runs here",
        "ssh DIRECTOR ip addr show to 192.168.1.100",
    );
}

#[test]
fn a_supervisor_beside_an_empty_table_is_found() {
    let cluster = standby();
    let pid = cluster.succeed("backup", &supervised_by("keepalived"));
    assert_eq!(cluster.succeed("backup", "ipvsadm -C"), "");
    // It may do nothing but move addresses.
    assert_eq!(findings(&cluster), vec![]);
    let configuration = "/etc/keepalived/keepalived.conf";
    cluster.succeed("backup", &format!("echo 'virtual_server 192.168.1.100 80 {{ }}' >{configuration}"));
    let found = findings(&cluster);
    assert_one(&found, "supervisor-idle", "the table is empty", "systemctl restart keepalived");
    cluster.succeed(
        "backup",
        "ipvsadm -A -t 192.168.1.100:80 -s rr && ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.11",
    );
    assert!(findings(&cluster).iter().all(|(id, ..)| id != "supervisor-idle"));
    for line in ["ipvsadm -D -t 192.168.1.100:80", "ipvsadm -C"] {
        let said = cluster.succeed("backup", line);
        let warning =
            "warning: keepalived runs, and makes the services of its configuration only when it starts; ";
        assert!(said.starts_with(warning), "{line}: {said}");
    }
    cluster.succeed("backup", &format!("kill {pid}; rm {configuration}"));
}
