//! Fixes where the programs that they run are missing: what could not be done is not said to be done, and what could not be seen
//! is said.

use std::collections::{BTreeMap, BTreeSet};

use lab::{Part, parts};

use crate::cluster::Cluster;
use crate::faults::{self, Fault};
use crate::repaired::undo;
use crate::{each, staged};

/// A finding of each shape that a fix has which is carried out.
const IDS: [&str; 17] = [
    "vip-missing",
    "vip-link-down",
    "vip-unanswered",
    "clients-refused",
    "mask-of-all",
    "mark-unset",
    "ftp-data",
    "server-silent",
    "client-beside",
    "ip-forward",
    "save-missing",
    "save-stale",
    "server-vip-missing",
    "tunnel-down",
    "no-way-back",
    "no-listener",
    "arp-ignore",
];

/// Programs that are missing together: those that no fix takes, though its command may name them, and others where a command does.
const MISSING: [&[&str]; 5] = [
    &["ping", "sysctl", "grep", "arping", "mktemp", "cp", "sed", "systemctl", "ss", "nsenter"],
    &["modprobe", "kmod"],
    &["ip"],
    &["iptables-legacy", "iptables-legacy-save", "iptables", "iptables-save"],
    &["nft"],
];

/// What fixes change on a host.
const STATE: &str = "ip -4 -o addr | sed 's/ *valid_lft.*//'; ip -4 route show table all | grep -v '^broadcast'; ip rule; \
    cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/vs/conntrack /proc/sys/net/ipv4/conf/*/arp_ignore; \
    iptables-legacy-save | sed '/^#/d; s/\\[.*//'; ipvsadm -S -n --full | grep -v '^#'; cat /etc/sysconfig/ipvsadm | grep -v '^#'; true";

parts!(what_a_missing_program_cannot_do_is_not_done of 2);

fn what_a_missing_program_cannot_do_is_not_done(part: Part) {
    let of = |id: &&str| faults::all().find(|fault| fault.id == *id).unwrap_or_else(|| panic!("{id}"));
    let chosen: Vec<&Fault> = IDS.iter().map(of).collect();
    each(part.share(&chosen), |fault| {
        let cluster = staged(fault);
        cluster.succeed(fault.at, fault.make);
        for missing in MISSING {
            cluster.probe(fault.probe); // some faults show only with traffic
            if !fix_without(&cluster, fault, missing) {
                break;
            }
        }
    });
}

/// Has a fault mended where some programs are missing, and undoes that; false if it is mended for good.
fn fix_without(cluster: &Cluster, fault: &Fault, missing: &[&str]) -> bool {
    let check = format!("ipvsadm --check {}", fault.options);
    let findings = || -> BTreeMap<String, String> {
        let (_, shown) = cluster.run(fault.at, &format!("{check} --json"));
        let found: Vec<serde_json::Value> =
            serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{shown}"));
        let text = |it: &serde_json::Value, key: &str| it[key].as_str().unwrap().to_owned();
        found.iter().map(|it| (text(it, "id"), text(it, "fix"))).collect()
    };
    let there = findings();
    let Some(fix) = there.get(fault.id) else { return false };
    if missing != MISSING[0] && !fix.split(' ').any(|word| missing.contains(&word)) {
        return true;
    }
    let before = cluster.succeed(fault.at, STATE);
    let (status, shown) = cluster.run(fault.at, &without(missing, &format!("{check} --fix --yes")));
    let what = format!("{} without {missing:?}: {status}\n{shown}", fault.id);
    let (mut id, mut done, mut failed) = ("", BTreeSet::new(), false);
    for line in shown.lines() {
        match line.trim_start() {
            text if text.len() == line.len() => id = text.split(": ").next().unwrap_or_default(),
            text if text.starts_with("done") => drop(done.insert(id.to_owned())),
            text => failed |= text.starts_with("not carried out") || text.starts_with("carried out"),
        }
    }
    let left: BTreeSet<String> = findings().into_keys().collect();
    assert!(done.is_disjoint(&left), "{what}\nis there still: {left:?}");
    // It was done, or is left, or could not be seen.
    let is_left = shown.contains("left to you:") && status == 1;
    let is_unseen = shown.contains("not seen: ") && missing.iter().any(|name| shown.contains(name));
    assert!(done.contains(fault.id) || is_left || is_unseen, "{what}");
    assert!(!failed || is_left, "{what}");
    assert!(status == 1 || !is_left, "{what}");
    assert!(!shown.contains("panicked"), "{what}");
    for command in undo(&shown) {
        cluster.succeed(fault.at, &command);
    }
    assert_eq!(cluster.succeed(fault.at, STATE), before, "{what}");
    true
}

/// The command line, run where some programs cannot be.
pub(crate) fn without(programs: &[&str], command: &str) -> String {
    let hide = |name: &&str| {
        format!("for it in $(which -a {name}); do mount --bind /run/check/nothing $(readlink -f $it); done; ")
    };
    let hidden: String = programs.iter().map(hide).collect();
    format!("touch /run/check/nothing; unshare -m sh -c '{hidden}{command}'")
}
