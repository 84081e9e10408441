//! Tables by name: with a name server that takes 50 ms for each answer, with names in `/etc/hosts`, and with a name server
//! that does not answer. Beside the time, the processor's time and the most memory of one process.

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::fresh;
use crate::program::{Call, packaged};
use lab::dns::{self, Way};

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");
const SAVED: &str = "/run/bench-names";

/// The programs that are compared.
fn programs() -> Vec<(&'static str, &'static str)> {
    let packaged = packaged().map(|path| ("packaged", path));
    [("original", lab::ORIGINAL), ("cargo build", OURS)].into_iter().chain(packaged).collect()
}

/// A machine whose names come from a file, then from a name server.
fn machine(hosts: &str) {
    fs::write("/run/bench-hosts", hosts).unwrap();
    fs::write("/run/bench-nsswitch", "hosts: files dns\nservices: files\n").unwrap();
    fs::write("/run/bench-resolv", "nameserver 127.0.0.1\n").unwrap();
    lab::lay_over("/run/bench-hosts", "/etc/hosts");
    lab::lay_over("/run/bench-nsswitch", "/etc/nsswitch.conf");
    lab::lay_over("/run/bench-resolv", fs::canonicalize("/etc/resolv.conf").unwrap());
}

fn address(number: usize) -> String {
    format!("10.1.{}.{}", number / 250, number % 250 + 1)
}

/// Fills the table: services with servers, all of different addresses.
fn fill(services: usize, servers: usize) {
    let mut rules = String::new();
    for service in 0..services {
        let own = address(service * (servers + 1));
        writeln!(rules, "-A -t {own}:80 -s rr").unwrap();
        for server in 1..=servers {
            let server = address(service * (servers + 1) + server);
            writeln!(rules, "-a -t {own}:80 -r {server}:80 -m").unwrap();
        }
    }
    fs::write("/run/bench-rules", rules).unwrap();
    let file = fs::File::open("/run/bench-rules").unwrap();
    assert!(Command::new(OURS).arg("-R").stdin(file).status().unwrap().success());
}

/// Lists, saves and restores with each program in turn, and prints the best time of each.
fn compare(what: &str, words: &[&str], rounds: usize) {
    for words in words {
        let mut best = vec![(Duration::MAX, Duration::MAX); programs().len()];
        let mut memory = Vec::new();
        for round in 0..rounds {
            for (at, (_, program)) in programs().iter().enumerate() {
                let input = (*words == "-R").then(|| {
                    assert!(Command::new(OURS).arg("-C").status().unwrap().success());
                    std::path::Path::new(SAVED)
                });
                let call = Call { program, words, input };
                let before = used();
                let begin = Instant::now();
                let _ = call.time();
                let taken = (begin.elapsed(), used().saturating_sub(before));
                best[at] = best[at].min(taken);
                if round == 0 && *words != "-R" {
                    memory.push(call.memory());
                }
            }
        }
        let first = best[0].0;
        for (at, ((name, _), (time, cpu))) in programs().iter().zip(&best).enumerate() {
            let times = first.as_secs_f64() / time.as_secs_f64();
            let memory = memory.get(at).map_or_else(String::new, |memory| format!("{memory} KiB"));
            println!("| {what} | {words} | {name} | {time:.2?} | {times:.1} | {cpu:.2?} | {memory} |");
        }
    }
}

/// The processor's time of all programs so far.
fn used() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let duration = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().try_into().unwrap(), u32::try_from(time.tv_usec() * 1000).unwrap())
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

/// Keeps the table by names, for restores.
fn save() {
    let saved = Command::new(OURS).arg("-S").output().unwrap();
    assert!(saved.status.success());
    fs::write(SAVED, saved.stdout).unwrap();
}

/// A table of services with servers, by the names of a name server that takes 50 ms, and of one that does not answer.
pub(crate) fn names(services: usize, servers: usize, rounds: usize) {
    let what = format!("{services} services, {} addresses, 50 ms each", services * (servers + 1));
    println!(
        "\n| names | | program | time | times | processor | memory |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    fresh(|| {
        machine("");
        dns::serve("127.0.0.1:53", dns::cluster, |_, _| Way::Late(Duration::from_millis(50)));
        fill(services, servers);
        save();
        compare(&what, &["-L", "-S", "-R"], rounds);
    });
    fresh(|| {
        let line = |number| format!("{} host{number}.example.test host{number}", address(number));
        let hosts = (0..200 * 2).map(line).collect::<Vec<_>>().join("\n") + "\n";
        machine(&hosts);
        fill(200, 1);
        save();
        compare("200 services in /etc/hosts", &["-L", "-S", "-R"], rounds.max(3));
    });
    fresh(|| {
        machine("");
        dns::serve("127.0.0.1:53", dns::cluster, |_, _| Way::Lost);
        fill(1, 1);
        compare("two addresses, no answer", &["-L"], 1);
    });
}

/// The long soak: answers lost, late, wrong and refused; what comes is the right name, or a number and a line on stderr.
pub(crate) fn soak(lookups: usize) {
    const AT_ONCE: usize = 1000;
    fresh(|| {
        machine("");
        dns::serve("127.0.0.1:53", dns::cluster, |number, _| {
            match number.wrapping_mul(2_654_435_761) >> 7 & 63 {
                0..=4 => Way::Lost,
                5 => Way::WrongId,
                6..=12 => Way::Late(Duration::from_millis(700)),
                13 => Way::Truncated,
                14 => Way::Failure,
                _ => Way::Answer,
            }
        });
        fill(1, AT_ONCE - 1);
        let (mut named, mut slowest) = (0, Duration::ZERO);
        for _ in 0..lookups.div_ceil(AT_ONCE) {
            let begin = Instant::now();
            let listed = Command::new(OURS).arg("-L").output().unwrap();
            slowest = slowest.max(begin.elapsed());
            let (listing, complaint) =
                (String::from_utf8(listed.stdout).unwrap(), String::from_utf8(listed.stderr).unwrap());
            let mut numbers = 0;
            for line in listing.lines().filter(|line| line.contains(":http")) {
                let shown = line.split_whitespace().find(|word| word.contains(":http")).unwrap();
                let host = shown.trim_end_matches(":http");
                match host.strip_suffix(".example.test") {
                    Some(name) => {
                        assert!(dns::cluster(&format!("{name}.example.test"), dns::A).is_some(), "{line}");
                    }
                    None => numbers += 1,
                }
            }
            named += AT_ONCE - numbers;
            assert!(listing.lines().count() == AT_ONCE + 3 && begin.elapsed() < Duration::from_secs(12));
            assert!(complaint.lines().count() <= 1, "{complaint}");
        }
        println!("soak of {lookups} names: {named} came, the slowest listing took {slowest:.2?}");
    });
}
