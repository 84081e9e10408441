//! Tests that the comparison allows what the table of differences says, and nothing else.

use crate::corpus::{Case, Outcome, VERSION, words};
use crate::differences::{headings, rewritten};
use crate::ledger::Ledger;

fn case(line: &str, stdin: Option<&str>) -> Case {
    Case { args: words(line), stdin: stdin.map(|text| text.as_bytes().to_vec()), ..Case::default() }
}

fn says(code: i32, stderr: &str) -> Outcome {
    Outcome { code, stderr: stderr.into(), ..Outcome::default() }
}

fn shows(stdout: &str) -> Outcome {
    Outcome { stdout: stdout.into(), ..Outcome::default() }
}

/// Whether this tool may do `got` where the original does `original`.
fn passes(case: &Case, original: &Outcome, got: &Outcome) -> bool {
    Ledger::default().judge(case, original, None, got).is_none()
}

#[test]
fn a_sentence_may_go_on_with_the_word_and_a_fix() {
    let call = case("-a -t 10.0.0.1:80 -r 10.1.0.1 -w l", None);
    let original = says(2, "illegal weight specified\n");
    let may = |text: &str| passes(&call, &original, &says(2, text));
    assert!(may("illegal weight specified\n"));
    assert!(may("illegal weight specified: 'l'; a number from 0 to 2147483647\n"));
    assert!(!may("illegal weight specified; a number from 0 to 2147483647\n"));
    assert!(!may("illegal weight specified: 'x'; a word that was not given\n"));
    assert!(!may("illegal weight specified, sorry\n"));
    assert!(!may("illegal weight specified: 'l'; a number\nand more\n"));
    assert!(!may("invalid weight\n"));
    assert!(!passes(&call, &original, &says(1, "illegal weight specified: 'l'; a number\n")));
}

#[test]
fn other_sentences_stay_as_they_are() {
    let call = case("-D -t 10.0.0.1:80", None);
    assert!(!passes(&call, &says(255, "No such service\n"), &says(255, "No such service; add it\n")));
    let original = says(255, "No such service\n");
    let may = |text: &str| passes(&call, &original, &says(255, text));
    assert!(may("No such service: 'TCP 10.0.0.1:80'; there is TCP 10.0.0.1:81\n"));
    assert!(!may("No such service: 'something'; there is TCP 10.0.0.1:81\n"));
    assert!(!may("No such service: 'TCP 10.0.0.1:80'; there is TCP 10.0.0.1:81\nand more\n"));
    let call = case("-A -t 10.0.0.1:80 -p abc", None);
    let original = says(2, "invalid timeout value `abc' specified\n");
    assert!(passes(&call, &original, &says(2, "invalid timeout value `abc' specified; seconds\n")));
    assert!(!passes(&call, &original, &says(2, "invalid timeout value `abc' specified: 'abc'; seconds\n")));
    let original = says(255, "No daemon is running\n");
    assert!(!passes(&call, &original, &says(255, "No daemon is running; start one\n")));
}

#[test]
fn restore_names_lines_and_keeps_refusals() {
    let input = "-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n-C\n";
    let call = case("-R", Some(input));
    let original = says(0, "Service already exists\nService already exists\n");
    let may = |code, text: &str| passes(&call, &original, &says(code, text));
    assert!(may(255, "line 2: Service already exists\nline 3: Service already exists\n"));
    assert!(!may(0, "line 2: Service already exists\nline 3: Service already exists\n"));
    assert!(!may(255, "line 3: Service already exists\nline 2: Service already exists\n"));
    assert!(!may(255, "line 2: Service already exists\nline 9: Service already exists\n"));
    assert!(!may(255, "line 2: Service already exists\n"));
    let original = says(2, "illegal weight specified\n");
    let got = says(2, "line 2: illegal weight specified: 'l'; a number\n");
    assert!(passes(&case("-R", Some("-C\n-a -t 10.0.0.1:80 -r 10.1.0.1 -w l\n")), &original, &got));
    assert!(!passes(&case("-a -t 10.0.0.1:80 -r 10.1.0.1 -w l", None), &original, &got));
}

#[test]
fn a_change_that_was_made_may_be_warned_of() {
    let warned = says(0, "warning: the weight '5' has no effect\n");
    let may = |line, stdin, original: &Outcome, got: &Outcome| passes(&case(line, stdin), original, got);
    let nothing = says(0, "");
    assert!(may("-a -t 10.0.0.1:80 -r 10.1.0.1 -w 5", None, &nothing, &warned));
    assert!(may("-E -t 10.0.0.1:80", None, &nothing, &warned));
    assert!(may("-A -u 10.0.0.1:80 -o", None, &nothing, &warned));
    for line in ["-Ln", "-Sn", "-C", "-D -t 10.0.0.1:80"] {
        assert!(!may(line, None, &nothing, &warned), "{line}");
    }
    assert!(!may("-R", Some("-E -t 10.0.0.1:80\n"), &nothing, &warned));
    let refused = says(255, "No such service\n");
    assert!(!may("-E -t 10.0.0.1:80", None, &refused, &warned));
    assert!(!may("-E -t 10.0.0.1:80", None, &refused, &says(255, "No such service\nwarning: a\n")));
    assert!(!may("-E -t 10.0.0.1:80", None, &nothing, &says(0, "something else\n")));
    assert!(!may("-E -t 10.0.0.1:80", None, &nothing, &says(1, "warning: a\n")));
}

#[test]
fn what_ours_takes_differently_is_asked_of_the_original() {
    let input = |text| rewritten(&case("-R", Some(text))).and_then(|case| case.stdin).map(String::from_utf8);
    assert_eq!(input("\u{feff}# a\n \t#b\n-C\n-Z # c  "), Some(Ok("-C\n-Z".into())));
    assert_eq!(input("-A -t [10.0.0.1]:80\t-p\n"), Some(Ok("-A -t 10.0.0.1:80\t-p\n".into())));
    assert_eq!(input("-A -t [::1]:80\n"), None);
    let args = |line| rewritten(&case(line, None)).map(|case| case.args);
    assert_eq!(args("-A -t [vip1]:http -b ,,"), Some(words("-A -t vip1:http -b ''")));
    assert_eq!(args("-A -b, -t10.0.0.1:80"), Some(words("-A -b= -t10.0.0.1:80")));
    assert_eq!(args("-A --sched-flags=, -f 1"), Some(words("-A --sched-flags= -f 1")));
    assert_eq!(args("-A -t 10.0.0.1:80 -b ,sh-port,"), None);
}

#[test]
fn lists_are_in_a_strict_order() {
    let call = case("-Ln", None);
    let original =
        "TCP  192.168.0.1:80 wlc\n  -> 10.0.0.1:80 Masq\nTCP  10.0.0.1:80 wlc\nFWM  -1 wlc\nFWM  1 wlc\n";
    let ours = "TCP  10.0.0.1:80 wlc\nTCP  192.168.0.1:80 wlc\n  -> 10.0.0.1:80 Masq\nFWM  1 wlc\nFWM  4294967295 wlc\n";
    assert!(passes(&call, &shows(original), &shows(ours)));
    assert!(!passes(&call, &shows(original), &shows(&ours.replace("FWM  1 wlc\n", ""))));
    assert!(!passes(&call, &shows(ours), &shows(&original.replace("-1", "4294967295"))));
    let original = "-A -f -2 -6 -s rr\n-a -f -2 -6 -r [::2]:0 -m -w 1\n-a -f -2 -6 -r [::1]:0 -m -w 1\n";
    let ours = "-A -f 4294967294 -6 -s rr\n-a -f 4294967294 -6 -r [::1]:0 -m -w 1\n-a -f 4294967294 -6 -r [::2]:0 -m -w 1\n";
    assert!(passes(&case("-Sn", None), &shows(original), &shows(ours)));
}

#[test]
fn long_rows_are_whole() {
    let data = "A".repeat(240);
    let short = "TCP 0A000001 9C41 0A000050 0050 C0A80A01 1F90 ESTABLISHED     896";
    let file =
        format!("head\\n{short}\\nUDP 0A000001 0000 0A000001 13C4 0A080002 13C4 ASSURED 52 sip {data}\\n");
    let call = Case { connections: Some(file.leak()), ..case("-Lnc --persistent-conn", None) };
    let cut = rewritten(&call).and_then(|case| case.connections).expect("a shorter file");
    let rest = cut.rsplit(' ').next().and_then(|data| data.strip_suffix("\\n").or(Some(data))).expect("data");
    let list = |data: &str| shows(&format!("title\nhead\nTCP 14:56 10.8.0.2:8080\nUDP 00:52 sip {data}\n"));
    let judge = |got: &Outcome| Ledger::default().judge(&call, &shows("broken"), Some(&list(rest)), got);
    assert_eq!(judge(&list(&data)), None);
    assert!(judge(&list(rest)).is_some());
    assert!(judge(&list(&data.replace('A', "B"))).is_some());
}

#[test]
fn the_help_is_free_after_the_version() {
    let own = concat!("ipvsadm-rs ", env!("CARGO_PKG_VERSION"), " (Rust)\n");
    let original = |text: &str| shows(&format!("{VERSION}{text}"));
    let ours = |text: &str| shows(&format!("{VERSION}{own}{text}"));
    let call = case("-h", None);
    assert!(passes(&call, &original("@@USAGE@@"), &ours("Usage:\n  ipvsadm --diff\n")));
    assert!(passes(&call, &original("Usage:\n  old\n"), &ours("Usage:\n  new\n")));
    assert!(!passes(&call, &original("@@USAGE@@"), &original("Usage:\n  ipvsadm --diff\n")));
    assert!(!passes(&call, &original("@@USAGE@@"), &shows("Usage:\n  ipvsadm --diff\n")));
    assert!(!passes(&call, &original("@@USAGE@@"), &ours("")));
}

#[test]
fn every_difference_is_explained() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
    let text = std::fs::read_to_string(path).expect("docs/compatibility.md");
    let explained: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    let missing: Vec<&str> = headings().filter(|heading| !explained.contains(heading)).collect();
    assert!(missing.is_empty(), "docs/compatibility.md has no heading for {missing:?}");
}
