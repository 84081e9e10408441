//! `--netns`: directors in other network namespaces, steered from outside.

use std::process::Command;

use crate::{Answer, OURS, answer, as_nobody, feed, run, table};

const LINES: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 3\n";

/// What the original shows in a namespace.
fn seen_inside(name: &str) -> String {
    let output = Command::new("ip").args(["netns", "exec", name, lab::ORIGINAL, "-Sn"]).output().unwrap();
    answer(output).1
}

fn directors() {
    lab::isolate();
    for name in ["blue", "red"] {
        for line in [format!("netns add {name}"), format!("-n {name} link set lo up")] {
            assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success());
        }
    }
}

const NOTHING: (i32, String, String) = (0, String::new(), String::new());

#[test]
fn every_command_acts_in_the_namespace() {
    directors();
    assert_eq!(feed(OURS, "-R --netns blue", LINES), NOTHING);
    assert_eq!(
        (seen_inside("blue").as_str(), seen_inside("red"), table()),
        (LINES, String::new(), String::new())
    );
    // Before the command, behind it, or between its options.
    for line in
        ["--netns blue -S -n", "-S --netns=blue -n", "-S -n --netns blue", "--netns /run/netns/blue -Sn"]
    {
        assert_eq!(run(OURS, line), (0, LINES.to_owned(), String::new()), "{line}");
    }
    assert_eq!(run(OURS, "--netns blue").1.lines().count(), 5);
    assert!(run(OURS, "--netns blue -L --json").1.contains("10.1.0.1"));
    assert_eq!(run(OURS, "-Lnc --netns blue").1.lines().count(), 2);
    assert_eq!(run(OURS, "-L -n --netns red").1.lines().count(), 3);
    assert_eq!(run(OURS, "--set 100 100 100 --netns blue"), NOTHING);
    assert_eq!(run(OURS, "-L --timeout --netns blue").1, "Timeout (tcp tcpfin udp): 100 100 100\n");
    assert_eq!(run(OURS, "-L --timeout").1, "Timeout (tcp tcpfin udp): 900 120 300\n");
    let save = format!("{OURS}-save");
    let restore = format!("{OURS}-restore");
    assert_eq!(run(&save, "-n --netns blue"), (0, LINES.to_owned(), String::new()));
    assert_eq!(feed(&restore, "--netns red", LINES), NOTHING);
    assert_eq!(seen_inside("red"), LINES);
    assert_eq!(feed(OURS, "-R --diff --netns red", LINES), NOTHING);
    assert_eq!(run(OURS, "-D -t 10.0.0.1:80 --netns red"), NOTHING);
    assert_eq!((seen_inside("red"), seen_inside("blue").as_str()), (String::new(), LINES));
    // A process stands for its namespace, unless a namespace has its number as name.
    let mut sleep = Command::new("ip").args(["netns", "exec", "blue", "sleep", "60"]).spawn().unwrap();
    crate::until("the process is there", || run(OURS, &format!("-Sn --netns {}", sleep.id())).1 == LINES);
    sleep.kill().unwrap();
    sleep.wait().unwrap();
}

#[test]
fn commands_that_are_printed_work_from_outside() {
    directors();
    assert_eq!(feed(OURS, "-R --netns blue", LINES), NOTHING);
    let (status, _, warning) = run(OURS, "-a -t 10.0.0.1:80 -r 10.1.0.2 -w 5 --netns blue");
    let (_, fix) = warning.split_once("this changes it: ").unwrap();
    assert_eq!((status, fix), (0, "ipvsadm --netns blue -E -t 10.0.0.1:80 -s wrr\n"));
    let words = fix.strip_prefix("ipvsadm ").unwrap();
    assert_eq!(run(OURS, words).0, 0);
    assert!(seen_inside("blue").starts_with("-A -t 10.0.0.1:80 -s wrr\n"));
}

/// Status 2 and one line.
fn refused(answer: &Answer, said: &str) {
    assert_eq!(*answer, (2, String::new(), format!("{said}\n")));
}

#[test]
fn what_is_no_namespace_is_told() {
    directors();
    std::fs::write("/run/netns/leftover", "").unwrap();
    let is_none = |word: &str| {
        format!(
            "there is no such network namespace: '{word}'; a name of 'ip netns list', a path, or the PID of a process in it"
        )
    };
    for word in ["green", "4194304", "/nonexistent", "/etc/passwd/x"] {
        refused(&run(OURS, &format!("-L --netns {word}")), &is_none(word));
    }
    for word in ["leftover", "/etc/passwd", "/run", "/proc/self/ns/mnt"] {
        let said =
            format!("this is not a network namespace: '{word}'; 'ip netns list' shows those that have names");
        refused(&run(OURS, &format!("-L --netns {word}")), &said);
    }
    let may_not = "the network namespace may not be entered: '1'; it needs CAP_SYS_ADMIN: try sudo";
    refused(&as_nobody("-L --netns 1"), may_not);
    // A pipe does not make it wait.
    assert!(Command::new("mkfifo").arg("/run/pipe").status().unwrap().success());
    assert_eq!(run(OURS, "-L --netns /run/pipe").0, 2);
    refused(
        &run(OURS, "-L --netns blue --netns red"),
        "multiple 'netns' options specified; give --netns once",
    );
    let lines = "-A -t 10.0.0.9:80 --netns red\n";
    let of_a_line = "line 1: a line cannot choose its network namespace: give --netns with -R instead";
    refused(&feed(OURS, "-R --netns blue", lines), of_a_line);
    assert_eq!(seen_inside("blue") + &seen_inside("red"), "");
    assert_eq!(run(OURS, "-L --netns").2, "--netns: missing argument; NAMESPACE stands behind it\n");
}
