//! Messages on stderr: none is too long for a terminal, controls it, or shows a number instead of words.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{Answer, OURS, answer, feed, set_up, table};

const SAVE: &str = env!("CARGO_BIN_EXE_ipvsadm-save");
const RESTORE: &str = env!("CARGO_BIN_EXE_ipvsadm-restore");

/// Runs a tool with words that may contain blanks.
fn words(tool: &str, words: &[&str]) -> Answer {
    answer(Command::new(tool).args(words).stdin(Stdio::null()).output().unwrap())
}

/// Every message that shows a word, with this word; each under a name.
fn with_word(word: &str) -> Vec<(String, Answer)> {
    let service = ["-A", "-t", "10.0.0.1:80"];
    let behind = |option: &'static str| [&service[..], &[option, word]].concat();
    let server =
        |option: &'static str| [&["-a", "-t", "10.0.0.1:80", "-r", "10.1.0.1"], &[option, word][..]].concat();
    let short = format!("-k{word}");
    let long = format!("--{word}");
    let valued = format!("--numeric={word}");
    let mut said: Vec<(String, Answer)> = [
        vec![word],
        vec![&short],
        vec![&long],
        vec![&valued],
        vec!["-L", word],
        vec!["-L", &long],
        vec!["-L", &valued],
        vec!["-A", "-t", word],
        vec!["-A", "-f", word],
        vec!["--start-daemon", word],
        vec!["--stop-daemon", word],
        vec!["--set", word, "1", "1"],
        vec!["--start-daemon", "master", "--mcast-group", word],
        vec!["--start-daemon", "master", "--syncid", word],
        behind("-p"),
        behind("-M"),
        behind("-b"),
        behind("-y"),
        vec!["-a", "-t", "10.0.0.1:80", "-r", word],
        server("-w"),
        server("--tun-type"),
        vec!["-S", "--file", word],
        vec!["-R", "--file", word],
        vec!["--explain", word, "-t", "10.0.0.1:80"],
        vec!["--explain", "10.0.0.9", "-t", "10.0.0.1:80", "--without", word],
        vec!["--check", "-r", word],
        vec!["--check", "-r", "10.0.0.1", "--port", word],
    ]
    .into_iter()
    .map(|line| (line.join(" ").chars().take(60).collect(), words(OURS, &line)))
    .collect();
    for line in [word.to_owned(), format!("-A -t {word}"), format!("-A -t 10.0.0.1:80 {short}")] {
        for restore in ["-R", "-R --replace", "-R --diff", "-R --dry-run"] {
            said.push((format!("{restore} < {line:.60}"), feed(OURS, restore, &line)));
        }
    }
    let named = answer(Command::new(OURS).arg0(word).arg("-k").output().unwrap());
    said.push(("as the program's name".into(), named));
    said.push(("a restore's file".into(), words(RESTORE, &["--file", word])));
    said.push(("a save's file".into(), words(SAVE, &["--file", word])));
    said
}

#[test]
fn a_long_word_is_cut_in_messages() {
    lab::isolate();
    let word = format!("/no/{}", "x".repeat(50_000));
    for (line, (status, stdout, said)) in with_word(&word) {
        assert_ne!(status, 0, "{line}: {said:.200}");
        assert_eq!(stdout, "", "{line}");
        assert_eq!(said.lines().count(), 1, "{line}: {said:.500}");
        assert!(said.len() < 800 && said.contains("/no/xxx"), "{line}: {} bytes: {said:.500}", said.len());
        // The original keeps less than that of flags.
        assert!(said.contains("xxx...") || line.contains(" -b "), "{line}: {said:.500}");
    }
}

#[test]
fn no_message_controls_the_terminal() {
    lab::isolate();
    // As a path it begins in no existing folder.
    let word = "/no/\u{1b}]0;owned\u{7}/\u{9b}31m\r\u{8}x";
    for (line, (_, _, said)) in with_word(word) {
        assert!(!said.trim_end_matches('\n').contains(char::is_control), "{line}: {said:?}");
        assert!(said.contains("\\u{1b}]0;owned\\u{7}/\\u{9b}31m"), "{line}: {said:?}");
    }
    // Nor does a host name.
    fs::write("/run/hosts-that-control", "10.1.0.1 w\u{1b}eb\n10.1.0.2 w\u{1b}eb\n").unwrap();
    lab::lay_over("/run/hosts-that-control", "/etc/hosts");
    let server = |number| format!("-a -t 10.0.0.1:80 -r 10.1.0.{number}\n");
    set_up(&["-A -t 10.0.0.1:80\n", &server(1), &server(2)].concat());
    let (status, _, said) = words(OURS, &["-S"]);
    assert_eq!(
        (status, said.as_str()),
        (0, "saved as numbers: these names do not resolve back to the same address or port: w\\u{1b}eb\n")
    );
    // A line break in a word does not make a second line.
    let (_, _, said) = words(OURS, &["-S", "--file", "/no/such\n/file"]);
    assert_eq!(said, "cannot write '/no/such\\u{a}/file': No such file or directory\n");
}

#[test]
fn reasons_are_words_alone() {
    lab::isolate();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    set_up("-A -t 10.0.0.9:80 -s rr\n");
    let alone = "/run/alone-restore";
    fs::copy(RESTORE, alone).unwrap();
    let mut said = vec![
        words(OURS, &["-S", "--file", "/no/such"]),
        words(OURS, &["-S", "--file", "/run"]),
        words(OURS, &["-S", "--file", "/dev/full"]),
        words(OURS, &["-R", "--file", "/no/such"]),
        words(OURS, &["-R", "--file", "/run"]),
        words(OURS, &["-R", "--diff", "--file", "/run"]),
        answer(Command::new(OURS).arg("-h").stdout(full()).output().unwrap()),
        answer(Command::new(OURS).arg("-S").stdout(full()).output().unwrap()),
        // There is no ipvsadm beside it, nor in the PATH.
        answer(Command::new(alone).env("PATH", "/no/such").output().unwrap()),
    ];
    // Messages after a refusal by the kernel.
    for (line, call) in [
        ("-L", "socket:error=EMFILE"),
        ("-L", "sendto:error=ENOBUFS"),
        ("-L", "recvfrom:error=ENOMEM"),
        ("-L", "recvfrom:error=ENOMEM:when=3+"),
        ("-A -t 10.0.0.1:80", "sendto:error=ENOBUFS"),
        ("-R", "read:error=EIO:when=3+"),
    ] {
        let traced = format!("trace={}", call.split(':').next().unwrap());
        let mut strace = Command::new("strace");
        strace.args(["-o", "/dev/null", "-e", &traced, "-e", &format!("inject={call}"), OURS]);
        said.push(answer(strace.args(line.split(' ')).stdin(Stdio::null()).output().unwrap()));
    }
    for (status, _, said) in said {
        assert_ne!(status, 0, "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains("os error") && said.contains(": "), "{said}");
    }
}

#[test]
fn the_time_of_a_line_grows_with_its_length_alone() {
    lab::isolate();
    let time = |millions: usize| {
        let line = format!("-A -t {}", "x".repeat(millions * 1_000_000));
        let start = Instant::now();
        let (status, _, said) = feed(OURS, "-R", &line);
        assert_eq!(status, 2, "{said:.200}");
        start.elapsed()
    };
    // Four times as long: searching from the start of the line at each read would take sixteen times as long.
    let (short, long) = (time(2), time(8));
    assert!(long < short * 8, "{short:?} and {long:?}");
}

#[test]
fn a_nul_ends_its_word_and_no_more() {
    let rules = |line: &str| format!("-A -t 10.0.0.1:80 -s rr\n{line}\n-A -t 10.0.0.2:80 -s rr\n");
    for line in [
        "-A -t 10.0.0.3:80 -s rr \0",
        "-A -t 10.0.0.3:80 -s \0 -p 5",
        "\0",
        " \0x ",
        "-A -t 10.0.0.3:80\0 -s rr",
        "ipvsadm\0 -A -t 10.0.0.3:80",
    ] {
        let [original, ours] = [lab::ORIGINAL, OURS].map(|tool| {
            lab::isolate();
            let (status, _, said) = feed(tool, "-R", &rules(line));
            (status, said.is_empty(), table())
        });
        assert_eq!(original, ours, "{line:?}");
    }
}
