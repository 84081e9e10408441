//! The tasks that are measured.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ipvs::{Change, Client};

use crate::program::{Call, clean};
use crate::rules::Table;
use crate::table::{Rounds, Row, Times, Who, alternate, best};
use crate::{fresh, kernel};
use lab::many_connections as made;

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

fn call<'a>(who: Who, words: &'a str, input: Option<&'a Path>) -> Call<'a> {
    Call { program: if who == Who::Ours { OURS } else { lab::ORIGINAL }, words, input }
}

/// The kernel's own part, in another process of this program, so that all times include starting a program.
fn part(words: &str) -> Duration {
    Call { program: "/proc/self/exe", words: &format!("{} {words}", kernel::PART), input: None }.time()
}

/// System calls of both; tracing is too slow to count many.
fn calls(wanted: bool, words: &'static str, input: Option<&Path>) -> Option<(u64, u64)> {
    let count = |who| fresh(|| call(who, words, input).system_calls());
    wanted.then(|| (count(Who::Original), count(Who::Ours)))
}

fn keep(rows: &mut Vec<Row>, row: Row) {
    row.print();
    rows.push(row);
}

/// Restore, list, save and clear services with two servers.
pub(crate) fn tables(services: u32, rounds: Rounds, count: bool, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    let file = &table.file("bench-rules", 0);
    let size = usize::try_from(services).unwrap();
    kernel::keep(&fresh(|| kernel::changes(&table.changes())), "/run/bench-adding");
    kernel::keep(&fresh(|| kernel::changes(&[Change::Flush])), "/run/bench-clearing");

    let mut cleared = Vec::new();
    let restored = alternate(rounds, |who| {
        let (restored, then) = fresh(|| match who {
            Who::Kernel => (part("change /run/bench-adding"), part("change /run/bench-clearing")),
            who => (call(who, "-R", Some(file)).time(), call(who, "-C", None).time()),
        });
        cleared.push((who, then));
        restored
    });
    let of = |who| best(cleared.iter().filter(|(by, _)| *by == who).map(|(_, time)| *time).collect());
    let cleared = Times { original: of(Who::Original), ours: of(Who::Ours), kernel: of(Who::Kernel) };
    let memory = Some(fresh(|| call(Who::Ours, "-R", Some(file)).memory()));
    keep(rows, Row { work: "restore", size, times: restored, calls: calls(count, "-R", Some(file)), memory });
    keep(rows, Row { work: "clear", size, times: cleared, calls: calls(count, "-C", None), memory: None });

    fresh(|| {
        part("change /run/bench-adding");
        kernel::keep(&kernel::questions(), "/run/bench-questions");
        for (work, words) in [("list", "-Ln"), ("list --stats", "-Ln --stats"), ("save", "-Sn")] {
            listing(rows, work, size, words, rounds, "ask /run/bench-questions", count);
        }
        Client::open().unwrap().flush().unwrap();
    });
}

/// A listing of the existing table.
fn listing(
    rows: &mut Vec<Row>,
    work: &'static str,
    size: usize,
    words: &'static str,
    rounds: Rounds,
    kernels: &str,
    count: bool,
) {
    let times = alternate(rounds, |who| match who {
        Who::Kernel => part(kernels),
        who => call(who, words, None).time(),
    });
    let of = |who| call(who, words, None).system_calls();
    let calls = count.then(|| (of(Who::Original), of(Who::Ours)));
    keep(rows, Row { work, size, times, calls, memory: Some(call(Who::Ours, words, None).memory()) });
}

/// One service with many servers.
pub(crate) fn one_service(servers: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let table = Table { services: 1, servers };
    fresh(|| {
        assert!(Client::open().unwrap().apply_all(&table.changes()).unwrap().is_empty());
        kernel::keep(&kernel::questions(), "/run/bench-questions");
        let size = usize::try_from(servers).unwrap();
        listing(rows, "list one service", size, "-Ln", rounds, "ask /run/bench-questions", false);
        Client::open().unwrap().flush().unwrap();
    });
}

/// The connections.
pub(crate) fn connections(count: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    fresh(|| {
        made::make(count, count);
        let size = usize::try_from(count).unwrap();
        listing(rows, "list connections", size, "-Lnc", rounds, "connections", count <= 1000);
    });
}

/// Connections of a tenth as many clients, counted by client, and those of one client; beside them the kernel's file,
/// only read.
pub(crate) fn some_connections(count: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let rounds = Rounds { original: 0, ..rounds };
    fresh(|| {
        made::make(count, count / 10);
        let size = usize::try_from(count).unwrap();
        for (work, words) in [
            ("summary by client", "-Lc --summary client"),
            ("summary, ten largest", "-Lc --summary client --top 10"),
            ("connections of a client", "-Lnc --client 10.1.0.7"),
        ] {
            listing(rows, work, size, words, rounds, "connections", false);
        }
    });
}

/// The table as JSON and as metrics; beside them our `-Ln --stats`, in the column of the kernel's own part.
pub(crate) fn formats(services: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    let rounds = Rounds { original: 0, ..rounds };
    fresh(|| {
        assert!(Client::open().unwrap().apply_all(&table.changes()).unwrap().is_empty());
        for (work, words) in [("JSON, our --stats", "-L --json"), ("metrics, our --stats", "-L --prometheus")]
        {
            let times = alternate(rounds, |who| {
                let words = if who == Who::Kernel { "-Ln --stats" } else { words };
                call(Who::Ours, words, None).time()
            });
            let memory = Some(call(Who::Ours, words, None).memory());
            keep(rows, Row { work, size: table.lines(), times, calls: None, memory });
        }
        Client::open().unwrap().flush().unwrap();
    });
}

/// Single commands from a loop of the shell, and an empty program from the same loop.
pub(crate) fn commands(count: u32, rounds: usize, rows: &mut Vec<Row>) {
    const EMPTY: &str = "/bin/true";
    // Short rounds in turn, so that other load affects all three alike.
    let lap = |program: &str| {
        fresh(|| {
            Client::open().unwrap().apply_all(&Table { services: 1, servers: 0 }.changes()).unwrap();
            let script = format!(
                "i=0; while [ $i -lt {count} ]; do i=$((i+1)); {program} -a -t 10.0.0.1:80 -r 10.1.0.$i -m; done"
            );
            let mut shell = clean(Command::new("sh"));
            shell.args(["-c", &script]);
            let start = Instant::now();
            let status = shell.status().unwrap();
            let time = start.elapsed();
            assert!(status.success(), "{script}");
            time / count
        })
    };
    let mut taken = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (program, times) in [EMPTY, lab::ORIGINAL, OURS].into_iter().zip(&mut taken) {
            times.push(lap(program));
        }
    }
    let [empty, original, ours] = taken.map(|times| best(times).unwrap());
    let less = |time: Duration| Some(time.saturating_sub(empty));
    let one = |who| {
        fresh(|| {
            Client::open().unwrap().apply_all(&Table { services: 1, servers: 0 }.changes()).unwrap();
            call(who, "-a -t 10.0.0.1:80 -r 10.1.0.1 -m", None).system_calls()
        })
    };
    let calls = Some((one(Who::Original), one(Who::Ours)));
    let size = usize::try_from(count).unwrap();
    let whole = Times { original: Some(original), ours: Some(ours), kernel: None };
    keep(rows, Row { work: "a command", size, times: whole, calls, memory: None });
    let times = Times { original: less(original), ours: less(ours), kernel: None };
    keep(rows, Row { work: "a command, less an empty", size, times, calls: None, memory: None });
}

/// Applying a file with 10 different lines; beside it a listing of this tool, in the column of the kernel's own part.
pub(crate) fn apply(services: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    let files = [table.file("bench-old", 0), table.file("bench-new", 10)];
    let rounds = Rounds { original: 0, ..rounds };
    fresh(|| {
        assert!(Client::open().unwrap().apply_all(&table.changes()).unwrap().is_empty());
        let mut turn = 0;
        let times = alternate(rounds, |who| {
            if who == Who::Kernel {
                return call(Who::Ours, "-Ln", None).time();
            }
            turn += 1;
            call(Who::Ours, "-R --apply", Some(&files[turn % 2])).time()
        });
        let memory = Some(call(Who::Ours, "-R --apply", Some(&files[0])).memory());
        keep(rows, Row { work: "apply 10, our list", size: table.lines(), times, calls: None, memory });
        Client::open().unwrap().flush().unwrap();
    });
}

/// `--check` of a healthy director; beside it a listing of this tool, in the column of the kernel's own part.
pub(crate) fn check(services: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    let rules = table.file("bench-rules", 0);
    let rounds = Rounds { original: 0, ..rounds };
    fresh(|| {
        assert!(Client::open().unwrap().apply_all(&table.changes()).unwrap().is_empty());
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let mut links = "link add outside type dummy\nlink set outside up\nlink add inside type dummy\n\
                         link set inside up\naddr add 10.255.255.254/9 dev inside\n"
            .to_owned();
        for vip in table.addresses() {
            writeln!(links, "addr add {vip}/32 dev outside").unwrap();
        }
        std::fs::write("/run/bench-links", links).unwrap();
        assert!(Command::new("ip").args(["-batch", "/run/bench-links"]).status().unwrap().success());
        let words = format!("--check --file {}", rules.display());
        let times = alternate(rounds, |who| {
            call(Who::Ours, if who == Who::Kernel { "-Ln" } else { &words }, None).time()
        });
        let memory = Some(call(Who::Ours, &words, None).memory());
        let size = usize::try_from(services).unwrap();
        keep(rows, Row { work: "check, our list", size, times, calls: None, memory });
        Client::open().unwrap().flush().unwrap();
    });
}

/// Memory for very many rules.
pub(crate) fn memory(services: u32, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    let file = &table.file("bench-rules", 0);
    let mut measure = |work, words| {
        let memory = Some(call(Who::Ours, words, Some(file)).memory());
        keep(rows, Row { work, size: table.lines(), times: Times::default(), calls: None, memory });
    };
    fresh(|| measure("memory of -R --replace", "-R --replace"));
    fresh(|| {
        measure("memory of -R", "-R");
        measure("memory of -R --apply", "-R --apply");
        measure("memory of -S", "-Sn");
    });
}
