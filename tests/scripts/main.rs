//! Tests that scripts which call or parse the original run unchanged with this tool: Debian's init script and its
//! supervisor `ldirectord` as packaged, and, written for this test, a Red Hat style init script, a program that feeds
//! rules through a pipe, and common monitoring pipelines.
//!
//! Each is a shell script beside this file, run twice in a separate network: with the original, then with this tool
//! mounted over `/sbin/ipvsadm`, `/sbin/ipvsadm-save` and `/sbin/ipvsadm-restore`. The output must be the same to the
//! byte, and so must the resulting table, which the original lists both times. `completions.rs` is about the shells
//! themselves.
#![allow(clippy::expect_used, reason = "what a test cannot start without, it fails without")]

mod completions;
mod manual;
mod stage;

/// Runs `NAME.sh` with both tools. Each of `shown` must occur in the output, in this order, because two tools that do
/// nothing would agree as well.
fn alike(script: &'static str, shown: &[&str]) {
    let (original, ours) = stage::both(script);
    let mut rest = original.as_str();
    for text in shown {
        let found = rest.split_once(text);
        assert!(
            found.is_some(),
            "{script} with the original does not show {text:?} in its place:\n{original}"
        );
        rest = found.expect("just looked at").1;
    }
    assert!(original == ours, "{script} differs; with the original:\n{original}\nand with ours:\n{ours}");
}

#[test]
fn debians_init_script() {
    alike(
        "debian.sh",
        &[
            "/etc/init.d/ipvsadm start\n",
            "-A -t 10.0.0.80:80 -s wrr\n",
            "/etc/init.d/ipvsadm status\nIP Virtual Server version",
            "Uthreshold",
            "/etc/init.d/ipvsadm save\n",
            "rules# # ipvsadm.rules\n",
            "rules# -a -f 5 -r 10.1.0.1:0 -g -w 10\n",
            "master sync daemon (mcast=eth0, syncid=7",
            "Daemon has already run\n",
            "No daemon is running\n",
            "backup sync daemon (mcast=eth0, syncid=7",
            "rules# # ipvsadm.rules\n",
        ],
    );
}

#[test]
fn red_hats_init_script() {
    alike(
        "redhat.sh",
        &[
            "service start\n[status 1]",
            "service start\n[status 0]\n-A -t 10.0.0.80:80 -s wlc\n",
            "service save\n",
            "saved# -A -u 10.0.0.80:53 -s rr -o\n",
            "service panic\n[status 0]\n[nothing]\n",
        ],
    );
}

#[test]
fn rules_fed_line_by_line() {
    alike(
        "feed.sh",
        &["fed: -A -t 10.0.0.80:80 -s wrr\n", "seen: -A", "fed: -e", "weight now 0\n", "ended with 0\n"],
    );
}

#[test]
fn pipelines_of_monitoring() {
    alike(
        "pipelines.sh",
        &[
            "10.0.0.80:80 active=2",
            "sum 3",
            "persistent 600 mask 255.255.255.0",
            "100 MB",
            "ESTABLISHED",
            "CRITICAL",
        ],
    );
}

#[test]
fn a_supervisor_of_debians() {
    alike(
        "ldirectord.sh",
        &[
            "== all alive\n",
            "10.1.0.3:8080                Masq    5 ",
            "== servers die\n",
            "10.1.0.3:8080                Masq    0 ",
            "== they live again\n",
            "== stopped, status 0\n",
            "/sbin/ipvsadm -A -t 10.0.0.80:80 ",
        ],
    );
}
