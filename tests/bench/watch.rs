//! The live view: the processor's time for a frame, in a pipe and on a screen.

use std::process::{Command, Stdio};
use std::time::Duration;

use ipvs::Client;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::program::clean;
use crate::rules::Table;
use crate::table::{Row, Times};
use crate::{fresh, kernel};

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// A screen of 24 rows has room for so many services with two servers each.
const ON_THE_SCREEN: usize = 6;

/// A name, the words for so many frames, and the kernel's part of a frame.
type Work<'a> = (&'static str, &'a dyn Fn(u32) -> Vec<String>, &'static str);

/// Frames one behind the other, from the second on: the first reads nothing that a listing does not.
pub(crate) fn watch(services: u32, frames: u32, rows: &mut Vec<Row>) {
    fresh(|| {
        let table = Table { services, servers: 2 };
        assert!(Client::open().unwrap().apply_all(&table.changes()).unwrap().is_empty());
        let size = usize::try_from(services).unwrap();
        let questions = kernel::questions();
        kernel::keep(&questions, "/run/bench-questions");
        kernel::keep(questions.get(..=ON_THE_SCREEN).unwrap_or(&questions), "/run/bench-screen");
        let pipe = |count| {
            vec![OURS.to_owned(), "--watch".into(), "0.1".into(), "--count".into(), format!("{count}")]
        };
        let screen = |count| {
            let line = format!("stty cols 80 rows 24; exec {OURS} --watch 0.1 --count {count}");
            vec!["script".to_owned(), "-qec".into(), line, "/dev/null".into()]
        };
        let part =
            |file: &str| vec!["/proc/self/exe".to_owned(), kernel::PART.into(), "ask".into(), file.into()];
        let works: [Work<'_>; 2] = [
            ("`--watch`, frame of a pipe, CPU", &pipe, "/run/bench-questions"),
            ("`--watch`, frame on a screen, CPU", &screen, "/run/bench-screen"),
        ];
        for (work, words, file) in works {
            let ours = (processor(&words(frames + 1)).saturating_sub(processor(&words(1)))) / frames;
            let each = |words: &[String]| (0..frames).map(|_| processor(words)).sum::<Duration>() / frames;
            let kernel = each(&part(file)).saturating_sub(each(&["/bin/true".to_owned()]));
            let times = Times { ours: Some(ours), kernel: Some(kernel), ..Times::default() };
            let row = Row { work, size, times, ..Row::default() };
            row.print();
            rows.push(row);
        }
        Client::open().unwrap().flush().unwrap();
    });
}

/// The time that the processor was busy with a program, in it and in the kernel.
fn processor(words: &[String]) -> Duration {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        let time = |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap());
        time(usage.user_time()) + time(usage.system_time())
    };
    let before = used();
    let mut command = clean(Command::new(&words[0]));
    command.args(&words[1..]).env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().unwrap();
    assert!(status.success(), "{words:?}: {status}");
    used().saturating_sub(before)
}
