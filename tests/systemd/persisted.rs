//! What `--check --fix --persist` writes is in effect after a boot: systemd loads the module before it sets the settings.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::machine::Machine;

const SETTING: &str = "/proc/sys/net/ipv4/vs/backup_only";
const UNITS: [&str; 2] = ["systemd-modules-load.service", "systemd-sysctl.service"];

fn sh(line: &str) -> (i32, String) {
    let output = Command::new("/bin/sh").args(["-c", line]).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code().unwrap(), text)
}

fn succeed(line: &str) -> String {
    let (status, text) = sh(line);
    assert_eq!(status, 0, "{line}\n{text}");
    text
}

/// Boots as after a power cut: without the module, with the settings that it begins with.
fn boot(machine: &mut Machine) -> Option<String> {
    succeed(
        "ipvsadm -C; ipvsadm --stop-daemon backup 2>/dev/null; for it in $(lsmod | awk '/^ip_vs_/ { print $1 }') ip_vs; do rmmod $it || exit 1; done",
    );
    assert!(!Path::new(SETTING).exists());
    machine.boot();
    let value = fs::read_to_string(SETTING).ok();
    machine.power_off();
    value
}

#[test]
fn settings_of_ipvs_are_set_at_boot() {
    if super::is_host() {
        return;
    }
    let mut machine = Machine::new("persisted", None);
    let wanted = machine.units().join("sysinit.target.wants");
    fs::create_dir_all(&wanted).unwrap();
    for unit in UNITS {
        fs::copy(Path::new("/lib/systemd/system").join(unit), machine.units().join(unit)).unwrap();
        symlink(Path::new("..").join(unit), wanted.join(unit)).unwrap();
    }
    // The guest's modules, where systemd looks.
    let nothing = None::<&str>;
    fs::create_dir_all("/lib/modules").unwrap();
    mount(Some("/run/modules/lib/modules"), "/lib/modules", nothing, MsFlags::MS_BIND, nothing).unwrap();

    // A standby that is a real server too, and schedules again what it gets.
    succeed(
        "ip link add d0 type dummy && ip link set d0 up && ip addr add 10.1.0.1/24 dev d0 && \
         ip addr add 192.0.2.1/32 dev lo && ipvsadm --start-daemon backup --mcast-interface lo && \
         ipvsadm -A -t 192.0.2.1:80 && ipvsadm -a -t 192.0.2.1:80 -r 10.1.0.2 && \
         ipvsadm -a -t 192.0.2.1:80 -r 10.1.0.1 && { busybox httpd -p 80 -h /run || busybox nc -l -p 80 & }",
    );
    let (_, said) = sh("ipvsadm --check --fix --yes --persist");
    for part in [
        "backup-only: ",
        "written: /etc/modules-load.d/ipvsadm.conf\n",
        "written: /etc/sysctl.d/99-zz-ipvsadm.conf\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(fs::read_to_string(SETTING).unwrap(), "1\n");
    assert_eq!(boot(&mut machine).as_deref(), Some("1\n"), "{said}");
    // It is the module that was missing at boot.
    fs::remove_file("/etc/modules-load.d/ipvsadm.conf").unwrap();
    succeed("/run/modprobe ip_vs");
    assert_eq!(boot(&mut machine), None);
    succeed("/run/modprobe ip_vs");
}
