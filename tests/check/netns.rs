//! Directors in network namespaces, checked and mended from outside.

use std::process::Command;

use serde_json::Value;

use crate::cluster::{Cluster, Kind, OURS};

/// Runs a command in the network namespace of the test, which is neither of a director nor of a server.
fn outside(command: &str) -> (i32, String) {
    let bin = std::path::Path::new(OURS).parent().unwrap().display();
    let path = format!("{bin}:/run/check/bin:{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let output = Command::new("/bin/sh").args(["-c", command]).env("PATH", path).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap().trim_end().to_owned())
}

/// The ids and the commands of the findings.
fn found(options: &str) -> Vec<(String, String)> {
    let (_, json) = outside(&format!("ipvsadm --check --json {options}"));
    let found: Vec<Value> = serde_json::from_str(&json).expect(&json);
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    found.iter().map(|one| (text(one, "id"), text(one, "fix"))).collect()
}

/// Findings from outside are those from inside, and their commands mend them from outside.
#[test]
fn two_directors_are_checked_and_mended_from_outside() {
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed("backup", "ipvsadm -R --file /etc/sysconfig/ipvsadm");
    let saved = "--file /etc/sysconfig/ipvsadm";
    let standby = found(&format!("--netns backup {saved}"));
    assert_eq!(found(&format!("--netns director {saved}")), vec![]);
    assert_eq!(standby.len(), 1, "only the standby lacks the address: {standby:?}");
    assert!(standby[0].1.starts_with("ip netns exec backup sh -c 'ping -c 1"), "{standby:?}");

    // An address, a setting and a rule; each read from another place of the kernel.
    for (id, fault) in [
        ("vip-missing", "ip addr del 192.168.1.100/32 dev eth0"),
        (
            "conn-reuse-mode",
            "sysctl -w net.ipv4.vs.conn_reuse_mode=0 && ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -w 0",
        ),
        ("no-server", "ipvsadm -A -t 192.168.1.100:81 -s rr"),
    ] {
        assert!(id != "conn-reuse-mode" || cluster.run("client", "get 192.168.1.100 80 4").1.contains("rs1"));
        cluster.succeed("director", fault);
        // The file is not looked at where the namespace has no folder in /etc/netns.
        let from_outside = found("--netns director");
        let (_, fix) = from_outside
            .iter()
            .find(|(found, _)| found == id)
            .unwrap_or_else(|| panic!("{id}: {from_outside:?}"));
        assert!(fix.starts_with("ip netns exec director "), "{fix}");
        let fix = fix.replace("ADDRESS", "192.168.1.12").replace("SERVER", "192.168.1.12");
        assert_eq!(outside(&fix).0, 0, "{fix}");
        let after = found("--netns director");
        assert!(after.iter().all(|(found, _)| found != id), "{fix}: {after:?}");
    }
    // A process stands for the namespace too, and then its path is in the commands.
    cluster.succeed("director", "ip addr del 192.168.1.100/32 dev eth0");
    let (_, pid) = outside("ip netns exec director sh -c 'sleep 60 >/dev/null 2>&1 & echo $!'");
    let (id, fix) = found(&format!("--netns {pid}")).remove(0);
    assert_eq!(id, "vip-missing");
    assert!(fix.starts_with(&format!("nsenter --net=/proc/{pid}/ns/net sh -c 'ping")), "{fix}");
    assert_eq!(outside(&fix).0, 0, "{fix}");
    assert!(found(&format!("--netns {pid}")).iter().all(|(id, _)| id != "vip-missing"));
    outside(&format!("kill {pid}"));
    // A real server.
    assert_eq!(outside("ipvsadm --check --netns rs1 -r 192.168.1.100 --port 80"), (0, String::new()));
    cluster.succeed("rs1", "ip addr del 192.168.1.100/32 dev lo");
    let (_, fix) = found("--netns rs1 -r 192.168.1.100 --port 80").remove(0);
    assert_eq!(
        (fix.as_str(), outside(&fix).0),
        ("ip netns exec rs1 ip addr replace 192.168.1.100/32 dev lo", 0)
    );
}
