//! A service of the wrong protocol, as a real server sees it.

use crate::cluster::{Cluster, Kind};
use crate::settles;

#[test]
fn a_server_says_how_the_director_is_mended() {
    let cluster = Cluster::new(Kind::Routing);
    let wrong = "printf '%s\n' -C '-A -u 192.168.1.100:80 -s rr' '-a -u 192.168.1.100:80 -r 192.168.1.11' \
                 '-a -u 192.168.1.100:80 -r 192.168.1.12' | ipvsadm -R";
    cluster.succeed("director", wrong);
    assert_eq!(cluster.fetch(), "- - - -");
    let role = "-r 192.168.1.100 --director 192.168.1.1 --port 80";
    let (status, shown) = cluster.run("rs1", &format!("ipvsadm --check {role}/udp --json"));
    assert_eq!(status, 1, "{shown}");
    let found: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
    let [finding] = &found[..] else { panic!("{shown}") };
    assert_eq!(finding["id"], "no-listener");
    let fix = finding["fix"].as_str().and_then(|fix| fix.strip_prefix("ssh 192.168.1.1 ")).expect(&shown);
    cluster.succeed("director", &format!("sh -c {fix}"));
    settles(&cluster, None, "rs1 rs1 rs2 rs2", fix);
    assert_eq!(cluster.run("rs1", &format!("ipvsadm --check {role}/tcp")), (0, String::new()));
}
