//! Networks of hosts, which are network namespaces: segments are bridges, and each interface is a cable to one.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns};

/// Makes hosts, each a line `NAME INTERFACE@SEGMENT ADDRESS ... [via GATEWAY]`, and sets them up with further lines for
/// `ip`, each with its host's name. All commands for `ip` are given at once: starting a program is slow here.
pub fn build(hosts: &[&str], more: &[(&str, String)]) {
    let (mut outside, mut insides, mut segments) = (String::new(), Vec::new(), Vec::new());
    for host in hosts {
        let words: Vec<&str> = host.split(' ').collect();
        let name = words[0];
        let mut inside = "link set lo up\n".to_owned();
        writeln!(outside, "netns add {name}").unwrap();
        for pair in words[1..].chunks(2) {
            let [what, value] = pair else { panic!("{host}") };
            let Some((interface, segment)) = what.split_once('@') else {
                writeln!(inside, "route add default via {value}").unwrap();
                continue;
            };
            if !segments.contains(&segment) {
                segments.push(segment);
                writeln!(outside, "link add {segment} type bridge\nlink set {segment} up").unwrap();
            }
            let cable = format!("{name}-{interface}");
            writeln!(outside, "link add {cable} type veth peer name {interface} netns {name}").unwrap();
            writeln!(outside, "link set {cable} master {segment} up").unwrap();
            let now = if value.contains(':') { "nodad" } else { "" };
            writeln!(inside, "addr add {value} dev {interface} {now}\nlink set {interface} up").unwrap();
        }
        for (_, line) in more.iter().filter(|(host, _)| *host == name) {
            writeln!(inside, "{line}").unwrap();
        }
        insides.push((vec!["-n", name], inside));
    }
    for (arguments, lines) in std::iter::once((vec![], outside)).chain(insides) {
        let mut command = Command::new("ip");
        let mut ip = command.args(arguments).args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        ip.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(ip.wait().unwrap().success(), "{lines}");
    }
}

/// Changes settings `NAME=VALUE` of a host.
#[allow(dead_code, reason = "each test program uses its own part of this")]
pub fn set(host: &str, settings: &str) {
    for setting in settings.split_whitespace() {
        let (name, value) = setting.split_once('=').unwrap();
        let file = format!("/proc/sys/{}", name.replace('.', "/"));
        within(host, || std::fs::write(file, value))
            .unwrap_or_else(|error| panic!("{host}: {setting}: {error}"));
    }
}

/// Puts the calling thread, and the programs that it starts, on a host.
pub fn enter(host: &str) {
    let hosts = File::open(format!("/run/netns/{host}")).unwrap();
    setns(hosts, CloneFlags::CLONE_NEWNET).unwrap();
}

/// Runs a closure on a host, where the calling thread is for that time.
pub fn within<T>(host: &str, work: impl FnOnce() -> T) -> T {
    let own = File::open("/proc/thread-self/ns/net").unwrap();
    enter(host);
    let result = work();
    setns(own, CloneFlags::CLONE_NEWNET).unwrap();
    result
}
