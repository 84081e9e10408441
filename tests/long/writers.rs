//! What changes the table: each writer has every fourth of the services that change. They are deleted, and added again with
//! another weight, and the weight is edited.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ipvs::{Change, Client};

use crate::{CHANGING, OURS, WEIGHTS, id, server, service};

/// Services in one go.
const BATCH: usize = 250;
const PAUSE: Duration = Duration::from_millis(500);

/// Changes services until it is stopped: two writers by the library, two by the tool. Returns the number of changes.
pub(crate) fn write(writer: u32, services: u32, stop: &AtomicBool) -> usize {
    let mine: Vec<u32> =
        (0..services).filter(|number| number % (4 * CHANGING) == writer * CHANGING).collect();
    let mut client = Client::open().unwrap();
    let mut count = 0;
    for (round, numbers) in (0..).zip(mine.chunks(BATCH).cycle()) {
        if stop.load(Relaxed) {
            break;
        }
        let weight = |more: u32| (round + more) % WEIGHTS + 1;
        let gone: Vec<Change> = numbers.iter().map(|number| Change::DeleteService(id(*number))).collect();
        let back = numbers.iter().flat_map(|number| [service(*number), server(*number, weight(0))]);
        let edited = numbers.iter().map(|number| match server(*number, weight(1)) {
            Change::AddDestination { service, destination } => {
                Change::EditDestination { service, destination }
            }
            other => other,
        });
        for changes in [gone, back.chain(edited).collect()] {
            count += changes.len();
            // Otherwise nobody else gets the processor.
            std::thread::sleep(PAUSE);
            if writer % 2 == 0 {
                assert!(client.apply_all(&changes).unwrap().is_empty());
            } else {
                restore(&changes);
            }
        }
    }
    count
}

fn restore(changes: &[Change]) {
    let lines = changes.iter().fold(String::new(), |mut lines, change| {
        let _ = match change {
            Change::DeleteService(id) => writeln!(lines, "-D -t {}", endpoint(&id.to_string())),
            Change::AddService(service) => {
                writeln!(lines, "-A -t {} -s rr", endpoint(&service.id.to_string()))
            }
            Change::AddDestination { service, destination } => {
                writeln!(
                    lines,
                    "-a -t {} -r {} -g -w {}",
                    endpoint(&service.to_string()),
                    destination.id,
                    destination.weight
                )
            }
            Change::EditDestination { service, destination } => {
                writeln!(
                    lines,
                    "-e -t {} -r {} -g -w {}",
                    endpoint(&service.to_string()),
                    destination.id,
                    destination.weight
                )
            }
            other => panic!("{other}"),
        };
        lines
    });
    let mut tool = Command::new(OURS).args(["-R", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    tool.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(tool.wait().unwrap().success());
}

fn endpoint(id: &str) -> &str {
    id.split(' ').nth(1).unwrap()
}
