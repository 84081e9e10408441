//! Names that have a meaning for a shell or a terminal: the commands printed by `--check` are run by sh, and no name
//! reaches the terminal unescaped.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::cluster::{OURS, prepare, shell};

/// Interface names that the kernel accepts, and that a shell, a terminal, `ip` or sysctl would interpret.
const NAMES: [&str; 8] =
    ["x;>hit;", "$(>hit)`>hit`", "a'b\"c&|", "*", "-x", "up", "\u{1b}[31mr\u{202e}d", "a=b.c"];

/// An empty folder, in which files named `hit`, or the matches of a `*`, reveal a name that was not quoted.
const FOLDER: &str = "/run/check-names";

fn sh(line: &str) -> Output {
    shell(line).current_dir(FOLDER).output().unwrap()
}

fn succeed(line: &str) {
    let output = sh(line);
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn tool(words: &[&str]) -> Output {
    Command::new(OURS).args(words).current_dir(FOLDER).output().unwrap()
}

fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The findings, after a check of the terminal output.
fn findings(options: &[&str]) -> Vec<Value> {
    let json = shown(&[options, &["--json"]].concat());
    serde_json::from_str(&json).unwrap()
}

/// The output, in which nothing controls the terminal.
fn shown(options: &[&str]) -> String {
    let shown = String::from_utf8(tool(&[&["--check"], options].concat()).stdout).unwrap();
    let raw = |character: char| character != '\n' && (character.is_control() || character == '\u{202e}');
    assert!(!shown.contains(raw), "{shown:?}");
    shown
}

/// Runs the fix of the finding `id`, which must then be gone.
fn fix(id: &str, options: &[&str]) -> Value {
    let found = findings(options);
    let finding =
        found.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{id}: {found:?}"));
    succeed(&finding["fix"].as_str().unwrap().replace("ipvsadm ", &format!("{OURS} ")));
    let after = findings(options);
    assert!(after.iter().all(|finding| finding["id"] != id), "{finding}: {after:?}");
    let hits = std::fs::read_dir(FOLDER).unwrap().count();
    assert_eq!(hits, 1, "{finding}");
    finding.clone()
}

/// A director whose only Ethernet interface has the name.
fn director(name: &str) {
    lab::isolate();
    prepare();
    let _ = std::fs::remove_dir_all(FOLDER);
    std::fs::create_dir(FOLDER).unwrap();
    // A name that is a pattern would match this.
    std::fs::write(Path::new(FOLDER).join("1"), "").unwrap();
    ip(&["link", "add", "name", name, "type", "veth", "peer", "name", "far"]);
    for interface in [name, "far"] {
        ip(&["link", "set", "dev", interface, "up"]);
    }
    ip(&["addr", "add", "192.168.1.1/24", "dev", name]);
}

fn load(rules: &str) {
    succeed(&format!("printf '%s\\n' {rules} | {OURS} -R"));
}

#[test]
fn commands_with_interfaces_of_any_name_do_what_they_say() {
    let none = ["--file", "/dev/null"];
    for name in NAMES {
        director(name);
        load("'-A -t 192.168.1.100:80 -s rr' '-a -t 192.168.1.100:80 -r 192.168.1.11:80 -m'");
        let finding = fix("vip-missing", &none);
        assert!(finding["fix"].as_str().unwrap().contains("|| ip addr replace 192.168.1.100/32 dev "));
        ip(&["link", "set", "dev", name, "down"]);
        let finding = fix("vip-link-down", &none);
        assert_eq!(finding["what"], format!("192.168.1.100 is on {name}, which is down"));
        ip(&["link", "set", "dev", name, "down"]);
        assert!(shown(&none).contains("vip-link-down"));
        ip(&["link", "set", "dev", name, "up"]);

        let settings = Path::new("/proc/sys/net/ipv4/conf").join(name);
        std::fs::write(settings.join("send_redirects"), "1").unwrap();
        let finding = fix("send-redirects", &none);
        assert_eq!(finding["at"], *name);
        assert_eq!(std::fs::read_to_string(settings.join("send_redirects")).unwrap(), "0\n");

        ip(&["addr", "del", "192.168.1.100/32", "dev", name]);
        ip(&["addr", "add", "192.168.1.100/32", "dev", "lo"]);
        std::fs::write(settings.join("arp_ignore"), "1").unwrap();
        fix("vip-on-loopback", &none);

        ip(&["route", "add", "blackhole", "192.168.1.11/32"]);
        fix("server-unreachable", &none);

        // Neither starting a daemon nor the tool's own options need a shell.
        ip(&["link", "set", "dev", name, "up"]);
        assert!(tool(&["--start-daemon", "master", "--mcast-interface", name]).status.success());
        ip(&["link", "set", "dev", name, "down"]);
        fix("sync-link-down", &none);
    }
}

#[test]
fn commands_with_files_of_any_name_do_what_they_say() {
    for name in NAMES.into_iter().chain(["it's here", "two\nlines", "an end\n"]) {
        director("eth0");
        load("'-A -t 192.168.1.100:80 -s rr' '-a -t 192.168.1.100:80 -r 192.168.1.11'");
        let path = format!("/run/check-saved/{name}");
        let _ = std::fs::remove_dir_all("/run/check-saved");
        std::fs::create_dir("/run/check-saved").unwrap();
        let options = ["--file", &path];
        assert!(shown(&options).contains("save-missing"));
        let finding = fix("save-missing", &options);
        assert_eq!(finding["at"], *path);
        assert!(std::fs::metadata(&path).unwrap().len() > 0, "{name}");
    }
}
