//! Whatever takes more than two seconds says on a terminal how far it is, on stderr, and leaves no trace of it.

use std::process::{Command, Stdio};

use crate::OURS;

/// What a terminal shows while a command runs whose program or file is slow, as a shell sees to before.
fn terminal(before: &str, words: &str) -> String {
    let script = format!("{before} exec script -qec '{OURS} {words} 2>&1' /dev/null");
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_long_work_says_on_a_terminal_how_far_it_is() {
    lab::isolate();
    let slow =
        "rm -f /run/slow; mkfifo /run/slow; (sleep 3.5 && echo '-A -t 192.0.2.1:80 -s rr') >/run/slow &";
    for (words, line) in [
        ("-R --apply --file /run/slow", "applying the table: 2 s"),
        ("-R --diff --file /run/slow", "comparing the table: 2 s"),
    ] {
        let shown = terminal(slow, words).replace('\r', "|");
        assert!(shown.contains(&format!("|{line}\x1b[K")), "{words}: {shown:?}");
        assert!(shown.ends_with("|\x1b[K"), "{words}: {shown:?}");
    }
}
