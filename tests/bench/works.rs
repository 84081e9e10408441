//! The tasks that are measured.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ipvs::{Change, Client};

use crate::program::{Call, clean, packaged};
use crate::rules::Table;
use crate::table::{Rounds, Row, Times, Who, alternate, heading, join};
use crate::{fresh, kernel};
use lab::many_connections as made;

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// The programs whose system calls are counted.
const PROGRAMS: [Who; 3] = [Who::Original, Who::Ours, Who::Packaged];

fn call<'a>(who: Who, words: &'a str, input: Option<&'a Path>) -> Call<'a> {
    Call { program: program(who), words, input }
}

fn program(who: Who) -> &'static str {
    match who {
        Who::Packaged => packaged().unwrap_or(OURS),
        Who::Ours => OURS,
        Who::Original | Who::Kernel => lab::ORIGINAL,
    }
}

/// The kernel's own part, in another process of this program, so that all times include starting a program.
fn part(words: &str) -> Duration {
    Call { program: "/proc/self/exe", words: &format!("{} {words}", kernel::PART), input: None }.time()
}

/// What each of the programs takes; 0 where it is not wanted, for tracing is too slow to count many calls.
fn each(wanted: bool, count: impl Fn(Who) -> u64) -> [u64; 3] {
    PROGRAMS.map(|who| if wanted && who.is_there() { count(who) } else { 0 })
}

fn keep(rows: &mut Vec<Row>, row: Row) {
    row.print();
    rows.push(row);
}

/// Restore, list, save and clear services with two servers. What is wanted is so of the restore, and of the listings.
pub(crate) fn tables(
    services: u32,
    rounds: Rounds,
    count: bool,
    [restore, list]: [&'static str; 2],
    rows: &mut Vec<Row>,
) {
    let table = Table { services, servers: 2 };
    let file = &table.file("bench-rules", 0);
    let size = usize::try_from(services).unwrap();
    kernel::keep(&fresh(|| kernel::changes(&table.changes())), "/run/bench-adding");
    kernel::keep(&fresh(|| kernel::changes(&[Change::Flush])), "/run/bench-clearing");

    let mut cleared = Vec::new();
    let times = alternate(rounds, |who| {
        let (restored, then) = fresh(|| match who {
            Who::Kernel => (part("change /run/bench-adding"), part("change /run/bench-clearing")),
            who => (call(who, "-R", Some(file)).time(), call(who, "-C", None).time()),
        });
        cleared.push((who, then));
        restored
    });
    let memory = Some(fresh(|| call(Who::Ours, "-R", Some(file)).memory()));
    let calls = each(count, |who| fresh(|| call(who, "-R", Some(file)).system_calls()));
    keep(rows, Row { work: "`-R`", size, times, calls, memory, wanted: restore });
    let calls = each(count, |who| fresh(|| call(who, "-C", None).system_calls()));
    keep(rows, Row { work: "`-C`", size, times: Times::of(&cleared), calls, ..Row::default() });

    fresh(|| {
        part("change /run/bench-adding");
        kernel::keep(&kernel::questions(), "/run/bench-questions");
        for (work, words, wanted) in
            [("`-Ln`", "-Ln", list), ("`-Ln --stats`", "-Ln --stats", ""), ("`-Sn`", "-Sn", list)]
        {
            listing(
                Row { work, size, wanted, ..Row::default() },
                words,
                rounds,
                "ask /run/bench-questions",
                count,
                rows,
            );
        }
        Client::open().unwrap().flush().unwrap();
    });
}

/// A listing of the existing table.
fn listing(row: Row, words: &'static str, rounds: Rounds, kernels: &str, count: bool, rows: &mut Vec<Row>) {
    let times = alternate(rounds, |who| match who {
        Who::Kernel => part(kernels),
        who => call(who, words, None).time(),
    });
    let calls = each(count, |who| call(who, words, None).system_calls());
    keep(rows, Row { times, calls, memory: Some(call(Who::Ours, words, None).memory()), ..row });
}

/// One service with many servers, and an edit of one of them.
pub(crate) fn one_service(servers: u32, edited: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let fill = |servers| {
        let changes = Table { services: 1, servers }.changes();
        assert!(Client::open().unwrap().apply_all(&changes).unwrap().is_empty());
        usize::try_from(servers).unwrap()
    };
    fresh(|| {
        let size = fill(servers);
        kernel::keep(&kernel::questions(), "/run/bench-questions");
        let row =
            Row { work: "`-Ln`, servers of one service", size, wanted: "3 × original", ..Row::default() };
        listing(row, "-Ln", rounds, "ask /run/bench-questions", false, rows);
        Client::open().unwrap().flush().unwrap();
    });
    fresh(|| {
        let size = fill(edited);
        // One that looks at weights, lest there are warnings.
        assert!(call(Who::Ours, "-E -t 10.0.0.1:80 -s wlc", None).time() > Duration::ZERO);
        let rounds = Rounds { original: rounds.ours, ..rounds };
        let mut weight = 1;
        let times = alternate(rounds, |who| {
            weight += 1;
            let words = format!("-e -t 10.0.0.1:80 -r 10.128.0.1:8080 -m -w {weight}");
            if who == Who::Kernel {
                Call { program: empty(), words: "", input: None }.time()
            } else {
                call(who, &words, None).time()
            }
        });
        let (work, wanted) = ("`-e -w` in a service of so many", "1.0 × original");
        keep(rows, Row { work, size, times, wanted, ..Row::default() });
        Client::open().unwrap().flush().unwrap();
    });
}

/// The connections.
pub(crate) fn connections(count: u32, rounds: Rounds, wanted: &'static str, rows: &mut Vec<Row>) {
    fresh(|| {
        made::make(count, count);
        let size = usize::try_from(count).unwrap();
        let row = Row { work: "`-Lnc`, connections", size, wanted, ..Row::default() };
        listing(row, "-Lnc", rounds, "connections", count <= 1000, rows);
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
            ("`-Lc --summary client`", "-Lc --summary client"),
            ("`-Lc --summary client --top 10`", "-Lc --summary client --top 10"),
            ("`-Lnc --client 10.1.0.7`", "-Lnc --client 10.1.0.7"),
        ] {
            let row = Row { work, size, wanted: "1.0 × kernel", ..Row::default() };
            listing(row, words, rounds, "connections", false, rows);
        }
    });
}

/// The table as JSON and as metrics; beside them our `-Ln --stats`, in the column of the kernel's own part.
pub(crate) fn formats(services: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    fresh(|| {
        assert!(Client::open().unwrap().apply_all(&table.changes()).unwrap().is_empty());
        for (work, words) in [("`-L --json`", "-L --json"), ("`-L --prometheus`", "-L --prometheus")] {
            beside(
                Row { work, size: table.lines(), wanted: "beside `-Ln --stats`", ..Row::default() },
                "-Ln --stats",
                rounds,
                rows,
                |_| (words.to_owned(), None),
            );
        }
        Client::open().unwrap().flush().unwrap();
    });
}

/// A work of this tool alone; beside it another of ours, in the column of the kernel's own part.
fn beside<'a>(
    row: Row,
    other: &str,
    rounds: Rounds,
    rows: &mut Vec<Row>,
    words: impl Fn(usize) -> (String, Option<&'a Path>),
) {
    let mut turn = 0;
    let times = alternate(Rounds { original: 0, ..rounds }, |who| {
        if who == Who::Kernel {
            return call(Who::Ours, other, None).time();
        }
        turn += 1;
        let (words, input) = words(turn);
        call(who, &words, input).time()
    });
    let (words, input) = words(0);
    let memory = Some(call(Who::Ours, &words, input).memory());
    keep(rows, Row { times, memory, ..row });
}

/// A static program that does nothing, or one that is linked to the C library.
fn empty() -> &'static str {
    static PATH: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("IPVS_BENCH_EMPTY").ok());
    PATH.as_deref().unwrap_or("/bin/true")
}

/// Single commands from a loop of the shell, and an empty program from the same loop.
pub(crate) fn commands(count: u32, rounds: usize, rows: &mut Vec<Row>) {
    let with_service = || {
        Client::open().unwrap().apply_all(&Table { services: 1, servers: 0 }.changes()).unwrap();
    };
    // Short rounds in turn, so that other load affects all alike.
    let times = alternate(Rounds { original: rounds, ours: rounds }, |who| {
        let program = if who == Who::Kernel { empty() } else { program(who) };
        fresh(|| {
            with_service();
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
    });
    let one = |who| {
        with_service();
        call(who, "-a -t 10.0.0.1:80 -r 10.1.0.1 -m", None)
    };
    let size = usize::try_from(count).unwrap();
    let calls = each(true, |who| fresh(|| one(who).system_calls()));
    keep(rows, Row { work: "`-a`; as kernel an empty program", size, times, calls, ..Row::default() });
    let nothing = times.kernel.unwrap_or_default();
    let less = |time: Option<Duration>| time.map(|time| time.saturating_sub(nothing));
    let [original, ours, packaged] = [times.original, times.ours, times.packaged].map(less);
    let (times, wanted) =
        (Times { original, ours, packaged, kernel: None }, "1.0, 2.2 × original; 24 system calls packaged");
    keep(rows, Row { work: "`-a`, less an empty program", size, times, wanted, ..Row::default() });
    let faults = join(each(true, |who| fresh(|| one(who).page_faults())));
    let least = Call { program: empty(), words: "", input: None }.page_faults();
    println!("\nPage faults of `-a`: {faults}; of an empty program {least} (38 wanted, packaged)\n");
    heading();
}

/// Applying a file with 10 different lines; beside it a listing of this tool, in the column of the kernel's own part.
pub(crate) fn apply(services: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    let files = [table.file("bench-old", 0), table.file("bench-new", 10)];
    fresh(|| {
        assert!(Client::open().unwrap().apply_all(&table.changes()).unwrap().is_empty());
        let row = Row {
            work: "`-R --apply` of 10 differences",
            size: table.lines(),
            wanted: "beside `-Ln`",
            ..Row::default()
        };
        beside(row, "-Ln", rounds, rows, |turn| ("-R --apply".to_owned(), Some(&files[turn % 2])));
        Client::open().unwrap().flush().unwrap();
    });
}

/// `--check` of a healthy director; beside it a listing of this tool, in the column of the kernel's own part.
pub(crate) fn check(services: u32, rounds: Rounds, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    let rules = table.file("bench-rules", 0);
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
        let size = usize::try_from(services).unwrap();
        let row = Row { work: "`--check`", size, wanted: "2 × `-Ln`", ..Row::default() };
        beside(row, "-Ln", rounds, rows, |_| (format!("--check --file {}", rules.display()), None));
        for_a_row(rows.last().and_then(|row| row.memory).unwrap_or_default(), table, "250");
        Client::open().unwrap().flush().unwrap();
    });
}

/// Memory for very many rules, in KiB and in bytes for a row.
pub(crate) fn memory(services: u32, rows: &mut Vec<Row>) {
    let table = Table { services, servers: 2 };
    let file = &table.file("bench-rules", 0);
    let measure = |work, words: &str, wanted, rows: &mut Vec<Row>| {
        let memory = call(Who::Ours, words, Some(file)).memory();
        keep(rows, Row { work, size: table.lines(), memory: Some(memory), ..Row::default() });
        for_a_row(memory, table, wanted);
    };
    fresh(|| measure("memory of `-R --replace`", "-R --replace", "120", rows));
    fresh(|| {
        measure("memory of `-R`", "-R", "", rows);
        measure("memory of `-R --apply`", "-R --apply", "250 and 24 MiB", rows);
        measure("memory of `-R --diff`", "-R --diff", "250", rows);
        measure("memory of `-Sn`", "-Sn", "", rows);
        measure("memory of `-L --prometheus`", "-L --prometheus", "120", rows);
        measure("memory of `--watch` in a pipe", "--watch 0.1 --count 3", "250", rows);
    });
}

/// Prints how much memory a row takes: so much in all, less that of an empty listing.
fn for_a_row(memory: u64, table: Table, wanted: &str) {
    let least = fresh(|| call(Who::Ours, "-Ln", None).memory());
    let bytes = memory.saturating_sub(least) * 1024 / table.lines() as u64;
    println!("| — bytes for a row | | | | | | | | | {bytes} | {wanted} |");
}
