//! `--keep`: options left out stay as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{OURS, feed, run, services, set_up, table};

#[test]
fn options_left_out_stay() {
    lab::isolate();
    for (there, typed, left) in [
        ("-s wrr -p 60 -M 255.255.0.0", "-s rr", "-s rr -p 60 -M 255.255.0.0"),
        ("-s wrr -p 60 -M 255.255.0.0", "-p 90", "-s wrr -p 90 -M 255.255.0.0"),
        ("-s wrr -p 60", "-M 255.0.0.0", "-s wrr -p 60 -M 255.0.0.0"),
        ("-s rr -p 60 --pe sip", "-o", "-s rr -p 60 --pe sip -o"),
        ("-s rr -o -p 60", "--pe sip", "-s rr -p 60 --pe sip -o"),
        ("-s sh -b sh-port", "-p", "-s sh -p 360 -b sh-port"),
        ("-s sh -b sh-port", "-b sh-fallback", "-s sh -b sh-fallback"),
        ("-s sh -b sh-port", "-b=", "-s sh"),
        ("-s mh -b mh-port", "-s sh", "-s sh -b sh-port"),
        ("-s mh -b mh-port", "", "-s mh -b mh-port"),
    ] {
        set_up(&format!("-C\n-A -u 10.0.0.1:53 {there}\n"));
        let done = run(OURS, &format!("-E -u 10.0.0.1:53 {typed} --keep"));
        assert_eq!(done, (0, String::new(), String::new()), "{there}: {typed}");
        assert_eq!(services(), format!("-A -u 10.0.0.1:53 {left}\n"), "{there}: {typed}");
    }
    let gue = "-i -w 3 --tun-type gue --tun-port 9 --tun-csum";
    for (there, typed, left) in [
        ("-m -w 5 -x 20 -y 10", "-w 7", "-m -w 7 -x 20 -y 10"),
        ("-m -w 5 -x 20 -y 10", "-x 30", "-m -w 5 -x 30 -y 10"),
        ("-m -w 5 -x 20 -y 10", "-y 0", "-m -w 5 -x 20 -y 0"),
        ("-m -w 5 -x 20 -y 10", "-x 0 -y 0", "-m -w 5"),
        ("-m -w 5 -x 20 -y 10", "-i", "-i -w 5 -x 20 -y 10 --tun-type ipip"),
        ("-m -w 5 -x 20 -y 10", "", "-m -w 5 -x 20 -y 10"),
        (gue, "-w 0", "-i -w 0 --tun-type gue --tun-port 9 --tun-csum"),
        (gue, "-i -x 9", "-i -w 3 -x 9 -y 0 --tun-type gue --tun-port 9 --tun-csum"),
        (gue, "--tun-port 8", "-i -w 3 --tun-type gue --tun-port 8 --tun-csum"),
        (gue, "-i --tun-nocsum", "-i -w 3 --tun-type gue --tun-port 9 --tun-nocsum"),
        (gue, "--tun-type gue --tun-remcsum", "-i -w 3 --tun-type gue --tun-port 9 --tun-remcsum"),
        (gue, "--tun-type gre", "-i -w 3 --tun-type gre --tun-nocsum"),
        (gue, "-i --tun-type ipip", "-i -w 3 --tun-type ipip"),
        (gue, "-g", "-g -w 3"),
    ] {
        set_up(&format!("-C\n-A -u 10.0.0.1:53 -s wrr\n-a -u 10.0.0.1:53 -r 10.1.0.1 {there}\n"));
        let (status, shown, _) = run(OURS, &format!("-e -u 10.0.0.1:53 -r 10.1.0.1 {typed} --keep"));
        assert_eq!((status, shown.as_str()), (0, ""), "{there}: {typed}");
        let wanted = format!("-A -u 10.0.0.1:53 -s wrr\n-a -u 10.0.0.1:53 -r 10.1.0.1:53 {left}\n");
        assert_eq!(services(), wanted, "{there}: {typed}");
    }
}

#[test]
fn a_server_of_another_family_and_port_is_kept() {
    lab::isolate();
    set_up(
        "-A -t 10.0.0.1:0 -s wrr -p 60\n-a -t 10.0.0.1:0 -r [2001:db8::1]:0 -i\n\
         -A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m\n",
    );
    let nothing = (0, String::new(), String::new());
    for line in [
        "-E -t 10.0.0.1:0 -s rr",
        "-e -t 10.0.0.1:0 -r [2001:db8::1]:0 -w 0",
        "-e -t 10.0.0.1:80 -r 10.1.0.1:8080 -w 9",
    ] {
        assert_eq!(run(OURS, &format!("{line} --keep")), nothing, "{line}");
    }
    assert_eq!(
        table(),
        "-A -t 10.0.0.1:0 -s rr -p 60\n-a -t 10.0.0.1:0 -r [2001:db8::1]:0 -i -w 0 --tun-type ipip\n\
         -A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 9\n"
    );
}

#[test]
fn nothing_to_keep_is_refused_as_ever() {
    lab::isolate();
    set_up("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g\n");
    let before = table();
    for (line, what) in [
        ("-E -t 10.0.0.9:80 -s rr", "'TCP 10.0.0.9:80'; there is TCP 10.0.0.1:80"),
        ("-e -t 10.0.0.9:80 -r 10.1.0.1 -w 2", "'TCP 10.0.0.9:80'; there is TCP 10.0.0.1:80"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.9 -w 2", "'10.1.0.9:80'; there is 10.1.0.1:80"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1:81 -m", "'10.1.0.1:81'; there is 10.1.0.1:80"),
    ] {
        let (status, printed, said) = run(lab::ORIGINAL, line);
        assert_eq!(status, 255);
        let refused = (status, printed, format!("{}: {what}\n", said.trim_end()));
        assert_eq!(run(OURS, &format!("{line} --keep")), refused, "{line}");
    }
    for (line, status, said) in [
        (
            "-E -t 10.0.0.1:80 -M 255.0.0.0",
            2,
            "netmask specified for non-persistent service: '255.0.0.0'; add -p",
        ),
        ("-E -t 10.0.0.1:80 -b sh-port", 2, "incompatible scheduler flag `sh-port'; it goes with -s sh"),
        (
            "-E -t 10.0.0.1:80 -b nosuch",
            2,
            "invalid scheduler flag `nosuch'; sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3",
        ),
        (
            "-e -t 10.0.0.1:80 -r 10.1.0.1 --tun-port 9",
            2,
            "Tunnel options conflict with forward method; add -i, or leave out those that begin with --tun",
        ),
        (
            "-e -t 10.0.0.1:80 -r 10.1.0.1 -i --tun-port 9",
            2,
            "Illegal 'tun-port' option with the 'ipip' tunnel type; leave it out: --tun-port goes with --tun-type gue",
        ),
        (
            "-e -t 10.0.0.1:80 -r 10.1.0.1 -i --tun-type gue",
            2,
            "You need to supply the 'tun-port' option for the 'gue' tunnel type; add --tun-port PORT",
        ),
        (
            "-A -t 10.0.0.2:80",
            2,
            "Illegal 'keep' option with the 'add-service' command; leave it out: --keep goes with -E, -e",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.1.0.2",
            2,
            "Illegal 'keep' option with the 'add-server' command; leave it out: --keep goes with -E, -e",
        ),
    ] {
        assert_eq!(
            run(OURS, &format!("{line} --keep")),
            (status, String::new(), format!("{said}\n")),
            "{line}"
        );
    }
    assert_eq!(table(), before);
}

#[test]
fn lines_keep_what_the_lines_before_them_left() {
    lab::isolate();
    let nothing = (0, String::new(), String::new());
    let lines = "-A -t 10.0.0.1:80 -s wrr -p 60\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m -w 5\n\
        -E -t 10.0.0.1:80 -s rr --keep\n-e -t 10.0.0.1:80 -r 10.1.0.1 -x 9 --keep\n";
    let left = "-A -t 10.0.0.1:80 -s rr -p 60\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 5 -x 9 -y 0\n";
    for how in ["-R", "-R --replace", "-R --apply"] {
        run(OURS, "-C");
        assert_eq!(feed(OURS, how, lines), nothing, "{how}");
        assert_eq!(services(), left, "{how}");
    }
    assert_eq!(feed(OURS, "-R --diff", lines), nothing);
    let missing = "-e -t 10.0.0.1:80 -r 10.1.0.9 -w 5 --keep\n";
    let refused =
        (255, String::new(), "line 1: No such destination: '10.1.0.9:80'; there is 10.1.0.1:80\n".to_owned());
    assert_eq!(feed(OURS, "-R", missing), refused);
    // A table made only of lines has no service either.
    let refused =
        (255, String::new(), "line 1: Service not defined: 'TCP 10.0.0.1:80'; -A adds it\n".to_owned());
    assert_eq!(feed(OURS, "-R --diff", missing), refused);
    assert_eq!(services(), left);
}

#[test]
fn a_dry_run_shows_what_is_kept() {
    lab::isolate();
    set_up("-A -t 10.0.0.1:80 -s wrr -p 60\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m -w 5\n");
    let before = services();
    for (line, shown) in [
        ("-E -t 10.0.0.1:80 -s rr", "-E -t 10.0.0.1:80 -s rr -p 60\n"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1 -x 5", "-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 5 -x 5 -y 0\n"),
    ] {
        let (line, wanted) = (format!("{line} --keep --dry-run"), (0, shown.to_owned(), String::new()));
        assert_eq!(run(OURS, &line), wanted);
        assert_eq!(feed(OURS, "-R", &line), wanted);
    }
    let (status, shown, said) = feed(OURS, "-R --dry-run", "-C\n-E -t 10.0.0.1:80 -s rr --keep\n");
    assert_eq!((status, shown.as_str()), (2, ""));
    assert_eq!(
        said,
        "line 2: '--keep' needs the table, which a dry run of lines does not read; give all options instead\n"
    );
    assert_eq!(services(), before);
}

/// Options by name, with their values.
type Options = BTreeMap<&'static str, String>;

fn words(options: &Options) -> String {
    options.iter().fold(String::new(), |mut words, (option, value)| {
        let _ = write!(words, " {option} {value}");
        words
    })
}

fn service() -> impl Strategy<Value = Options> {
    let scheduler = prop::sample::select(vec!["rr", "wlc", "sh", "mh"]);
    let mask = prop::sample::select(vec!["255.0.0.0", "255.255.0.0", "255.255.255.255"]);
    let flags = prop::sample::select(vec!["flag-1", "flag-2", "flag-1,flag-2", "flag-3"]);
    (scheduler, 1..9_u32, mask, flags).prop_map(|(scheduler, timeout, mask, flags)| {
        let timeout = timeout.to_string();
        [("-s", scheduler), ("-p", &timeout), ("-M", mask), ("-b", flags), ("--pe", "sip"), ("-o", "")]
            .map(|(option, value)| (option, value.to_owned()))
            .into()
    })
}

fn server() -> impl Strategy<Value = Options> {
    (1..9_u32, 10..20_u32, 0..10_u32, 1..9_u32, prop::sample::select(vec!["--tun-csum", "--tun-remcsum"]))
        .prop_map(|(weight, upper, lower, port, checksum)| {
            [
                ("-w", weight.to_string()),
                ("-x", upper.to_string()),
                ("-y", lower.to_string()),
                ("--tun-port", port.to_string()),
                (checksum, String::new()),
            ]
            .into()
        })
}

/// Some of a complete set of options.
fn some(whole: impl Strategy<Value = Options>) -> impl Strategy<Value = Options> {
    (whole, prop::collection::vec(any::<bool>(), 6)).prop_map(|(whole, chosen)| {
        whole.into_iter().zip(chosen).filter(|(_, is_chosen)| *is_chosen).map(|(option, _)| option).collect()
    })
}

/// The old options, replaced by the new ones.
fn overlaid(old: &Options, new: &Options) -> Options {
    let mut options = old.clone();
    if new.keys().any(|option| option.ends_with("csum")) {
        options.retain(|option, _| !option.ends_with("csum"));
    }
    options.extend(new.clone());
    options
}

#[test]
fn any_edit_changes_what_it_names_and_nothing_else() {
    const SERVICE: &str = "-u 10.0.0.1:53";
    const SERVER: &str = "-u 10.0.0.1:53 -r 10.1.0.1 -i --tun-type gue";
    lab::isolate();
    let made = |service: &Options, server: &Options| {
        set_up(&format!("-C\n-A {SERVICE}{}\n-a {SERVER}{}\n", words(service), words(server)));
    };
    let edits = (some(service()), some(server()), any::<bool>());
    let config = Config { cases: 30, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(
            &(service(), server(), edits),
            |(old_service, old_server, (new_service, new_server, as_lines))| {
                made(&old_service, &old_server);
                let lines = [
                    format!("-E {SERVICE}{} --keep", words(&new_service)),
                    format!("-e -u 10.0.0.1:53 -r 10.1.0.1{} --keep", words(&new_server)),
                ];
                if as_lines {
                    prop_assert_eq!(feed(OURS, "-R", &lines.join("\n")), (0, String::new(), String::new()));
                } else {
                    for line in lines {
                        let (status, shown, said) = run(OURS, &format!("{line} --quiet"));
                        prop_assert_eq!((status, shown, said), (0, String::new(), String::new()), "{}", line);
                    }
                }
                let left = services();
                made(&overlaid(&old_service, &new_service), &overlaid(&old_server, &new_server));
                prop_assert_eq!(left, services());
                Ok(())
            },
        )
        .unwrap();
}
