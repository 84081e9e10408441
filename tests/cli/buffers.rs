//! Hosts with small socket buffers: nothing is lost, and nothing ends midway.

use std::fmt::Write as _;
use std::fs;

use crate::undo::{TRACE, injected};
use crate::{OURS, feed, run, set_up, table};

/// Values of `net.core.rmem_*` and `net.core.wmem_*`: the kernel's minimum, and typical tuned values.
const TUNED: [(u32, u32); 3] = [(2304, 4608), (212_992, 4608), (81_920, 212_992)];

const SETTINGS: [&str; 4] = ["rmem_default", "rmem_max", "wmem_default", "wmem_max"];

/// The sizes of all sockets' buffers. They apply to the machine, and are only visible in its first network.
struct Buffers([String; 4]);

impl Buffers {
    fn read() -> Self {
        Self(SETTINGS.map(|name| fs::read_to_string(format!("/proc/sys/net/core/{name}")).unwrap()))
    }

    fn write(sizes: [&str; 4]) {
        for (name, size) in SETTINGS.iter().zip(sizes) {
            fs::write(format!("/proc/sys/net/core/{name}"), size).unwrap();
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        let [a, b, c, d] = &self.0;
        Self::write([a, b, c, d]);
    }
}

/// Calls `test` once for each size of the buffers, with an empty table and in a separate network.
fn with_small_buffers(test: impl Fn() + Sync) {
    if std::env::var("IPVS_LAB_INSIDE").as_deref() == Ok("host") {
        return; // they are settings of the user's machine
    }
    let _before = Buffers::read();
    for (receive, send) in TUNED {
        let (receive, send) = (receive.to_string(), send.to_string());
        Buffers::write([&receive, &receive, &send, &send]);
        std::thread::scope(|scope| {
            let test = scope.spawn(|| {
                lab::isolate();
                test();
            });
            test.join().unwrap_or_else(|_| panic!("failed with buffers of {receive} and {send} bytes"));
        });
    }
}

/// The line of a service.
fn service(number: usize) -> String {
    format!("-A -t 10.0.{}.{}:80 -s rr\n", number / 200, number % 200 + 1)
}

#[test]
fn no_line_is_lost_where_buffers_are_small() {
    let good: String = (0..300).map(service).collect();
    let (mut lines, mut expected) = (String::new(), String::new());
    let refused = |line| format!("line {line}: No such service: 'TCP 10.9.9.9:9'; -A adds it\n");
    // All of the first lines are refused, and every second of the others.
    for number in 1..=300 {
        lines += "-D -t 10.9.9.9:9\n";
        expected += &refused(number);
    }
    for (number, line) in good.lines().enumerate() {
        writeln!(lines, "{line}\n-D -t 10.9.9.9:9").unwrap();
        expected += &refused(300 + number * 2 + 2);
    }
    with_small_buffers(|| {
        assert_eq!(feed(OURS, "-R", &lines), (255, String::new(), expected.clone()));
        assert_eq!(table(), good);
    });
}

#[test]
fn a_restore_is_whole_where_buffers_are_small() {
    let rules: String = (0..500).map(service).collect();
    with_small_buffers(|| {
        let restored = feed(env!("CARGO_BIN_EXE_ipvsadm-restore"), "", &rules);
        assert_eq!(restored, (0, String::new(), String::new()));
        assert_eq!(table(), rules);
    });
}

#[test]
fn a_refused_apply_is_undone_where_buffers_are_small() {
    let before = service(0);
    // Each service is accepted, and each server is refused.
    let mut wanted = String::new();
    for line in (0..150).map(service) {
        let id = line.split(' ').nth(2).unwrap();
        writeln!(wanted, "{line}-a -t {id} -r 224.0.0.1 -g -w 1").unwrap();
    }
    with_small_buffers(|| {
        set_up(&before);
        let (status, _, said) = feed(OURS, "-R --apply", &wanted);
        assert_eq!(status, 255);
        assert_eq!(said.lines().filter(|line| line.contains("'224.0.0.1'")).count(), 150, "{said}");
        assert!(said.ends_with("nothing was applied: the table is as before\n"), "{said}");
        assert_eq!(table(), before);
    });
}

#[test]
fn a_check_finds_the_same_where_buffers_are_small() {
    let mut rules = service(0);
    for number in 0..100 {
        writeln!(rules, "-a -t 10.0.0.1:80 -r 10.1.0.{} -g -w 1", number + 1).unwrap();
    }
    let look = || {
        set_up(&rules);
        run(OURS, "--check --json")
    };
    let found = std::thread::scope(|scope| {
        let normal = scope.spawn(|| {
            lab::isolate();
            look()
        });
        normal.join().unwrap()
    });
    assert_eq!(found.0, 1);
    assert_eq!(found.1.matches(r#""at":"TCP 10.0.0.1:80 -> 10.1.0."#).count(), 100, "{}", found.1);
    with_small_buffers(|| assert_eq!(look(), found));
}

#[test]
fn a_line_whose_answer_is_lost_is_told_and_the_rest_is_carried_out() {
    lab::isolate();
    let lines: String = (0..200).map(service).collect();
    let restore = |inject: &str| {
        assert_eq!(run(OURS, "-C").0, 0);
        injected(inject, "-R", &lines)
    };
    assert_eq!(restore("recvfrom:delay_exit=0"), (0, String::new(), String::new()));
    let trace = fs::read_to_string(TRACE).unwrap();
    let first = trace.lines().position(|line| line.contains("NLMSG_ERROR")).unwrap() + 1;
    // The acknowledgement of the first 128 lines.
    let (status, shown, said) = restore(&format!("recvfrom:error=EAGAIN:when={first}"));
    assert_eq!((status, shown.as_str()), (255, ""));
    for (number, line) in said.lines().enumerate() {
        let unknown = "add service: the kernel gave no answer, and may have done it; ipvsadm -S --full shows what is in effect";
        assert_eq!(line, format!("line {}: {unknown}", number + 1));
    }
    assert_eq!(said.lines().count(), 128);
    assert_eq!(table(), lines);
}
