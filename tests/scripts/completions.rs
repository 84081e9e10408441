//! The completions of `packaging/completions` in their shells, which ask this tool and the kernel.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const RULES: &str = "-A -t 10.0.0.1:80 -s wrr
-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m
-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m
-A -t 10.0.0.2:80 -s rr
-a -t 10.0.0.2:80 -r 10.1.0.3:80 -m
-A -t [2001:db8::1]:80 -s wlc
-A -f 7 -6 -s rr
-a -f 7 -6 -r [2001:db8::7]:0 -m
";

/// What is typed, and what may follow.
const TYPED: [(&str, &str); 18] = [
    ("ipvsadm --add", "--add-server --add-service"),
    ("ipvsadm -A -t 10.0.0.9:80 --sch", "--sched-flags --scheduler"),
    ("ipvsadm -C -", "--dry-run --netns --quiet"),
    ("ipvsadm -L --thr", "--thresholds"),
    ("ipvsadm -D -t 10.0", "10.0.0.1:80 10.0.0.2:80"),
    ("ipvsadm --zero --fwmark-service ", "7"),
    ("ipvsadm -e -t 10.0.0.1:80 -r ", "10.1.0.1:80 10.1.0.2:80"),
    ("ipvsadm -dt 10.0.0.2:80 -r ", "10.1.0.3:80"),
    ("ipvsadm -d --tcp-service=10.0.0.2:80 -r 10", "10.1.0.3:80"),
    ("ipvsadm -d -f 7 -6 -r ", "[2001:db8::7]:0"),
    ("ipvsadm -a -t 10.0.0.9:80 -r 10", "10.1.0.1:80 10.1.0.2:80 10.1.0.3:80"),
    ("ipvsadm -A -t 10.0.0.9:80 -s w", "wlc wrr"),
    ("ipvsadm -E -f 7 -6 -p --sche", "--sched-flags --scheduler"),
    ("ipvsadm --start-daemon ", "backup master"),
    ("ipvsadm --start-daemon master --mcast-interface l", "lo"),
    ("ipvsadm -L -c --summary ", "client server service state"),
    ("ipvsadm -L -c --state S", "SYN_RECV"),
    ("ipvsadm-save --f", "--file --full"),
];

/// What each line completes to, in the shell that runs `completions.SHELL`.
fn completed(shell: &str, program: &Path, lines: &[&str]) -> Vec<String> {
    lab::isolate();
    lab::put(env!("CARGO_BIN_EXE_ipvsadm"));
    fs::create_dir_all("/run/completed").expect("a folder in the lab's /run");
    fs::write("/run/completed/rules", RULES).expect("a file in the lab's /run");
    let restored = Command::new("/sbin/ipvsadm").args(["-R", "--file", "/run/completed/rules"]).status();
    assert!(restored.expect("the tool starts").success());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unpacked = folder.join("target/lab").join(shell);
    fs::write("/run/completed/lines", lines.join("\n") + "\n").expect("a file in the lab's /run");
    let mut command = Command::new(program);
    if shell == "zsh" {
        command.arg("-f");
    }
    let output = command
        .arg(folder.join("tests/scripts/completions").with_extension(shell))
        .current_dir(folder)
        .env("UNPACKED", &unpacked)
        .env("LD_LIBRARY_PATH", unpacked.join("usr/lib/x86_64-linux-gnu"))
        .env("HOME", "/run/completed")
        .stdin(Stdio::from(fs::File::open("/run/completed/lines").expect("just written")))
        .output()
        .expect("the shell starts");
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{shell}: {said}{shown}");
    let answers = shown.split("> ").skip(1).zip(lines);
    answers
        .map(|(answer, line)| {
            let mut words: Vec<&str> =
                answer.strip_prefix(line).unwrap_or(answer).split_whitespace().collect();
            words.sort_unstable();
            words.join(" ")
        })
        .collect()
}

/// The same in all shells, and `more`, where they differ.
fn completes(shell: &str, program: &Path, more: [(&'static str, &'static str); 3]) {
    let typed = TYPED.into_iter().chain(more);
    let typed: Vec<(&str, &str)> = typed.collect();
    let lines: Vec<&str> = typed.iter().map(|(line, _)| *line).collect();
    let completed = completed(shell, program, &lines);
    let wrong = |(line, expected): (&str, &str), got: &String| {
        (got != expected).then(|| format!("{line}\n  completes to {got:?}\n  and not to   {expected:?}"))
    };
    let wrong: Vec<String> =
        typed.iter().copied().zip(&completed).filter_map(|(typed, got)| wrong(typed, got)).collect();
    assert!(completed.len() == typed.len() && wrong.is_empty(), "{shell}:\n{}", wrong.join("\n"));
}

fn unpacked(shell: &str, program: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab").join(shell).join(program)
}

const PATH: &str = "ipvsadm -R --file /run/completed/ru";
const GIVEN: &str = "ipvsadm -A -t 10.0.0.1:80 --tcp";
const BRACKET: &str = "ipvsadm -D -t [20";

#[test]
fn bash_completes() {
    let bash = Path::new("/bin/bash");
    completes("bash", bash, [(PATH, "/run/completed/rules"), (GIVEN, ""), (BRACKET, "[2001:db8::1]:80")]);
    // bash replaces only what follows the last colon.
    let after_a_colon =
        ["ipvsadm -D -t 10.0.0.1:", "ipvsadm -D -t [2001:db8::1]:8", "ipvsadm -D --tcp-service=10.0.0.1"];
    assert_eq!(completed("bash", bash, &after_a_colon), ["80", "80", "10.0.0.1:80"]);
}

#[test]
fn zsh_completes() {
    // zsh completes each folder of a path by itself, and an unquoted bracket begins a pattern.
    let more = [(PATH, "completed rules run"), (GIVEN, ""), ("ipvsadm -D -t \\[20", "[2001:db8::1]:80")];
    completes("zsh", &unpacked("zsh", "bin/zsh"), more);
}

#[test]
fn fish_completes() {
    // fish does not know which options exclude each other.
    let more = [(PATH, "/run/completed/rules"), (GIVEN, "--tcp-service"), (BRACKET, "[2001:db8::1]:80")];
    completes("fish", &unpacked("fish", "usr/bin/fish"), more);
}
