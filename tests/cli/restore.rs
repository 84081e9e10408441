//! Save and restore: losses of the original that this tool avoids.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::{OURS, feed, rest, run, set_up, table, until};

const RESTORE: &str = env!("CARGO_BIN_EXE_ipvsadm-restore");

#[test]
fn a_rule_is_in_effect_as_soon_as_its_line_has_arrived() {
    for tool in [lab::ORIGINAL, OURS] {
        lab::isolate();
        let mut restore =
            Command::new(tool).arg("-R").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = restore.stdin.take().unwrap();
        for number in 1..=3 {
            let line = format!("-A -t 10.0.0.{number}:80 -s rr\n");
            lines.write_all(line.as_bytes()).unwrap();
            until(&line, || table().contains(&line));
        }
        drop(lines);
        assert_eq!(rest(restore.stderr.take().unwrap()), "");
        assert!(restore.wait().unwrap().success());
    }
}

#[test]
fn refusals_are_told_by_line_and_the_rest_is_in_effect() {
    lab::isolate();
    let mut input = String::from("# a comment\n\n");
    for number in 3..=500 {
        // Line 137 is repeated, and so is the last.
        let port = if number == 138 || number == 500 { number - 1 } else { number };
        input = input + "-A -t 10.0.0.1:" + &port.to_string() + " -s rr\n";
    }
    let complaint = "line 138: Service already exists: 'TCP 10.0.0.1:137'; -E changes it\n\
        line 500: Service already exists: 'TCP 10.0.0.1:499'; -E changes it\n";
    assert_eq!(feed(OURS, "-R", &input), (255, String::new(), complaint.into()));
    assert_eq!(table().lines().count(), 496);
    // A refusal in the middle shows in the status too; the original's is that of the last line.
    let input = "-A -t 10.0.0.1:3\n-A -t 10.0.0.2:3\n";
    assert_eq!(feed(lab::ORIGINAL, "-R", input), (0, String::new(), "Service already exists\n".into()));
    run(OURS, "-D -t 10.0.0.2:3");
    let complaint = "line 1: Service already exists: 'TCP 10.0.0.1:3'; -E changes it\n";
    assert_eq!(feed(OURS, "-R", input), (255, String::new(), complaint.into()));
}

#[test]
fn a_line_that_cannot_be_understood_ends_a_restore_after_the_lines_before_it() {
    lab::isolate();
    let input = "-A -t 10.0.0.1:80 -s rr\n-A -t bogus\n-A -t 10.0.0.2:80 -s rr\n";
    let (status, _, complaint) = feed(OURS, "-R", input);
    assert_eq!(status, 2);
    assert!(complaint.starts_with("line 2: illegal virtual server address[:port] specified: 'bogus'; "));
    assert_eq!((complaint.lines().count(), table().as_str()), (1, "-A -t 10.0.0.1:80 -s rr\n"));
}

#[test]
fn a_bad_line_restores_nothing() {
    let rules = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n";
    let input = "-A -t 10.0.0.2:80 -s rr\n-A -t bogus\n-A -t 10.0.0.3:80 -w\n";
    lab::isolate();
    set_up(rules);
    assert_eq!(feed("/sbin/ipvsadm-restore", "", input).0, 2);
    assert_eq!(table(), "-A -t 10.0.0.2:80 -s rr\n", "the original cleared, then stopped at the bad line");

    lab::isolate();
    set_up(rules);
    let (status, _, complaint) = feed(RESTORE, "", input);
    assert_eq!(status, 2);
    let [second, third] = complaint.lines().collect::<Vec<_>>()[..] else { panic!("{complaint}") };
    assert!(
        second.starts_with("line 2: illegal virtual server address[:port] specified: 'bogus'; "),
        "{second}"
    );
    assert_eq!(third, "line 3: -w: missing argument; WEIGHT stands behind it");
    assert_eq!(table(), rules);
}

#[test]
fn comments_end_no_restore() {
    let first = "# web\n-A -t 10.0.0.1:80 -s rr\n";
    let behind = "-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.2:80 -s rr # web\n-A -t 10.0.0.3:80 -s rr\n";
    lab::isolate();
    assert_eq!(feed(lab::ORIGINAL, "-R", first).0, 255);
    assert_eq!(table(), "");
    assert_eq!(feed(OURS, "-R", first), (0, String::new(), String::new()));
    assert_eq!(table(), "-A -t 10.0.0.1:80 -s rr\n");

    lab::isolate();
    assert_eq!(feed(lab::ORIGINAL, "-R", behind).0, 2);
    assert_eq!(table().lines().count(), 1, "the original stopped at the comment");
    run(OURS, "-C");
    assert_eq!(feed(OURS, "-R", behind), (0, String::new(), String::new()));
    assert_eq!(table().lines().count(), 3);
}

#[test]
fn a_restore_replaces_the_table() {
    for restore in ["/sbin/ipvsadm-restore", RESTORE] {
        lab::isolate();
        set_up("-A -t 10.0.0.9:80 -s rr\n");
        let rules = "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 3\n";
        assert_eq!(feed(restore, "", &format!("# saved\n{rules}")), (0, String::new(), String::new()));
        assert_eq!(table(), rules);
        // An empty input clears the table; this tool says so.
        let said =
            if restore == RESTORE { "there is no rule in the input: the table is cleared\n" } else { "" };
        assert_eq!(feed(restore, "", ""), (0, String::new(), said.into()));
        assert_eq!(table(), "");
    }
}

#[test]
fn a_restore_replaces_the_daemons_that_its_lines_start() {
    let saved = "-A -t 10.0.0.1:80 -s rr\n--start-daemon master --mcast-interface lo --syncid 7\n";
    let daemons = |sync_id| format!("master sync daemon (mcast=lo, syncid={sync_id}, ");
    lab::isolate();
    set_up("--start-daemon master --mcast-interface lo --syncid 3\n");
    assert_eq!(
        feed("/sbin/ipvsadm-restore", "", saved),
        (255, String::new(), "Daemon has already run\n".into())
    );
    assert!(run(OURS, "-L --daemon").1.starts_with(&daemons(3)));
    // A second time too; and a daemon that no line names continues.
    run(OURS, "--start-daemon backup --mcast-interface lo --syncid 5");
    for _ in 0..2 {
        assert_eq!(feed(RESTORE, "", saved), (0, String::new(), String::new()));
        let running = run(OURS, "-L --daemon").1;
        assert!(running.starts_with(&daemons(7)) && running.contains("backup sync daemon"), "{running}");
    }
    // Lines that stop it themselves find it running.
    let stops = "--stop-daemon master\n--start-daemon master --mcast-interface lo --syncid 9\n";
    assert_eq!(feed(RESTORE, "", stops), (0, String::new(), String::new()));
    assert!(run(OURS, "-L --daemon").1.starts_with(&daemons(9)));
}

#[test]
fn what_one_tool_saves_the_other_restores() {
    let rules = "-A -t 10.0.0.1:80 -s wrr\n\
        -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n\
        -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 0\n\
        -A -t 10.0.0.2:443 -s sh -p 600 -M 255.255.255.0 -b sh-fallback,sh-port\n\
        -a -t 10.0.0.2:443 -r 10.1.0.1:443 -i -w 2147483647 --tun-type ipip\n\
        -a -t 10.0.0.2:443 -r 10.1.0.2:443 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum\n\
        -a -t 10.0.0.2:443 -r 10.1.0.3:443 -i -w 1 --tun-type gre --tun-nocsum\n\
        -A -u 10.0.0.1:53 -s rr -o\n\
        -A -u 10.0.0.1:5060 -s rr -p 120 --pe sip\n\
        -A --sctp-service 10.0.0.1:9899 -s mh -b mh-port\n\
        -A -t [2001:db8::80]:443 -s nq -p 50 -M 48\n\
        -a -t [2001:db8::80]:443 -r [2001:db8::a1]:8443 -m -w 7\n\
        -A -f 10 -s wlc -p 300\n\
        -a -f 10 -r 10.1.0.1:0 -g -w 1\n\
        -A -f 10 -6 -s lc -p 300 -M 64\n";
    for (restores, saves) in [(lab::ORIGINAL, OURS), (OURS, lab::ORIGINAL), (OURS, OURS)] {
        lab::isolate();
        assert_eq!(feed(restores, "-R", rules), (0, String::new(), String::new()));
        assert_eq!(run(saves, "-Sn").1, rules);
    }
}

#[test]
fn a_replacing_restore_takes_only_changes() {
    let kept = "-A -t 10.0.0.1:80 -s rr\n";
    for line in ["-v", "-h", "-Ln", "-A -t 10.0.0.3:80 --dry-run"] {
        lab::isolate();
        set_up(kept);
        let input = format!("-A -t 10.0.0.2:80 -s rr\n{line}\n");
        let complaint = "line 2: only lines that change the table are allowed here\n".to_owned();
        assert_eq!(feed(RESTORE, "", &input), (2, String::new(), complaint), "{line}");
        assert_eq!(table(), kept, "{line}");
    }
}
