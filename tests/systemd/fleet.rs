//! The units that keep the tables of many directors alike: `ipvsadm-apply` and `ipvsadm-etcd@`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::machine::Machine;
use crate::{RULES, ipvsadm, is_host, succeeds};

/// Waits until the table has these lines.
fn until_table(lines: &str, machine: &Machine) {
    let end = Instant::now() + Duration::from_secs(30);
    while ipvsadm("-Sn", "") != lines {
        assert!(Instant::now() < end, "{}, not {lines}: {}", ipvsadm("-Sn", ""), machine.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_file_that_changes_is_applied() {
    if is_host() {
        return;
    }
    let mut machine = Machine::new("applied", None);
    let rules = "/etc/ipvsadm.rules";
    fs::write(rules, RULES).unwrap();
    machine.boot();
    let log = machine.units().join("ipvsadm-apply.service.d");
    fs::create_dir_all(&log).unwrap();
    fs::copy(machine.units().join("ipvsadm.service.d/zz-lab.conf"), log.join("zz-lab.conf")).unwrap();
    // Not every 30 seconds, so that the test is short.
    let often = machine.units().join("ipvsadm-apply.timer.d");
    fs::create_dir_all(&often).unwrap();
    fs::write(often.join("zz-lab.conf"), "[Timer]\nOnUnitInactiveSec=3s\n").unwrap();
    succeeds(&machine, "daemon-reload");
    succeeds(&machine, "start ipvsadm-apply.path");
    until_table(RULES, &machine);
    let wider = RULES.replace("-w 1", "-w 4");
    fs::write(rules, &wider).unwrap();
    until_table(&wider, &machine);
    // As programs replace it that write files whole, while the first is perhaps still being applied.
    fs::write("/etc/ipvsadm.new", RULES).unwrap();
    fs::rename("/etc/ipvsadm.new", rules).unwrap();
    until_table(RULES, &machine);
    // A bad one changes nothing, and its line is named. The service may still look whether the file has changed again.
    let end = Instant::now() + Duration::from_secs(30);
    while machine.systemctl("is-active ipvsadm-apply").1 != "inactive\n" {
        assert!(Instant::now() < end, "it does not end");
    }
    machine.log();
    fs::write(rules, "-A -t bogus\n").unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while machine.systemctl("is-failed ipvsadm-apply").0 != 0 {
        assert!(Instant::now() < end, "it does not fail");
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = machine.log();
    assert!(said.starts_with("line 1: illegal virtual server address[:port] specified: 'bogus'"), "{said}");
    assert_eq!(ipvsadm("-Sn", ""), RULES);
    // The next is applied again. Other options come from the settings: what is not in the file stays.
    fs::write("/etc/default/ipvsadm", "IPVS_APPLY=\"--only-listed --json\"\n").unwrap();
    ipvsadm("-A -f 7 -s rr", "");
    fs::write(rules, ipvsadm("-S --json", "").replace("\"weight\":1", "\"weight\":9")).unwrap();
    until_table(&(RULES.replace("-w 1", "-w 9") + "-A -f 7 -s rr\n"), &machine);
}

/// The unit may do all that it needs, and starts again where etcd was away.
#[test]
fn a_key_of_etcd_is_followed() {
    if is_host() {
        return;
    }
    let program = |package: &str, name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab").join(package);
        folder.join("usr/bin").join(name).display().to_string()
    };
    let mut machine = Machine::new("followed", None);
    let log = machine.units().join("ipvsadm-etcd@.service.d");
    fs::create_dir_all(&log).unwrap();
    let settings = fs::read_to_string(machine.units().join("ipvsadm.service.d/zz-lab.conf")).unwrap();
    fs::write(log.join("zz-lab.conf"), settings + "RestartSec=1\n").unwrap();
    // The unit has a /tmp of its own, and this project may lie there.
    let etcdctl = "/usr/bin/etcdctl";
    fs::copy(program("etcd-client", "etcdctl"), etcdctl).unwrap();
    fs::write("/etc/default/ipvsadm-etcd", "ETCDCTL_ENDPOINTS=http://127.0.0.1:2379\n").unwrap();
    machine.boot();
    let metrics = machine.root().join("var/lib/prometheus/node-exporter");
    fs::create_dir_all(&metrics).unwrap();
    succeeds(&machine, "start ipvsadm-etcd@web");
    let mut etcd = Command::new(program("etcd-server", "etcd"));
    etcd.args(["--data-dir", "/run/followed/etcd"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut etcd = etcd.spawn().unwrap();
    let put = |document: &str| {
        let mut put = Command::new(etcdctl);
        let put = put.env("ETCDCTL_API", "3").args(["put", "--", "/ipvsadm/web", document]).output();
        put.unwrap().status.success()
    };
    let end = Instant::now() + Duration::from_secs(60);
    while !put(RULES) {
        assert!(Instant::now() < end, "etcd does not come up");
    }
    until_table(RULES, &machine);
    let wider = RULES.replace("-w 1", "-w 4");
    assert!(put(&wider));
    until_table(&wider, &machine);
    let file = metrics.join("ipvs-etcd--ipvsadm-web.prom");
    let end = Instant::now() + Duration::from_secs(10);
    while !fs::read_to_string(&file)
        .unwrap_or_default()
        .contains("\nipvs_follow_applied{key=\"/ipvsadm/web\"} 1\n")
    {
        assert!(Instant::now() < end, "{}", machine.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(machine.systemctl("is-active ipvsadm-etcd@web"), (0, "active\n".into()));
    etcd.kill().unwrap();
    etcd.wait().unwrap();
}
