//! What a check does not see is no reason to change anything.

use crate::cluster::{Cluster, Kind};
use crate::repaired::undo;

/// A user who may change the table, and may not see what processes of others do.
const AS_NOBODY: &str =
    "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +net_admin --ambient-caps +net_admin";
/// What shows no process of other users.
const HIDDEN: &str = "mount -t proc -o hidepid=2 proc /proc";
const UNSEEN: &str =
    "warning: not seen: whether a program such as keepalived manages this director: processes are hidden";

#[test]
fn a_supervisor_that_may_not_be_seen_is_not_absent() {
    let cluster = Cluster::new(Kind::Routing);
    let table =
        "ipvsadm -S -n --full | grep -v '^#'; ls /etc/sysconfig; ip -o addr show dev eth0 | grep -c inet";
    // It makes the services, and may have moved the address.
    cluster.succeed(
        "director",
        "ipvsadm -E -t 192.168.1.100:80 -s rr -p 60 -M 0.0.0.0 && ip addr del 192.168.1.100/32 dev eth0 && rm /etc/sysconfig/ipvsadm && \
         ln -sf $(command -v sleep) /run/check/keepalived && (/run/check/keepalived 60 </dev/null >/dev/null 2>&1 &)",
    );
    let before = cluster.succeed("director", table);
    let check = |hide: &str, who: &str, options: &str| {
        let line = format!("unshare -m sh -c '{hide}; {who} ipvsadm --check {options}'");
        cluster.run("director", &line)
    };
    // What root sees: it manages both.
    let (status, shown) = check("true", "", "--json");
    assert!(status == 1 && !shown.contains("vip-missing") && !shown.contains("save-missing"), "{shown}");
    assert!(shown.contains("keepalived fills the table") && !shown.contains("not seen"), "{shown}");
    // That of another user is seen, though not where it runs.
    let (_, unprivileged) = check("true", AS_NOBODY, "--json");
    for part in ["mask-of-all", "keepalived fills the table"] {
        assert!(unprivileged.contains(part), "{part}: {unprivileged}");
    }
    assert!(
        !unprivileged.contains("vip-missing") && !unprivileged.contains("save-missing"),
        "{unprivileged}"
    );
    // Hidden, it may be there.
    for hide in [HIDDEN, "mount -t proc -o hidepid=1 proc /proc"] {
        let (status, shown) = check(hide, AS_NOBODY, "--json");
        assert_eq!(status, 1, "{shown}");
        assert!(shown.contains(UNSEEN), "{hide}: {shown}");
        assert!(shown.contains("if one fills the table, change its configuration, too"), "{hide}: {shown}");
        assert!(!shown.contains("ip addr replace"), "{hide}: {shown}");
        let (status, shown) = check(hide, AS_NOBODY, "--fix --yes");
        assert!(status == 1 && shown.contains("mask-of-all") && shown.contains(UNSEEN), "{hide}: {shown}");
        assert_eq!(undo(&shown), Vec::<String>::new(), "{hide}: {shown}");
        assert_eq!(cluster.succeed("director", table), before, "{hide}: {shown}");
    }
    // Root sees all.
    assert!(!check(HIDDEN, "", "--json").1.contains("not seen"));
    // A drain says so, too.
    let said = "warning: other processes are hidden from this one: if a program such as keepalived fills";
    let line = format!(
        "unshare -m sh -c '{HIDDEN}; mkdir -p /run/ipvsadm; mount -t tmpfs lab /run/ipvsadm; {AS_NOBODY} ipvsadm --drain -t 192.168.1.100:80 -r 192.168.1.11 --wait 0'"
    );
    let (_, shown) = cluster.run("director", &line);
    assert!(shown.contains(said), "{shown}");
}

/// A container with processes of its own, in the network of its host.
#[test]
fn processes_of_the_host_are_not_absent_in_a_container() {
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed("director", "ipvsadm -E -t 192.168.1.100:80 -s rr -p 60 -M 0.0.0.0");
    let contained = "unshare -m -p -f --mount-proc ipvsadm --check";
    // This director is in a network namespace of its own, which a container would have for itself.
    let (_, shown) = cluster.run("director", contained);
    assert!(shown.contains("mask-of-all") && !shown.contains("not seen"), "{shown}");
    let (_, shown) = cluster.run("director", &format!("busybox nsenter --net=/proc/1/ns/net {contained}"));
    assert!(shown.contains(UNSEEN), "{shown}");
}
