//! Refusals by the kernel: each is provoked, the message names the actual cause, and its fix works.

use std::net::UdpSocket;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::{OURS, feed, run};

const INVALID: &str = "Invalid operation.  Possibly wrong module version, address not unicast, ...";
const UNREACHABLE: &str = "Network is unreachable";
const V6_GROUP: &str = "--mcast-group ff02::5";

fn sh(script: &str) {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
}

/// `line` is refused with this message, but not after the commands following the message's last colon, or `instead`
/// of them.
fn fixed(line: &str, message: &str, instead: &str) {
    let (status, stdout, said) = run(OURS, line);
    assert_eq!(
        (status, stdout.as_str(), said.as_str()),
        (255, "", format!("{message}\n").as_str()),
        "{line}"
    );
    let again = match instead {
        "" => {
            let (_, commands) = message.rsplit_once(": ").unwrap();
            sh(&commands.replace("ADDRESS", "fd01::1"));
            line
        }
        instead => instead,
    };
    assert_eq!(run(OURS, again), (0, String::new(), String::new()), "{again}, after: {message}");
}

/// The lab with this tool as `ipvsadm`, and a service of each family.
fn start() {
    lab::isolate();
    lab::put(OURS);
    sh("ip link add d0 type dummy");
    assert_eq!(feed(OURS, "-R", "-A -t 10.0.0.1:80\n-A -t [fd00::1]:80\n").0, 0);
}

/// A sync daemon needs time to start, and cannot be stopped properly before.
fn stop(state: &str) {
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(run(OURS, &format!("--stop-daemon {state}")).0, 0);
}

#[test]
fn servers_of_another_family_and_sync_daemons_exclude_each_other() {
    start();
    let to_v6 = "-a -t [fd00::1]:80 -r 10.1.0.1 -i";
    let to_v4 = "-a -t 10.0.0.1:80 -r fd00::7 -i";
    let beside = "no server may be of another family than its service while a sync daemon runs";
    sh("ipvsadm --start-daemon master --mcast-interface lo --syncid 7; sleep 0.1");
    fixed(to_v6, &format!("{INVALID}: '10.1.0.1'; {beside}: ipvsadm --stop-daemon master --syncid 7"), "");
    run(OURS, "-d -t [fd00::1]:80 -r 10.1.0.1");
    sh("for state in master backup; do ipvsadm --start-daemon $state --mcast-interface lo; done; sleep 0.1");
    let stops = "ipvsadm --stop-daemon master --syncid 0 && ipvsadm --stop-daemon backup --syncid 0";
    fixed(to_v4, &format!("{INVALID}: 'fd00::7'; {beside}: {stops}"), "");
    assert_eq!(run(OURS, to_v6).0, 0);

    let none = "no sync daemon runs while a server is of another family than its service";
    let start = "--start-daemon backup --mcast-interface lo";
    let delete = "ipvsadm -d -t 10.0.0.1:80 -r '[fd00::7]:80'";
    assert_eq!(run(OURS, start).2, format!("{INVALID}: 'backup'; {none} (there are 2): {delete}\n"));
    sh(delete);
    let delete = "ipvsadm -d -t '[fd00::1]:80' -r 10.1.0.1:80";
    fixed(start, &format!("{INVALID}: 'backup'; {none}: {delete}"), "");
    stop("backup");
}

#[test]
fn an_address_that_no_server_has() {
    start();
    let to_v4 = "-a -t 10.0.0.1:80 -r";
    let to_v6 = "-a -t [fd00::1]:80 -r";
    let single = "a real server has the address of a single host";
    sh("ip addr add 10.1.0.1/24 dev d0; ip link set d0 up");
    for (to, address) in [
        (to_v4, "224.0.0.1"),
        (to_v4, "10.1.0.255"),
        (to_v4, "255.255.255.255"),
        (to_v6, "ff02::1"),
        (to_v6, "::"),
    ] {
        let good = if to == to_v4 { "10.1.0.2" } else { "fd00::2" };
        fixed(
            &format!("{to} {address}"),
            &format!("{INVALID}: '{address}'; {single}"),
            &format!("{to} {good}"),
        );
        run(OURS, "-d -t 10.0.0.1:80 -r 10.1.0.2");
        run(OURS, "-d -t [fd00::1]:80 -r fd00::2");
    }
    let link_local =
        "IPVS stores no interface with an address: use an address of the server that is not link-local";
    fixed(
        &format!("{to_v6} fe80::2"),
        &format!("{INVALID}: 'fe80::2'; {link_local}"),
        &format!("{to_v6} fd00::3"),
    );
    let mapped = "write an IPv4 server as 10.1.0.9, with -i";
    fixed(
        &format!("{to_v6} ::ffff:10.1.0.9"),
        &format!("{INVALID}: '::ffff:10.1.0.9'; {mapped}"),
        &format!("{to_v6} 10.1.0.9 -i"),
    );
}

#[test]
fn a_network_namespace_without_an_address() {
    lab::isolate();
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    assert_eq!(run(OURS, "-A -t 10.0.0.1:80").0, 0);
    let why = "this network namespace has no address yet: ip link set dev lo up";
    fixed("-a -t 10.0.0.1:80 -r 10.1.0.1", &format!("{INVALID}: '10.1.0.1'; {why}"), "");
}

#[test]
fn an_interface_that_carries_no_daemon() {
    start();
    let master = "--start-daemon master --mcast-interface";
    let backup = "--start-daemon backup --mcast-interface";
    let up = |name: &str| format!("bring the interface up: ip link set dev {name} up");
    let none = |version: u8, least: u16| {
        format!("it has no IPv{version}, because its MTU is below {least}: ip link set dev d0 mtu 1500")
    };
    // The setup, the line, the text after which sentence, and the command typed instead of its fix.
    for (set_up, line, sentence, fix, instead) in [
        ("", &format!("{master} d0"), UNREACHABLE, up("d0"), ""),
        ("", &format!("{master} d0 {V6_GROUP}"), UNREACHABLE, up("d0"), ""),
        ("ip link set d0 up mtu 60", &format!("{master} d0"), UNREACHABLE, none(4, 68), ""),
        ("ip link set d0 up mtu 60", &format!("{backup} d0"), "No such device", none(4, 68), ""),
        ("ip link set d0 up mtu 1279", &format!("{master} d0 {V6_GROUP}"), UNREACHABLE, none(6, 1280), ""),
        ("ip link set d0 up mtu 1279", &format!("{backup} d0 {V6_GROUP}"), INVALID, none(6, 1280), ""),
        (
            "ip link set d0 up; echo 1 >/proc/sys/net/ipv6/conf/d0/disable_ipv6",
            &format!("{master} d0 {V6_GROUP}"),
            UNREACHABLE,
            "IPv6 is off on it: echo 0 >/proc/sys/net/ipv6/conf/d0/disable_ipv6".to_owned(),
            "",
        ),
        (
            "ip link set d0 up; ip -6 route del ff00::/8 dev d0 table local",
            &format!("{master} d0 {V6_GROUP}"),
            UNREACHABLE,
            "it has no route to IPv6 groups: ip -6 route add multicast ff00::/8 table local dev d0".to_owned(),
            "",
        ),
        (
            "ip link set d0 addrgenmode none; ip link set d0 up",
            &format!("{master} d0 {V6_GROUP}"),
            "Cannot assign requested address",
            "it has no IPv6 address, or not yet for two seconds; try again, or: ip -6 addr add ADDRESS/64 dev d0".to_owned(),
            "",
        ),
        (
            "",
            &format!("{backup} d1"),
            "No such device",
            "name an interface with --mcast-interface".to_owned(),
            &format!("{backup} d0"),
        ),
    ] {
        sh(&format!("ip link del d0; ip link add d0 type dummy; {set_up}"));
        let name = if line.contains("d1") { "d1" } else { "d0" };
        fixed(line, &format!("{sentence}: '{name}'; {fix}"), instead);
        stop(if line.starts_with(master) { "master" } else { "backup" });
    }
    // The loopback interface, which is up.
    let groups = "it cannot reach IPv6 groups; name another interface with --mcast-interface";
    let instead = format!("{master} d0 {V6_GROUP}");
    sh("ip link set d0 up");
    fixed(&format!("{master} lo {V6_GROUP}"), &format!("{UNREACHABLE}: 'lo'; {groups}"), &instead);
    stop("master");
    // Any name can be copied from the message.
    sh("ip link add 'x;id' type dummy");
    fixed(&format!("{master} x;id"), &format!("{UNREACHABLE}: 'x;id'; {}", up("'x;id'")), "");
    stop("master");
}

#[test]
fn a_port_that_another_program_has() {
    start();
    let line = "--start-daemon backup --mcast-interface lo";
    for (option, port) in [("", 8848), (" --mcast-port 9000", 9000)] {
        let taken = UdpSocket::bind(("0.0.0.0", port)).unwrap();
        let why = "another program uses this UDP port; choose another with --mcast-port";
        let instead = format!("{line} --mcast-port 9001");
        fixed(&format!("{line}{option}"), &format!("Address already in use: '{port}'; {why}"), &instead);
        stop("backup");
        drop(taken);
    }
}

#[test]
fn the_module_that_is_missing() {
    start();
    // As on a kernel that has its schedulers built in.
    let nothing = None::<&str>;
    mount(Some("lab"), "/sys/module", Some("tmpfs"), MsFlags::empty(), nothing).unwrap();
    let before = run(OURS, "-S -n").1;
    for (line, missing) in [
        ("-s rr --pe nosuch", "'nosuch'; the kernel has no module ip_vs_pe_nosuch"),
        ("-s none --pe nosuch", "'nosuch'; the kernel has no module ip_vs_pe_nosuch"),
        ("-s nosuch --pe sip", "'nosuch'; the kernel has no module ip_vs_nosuch"),
        ("-s nosuch --pe neither", "'nosuch'; the kernel has no module ip_vs_nosuch"),
        ("-s nosuch", "'nosuch'; the kernel has no module ip_vs_nosuch"),
    ] {
        for service in ["-A -u 10.0.0.1:5060", "-E -t 10.0.0.1:80"] {
            let message = format!("Scheduler or persistence engine not found: {missing}\n");
            assert_eq!(run(OURS, &format!("{service} -p {line}")), (255, String::new(), message));
        }
    }
    assert_eq!(run(OURS, "-S -n").1, before, "looking for the cause has no effect");
    assert_eq!(run(OURS, "-A -u 10.0.0.1:5060 -s rr -p --pe sip").0, 0);
}
