//! `--only` and `--only-listed`: services of other programs stay.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{OURS, feed, run, set_up, table};

const OTHERS: &str = "-A -t 10.0.0.2:80 -s rr\n-a -t 10.0.0.2:80 -r 10.1.0.2:80 -g -w 1\n-A -f 7 -s wlc\n";
const OLD: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n";
/// It speaks of a service of others, too, and of what is no service.
const NEW: &str = "--set 901 121 301\n-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.9:80 -g -w 1\n-A -t 10.0.0.2:80 -s sh\n\
    --start-daemon master --mcast-interface lo\n";

const NOTHING: (i32, String, String) = (0, String::new(), String::new());

#[test]
fn services_that_are_not_named_stay() {
    lab::isolate();
    set_up(&format!("{OLD}{OTHERS}"));
    let steps = "-E -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.9:80 -g -w 1\n-d -t 10.0.0.1:80 -r 10.1.0.1:80\n";
    assert_eq!(feed(OURS, "-R --diff --only -t 10.0.0.1:80", NEW), (1, steps.into(), String::new()));
    assert_eq!(feed(OURS, "-R --apply --only -t 10.0.0.1:80", NEW), NOTHING);
    let new = "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.9:80 -g -w 1\n";
    assert_eq!(table(), format!("{new}{OTHERS}"));
    assert_eq!(run(OURS, "-L --timeout").1, "Timeout (tcp tcpfin udp): 900 120 300\n");
    assert_eq!(run(OURS, "-L --daemon").1, "");
    // A service that is named and not in the input is deleted, and one of IPv6 is another.
    let named = "-R --apply --only -t 10.0.0.1:80 --only -f 7 -6 --only -f 8";
    assert_eq!(feed(OURS, named, "-A -f 8 -s rr\n"), NOTHING);
    assert_eq!(table(), format!("{OTHERS}-A -f 8 -s rr\n"));
    assert_eq!(feed(OURS, "-R --apply --only -f 7 --only -f 8", "-A -f 8 -s rr\n"), NOTHING);
    assert!(!table().contains("-f 7"));
}

#[test]
fn the_services_of_the_input_are_touched_and_no_others() {
    lab::isolate();
    set_up(&format!("{OLD}{OTHERS}"));
    let input = "-A -t 10.0.0.1:80 -s wrr\n-A -u 10.0.0.3:53 -s rr\n";
    assert_eq!(feed(OURS, "-R --apply --only-listed", input), NOTHING);
    assert_eq!(feed(OURS, "-R --diff --only-listed", input), NOTHING);
    assert_eq!(
        table(),
        format!("-A -t 10.0.0.1:80 -s wrr\n{OTHERS}").replace("-A -f 7", "-A -u 10.0.0.3:53 -s rr\n-A -f 7")
    );
    // A document, too.
    let (_, document, _) = run(OURS, "-S --json");
    assert_eq!(run(OURS, "-C").0, 0);
    set_up("-A -t 10.0.0.9:80 -s rr\n");
    assert_eq!(feed(OURS, "-R --json --apply --only-listed", &document), NOTHING);
    assert!(table().contains("-A -t 10.0.0.9:80") && table().contains("-A -f 7"));
    // What is refused is undone, and the others stay as they were.
    let before = table();
    let refused = "-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.8:80 -s nosuch\n";
    assert_eq!(feed(OURS, "-R --apply --only-listed", refused).0, 255);
    assert_eq!(table(), before);
}

/// Whatever another program does to its own service meanwhile is not undone.
#[test]
fn others_may_change_theirs_meanwhile() {
    lab::isolate();
    set_up(&format!("{OLD}{OTHERS}"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) {
                for line in
                    ["-A -t 10.0.0.4:80 -s rr", "-a -t 10.0.0.4:80 -r 10.1.0.4 -g", "-D -t 10.0.0.4:80"]
                {
                    assert_eq!(run(lab::ORIGINAL, line), NOTHING, "{line}");
                }
                rounds += 1;
            }
            rounds
        });
        for round in 0..20 {
            let weight = format!("{OLD}-a -t 10.0.0.1:80 -r 10.1.0.{}:80 -g -w 2\n", 10 + round);
            assert_eq!(feed(OURS, "-R --apply --only-listed", &weight), NOTHING);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(other.join().unwrap() > 1);
    });
    assert!(table().ends_with(OTHERS), "{}", table());
}

#[test]
fn only_needs_its_service_and_its_command() {
    lab::isolate();
    for (line, said) in [
        ("-R --apply --only", "--only needs a service after it, such as --only -t 192.0.2.1:80"),
        (
            "-R --apply --only -t 10.0.0.1:80 --only",
            "--only needs a service after it, such as --only -t 192.0.2.1:80",
        ),
        ("-R --only -t 10.0.0.1:80", "--only and --only-listed go with --apply and --diff: add one of these"),
        (
            "-R --replace --only-listed",
            "--only and --only-listed go with --apply and --diff: add one of these",
        ),
        (
            "-R --apply --only-listed --only -t 10.0.0.1:80",
            "The option 'only-listed' conflicts with the 'only' option in the 'restore' command; leave out one",
        ),
        (
            "-R --apply -t 10.0.0.1:80",
            "Illegal 'service-address' option with the 'restore' command; leave it out: -t, -u, --sctp-service or -f goes with -A, -E, -D, -a and others",
        ),
        (
            "-R --apply --only -t 10.0.0.1:80 -t 10.0.0.2:80",
            "Illegal 'service-address' option with the 'restore' command; leave it out: -t, -u, --sctp-service or -f goes with -A, -E, -D, -a and others",
        ),
        (
            "-R --apply --only-listed --only-listed",
            "multiple 'only-listed' options specified; give --only-listed once",
        ),
        (
            "-L --only -t 10.0.0.1:80",
            "Illegal 'only' option with the 'list' command; leave it out: --only goes with -R",
        ),
    ] {
        assert_eq!(run(OURS, line), (2, String::new(), format!("{said}\n")), "{line}");
    }
}
