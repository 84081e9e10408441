//! Frames for a pipe, values that cannot be read, and what the kernel is asked for.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::terminal::Terminal;
use crate::{OURS, ours, quiet, table};

#[test]
fn a_pipe_gets_plain_frames() {
    quiet();
    let start = Instant::now();
    let output = ours("--watch 0.5 --count 3");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let taken = start.elapsed();
    assert!(taken >= Duration::from_secs(1) && taken < Duration::from_secs(8), "{taken:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let frames: Vec<&str> = text.split('\u{c}').collect();
    let expected = "\
IPVS 1.2.1: 3 services, - connections/s, - packets/s, - bytes/s
  service / server                       method  weight     active   inactive    conn/s     pkt/s     bytes/s
  TCP  192.0.2.1:80                      wrr          -          0          0         -         -           -
    -> 10.0.0.1:8080                     Masq         3          0          0         -         -           -
    -> 10.0.0.2:8080                     Masq         2          0          0         -         -           -
! UDP  192.0.2.1:53                      rr           -          0          0         -         -           -
    -> 10.0.0.3:53                       Route        0          0          0         -         -           -
! FWM  7 IPv6                            wlc          -          0          0         -         -           -
";
    assert_eq!(frames, [expected; 3], "{text}");
    let one = String::from_utf8(ours("--watch --count 1 -t 192.0.2.1:80").stdout).unwrap();
    assert!(one.contains("1 service,") && one.lines().count() == 5, "{one}");
    // A reader that has seen enough ends it.
    let output = Command::new("sh")
        .args(["-c", &format!("timeout 10 {OURS} --watch 0.1 | head -1; echo ${{PIPESTATUS-}}")])
        .output()
        .unwrap();
    assert!(output.stdout.starts_with(b"IPVS 1.2.1"), "{output:?}");
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_is_drawn() {
    quiet();
    for (line, status, message) in [
        ("--watch 0", 2, "illegal interval specified: '0'; seconds from 0.1 to 86400"),
        ("--watch=-1", 2, "illegal interval specified: '-1'; seconds from 0.1 to 86400"),
        ("--watch fast", 2, "illegal interval specified: 'fast'; seconds from 0.1 to 86400"),
        ("--watch --count 0", 2, "illegal count specified: '0'; a number from 1 to 4294967295"),
        ("--watch --count x", 2, "illegal count specified: 'x'; a number from 1 to 4294967295"),
        (
            "--watch 1 2",
            2,
            "unexpected argument 2; a port stands behind its address and a colon, another number behind its option",
        ),
        (
            "--watch --json",
            2,
            "Illegal 'json' option with the 'watch' command; leave it out: --json goes with -L, -S, -R, --check and others",
        ),
        ("--watch -t 192.0.2.9:80", 1, "No such service: 'TCP 192.0.2.9:80'; these are there: ipvsadm -Ln"),
        (
            "-L --count 3",
            2,
            "Illegal 'count' option with the 'list' command; leave it out: --count goes with --watch",
        ),
    ] {
        let output = ours(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.trim_end()), (Some(status), message), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
    }
    // Not in the lines of a restore.
    let mut restore =
        Command::new(OURS).arg("-R").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut restore.stdin.take().unwrap(), b"--watch\n").unwrap();
    let output = restore.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "line 1: only lines that change the table are allowed here\n");
}

/// The netlink messages that the view sends in so many frames.
fn sent(terminal: &Terminal, frames: u32) -> usize {
    terminal.line(&format!(
        "clear; strace -f -o /run/trace -e trace=sendto,sendmsg ipvsadm --watch 0.5 --count {frames}; echo ended $?"
    ));
    terminal.wait_for("ended 0");
    let trace = fs::read_to_string("/run/trace").unwrap();
    trace.lines().filter(|line| line.contains(" send") && line.contains("nlmsg_len")).count()
}

#[test]
fn of_ten_thousand_services_only_those_on_the_screen_are_asked_for() {
    lab::isolate();
    let rules = |number: u32| {
        let address = format!("10.{}.{}.1:80", number / 250, number % 250);
        let server = format!("-a -t {address} -m -r 192.0.2");
        format!("-A -t {address} -s rr\n{server}.1:80\n{server}.2:80\n")
    };
    fs::write("/run/rules", (0..10_000).map(rules).collect::<String>()).unwrap();
    table(&["-R --file /run/rules"]);
    let terminal = Terminal::open(80, 24);
    let (few, more) = (sent(&terminal, 2), sent(&terminal, 4));
    // 18 rows: six services, each with two servers.
    assert_eq!(more - few, 2 * (1 + 6), "{few} and {more}");
    terminal.line("clear; ipvsadm --watch 1");
    terminal.wait_for("10000 services");
    terminal.keys(&["End"]);
    let screen = terminal.wait_for("10.39.249.1:80");
    assert!(screen.lines().nth(22).unwrap().contains("192.0.2.2:80"), "{screen}");
    table(&["-C"]);
    terminal.wait_for(" 0 services");
}
