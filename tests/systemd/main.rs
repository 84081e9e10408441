//! Tests `packaging/ipvsadm.service` under a systemd that boots for it: rules that are restored and cleared, a reload
//! that keeps connections, and a save on stop if configured, at a shutdown too; and that the unit's permissions
//! suffice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test ends where it fails"
)]

mod fleet;
mod machine;
mod needs;
mod persisted;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use machine::{Machine, PACKAGES};

const RULES: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n";

/// Lines that only a full save has.
const MORE: &str = "-A -u 10.0.0.2:53 -s wrr\n\
    -a -u 10.0.0.2:53 -r 10.1.0.2:53 -g -w 3 -x 20 -y 10\n\
    --set 901 121 301\n\
    --start-daemon master --mcast-interface lo --syncid 7\n";

fn ipvsadm(line: &str, input: &str) -> String {
    let mut command = Command::new("/sbin/ipvsadm");
    command.args(line.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "ipvsadm {line}");
    String::from_utf8(output.stdout).unwrap()
}

/// The table, with thresholds, timeouts and daemons, but without the head, which has the date.
fn full() -> String {
    without_head(&ipvsadm("-S --full", ""))
}

fn without_head(saved: &str) -> String {
    let (head, lines) = saved.split_once('\n').unwrap();
    assert!(head.starts_with("# saved by ipvsadm "), "{head}");
    lines.to_owned()
}

fn succeeds(machine: &Machine, line: &str) {
    assert_eq!(
        machine.systemctl(line),
        (0, String::new()),
        "systemctl {line}; the service said: {}",
        machine.log()
    );
}

/// A second systemd on a machine's own kernel would use control groups of that machine.
fn is_host() -> bool {
    let is_host = std::env::var_os("IPVS_LAB_INSIDE").is_some_and(|lab| lab == "host");
    if is_host {
        eprintln!("skipped: systemd is booted on the user-mode kernel alone, not with IPVS_LAB=host");
    }
    is_host
}

/// What the rules may need at boot: an interface, and a name.
const LATE: [&str; 2] =
    ["-A -t vip.test:80 -s rr", "--start-daemon backup --mcast-interface late0 --syncid 7"];

/// Gives a machine the network and names that its rules need, each with a delay in seconds; when the network stops,
/// records the remaining table.
fn comes_late(machine: &Machine, network: u8, names: u8) {
    machine.add(
        "network.service",
        "[Unit]\nBefore=network-online.target\n[Install]\nWantedBy=network-online.target\n",
        &format!("sleep {network}; ip link add late0 type dummy"),
        "/sbin/ipvsadm -Sn >/mnt/left; ip link del late0",
    );
    machine.add(
        "names.service",
        "[Unit]\nWants=nss-lookup.target\nBefore=nss-lookup.target\n[Install]\nWantedBy=multi-user.target\n",
        &format!("sleep {names}; echo 10.0.0.7 vip.test >>/etc/hosts"),
        "sed -i /vip.test/d /etc/hosts",
    );
}

/// The life of the service on a machine of either kind, with these files.
fn life(mut machine: Machine, rules: &str, settings: &str) {
    let _ = (fs::create_dir("/etc/sysconfig"), fs::remove_file(rules), fs::remove_file(settings));
    machine.boot();

    // Without a file nothing is restored, and nothing fails; the table stays as it is.
    ipvsadm("-A -t 10.0.0.9:80", "");
    succeeds(&machine, "start ipvsadm");
    assert_eq!(machine.log(), format!("there is no {rules}: nothing to restore\n"));
    assert_eq!(ipvsadm("-Sn", ""), "-A -t 10.0.0.9:80 -s wlc\n");
    assert_ne!(machine.systemctl("reload ipvsadm").0, 0, "there is nothing to apply");
    assert_eq!(machine.log(), format!("cannot read '{rules}': No such file or directory\n"));
    succeeds(&machine, "stop ipvsadm");
    assert_eq!((ipvsadm("-Sn", "").as_str(), fs::exists(rules).unwrap()), ("", false));

    fs::write(rules, RULES).unwrap();
    // A file owned by another user: editing the rules does not require root.
    fs::set_permissions(rules, PermissionsExt::from_mode(0o640)).unwrap();
    chown(rules, Some(1234), Some(1234)).unwrap();
    succeeds(&machine, "start ipvsadm");
    assert_eq!(ipvsadm("-Sn", ""), RULES);
    a_reload_keeps_connections(&machine, rules);
    a_bad_file_changes_nothing(&machine, rules);

    // Without the setting, the file stays as it was.
    let before = fs::read_to_string(rules).unwrap();
    ipvsadm("-R", MORE);
    succeeds(&machine, "stop ipvsadm");
    assert_eq!((ipvsadm("-Sn", ""), fs::read_to_string(rules).unwrap()), (String::new(), before));

    fs::write(settings, "IPVS_SAVE_ON_STOP=\"yes\"\nAUTO=\"true\"\n").unwrap();
    succeeds(&machine, "start ipvsadm");
    ipvsadm("-R", &MORE[..MORE.find("--start").unwrap()]);
    let live = full();
    assert!(live.contains("-x 20 -y 10") && live.contains("--set 901") && live.contains("--start-daemon"));
    succeeds(&machine, "restart ipvsadm");
    assert_eq!(full(), live);
    assert_eq!(without_head(&fs::read_to_string(rules).unwrap()), live);
    let kept = fs::metadata(rules).unwrap();
    assert_eq!((kept.mode() & 0o7777, kept.uid(), kept.gid()), (0o640, 1234, 1234));
    assert_eq!(machine.log(), "", "all that was as it should be");

    // Rules added by hand are not lost at a shutdown; the next boot restores them.
    ipvsadm("-A -f 7 -s rr", "");
    // Nor is a server that a drain has taken out.
    let (status, said) = machine.inside("ipvsadm", "--drain -u 10.0.0.2:53 -r 10.1.0.2 --force");
    assert_eq!(status, 0, "{said}");
    let live = full();
    machine.power_off();
    assert_eq!((machine.log(), ipvsadm("-Sn", "")), (String::new(), String::new()));
    assert_eq!(machine.mnt("left"), "", "the table is saved and cleared before the network goes");
    let saved = fs::read_to_string(rules).unwrap();
    let drained = "# drained: -a -u 10.0.0.2:53 -r 10.1.0.2:53 -g -w 3 -x 20 -y 10\n";
    assert_eq!(without_head(&saved), live.clone() + drained);
    fs::write(rules, saved + &LATE.join("\n") + "\n").unwrap();
    machine.enable("ipvsadm.service");
    machine.boot();
    let late =
        |line: &&str| line.starts_with(&LATE[0].replace("vip.test", "10.0.0.7")) || line.starts_with(LATE[1]);
    let after = full();
    let (late, restored): (Vec<&str>, Vec<&str>) = after.split_inclusive('\n').partition(late);
    assert_eq!((restored.concat(), late.len()), (live, 2), "{after}\n{}", machine.log());
    let back = "UDP 10.0.0.2:53 -> 10.1.0.2:53 is back with weight 3\n";
    assert_eq!(machine.inside("ipvsadm", "--undrain"), (0, back.to_owned()));
    let live = full();

    // If the save fails, the table is not cleared.
    fs::write(settings, "IPVS_SAVE_ON_STOP=yes\nIPVS_RULES=/no/such/folder/rules\n").unwrap();
    machine.systemctl("stop ipvsadm");
    assert_eq!(machine.log(), "cannot write '/no/such/folder/rules': No such file or directory\n");
    assert_eq!(full(), live);
}

fn a_reload_keeps_connections(machine: &Machine, rules: &str) {
    for address in ["10.0.0.1", "10.1.0.1"] {
        let added = Command::new("ip").args(["addr", "add", &format!("{address}/32"), "dev", "lo"]).status();
        assert!(added.unwrap().success());
    }
    let server = TcpListener::bind("10.1.0.1:80").unwrap();
    let mut client = TcpStream::connect("10.0.0.1:80").unwrap();
    let (mut taken, _) = server.accept().unwrap();
    fs::write(rules, RULES.replace("-w 1", "-w 5") + "-A -t 10.0.0.3:80 -s rr\n").unwrap();
    succeeds(machine, "reload ipvsadm");
    client.write_all(b"still there?").unwrap();
    let mut heard = [0; 12];
    taken.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still there?");
    let listed = ipvsadm("-Ln", "");
    assert!(
        listed.contains("  -> 10.1.0.1:80                  Masq    5      1          0         \n"),
        "{listed}"
    );
    assert!(listed.contains("TCP  10.0.0.3:80 rr\n"), "{listed}");
}

/// A file that cannot be read completely is not restored at all, by a reload or by a start.
fn a_bad_file_changes_nothing(machine: &Machine, rules: &str) {
    let (good, live) = (fs::read_to_string(rules).unwrap(), full());
    let bad = "-A -t 10.0.0.4:80 -s rr\n-A -t bogus\n";
    fs::write(rules, bad).unwrap();
    assert_ne!(machine.systemctl("reload ipvsadm").0, 0);
    assert!(machine.log().starts_with("line 2: illegal virtual server address[:port] specified: 'bogus'"));
    assert_eq!(full(), live);
    assert_eq!(machine.systemctl("is-active ipvsadm"), (0, "active\n".into()));

    succeeds(machine, "stop ipvsadm");
    ipvsadm("-A -t 10.0.0.9:80", "");
    assert_ne!(machine.systemctl("start ipvsadm").0, 0);
    assert!(machine.log().starts_with("line 2: illegal virtual server address[:port] specified: 'bogus'"));
    assert_eq!(ipvsadm("-Sn", ""), "-A -t 10.0.0.9:80 -s wlc\n");
    assert_eq!(machine.systemctl("is-failed ipvsadm"), (0, "failed\n".into()));

    fs::write(rules, &good).unwrap();
    succeeds(machine, "start ipvsadm");
    assert_eq!(full(), live);
}

#[test]
fn systemd_has_no_complaint_about_the_units() {
    let machine = Machine::new("verified", Some("redhat.conf"));
    // Another package's, which is not under test.
    let others = Path::new("/etc/systemd/system");
    fs::create_dir_all(others.join("multi-user.target.wants")).unwrap();
    fs::write(others.join("bad.service"), "[Service]\nTyp=oneshot\n").unwrap();
    symlink("../bad.service", others.join("multi-user.target.wants/bad.service")).unwrap();
    let verified = || {
        let mut analyze = Command::new("systemd-analyze");
        analyze.env("SYSTEMD_UNIT_PATH", machine.units()).arg("verify");
        // It would look into the manual pages that are installed.
        analyze.args((!Path::new("/usr/bin/man").exists()).then_some("--man=no"));
        let units = PACKAGES.map(|unit| machine.units().join(unit.replace('@', "@web")));
        let output = analyze.args(units).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(verified(), (true, String::new()));
    // It would report that.
    let wrong = machine.units().join("ipvsadm.service.d/wrong.conf");
    fs::write(wrong, "[Service]\nNoNewPrivilege=yes\n").unwrap();
    assert!(verified().1.contains("NoNewPrivilege"));
}

#[test]
fn the_units_are_hardened() {
    let machine = Machine::new("hardened", None);
    for unit in PACKAGES.into_iter().filter(|unit| unit.ends_with(".service")) {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--offline=true", "--no-pager", "--threshold=39"]);
        let output = analyze.arg(machine.units().join(unit)).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && shown.contains("Overall exposure level"), "{unit}: {output:?}");
    }
}

/// Debian's settings: without AUTO nothing is restored and nothing cleared, and DAEMON runs beside the rules.
#[test]
fn debians_settings_are_read() {
    if is_host() {
        return;
    }
    let mut machine = Machine::new("settings", None);
    let settings = |auto: &str, daemon: &str| {
        let text = format!("AUTO=\"{auto}\"\nDAEMON=\"{daemon}\"\nIFACE=\"lo\"\nSYNCID=\"7\"\n");
        fs::write("/etc/default/ipvsadm", text).unwrap();
    };
    let daemons = || {
        ipvsadm("-L --daemon", "")
            .lines()
            .map(|line| line.split(", m").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let [master, backup] =
        ["master", "backup"].map(|state| format!("{state} sync daemon (mcast=lo, syncid=7"));
    let not_restored = "AUTO is 'false' in /etc/default/ipvsadm: the rules are not restored\n";
    fs::write("/etc/ipvsadm.rules", "# emtpy rules file for ipvsadm\n\n").unwrap();
    settings("false", "none");
    machine.boot();
    ipvsadm("-A -t 10.0.0.9:80", "");
    succeeds(&machine, "start ipvsadm");
    assert_eq!(machine.log(), not_restored);
    assert_eq!(ipvsadm("-Sn", ""), "-A -t 10.0.0.9:80 -s wlc\n");
    succeeds(&machine, "stop ipvsadm");
    assert_eq!((ipvsadm("-Sn", "").as_str(), daemons().len()), ("-A -t 10.0.0.9:80 -s wlc\n", 0));
    // Rules that somebody has saved, and nobody would miss before the next boot.
    fs::write("/etc/ipvsadm.rules", RULES).unwrap();
    assert_ne!(machine.systemctl("start ipvsadm").0, 0);
    let said = machine.log();
    assert!(
        said.starts_with(not_restored) && said.contains("'systemctl enable ipvsadm' restores them"),
        "{said}"
    );
    assert_eq!(ipvsadm("-Sn", ""), "-A -t 10.0.0.9:80 -s wlc\n");
    machine.power_off();
    ipvsadm("-C", "");
    machine.enable("ipvsadm.service");
    machine.boot();
    assert_eq!((ipvsadm("-Sn", ""), machine.log()), (RULES.to_owned(), String::new()));
    succeeds(&machine, "stop ipvsadm");
    assert_eq!(ipvsadm("-Sn", ""), "");

    settings("true", "both");
    succeeds(&machine, "start ipvsadm");
    assert_eq!((ipvsadm("-Sn", "").as_str(), daemons()), (RULES, vec![master.clone(), backup]));
    succeeds(&machine, "stop ipvsadm");
    assert_eq!((ipvsadm("-Sn", "").as_str(), daemons().len()), ("", 0));

    // One that runs already is left as it is.
    settings("true", "master");
    ipvsadm("--start-daemon master --mcast-interface lo --syncid 7", "");
    succeeds(&machine, "start ipvsadm");
    assert_eq!((machine.log().as_str(), daemons()), ("", vec![master]));
}

#[test]
fn metrics_are_written_where_node_exporter_reads_them() {
    if is_host() {
        return;
    }
    let mut machine = Machine::new("metrics", None);
    machine.boot();
    let folder = machine.root().join("var/lib/prometheus/node-exporter");
    // Without the folder there is no node_exporter, and nothing to do.
    let _ = fs::remove_dir_all(&folder);
    succeeds(&machine, "start ipvsadm-metrics.service");
    assert!(!folder.exists());
    fs::create_dir_all(&folder).unwrap();
    ipvsadm("-A -t 10.0.0.1:80 -s rr", "");
    succeeds(&machine, "start ipvsadm-metrics.service");
    let metrics = fs::read_to_string(folder.join("ipvs.prom")).unwrap();
    assert!(metrics.contains("\nipvs_services 1\n"), "{metrics}");
    succeeds(&machine, "start ipvsadm-metrics.timer");
    assert_eq!(machine.systemctl("is-active ipvsadm-metrics.timer"), (0, "active\n".into()));
}

#[test]
fn debians_paths() {
    if !is_host() {
        let machine = Machine::new("debian", None);
        comes_late(&machine, 2, 0);
        life(machine, "/etc/ipvsadm.rules", "/etc/default/ipvsadm");
    }
}

#[test]
fn red_hats_paths() {
    if !is_host() {
        let machine = Machine::new("redhat", Some("redhat.conf"));
        comes_late(&machine, 0, 2);
        life(machine, "/etc/sysconfig/ipvsadm", "/etc/sysconfig/ipvsadm-config");
    }
}
