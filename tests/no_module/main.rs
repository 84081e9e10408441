//! Tests the messages on a kernel whose IPVS is not loaded, and that it is loaded if possible.
//!
//! The module is removed from the kernel, so this needs a separate test program, and thus a separate lab.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test ends where it fails")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs a shell command, which must succeed.
fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Status and stderr of this tool with the words of a line.
fn ours(line: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ipvsadm")).args(line.split(' ')).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
fn without_the_module_the_fix_is_named() {
    if std::env::var("IPVS_LAB_INSIDE").as_deref() == Ok("host") {
        eprintln!("skipped: the module of this machine's own kernel is not taken out");
        return;
    }
    lab::isolate();
    sh("/run/modprobe -r ip_vs; echo /bin/false > /proc/sys/kernel/modprobe");
    assert!(!fs::exists("/proc/net/ip_vs").unwrap());
    let release = sh("uname -r").trim().to_owned();
    sh(
        "mount -t tmpfs lab /lib/modules 2>/dev/null || { mkdir -p /lib/modules && mount -t tmpfs lab /lib/modules; }",
    );

    let refused = |fix: &str| {
        let expected = format!("Can't initialize ipvs: Protocol not available; {fix}\n");
        assert_eq!(ours("-Ln"), (2, expected));
    };
    refused(&format!(
        "there is no /lib/modules/{release} here, as in a container: load the module on the host: modprobe ip_vs"
    ));
    sh(&format!(
        "mkdir /lib/modules/{release}; echo kernel/net/other.ko: > /lib/modules/{release}/modules.dep"
    ));
    refused(&format!("the kernel {release} was built without IPVS: boot one that has the module ip_vs"));
    let known = format!("echo kernel/net/netfilter/ipvs/ip_vs.ko: >> /lib/modules/{release}/modules.dep");
    sh(&known);
    refused("load the module, as root: modprobe ip_vs");

    // The kernel may not load it, but modprobe can, once it finds this kernel's modules.
    sh("mkdir /run/real; cp /bin/kmod /run/real/modprobe; rm /sbin/modprobe");
    sh(
        r#"printf '#!/bin/sh\nexec /run/real/modprobe -d /run/modules "$@"\n' > /sbin/modprobe; chmod +x /sbin/modprobe"#,
    );
    assert_eq!(ours("-Ln"), (0, String::new()));
    assert!(fs::exists("/proc/net/ip_vs").unwrap());

    a_view_survives_the_module();

    // Schedulers and engines are modules, too.
    let add = "-A -u 10.0.0.1:5060 -s rr -p --pe sip";
    let missing = |word: &str, fix: &str| {
        let expected = format!("Scheduler or persistence engine not found: '{word}'; {fix}\n");
        assert_eq!(ours(add), (255, expected));
    };
    missing("rr", "the kernel has no module ip_vs_rr");
    for module in ["ip_vs_rr", "ip_vs_pe_sip"] {
        sh(&format!("echo kernel/net/netfilter/ipvs/{module}.ko.xz: >> /lib/modules/{release}/modules.dep"));
    }
    missing("rr", "load the module, as root: modprobe ip_vs_rr");
    sh("modprobe ip_vs_rr");
    missing("sip", "load the module, as root: modprobe ip_vs_pe_sip");
    sh("echo 1 >/proc/sys/kernel/modules_disabled");
    missing(
        "sip",
        "kernel.modules_disabled keeps ip_vs_pe_sip out until the next boot: load it before that is set",
    );
}

/// The frames of `--watch` while the module goes, stays away, and comes back.
fn a_view_survives_the_module() {
    let mut watch = Command::new(env!("CARGO_BIN_EXE_ipvsadm"))
        .args(["--watch", "0.1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut wait = |text: &str| assert!(lines.by_ref().take(2000).any(|line| line.contains(text)), "{text}");
    wait(": 0 services");
    sh("/run/modprobe -r ip_vs");
    for _ in 0..3 {
        wait("Can't initialize ipvs: Protocol not available; its module was unloaded meanwhile");
    }
    assert!(!fs::exists("/proc/net/ip_vs").unwrap(), "the view has loaded the module");
    sh("modprobe ip_vs");
    wait(": 0 services");
    watch.kill().unwrap();
    watch.wait().unwrap();
}
