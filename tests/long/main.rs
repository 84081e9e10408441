//! A large table for a long time: four writers change a tenth of its services, four readers and a live view read all of it.
//! Each reading has every service that nobody changes once, with its server, and none twice; memory stays the same. See
//! `tests/long/run`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::big_endian_bytes,
    reason = "it ends where it fails, and prints what it did"
)]

mod readers;
mod writers;

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ipvs::{Change, Client, Destination, ForwardingMethod, Service, ServiceId};

use readers::Table;

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// The service of a number, with its server: every tenth is changed, and belongs to one of the writers.
fn id(number: u32) -> ServiceId {
    ServiceId::tcp(Ipv4Addr::from_bits(FIRST + number).into(), 80)
}

fn server(number: u32, weight: u32) -> Change {
    let address = Ipv4Addr::from_bits(FIRST_SERVER + number);
    let server = Destination::new(address.into(), 80, ForwardingMethod::DirectRouting).with_weight(weight);
    Change::AddDestination { service: id(number), destination: server }
}

fn service(number: u32) -> Change {
    Change::AddService(Service::new(id(number), "rr".parse().unwrap()))
}

const FIRST: u32 = 0x0a00_0000;
const FIRST_SERVER: u32 = 0x0b00_0000;
/// Of so many services, one changes.
const CHANGING: u32 = 10;
/// Weights of servers that change; the others have 1.
const WEIGHTS: u32 = 9;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &words[..]
        && first == readers::READ
    {
        return readers::read(rest);
    }
    let words: Vec<u32> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let [minutes, services, connections] = words[..] else {
        println!("tests/long/run starts it");
        return;
    };
    lab::isolate();
    let start = Instant::now();
    let changes: Vec<Change> =
        (0..services).flat_map(|number| [service(number), server(number, 1)]).collect();
    assert!(Client::open().unwrap().apply_all(&changes).unwrap().is_empty());
    drop(changes);
    let made_services = start.elapsed();
    let (start, made) = (Instant::now(), readers::now());
    lab::many_connections::make(connections, 50_000);
    let made_connections = start.elapsed();
    println!(
        "{services} services made in {} s, {connections} connections in {} s",
        made_services.as_secs(),
        made_connections.as_secs()
    );
    work(Duration::from_secs(u64::from(minutes) * 60), Table { services, connections, made });
}

/// Changes and reads for so long.
fn work(time: Duration, table: Table) {
    let mut watch = Command::new(OURS).args(["--watch", "2"]).stdout(Stdio::null()).spawn().unwrap();
    let mut readers = readers::COMMANDS.map(|command| table.start(command));
    let stop = AtomicBool::new(false);
    let (changed, memory) = std::thread::scope(|scope| {
        let writers: [_; 4] = std::array::from_fn(|number| {
            let stop = &stop;
            scope.spawn(move || writers::write(u32::try_from(number).unwrap(), table.services, stop))
        });
        scope.spawn(|| table.read_by_library(&stop));
        let memory = measure(time, &watch);
        // While others change it, at least one reading by each.
        for reader in &mut readers {
            assert!(reader.wait().unwrap().success());
        }
        stop.store(true, Relaxed);
        (writers.map(|writer| writer.join().unwrap()).iter().sum::<usize>(), memory)
    });
    watch.kill().unwrap();
    watch.wait().unwrap();
    println!("{changed} changes in {} s", time.as_secs());
    println!(
        "| resident, MiB | {} |",
        memory.iter().map(|(at, ..)| format!("{at} s")).collect::<Vec<_>>().join(" | ")
    );
    for (name, pick) in [("the library, in two writers and a reader", 0), ("`--watch`", 1)] {
        let sizes: Vec<u64> = memory.iter().map(|(_, sizes)| sizes[pick]).collect();
        println!("| {name} | {} |", sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "));
        // What readings need is there after a part of the time.
        let (early, late) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
        assert!(late <= early + early / 10 + 4, "{name} grows: {sizes:?}");
    }
}

/// The memory of this process and of the live view in MiB, ten times in this time.
fn measure(time: Duration, watch: &Child) -> Vec<(u64, [u64; 2])> {
    const TIMES: u32 = 10;
    let start = Instant::now();
    let mut measured = Vec::new();
    for number in 1..=TIMES {
        std::thread::sleep((time * number / TIMES).saturating_sub(start.elapsed()));
        measured.push((start.elapsed().as_secs(), [resident("self"), resident(&watch.id().to_string())]));
    }
    measured
}

fn resident(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
