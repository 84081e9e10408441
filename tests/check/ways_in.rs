//! Commands that could cut the login through which they are run.

use serde_json::Value;

use crate::cluster::{Cluster, Kind};

#[test]
fn marks_leave_what_the_director_itself_serves_by_the_address() {
    let mut cluster = Cluster::new(Kind::Marked);
    cluster.succeed("director", "iptables-legacy -t mangle -F");
    let fix = |cluster: &Cluster| {
        let (_, json) = cluster.run("director", "ipvsadm --check --json");
        let found: Vec<Value> = serde_json::from_str(&json).unwrap();
        assert_eq!((found.len(), &found[0]["id"]), (1, &Value::from("mark-unset")), "{json}");
        found[0]["fix"].as_str().unwrap().to_owned()
    };
    let whole = fix(&cluster);
    assert!(whole.ends_with("-d 192.168.1.100 -p tcp -j MARK --set-mark 1"), "{whole}");
    cluster.accept_logins("director");
    let login = || cluster.run("client", "get 192.168.1.100 22 1").1;
    assert_eq!(login(), "rs1", "nobody logs in by the address");
    let narrow = fix(&cluster);
    assert!(narrow.contains("--dport PORT "), "{narrow}");
    cluster.succeed("director", &narrow.replace("PORT", "80"));
    assert_eq!(login(), "rs1", "after {narrow}");
    assert_eq!(cluster.fetch(), "rs1 rs1 rs2 rs2");
    assert_eq!(cluster.run("director", "ipvsadm --check"), (0, String::new()));
    // All packets would have gone to the servers.
    cluster.succeed("director", &whole);
    assert_eq!(login(), "-");
}
