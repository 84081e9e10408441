//! `--diff`, `--apply` and `--dry-run`: only the differences are changed, all of them or nothing.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{OURS, answer, as_nobody, feed, run, set_up, table};

pub(crate) const BEFORE: &str = "-A -t 10.0.0.1:80 -s rr\n\
    -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n\
    -a -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 1\n\
    -A -t 10.0.0.2:80 -s rr\n\
    -a -t 10.0.0.2:80 -r 10.1.0.1:80 -g -w 1\n";

pub(crate) const AFTER: &str = "# the second server is another, and the second service is gone\n\
    -A -t 10.0.0.1:80 -s wrr\n\
    -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 5\n\
    -a -t 10.0.0.1:80 -r 10.1.0.3:80 -g -w 1 -x 10 -y 5\n\
    -A -u 10.0.0.3:53 -s rr\n";

const STEPS: &str = "-E -t 10.0.0.1:80 -s wrr\n\
    -e -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 5\n\
    -a -t 10.0.0.1:80 -r 10.1.0.3:80 -g -w 1 -x 10 -y 5\n\
    -A -u 10.0.0.3:53 -s rr\n\
    -d -t 10.0.0.1:80 -r 10.1.0.2:80\n\
    -D -t 10.0.0.2:80\n";

pub(crate) fn full() -> String {
    run(OURS, "-S --full").1.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn a_difference_is_shown_then_applied() {
    lab::isolate();
    set_up(BEFORE);
    let nothing = (0, String::new(), String::new());
    assert_eq!(feed(OURS, "-R --diff", BEFORE), nothing);
    assert_eq!(feed(OURS, "-R --diff", AFTER), (1, STEPS.into(), String::new()));
    assert_eq!(feed(OURS, "-R --apply --dry-run", AFTER), (0, STEPS.into(), String::new()));
    assert_eq!(table(), BEFORE);
    assert_eq!(feed(OURS, "-R --apply", AFTER), nothing);
    assert_eq!(feed(OURS, "-R --diff", AFTER), nothing);
    assert_eq!(feed(OURS, "-R --apply", AFTER), nothing);
    // The original accepts the steps as lines too.
    lab::isolate();
    set_up(BEFORE);
    set_up(STEPS);
    assert_eq!(feed(OURS, "-R --diff", AFTER), nothing);
}

#[test]
fn a_difference_has_a_status_of_its_own() {
    lab::isolate();
    set_up(BEFORE);
    // A dry run of a diff is the diff.
    for how in ["--diff", "--diff --dry-run"] {
        assert_eq!(feed(OURS, &format!("-R {how}"), BEFORE).0, 0, "{how}");
        assert_eq!(feed(OURS, &format!("-R {how}"), AFTER).0, 1, "{how}");
    }
    std::fs::write("/run/after", AFTER).unwrap();
    for how in ["--diff", "--apply --dry-run"] {
        let mut diff = Command::new(OURS);
        diff.arg("-R").args(how.split(' ')).args(["--file", "/run/after"]);
        diff.stdout(File::options().write(true).open("/dev/full").unwrap());
        let told = (2, String::new(), "cannot write the output: No space left on device\n".into());
        assert_eq!(answer(diff.output().unwrap()), told, "{how}");
    }
    let unread = (2, String::new(), "cannot read '/nonexistent': No such file or directory\n".into());
    assert_eq!(run(OURS, "-R --diff --file /nonexistent"), unread);
    let (status, _, said) = as_nobody("-R --diff --file /run/after");
    assert_eq!((status, said.lines().count()), (2, 1), "{said}");
}

#[test]
fn an_input_without_a_rule_is_no_table() {
    lab::isolate();
    set_up(BEFORE);
    let refused = "there is no rule in the input; a line with -C makes the table empty\n";
    // Nor is an input without services, such as the head of a save that failed.
    for input in ["", "\n", "# the rules\n\n", "--set 900 120 300\n", "-Z\n", "--stop-daemon master\n"] {
        for how in ["--apply", "--diff", "--apply --dry-run"] {
            let told = (2, String::new(), refused.into());
            assert_eq!(feed(OURS, &format!("-R {how}"), input), told, "{how} {input:?}");
        }
    }
    assert_eq!(table(), BEFORE);
    assert_eq!(
        feed(OURS, "-R --diff", "-C\n"),
        (1, "-D -t 10.0.0.1:80\n-D -t 10.0.0.2:80\n".into(), String::new())
    );
    assert_eq!(feed(OURS, "-R --apply", "-C\n"), (0, String::new(), String::new()));
    assert_eq!(table(), "");
    // The full save of an empty table is a table.
    let set = "--set 901 121 301\n".to_owned();
    assert_eq!(feed(OURS, "-R --diff", &set), (1, set.clone(), String::new()));
    assert_eq!(feed(OURS, "-R --apply", &set), (0, String::new(), String::new()));
    assert_eq!(feed(OURS, "-R --diff", &set), (0, String::new(), String::new()));
    assert_eq!(feed(OURS, "-R --apply", "\n"), (2, String::new(), refused.into()));
}

#[test]
fn daemons_and_timeouts_without_a_line_stay() {
    lab::isolate();
    let running = || run(OURS, "-L --daemon").1 + &run(OURS, "-L --timeout").1;
    let start = |side: &str, id: u32| format!("--start-daemon {side} --mcast-interface lo --syncid {id}\n");
    set_up(&(start("master", 3) + &start("backup", 4) + "--set 100 20 30\n"));
    let before = running();
    let nothing = (0, String::new(), String::new());
    for lines in [BEFORE.to_owned(), BEFORE.to_owned() + &start("master", 3), AFTER.to_owned()] {
        assert_eq!(feed(OURS, "-R --apply", &lines), nothing);
        assert_eq!(running(), before);
    }
    // Only the state named by a line changes; a line may also say that no daemon runs there.
    assert_eq!(feed(OURS, "-R --apply", &(AFTER.to_owned() + &start("master", 7))), nothing);
    assert_eq!(running(), before.replacen("syncid=3", "syncid=7", 1));
    let stopped = AFTER.to_owned() + "--stop-daemon master\n";
    assert_eq!(
        feed(OURS, "-R --diff", &stopped),
        (1, "--stop-daemon master --syncid 7\n".into(), String::new())
    );
    assert_eq!(feed(OURS, "-R --apply", &stopped), nothing);
    assert_eq!(feed(OURS, "-R --diff", &stopped), nothing);
    assert!(running().starts_with("backup sync daemon (mcast=lo, syncid=4,"), "{}", running());
}

#[test]
fn a_daemon_whose_longest_message_the_kernel_chose_is_the_one_that_was_asked_for() {
    lab::isolate();
    assert_eq!(run("ip", "link add d0 type dummy").0, 0);
    let nothing = (0, String::new(), String::new());
    for mtu in [1280, 9000] {
        assert_eq!(run("ip", &format!("link set d0 up mtu {mtu}")).0, 0);
        for group in ["", "--mcast-group 224.0.0.9", "--mcast-group ff02::5"] {
            for length in [1, 1023, 1024, 1473, 8973, 65487, 65488, 65507] {
                let daemon = |side: &str| {
                    format!("--start-daemon {side} --mcast-interface d0 {group} --sync-maxlen {length}\n")
                };
                let lines = "-C\n".to_owned() + &daemon("master") + &daemon("backup");
                assert_eq!(feed(OURS, "-R --apply", &lines), nothing, "{mtu} {lines}");
                assert_eq!(feed(OURS, "-R --diff", &lines), nothing, "{mtu} {lines}");
            }
        }
    }
    // Another length makes another daemon.
    let lines = "-C\n--start-daemon backup --mcast-interface d0 --mcast-group ff02::5 --sync-maxlen 2000\n";
    assert_eq!(feed(OURS, "-R --diff", lines).0, 1);
    let check = |lines: String| {
        std::fs::write("/run/daemon", lines).unwrap();
        run(OURS, "--check --json --file /run/daemon").1.contains("save-stale")
    };
    assert!(check(lines.to_owned()));
    assert!(!check(lines.replace("2000", "65507")));
}

#[test]
fn connections_to_servers_that_stay_live_on() {
    lab::isolate();
    for address in ["10.0.0.1", "10.1.0.1"] {
        assert_eq!(run("ip", &format!("addr add {address}/32 dev lo")).0, 0);
    }
    set_up(
        "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m\n-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 0\n",
    );
    let server = TcpListener::bind("10.1.0.1:80").unwrap();
    let mut client = TcpStream::connect("10.0.0.1:80").unwrap();
    let (mut taken, _) = server.accept().unwrap();
    let file = "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3\n";
    assert_eq!(feed(OURS, "-R --apply", file), (0, String::new(), String::new()));
    client.write_all(b"still there?").unwrap();
    let mut heard = [0; 12];
    taken.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still there?");
    assert!(
        run(OURS, "-Ln")
            .1
            .ends_with("  -> 10.1.0.1:80                  Masq    3      1          0         \n")
    );
}

#[test]
fn a_refused_step_leaves_the_table_as_it_was() {
    lab::isolate();
    set_up(BEFORE);
    let file = format!("{AFTER}-A -t 10.0.0.4:80 -s nosuch\n-a -t 10.0.0.1:80 -r 224.0.0.1:80 -g\n");
    let (status, shown, said) = feed(OURS, "-R --apply", &file);
    assert_eq!((status, shown.as_str()), (255, ""));
    assert_eq!(
        said,
        "line 7: Invalid operation.  Possibly wrong module version, address not unicast, ...: '224.0.0.1'; \
         a real server has the address of a single host\n\
         line 6: Scheduler or persistence engine not found: 'nosuch'; the kernel has no module ip_vs_nosuch\n\
         nothing was applied: the table is as before\n"
    );
    assert_eq!(table(), BEFORE);
}

#[test]
fn lines_that_lead_to_no_table_change_nothing() {
    lab::isolate();
    set_up(BEFORE);
    for (file, status, said) in [
        (
            "-A -t 10.0.0.9:80\n-A -t 10.0.0.9:80\n",
            255,
            "line 2: Service already exists: 'TCP 10.0.0.9:80'; -E changes it\n",
        ),
        (
            "-a -t 10.0.0.9:80 -r 10.1.0.1\n",
            255,
            "line 1: Service not defined: 'TCP 10.0.0.9:80'; -A adds it\n",
        ),
        ("-L\n", 2, "line 1: only lines that change the table are allowed here\n"),
        ("-A -t 10.0.0.9:80 -w\n", 255, "line 1: -w: missing argument; WEIGHT stands behind it\n"),
    ] {
        for how in ["--diff", "--apply"] {
            assert_eq!(feed(OURS, &format!("-R {how}"), file), (status, String::new(), said.into()));
        }
    }
    assert_eq!(table(), BEFORE);
    let (status, _, said) = run(OURS, "-R --diff --apply");
    assert_eq!(
        (status, said.as_str()),
        (2, "The option 'apply' conflicts with the 'diff' option in the 'restore' command; leave out one\n")
    );
}

#[test]
fn a_dry_run_asks_the_kernel_nothing() {
    lab::isolate();
    for (line, shown) in [
        ("-A -t 10.0.0.1:80 --dry-run", "-A -t 10.0.0.1:80 -s wlc\n"),
        ("-E -f 7 -6 -p --dry-run", "-E -f 7 -6 -s wlc -p 360\n"),
        ("-D -u 10.0.0.1:53 --dry-run", "-D -u 10.0.0.1:53\n"),
        (
            "-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -x 5 --dry-run",
            "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1 -x 5 -y 0\n",
        ),
        ("-d -t 10.0.0.1:80 -r 10.1.0.1 --dry-run", "-d -t 10.0.0.1:80 -r 10.1.0.1:80\n"),
        ("-C --dry-run", "-C\n"),
        ("-Z --dry-run", "-Z\n"),
        ("--set 1 2 3 --dry-run", "--set 1 2 3\n"),
        ("--start-daemon master --dry-run", "--start-daemon master --mcast-interface eth0 --syncid 0\n"),
        ("--stop-daemon backup --dry-run", "--stop-daemon backup --syncid 0\n"),
    ] {
        // Nobody may send it requests.
        assert_eq!(as_nobody(line), (0, shown.into(), String::new()), "{line}");
    }
    let (status, shown, said) = feed(OURS, "-R --replace --dry-run", AFTER);
    assert_eq!((status, said.as_str()), (0, ""));
    assert_eq!(shown, format!("-C\n{}", AFTER.split_once('\n').unwrap().1));
    assert_eq!(table(), "");
}

/// The lines of a table of few services and servers, with all attributes of services, servers and timeouts.
pub(crate) fn rules() -> impl Strategy<Value = String> {
    let service = prop::sample::select(vec![
        "-t 10.0.0.1:80",
        "-u 10.0.0.1:80",
        "--sctp-service 10.0.0.1:80",
        "-t [2001:db8::1]:80",
        "-u [2001:db8::1]:80",
        "-f 1",
        "-f 1 -6",
    ]);
    let scheduler =
        prop::sample::select(vec!["-s rr", "-s wlc", "-s sh -b sh-port", "-s mh -b mh-port", "-s none"]);
    let persistence = prop::sample::select(vec!["", "-p 60", "-p 2678400", "-p 5 -M"]);
    let mask =
        prop::sample::select(vec![("0.0.0.0", "1"), ("255.0.255.0", "64"), ("255.255.255.255", "128")]);
    let server = (
        prop::sample::select(vec![
            "-g",
            "-m",
            "-i",
            "-i --tun-type gue --tun-port 9 --tun-remcsum",
            "-i --tun-type gre --tun-csum",
        ]),
        0..3_u32,
        0..3_u32,
        any::<bool>(),
    );
    let servers = prop::collection::btree_map(1..5_u8, server, 0..4);
    let whole = (scheduler, persistence, mask, any::<bool>(), servers);
    let services = prop::collection::btree_map(service, whole, 0..5);
    let timeouts = prop::sample::select(vec!["", "--set 0 7 0", "--set 100 20 30"]);
    (services, timeouts).prop_map(|(services, timeouts)| {
        // With at least one line, an input is a table.
        let mut lines = format!("-C\n{timeouts}\n");
        for (service, (scheduler, persistence, mask, is_special, servers)) in services {
            let is_ipv6 = service.contains("2001") || service.contains("-6");
            let mask = match (persistence.ends_with("-M"), is_ipv6) {
                (false, _) => "",
                (true, false) => mask.0,
                (true, true) => mask.1,
            };
            let special = match (is_special, service.starts_with("-u"), persistence.is_empty()) {
                (true, true, true) => "-o",
                (true, true, false) => "--pe sip",
                _ => "",
            };
            let _ = writeln!(lines, "-A {service} {scheduler} {persistence} {mask} {special}");
            for (number, (method, weight, limit, is_other)) in servers {
                // Only tunnels can use the other family.
                let server = if is_ipv6 == (is_other && method.starts_with("-i")) {
                    format!("10.1.0.{number}:80")
                } else {
                    format!("[2001:db8:1::{number}]:80")
                };
                let _ = writeln!(
                    lines,
                    "-a {service} -r {server} {method} -w {weight} -x {limit} -y {}",
                    limit / 2
                );
            }
        }
        lines
    })
}

#[test]
fn any_two_files_end_in_the_table_of_the_second() {
    lab::isolate();
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(rules(), rules()), |(first, second)| {
            let nothing = (0, String::new(), String::new());
            prop_assert_eq!(feed(OURS, "-R --apply", &first), nothing.clone());
            prop_assert_eq!(feed(OURS, "-R --apply", &second), nothing.clone());
            prop_assert_eq!(feed(OURS, "-R --diff", &second), nothing.clone());
            let applied = full();
            // The same as beginning with an empty table.
            run(OURS, "-C");
            prop_assert_eq!(feed(OURS, "-R", &second), nothing);
            prop_assert_eq!(full(), applied);
            Ok(())
        })
        .unwrap();
}

#[test]
fn of_two_at_once_the_table_of_one_remains() {
    lab::isolate();
    let rules = |third: u8| {
        let mut rules = String::new();
        for number in 1..=200 {
            let id = format!("-t 10.0.{third}.{number}:80");
            writeln!(rules, "-A {id} -s rr\n-a {id} -r 10.1.{third}.{number}:80 -g -w 1").unwrap();
        }
        rules
    };
    let files = [1, 2].map(|third| {
        let path = format!("/run/rules-{third}");
        std::fs::write(&path, rules(third)).unwrap();
        path
    });
    for _ in 0..4 {
        run(OURS, "-C");
        let start =
            |path: &String| Command::new(OURS).args(["-R", "--apply", "--file", path]).spawn().unwrap();
        for mut child in files.each_ref().map(start) {
            assert!(child.wait().unwrap().success());
        }
        let table = table();
        let sorted = |text: &str| {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.join("\n")
        };
        let known = [1, 2].map(|third| sorted(&rules(third)));
        assert!(known.contains(&sorted(&table)), "{} lines of both", table.lines().count());
    }
}
