//! Proves that save and restore may be killed at any point: the table is one that the lines so far explain, the file is
//! the old or the new one, and a second call ends as if there had been no first.
//!
//! `strace` tells the system calls of a call that goes through, and ends the next ones with SIGKILL at a hundred of
//! them, each at another. The original is not asked: it has none of this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal::{self, *};

use lab::points::Point;
use lab::{Part, parts};
use table::{Kernel, lines};

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");
const RESTORE: &str = env!("CARGO_BIN_EXE_ipvsadm-restore");

/// For a test that is in one part.
const ALL: Part = Part { number: 0, of: 1 };

/// A folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new("/run").join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

/// Runs `work` and kills it at each point of a part, over the table `before`. Wherever it ends, the table is one on the
/// way that the first so many of `steps` lead; then `again` runs, and the table is the last of that way. Returns how many
/// tables of the way were met.
fn killed(
    part: Part,
    kernel: &mut Kernel,
    before: &[String],
    steps: &[String],
    work: impl Fn(Command) -> Command,
    again: impl Fn(Command) -> Command,
) -> usize {
    kernel.start_with(before);
    let points = lab::points::of(&work);
    let end = table::after(&[before, steps].concat());
    assert_eq!(kernel.table(), end, "where nothing ends it");
    let mut met = BTreeSet::new();
    for point in part.share(&points) {
        kernel.start_with(before);
        point.kill(&work);
        let left = kernel.table();
        let done = table::steps_to(before, steps, &left);
        assert!(done.is_some(), "killed at {point:?}, it left what no number of lines explains: {left:?}");
        // What was met before ends as it did before.
        if met.insert(done) {
            again(lab::points::plainly()).output().unwrap();
            assert_eq!(kernel.table(), end, "killed at {point:?}, and called again");
        }
    }
    met.len()
}

/// A tool that reads a file from its stdin.
fn fed(mut by: Command, words: &str, file: &Path) -> Command {
    by.arg(OURS).args(words.split_whitespace()).stdin(fs::File::open(file).unwrap());
    by
}

/// A tool with a file as its `--file`.
fn with_file(mut by: Command, tool: &str, words: &str, file: &Path) -> Command {
    by.arg(tool).args(words.split_whitespace()).arg("--file").arg(file);
    by
}

parts!(a_restore_that_is_killed_leaves_the_lines_so_far of 2);

fn a_restore_that_is_killed_leaves_the_lines_so_far(part: Part) {
    lab::isolate();
    let file = folder(&format!("streamed-{}", part.number)).join("rules");
    let rules = lines(1..=10, "rr", 1..=50, 1);
    fs::write(&file, rules.concat()).unwrap();
    // Lines arrive five at a time: each packet of a datagram socket is read by itself.
    let arriving = |mut by: Command| {
        let (writer, reader) = UnixDatagram::pair().unwrap();
        let packets: Vec<String> = rules.chunks(5).map(<[String]>::concat).collect();
        std::thread::spawn(move || {
            // Once the reader has been killed, nobody takes the rest.
            let _ = packets.iter().try_for_each(|packet| writer.send(packet.as_bytes()).map(|_| ()));
            let _ = writer.send(b""); // the end
        });
        by.arg(OURS).arg("-R").stdin(Stdio::from(OwnedFd::from(reader)));
        by
    };
    let met = killed(part, &mut Kernel::open(), &[], &rules, arriving, |by| fed(by, "-R", &file));
    // The halves of the way have one table in common.
    assert!(met > 30, "only {met} tables were met");
}

#[test]
fn a_replacing_restore_that_is_killed_leaves_the_old_table_or_the_lines_so_far() {
    lab::isolate();
    let file = folder("replaced").join("rules");
    let rules = lines(1..=10, "rr", 1..=70, 1);
    fs::write(&file, rules.concat()).unwrap();
    let steps = [&["-C\n".to_owned()], &rules[..]].concat();
    let restore = |by| with_file(by, RESTORE, "", &file);
    let met = killed(ALL, &mut Kernel::open(), &lines(8..=12, "wrr", 60..=80, 3), &steps, restore, restore);
    assert!(met > 6, "only {met} tables were met");
}

#[test]
fn an_apply_that_is_killed_leaves_its_steps_so_far() {
    lab::isolate();
    let file = folder("applied").join("rules");
    let before = lines(1..=10, "rr", 1..=50, 1);
    let rules =
        [lines(1..=3, "rr", 1..=50, 1), lines(4..=8, "wrr", 20..=60, 2), lines(11..=15, "rr", 1..=40, 1)]
            .concat();
    fs::write(&file, rules.concat()).unwrap();
    let mut kernel = Kernel::open();
    kernel.start_with(&before);
    let shown = with_file(lab::points::plainly(), OURS, "-R --diff", &file).output().unwrap();
    let steps: Vec<String> =
        String::from_utf8(shown.stdout).unwrap().split_inclusive('\n').map(str::to_owned).collect();
    assert!(
        ["-A", "-E", "-D", "-a", "-e", "-d"]
            .iter()
            .all(|command| steps.iter().any(|step| step.starts_with(command)))
    );
    let apply = |by| with_file(by, OURS, "-R --apply", &file);
    let met = killed(ALL, &mut kernel, &before, &steps, apply, apply);
    assert!(met > 4, "only {met} tables were met");
}

#[test]
fn a_save_that_is_killed_leaves_the_old_file_or_the_new_one() {
    lab::isolate();
    let mut kernel = Kernel::open();
    kernel.start_with(&lines(1..=28, "rr", 1..=60, 1));
    let folder = folder("saved");
    let file = folder.join("rules");
    let save = |by| with_file(by, OURS, "-S -n", &file);
    let old = "-A -f 1 -s rr\n";
    fs::write(&file, old).unwrap();
    // And all those since there is a second file.
    let beside = lab::points::from(save, |point| point.line.contains("/.ipvsadm-"));
    let points: Vec<Point> = lab::points::of(save).into_iter().chain(beside).collect();
    let new = fs::read_to_string(&file).unwrap();
    let mut met = BTreeSet::new();
    for point in &points {
        fs::write(&file, old).unwrap();
        point.kill(save);
        let left = fs::read_to_string(&file).unwrap();
        assert!(left == old || left == new, "killed at {point:?}, it left {} bytes", left.len());
        // The unfinished file beside it, if there is one, has a name that nobody reads.
        let beside: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| *path != file)
            .collect();
        let mut length = None;
        for path in &beside {
            assert!(
                path.file_name().unwrap().to_str().unwrap().starts_with(".ipvsadm-"),
                "{}",
                path.display()
            );
            length = Some(fs::metadata(path).unwrap().len());
            fs::remove_file(path).unwrap();
        }
        assert!(beside.len() <= 1);
        if met.insert((left == new, length)) {
            assert!(save(lab::points::plainly()).status().unwrap().success());
            assert_eq!(fs::read_to_string(&file).unwrap(), new, "killed at {point:?}, and called again");
        }
    }
    // Before it, with nothing written, with a part, with all, and after it.
    assert!(met.len() >= 5, "{met:?}");
}

/// The signals that end a program, but for those that the standard library takes for itself.
fn ending() -> impl Iterator<Item = Signal> {
    let spared = [
        SIGKILL, SIGPIPE, SIGSEGV, SIGBUS, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG,
        SIGWINCH,
    ];
    Signal::iterator().filter(move |signal| !spared.contains(signal))
}

#[test]
fn a_save_that_a_signal_ends_leaves_nothing_beside_the_file() {
    lab::isolate();
    let mut kernel = Kernel::open();
    kernel.start_with(&lines(1..=3, "rr", 1..=4, 1));
    let folder = folder("signalled");
    let file = folder.join("rules");
    let save = |by| with_file(by, OURS, "-S -n", &file);
    let old = "-A -f 1 -s rr\n";
    let only = |signal, point: &Point, expected: &[&str]| {
        let left = fs::read_to_string(&file).unwrap();
        assert!(expected.contains(&left.as_str()), "{signal} at {point:?} left {} bytes", left.len());
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "{signal} at {point:?} left something beside it"
        );
    };
    // From where there is a second file to where it has ended by itself.
    let mut points = lab::points::from(save, |point| point.line.contains("/.ipvsadm-"));
    assert_eq!(points.pop().unwrap().call, "exit_group");
    let new = fs::read_to_string(&file).unwrap();
    let (mut at_sync, mut is_placed) = (None, false);
    for point in &points {
        fs::write(&file, old).unwrap();
        point.end(save, SIGTERM);
        is_placed |= point.call.starts_with("rename");
        only(SIGTERM, point, [old, &new].get(usize::from(is_placed)..).unwrap());
        at_sync = at_sync.or(point.call.starts_with("fsync").then_some(point));
    }
    assert!(is_placed);
    let at_sync = at_sync.unwrap();
    for signal in ending() {
        fs::write(&file, old).unwrap();
        at_sync.end(save, signal);
        only(signal, at_sync, &[&new]);
    }
}

#[test]
fn a_file_that_may_not_be_so_long_is_left_as_it_was() {
    lab::isolate();
    Kernel::open().start_with(&lines(1..=10, "rr", 1..=30, 1));
    let folder = folder("limited");
    let file = folder.join("rules");
    fs::write(&file, "-A -f 1 -s rr\n").unwrap();
    let limited = |before: &str| {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("{before} ulimit -f 8; exec \"$@\""), "bash"]);
        with_file(shell, OURS, "-S -n", &file).output().unwrap()
    };
    assert_eq!(limited("").status.signal(), Some(SIGXFSZ as i32));
    // Where the signal is ignored, there is an error to tell.
    let told = limited("trap '' XFSZ;");
    let said = format!("cannot write '{}': File too large\n", file.display());
    assert_eq!((told.status.code(), String::from_utf8(told.stderr).unwrap()), (Some(1), said));
    assert_eq!(fs::read_to_string(&file).unwrap(), "-A -f 1 -s rr\n");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}
