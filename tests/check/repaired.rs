//! `--check --fix` carries out what can be undone, and nothing else.

use crate::cluster::{Cluster, Kind};
use crate::settles;

const SERVER: &str = "ipvsadm --check -r 192.168.1.100 --port 80 --director 192.168.1.1";

/// The commands that are printed to undo fixes, the last one first.
pub(crate) fn undo(shown: &str) -> Vec<String> {
    let lines: Vec<&str> = shown.lines().collect();
    let after = |pair: &[&str]| pair[0].ends_with("this undoes it:").then(|| pair[1].trim().to_owned());
    let mut commands: Vec<String> = lines.windows(2).filter_map(after).collect();
    commands.reverse();
    commands
}

#[test]
fn a_server_is_mended_and_what_was_done_can_be_undone() {
    let cluster = Cluster::new(Kind::Routing);
    let state = "sysctl net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce net.ipv4.conf.eth0.arp_ignore \
                 net.ipv4.conf.eth0.arp_announce; ip -4 -o addr show";
    cluster.succeed(
        "rs1",
        "mount -t tmpfs lab /etc/sysctl.d && sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.arp_announce=0 && \
         ip addr del 192.168.1.100/32 dev lo",
    );
    let before = cluster.succeed("rs1", state);
    // Nobody can be asked.
    let (status, refusal) = cluster.run("rs1", &format!("{SERVER} --fix"));
    assert_eq!(
        (status, refusal.as_str()),
        (2, "--fix asks before each change, and stdin is no terminal: add --yes")
    );
    assert_eq!(cluster.succeed("rs1", state), before);

    let (status, shown) = cluster.run("rs1", &format!("umask 0; {SERVER} --fix --yes --persist"));
    assert_eq!(status, 0, "{shown}");
    for part in [
        "arp-ignore: eth0\n",
        "arp-announce: eth0\n",
        "server-vip-missing: 192.168.1.100\n",
        "written: /etc/sysctl.d/99-zz-ipvsadm.conf\n",
        "until the reboot only: ip addr replace 192.168.1.100/32 dev lo",
    ] {
        assert!(shown.contains(part), "{part}{shown}");
    }
    settles(&cluster, None, "rs1 rs1 rs2 rs2", &shown);
    assert_eq!(cluster.run("rs1", SERVER), (0, String::new()));
    let written = cluster.succeed("rs1", "cat /etc/sysctl.d/99-zz-ipvsadm.conf");
    assert!(written.contains("\nnet.ipv4.conf.all.arp_ignore = 1\n"), "{written}");
    assert_eq!(cluster.succeed("rs1", "stat -c %a /etc/sysctl.d/99-zz-ipvsadm.conf"), "644");
    cluster.succeed("rs1", "sysctl -p /etc/sysctl.d/99-zz-ipvsadm.conf");

    let commands = undo(&shown);
    assert_eq!(commands.len(), 3, "{shown}");
    for command in commands {
        cluster.succeed("rs1", &command);
    }
    assert_eq!(cluster.succeed("rs1", state), before);
}

#[test]
fn a_director_is_mended_as_far_as_it_can_be_undone() {
    let cluster = Cluster::new(Kind::Routing);
    let table = "ipvsadm -S -n --full | grep -v '^#'";
    let before = cluster.succeed("director", table);
    cluster.succeed(
        "director",
        "ipvsadm -E -t 192.168.1.100:80 -s rr -p 60 -M 0.0.0.0 && ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.77 && \
         sysctl -w net.ipv4.vs.drop_packet=3 && iptables-legacy -A INPUT -p tcp --dport 80 -j DROP && \
         cp /etc/sysconfig/ipvsadm /run/check/saved && rm /etc/sysconfig/ipvsadm",
    );
    cluster.succeed("client", "ip neigh replace 192.168.1.77 dev eth0 lladdr 02:00:00:00:00:77");
    cluster.succeed("director", "ip neigh replace 192.168.1.77 dev eth0 nud failed");
    let faulty = cluster.succeed("director", table);
    let (status, shown) = cluster.run("director", "umask 0; ipvsadm --check --fix --yes --persist");
    assert_eq!(status, 1, "{shown}");
    assert_eq!(cluster.succeed("director", "stat -c %a /etc/sysconfig/ipvsadm"), "644");
    for part in ["mask-of-all: ", "server-silent: ", "drop-packet: ", "save-missing: "] {
        assert!(shown.contains(part), "{part}{shown}");
    }
    // What an administrator may have closed by intention is not opened.
    let left = shown.split("left to you:").nth(1).unwrap();
    assert!(left.contains("filter-input") && !left.contains("drop-packet"), "{shown}");
    assert!(shown.contains("the table is not saved: "), "{shown}");
    assert_eq!(cluster.succeed("director", "sysctl -n net.ipv4.vs.drop_packet"), "0");
    let rules = cluster.succeed("director", "iptables-legacy -S INPUT");
    assert!(!rules.contains("ACCEPT\n-A INPUT -d"), "{rules}");

    for command in undo(&shown) {
        cluster.succeed("director", &command);
    }
    assert_eq!(cluster.succeed("director", table), faulty);
    assert_ne!(faulty, before);
    assert_eq!(cluster.succeed("director", "sysctl -n net.ipv4.vs.drop_packet; ls /etc/sysconfig"), "3");
}

#[test]
fn a_fix_that_does_not_help_ends_it_and_answers_are_asked_for_on_a_terminal() {
    let cluster = Cluster::new(Kind::Routing);
    // Another machine answers for the address, which its fix respects.
    cluster.succeed(
        "director",
        "ip addr del 192.168.1.100/32 dev eth0 && sysctl -w net.ipv4.vs.run_estimation=0",
    );
    cluster.succeed("backup", "ip addr add 192.168.1.100/32 dev eth0");
    let (status, shown) = cluster.run("director", "ipvsadm --check --fix --yes");
    assert_eq!(status, 1, "{shown}");
    assert!(shown.contains("not carried out, or not all of it: nothing more is done\n"), "{shown}");
    assert_eq!(undo(&shown), Vec::<String>::new(), "nothing was changed: {shown}");
    assert_eq!(cluster.succeed("director", "sysctl -n net.ipv4.vs.run_estimation"), "0");
    assert!(!cluster.succeed("director", "ip -o addr show dev eth0").contains("192.168.1.100"));

    cluster.succeed("backup", "ip addr del 192.168.1.100/32 dev eth0");
    cluster.succeed("director", "ip addr add 192.168.1.100/32 dev eth0 && ip neigh flush dev eth0");
    let answer = |words: &str| {
        let line =
            format!("printf '{words}\\n' | script -qec 'stty cols 80; ipvsadm --check --fix' /dev/null");
        cluster.run("director", &line)
    };
    let (status, shown) = answer("n");
    assert!(
        status == 1 && shown.contains("carry this out? [y/N]") && shown.contains("left to you:"),
        "{shown}"
    );
    assert!(shown.lines().all(|line| line.trim_end().chars().count() <= 80), "{shown}");
    assert_eq!(cluster.succeed("director", "sysctl -n net.ipv4.vs.run_estimation"), "0");
    let (status, shown) = answer("y");
    assert!(status == 0 && shown.contains("sysctl -w net.ipv4.vs.run_estimation=0"), "{shown}");
    assert_eq!(cluster.succeed("director", "sysctl -n net.ipv4.vs.run_estimation"), "1");
}
