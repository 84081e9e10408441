//! What fixes must never do: take an address that another machine has, lose a file, run a stranger's program, or change
//! something without a word.

use std::collections::BTreeSet;

use crate::cluster::{Cluster, Kind};
use crate::missing::without;

/// With each of its programs missing, the fix leaves the address to the machine that has it.
#[test]
fn an_address_that_another_machine_has_is_never_taken() {
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed("director", "ip addr del 192.168.1.100/32 dev eth0");
    cluster.succeed("backup", "ip addr add 192.168.1.100/32 dev eth0");
    let fix = "ping -c 1 -W 1 192.168.1.100 || ! ipvsadm --check --nobody-has 192.168.1.100%eth0 || \
               ip addr replace 192.168.1.100/32 dev eth0";
    let (_, shown) = cluster.run("director", "ipvsadm --check --json");
    assert!(shown.contains(fix), "{shown}");
    for missing in [&[][..], &["ping"], &["grep"], &["arping"], &["ping", "grep", "arping"], &["ip"]] {
        for command in [fix, "ipvsadm --check --fix --yes"] {
            // What the kernel knows from the last time.
            cluster.succeed("director", "ip neigh flush dev eth0");
            let (status, shown) = cluster.run("director", &without(missing, command));
            assert!(command == fix || status == 1, "{missing:?}: {status} {shown}");
            let is_asked = if command == fix { missing.contains(&"ping") } else { !missing.contains(&"ip") };
            assert!(!is_asked || shown.contains("192.168.1.100 is taken: "), "{missing:?}: {shown}");
            let addresses = cluster.succeed("director", "ip -o addr show dev eth0");
            assert!(!addresses.contains("192.168.1.100"), "{missing:?} {command}: {addresses}");
        }
    }
    // Nobody can be asked: without the privilege, without a cable, without an interface, or with a kernel that asks nobody.
    cluster.succeed("backup", "ip addr del 192.168.1.100/32 dev eth0");
    for (prepare, question, restore) in [
        (
            "true",
            "setpriv --bounding-set -all --reuid 65534 ipvsadm --check --nobody-has 192.168.1.100%eth0",
            "true",
        ),
        (
            "ip link set dev eth0 down",
            "ipvsadm --check --nobody-has 192.168.1.100%eth0",
            "ip link set dev eth0 up",
        ),
        ("true", "ipvsadm --check --nobody-has 192.168.1.100%eth9", "true"),
        ("true", "ipvsadm --check --nobody-has 192.168.1.100%lo", "true"),
        (
            "sysctl -w net.ipv4.neigh.eth0.mcast_solicit=0",
            "ipvsadm --check --nobody-has 192.168.1.100",
            "sysctl -w net.ipv4.neigh.eth0.mcast_solicit=3",
        ),
    ] {
        cluster.succeed("director", prepare);
        let (status, shown) = cluster.run("director", question);
        assert!(
            status == 2 && shown.starts_with("cannot ask other machines for 192.168.1.100: "),
            "{question}: {shown}"
        );
        cluster.succeed("director", restore);
    }
    // And now nobody has it.
    let (status, shown) = cluster.run("director", &without(&["ping", "arping", "grep"], fix));
    assert_eq!(status, 0, "{shown}");
    assert!(cluster.succeed("director", "ip -o addr show dev eth0").contains("192.168.1.100/32"));
    for (words, what) in [
        ("--nobody-has 192.168.1.300", "illegal address specified: '192.168.1.300'; "),
        ("--nobody-has 192.168.1.1%", "illegal address specified: '192.168.1.1%'; "),
        ("--nobody-has 0.0.0.0", "illegal address specified: '0.0.0.0'; "),
        ("--nobody-has 192.168.1.1 --json", "with --nobody-has nothing else is checked: leave out --json"),
    ] {
        let (status, shown) = cluster.run("director", &format!("ipvsadm --check {words}"));
        assert!(status == 2 && shown.starts_with(what), "{words}: {status} {shown}");
    }
}

/// What is printed to be typed after the next boot asks for the address, too.
#[test]
fn an_address_is_taken_after_a_reboot_only_if_nobody_has_it() {
    let cluster = Cluster::new(Kind::Routing);
    let here = "ip -o addr show dev eth0 to 192.168.1.100";
    for (make, kept) in [
        ("ip addr del 192.168.1.100/32 dev eth0", "ping "),
        (
            "ip addr del 192.168.1.100/32 dev eth0; ip link set eth0 down",
            "ip link set dev eth0 up && { ping ",
        ),
    ] {
        cluster.succeed("director", make);
        let (_, shown) = cluster.run("director", "ipvsadm --check --fix --yes --persist");
        assert_ne!(cluster.succeed("director", here), "", "{shown}");
        let mut lines = shown.lines().filter_map(|line| line.strip_prefix("until the reboot only: "));
        let command = lines.next().unwrap_or_else(|| panic!("{shown}"));
        assert!(command.starts_with(kept), "{command}");
        for (on_backup, taken) in [("add", false), ("del", true)] {
            cluster.run("director", make);
            cluster.succeed("backup", &format!("ip addr {on_backup} 192.168.1.100/32 dev eth0"));
            cluster.run("director", command);
            assert_eq!(!cluster.succeed("director", here).is_empty(), taken, "{command}");
        }
        // Without the program that asks, too.
        cluster.run("director", make);
        cluster.run("director", &without(&["ping", "ipvsadm"], command));
        assert_eq!(cluster.succeed("director", here), "", "{command}");
        cluster.succeed("director", "ip link set eth0 up; ip addr add 192.168.1.100/32 dev eth0");
    }
}

#[test]
fn no_fix_is_carried_out_without_a_word() {
    const SETTING: &str = "net.ipv4.vs.drop_packet";
    let cluster = Cluster::new(Kind::Routing);
    let (set, get) = (format!("sysctl -w {SETTING}=3"), format!("sysctl -n {SETTING}"));
    // Whoever reads has seen enough, or there is no room for it.
    for to in ["| head -1", "| true", ">/dev/full", ">&-"] {
        cluster.succeed("director", &set);
        let (_, shown) = cluster.run("director", &format!("ipvsadm --check --fix --yes {to}"));
        let is_said = shown.contains("undo it by: ");
        let now = cluster.succeed("director", &get);
        assert!(now == "3" || is_said, "{to}: {now} {shown}");
        assert_eq!(now, "3", "{to}");
    }
    // It is ended as soon as the setting has changed.
    cluster.succeed("director", &set);
    let ended = format!(
        "ipvsadm --check --fix --yes >/run/check/said & while [ $({get}) = 3 ]; do :; done; kill -9 $!; cat /run/check/said"
    );
    let (_, said) = cluster.run("director", &ended);
    for part in [
        "drop-packet: net.ipv4.vs.drop_packet\n",
        "  if this is interrupted, undo it by: sysctl -w net.ipv4.vs.drop_packet=3",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Two copies of one run, in the same second, and links under the names of the next minutes.
#[test]
fn no_backup_replaces_a_file() {
    const FILE: &str = "/etc/sysconfig/ipvsadm";
    let cluster = Cluster::new(Kind::Routing);
    let original = cluster.succeed("director", &format!("cat {FILE}"));
    cluster.succeed(
        "director",
        &format!(
            "ipvsadm -A -t 192.168.1.100:81 -s rr -p 60 -M 0.0.0.0 && ipvsadm -a -t 192.168.1.100:81 -r 192.168.1.11 && \
             ipvsadm -a -t 192.168.1.100:81 -r 192.168.1.12 && echo theirs >/run/check/victim && now=$(date +%s) && \
             for n in $(seq 0 90); do ln -s /run/check/victim {FILE}.before-fix-$(date -u -d @$((now + n)) +%Y%m%d-%H%M%S); done"
        ),
    );
    let (_, shown) = cluster.run("director", "ipvsadm --check --fix --yes --persist");
    assert!(shown.contains("save-stale: ") && shown.contains("mask-of-all: "), "{shown}");
    assert!(shown.contains(&format!("written: {FILE}; this undoes it:")), "{shown}");
    let commands = crate::repaired::undo(&shown);
    let copies: Vec<&String> = commands.iter().filter(|command| command.starts_with("cp -p ")).collect();
    let distinct: BTreeSet<&&String> = copies.iter().collect();
    assert!(copies.len() == 2 && distinct.len() == 2, "{shown}");
    assert_eq!(cluster.succeed("director", "cat /run/check/victim"), "theirs");
    for command in copies {
        cluster.succeed("director", command);
    }
    assert_eq!(cluster.succeed("director", &format!("cat {FILE}")), original);
}

#[test]
fn programs_of_the_current_folder_are_not_run() {
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed(
        "director",
        "mkdir -p /run/check/here && cd /run/check/here && \
         for name in nft ip sysctl ss iptables iptables-save ip6tables-save modprobe date sh ipvsadm getent; do \
         printf '#!/bin/sh\\necho $0 >>/run/check/called\\n' >$name && chmod +x $name; done",
    );
    let own = crate::cluster::OURS;
    for path in ["env -u PATH", "PATH=", "PATH=.", "PATH=:/usr/bin", "PATH=here:.", "PATH=/run/check/here"] {
        cluster.succeed(
            "director",
            "sysctl -w net.ipv4.vs.drop_packet=3 && iptables-legacy -A OUTPUT -p udp -j DROP",
        );
        let (status, shown) =
            cluster.run("director", &format!("cd /run/check/here; {path} {own} --check --fix --yes"));
        assert!(status == 0 && shown.contains("drop-packet: "), "{path}: {status} {shown}");
        assert_eq!(
            cluster.succeed("director", "ls /run/check/called 2>/dev/null || echo none"),
            "none",
            "{path}"
        );
    }
}

/// What does not stand in `/proc/net/ip_vs` is not absent: before 7.2 that file lacks services where other network namespaces
/// have many.
#[test]
fn a_director_that_is_asked_as_a_real_server_keeps_its_addresses() {
    let cluster = Cluster::new(Kind::Routing);
    let many = "for n in $(seq 1 600); do echo \"-A -t 192.168.$((n / 200 + 2)).$((n % 200 + 1)):80\"; done | ipvsadm -R";
    for host in ["director", "backup"] {
        cluster.succeed(host, many);
    }
    let takes_away = |words: &str| {
        let each = format!(
            "for n in $(seq 10 10 190); do ip addr add 192.168.2.$n/32 dev eth0; {words}ipvsadm --check --json -r 192.168.2.$n; done"
        );
        let (_, shown) = cluster.run("director", &each);
        assert!(shown.starts_with('['), "{shown}");
        cluster
            .succeed("director", "for n in $(seq 10 10 190); do ip addr del 192.168.2.$n/32 dev eth0; done");
        (shown.matches("ip addr del").count(), shown.matches("ipvsadm -L -n").count())
    };
    assert_eq!(takes_away(""), (0, 0));
    // Who may not ask the kernel does not know.
    let (deleted, unknown) = takes_away("setpriv --reuid 65534 --bounding-set -all ");
    assert_eq!(deleted, 0, "{unknown}");
}

/// A check looks, and changes nothing: no part of the kernel is loaded, and no program is run twice.
#[test]
fn a_check_loads_no_module_and_runs_each_program_once() {
    let cluster = Cluster::new(Kind::Marked);
    for (host, words) in [("director", "--check"), ("rs1", "--check -r 192.168.1.100:80")] {
        // With rules, and with a mark that none sets.
        for prepare in ["true", "iptables-legacy -t mangle -F; true"] {
            cluster.succeed(host, prepare);
            let modules = || cluster.succeed(host, "cut -d ' ' -f 1 /proc/modules | sort");
            let before = modules();
            cluster.run(host, &format!("strace -f -qq -e trace=execve -o /run/check/run ipvsadm {words}"));
            assert_eq!(modules(), before, "{host} {prepare}");
            let run = cluster.succeed(host, "grep ' = 0$' /run/check/run");
            let programs: Vec<&str> = run.lines().filter_map(|line| line.split('"').nth(1)).collect();
            let distinct: BTreeSet<&&str> = programs.iter().collect();
            assert!(
                !programs.is_empty() && distinct.len() == programs.len(),
                "{host} {prepare}: {programs:?}"
            );
        }
    }
}
