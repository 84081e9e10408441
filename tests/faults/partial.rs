//! Reads and writes that do a part: one byte at a time, up to a limit, and until the disk is full. They are not injected:
//! the kernel does that part.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::libc;
use nix::mount::{MsFlags, mount};

use crate::traced::{self, Call, Way};
use crate::work::{OURS, Outcome, Work, feed, in_time, many, row, work};
use crate::{AFTER, MORE};

/// A folder with files of a size that is limited.
const SMALL: &str = "/run/faults-small";

#[test]
fn one_byte_at_a_time() {
    const WORKS: [Work; 12] = [
        work("-L -n"),
        work("-L --json"),
        work("-L -n -c"),
        work("-L --prometheus --file /run/faults-file"),
        work("-S -n"),
        work("-S --json --full --file /run/faults-file"),
        work("--watch 0.1 --count 2"),
        Work { input: Some(MORE), ..work("-R --file /run/faults-file") },
        Work { input: Some(AFTER), ..work("-R --replace --file /run/faults-file") },
        Work { input: Some(AFTER), ..work("-R --diff --file /run/faults-file") },
        Work { input: Some(AFTER), ..work("-R --apply --file /run/faults-file") },
        work("--check"),
    ];
    lab::isolate();
    for work in WORKS {
        work.start();
        let good = work.run();
        if work.input.is_some() {
            work.start(); // otherwise nothing has changed, and a new table would have its services in other chains
        }
        let mut shortened = 0;
        let output = traced::run(work.stopped(), |call| {
            if !is_shortened(call) {
                return Way::Pass;
            }
            shortened += 1;
            assert!(shortened < 1_000_000, "ipvsadm {} does not end", work.words);
            Way::Length(1)
        });
        assert_eq!(Outcome::new(output), good, "ipvsadm {}", work.words);
        assert!(shortened > 5, "{shortened}");
        row(&format!(
            "part | reads and writes of one byte | `{}` | {shortened} in one run | the same result |",
            work.words
        ));
    }
}

/// Whether a call is a read or a write of a length, or of so many buffers. The kernel gives each of its settings at once, and
/// to the next read nothing; and the list of its functions is millions of bytes.
fn is_shortened(call: &Call) -> bool {
    const CALLS: [i64; 6] = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_pread64,
        libc::SYS_pwrite64,
        libc::SYS_readv,
        libc::SYS_writev,
    ];
    let is_setting = || {
        let file = fs::read_link(format!("/proc/{}/fd/{}", call.pid, call.registers.rdi));
        file.is_ok_and(|path| path.starts_with("/proc/sys") || path == Path::new("/proc/kallsyms"))
    };
    CALLS.contains(&call.number) && call.registers.rdx > 1 && !is_setting()
}

#[test]
fn a_pipe_fed_byte_by_byte() {
    const SCRIPT: &str = r#"perl -e 'for (split //, $ARGV[0]) { syswrite STDOUT, $_; select undef, undef, undef, 0.0005 }' -- "$0" | "$@""#;
    lab::isolate();
    for words in ["-R", "-R --replace", "-R --diff", "-R --apply", "-R --apply --file /dev/stdin"] {
        let work = Work { input: Some(AFTER), ..work(words) };
        let lines = if words == "-R" { MORE } else { AFTER };
        work.start();
        let good = Outcome::new(feed(words, lines));
        work.start();
        let mut command = Command::new("bash");
        command.args(["-c", SCRIPT, lines, OURS]).args(words.split(' ')).env("IPVSADM_QUIET", "1");
        assert_eq!(Outcome::new(in_time(command)), good, "ipvsadm {words}");
        row(&format!(
            "part | stdin a pipe, fed byte by byte | `{words}` | {} bytes | the same result |",
            lines.len()
        ));
    }
}

/// What writes: to stdout, or to a file of its own.
const WRITERS: [(&str, bool); 6] = [
    ("-L -n", false),
    ("-L --json", false),
    ("-S -n", false),
    ("--watch 0.1 --count 2", false),
    ("-S -n --file", true),
    ("-L --prometheus --file", true),
];

/// A writer into files of the folder.
struct Writer {
    words: &'static str,
    has_own: bool,
}

impl Writer {
    fn path(&self) -> String {
        format!("{SMALL}/{}", if self.has_own { "own" } else { "stdout" })
    }

    /// Runs it, by a shell that sets limits; stdout is a file, too.
    fn run(&self, limits: &str) -> Output {
        let own = self.has_own.then(|| format!("{SMALL}/own"));
        let mut command = Command::new("bash");
        command.args(["-c", &format!(r#"{limits} "$@" >{SMALL}/stdout"#), "bash", OURS]);
        command.args(self.words.split(' ')).args(own).env("IPVSADM_QUIET", "1").stdin(Stdio::null());
        in_time(command)
    }

    /// Whether so much could not be written, and it says so, and its own file is the old one. `written` is the whole.
    fn is_told(&self, output: &Output, whole: &str, old: &str) -> Result<(), String> {
        let said = String::from_utf8_lossy(&output.stderr);
        let got = fs::read_to_string(self.path()).unwrap();
        let is_held = if self.has_own { got == old } else { whole.starts_with(&got) && got != whole };
        let names = fs::read_dir(SMALL).unwrap().count();
        let is_told =
            output.status.code() == Some(1) && said.lines().count() == 1 || output.status.code().is_none();
        let is_right = is_held && is_told && names <= 3;
        if is_right { Ok(()) } else { Err(format!("{output:?}, {} bytes, {names} files", got.len())) }
    }
}

/// A folder in memory with so many KiB.
fn small_folder(size: usize) {
    let _ = fs::create_dir(SMALL);
    let options = format!("size={size}k");
    mount(Some("lab"), SMALL, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
}

fn writers() -> impl Iterator<Item = Writer> {
    WRITERS.into_iter().map(|(words, has_own)| Writer { words, has_own })
}

#[test]
fn files_of_a_limited_size() {
    const OLD: &str = "old\n";
    lab::isolate();
    small_folder(1024);
    assert!(feed("-R", &many(3)).status.success());
    for writer in writers() {
        fs::write(format!("{SMALL}/own"), OLD).unwrap();
        assert!(writer.run("").status.success());
        let whole = fs::read_to_string(writer.path()).unwrap();
        let mut defects = String::new();
        let limits: Vec<usize> = (0..whole.len()).step_by(whole.len() / 8).chain([whole.len() - 1]).collect();
        for limit in &limits {
            // With the signal ignored, the kernel writes a part, and then refuses; otherwise it ends the program.
            for ignored in ["trap '' XFSZ;", ""] {
                fs::write(format!("{SMALL}/own"), OLD).unwrap();
                let output = writer.run(&format!("{ignored} exec prlimit --core=0 --fsize={limit}"));
                if let Err(why) = writer.is_told(&output, &whole, OLD) {
                    let _ = writeln!(defects, "ipvsadm {}: {limit}, '{ignored}': {why}", writer.words);
                }
            }
        }
        let output = writer.run(&format!("exec prlimit --fsize={}", whole.len()));
        assert!(output.status.success(), "{output:?}");
        assert!(defects.is_empty(), "{defects}");
        row(&format!(
            "part | a limit of the file's size | `{}` | {} limits, with SIGXFSZ and without | told, and no half file |",
            writer.words,
            limits.len()
        ));
    }
}

#[test]
fn disks_that_are_full_after_a_part() {
    const PAGE: usize = 4096;
    const OLD: &str = "old\n";
    lab::isolate();
    assert!(feed("-R", &many(200)).status.success());
    for writer in writers() {
        small_folder(1024);
        fs::write(format!("{SMALL}/own"), OLD).unwrap();
        assert!(writer.run("").status.success());
        let whole = fs::read_to_string(writer.path()).unwrap();
        assert!(whole.len() > 2 * PAGE, "{}", whole.len());
        let pages = whole.len() / PAGE;
        for free in (0..=pages).step_by(pages.div_ceil(6)) {
            fs::remove_file(format!("{SMALL}/stdout")).unwrap();
            fs::write(format!("{SMALL}/own"), OLD).unwrap();
            fill(free);
            let output = writer.run("");
            writer
                .is_told(&output, &whole, OLD)
                .unwrap_or_else(|why| panic!("ipvsadm {}: {free}: {why}", writer.words));
            File::create(format!("{SMALL}/filler")).unwrap();
        }
        row(&format!(
            "part | a disk that is full after some pages | `{}` | {} sizes | told, and no half file |",
            writer.words, pages
        ));
        nix::mount::umount(SMALL).unwrap();
    }
}

/// Fills the folder except for a number of pages.
fn fill(free: usize) {
    let filler = format!("{SMALL}/filler");
    let mut written = 0;
    while fs::write(&filler, vec![b'x'; written + 4096]).is_ok() {
        written += 4096;
    }
    File::options()
        .write(true)
        .open(&filler)
        .unwrap()
        .set_len((written - free * 4096).try_into().unwrap())
        .unwrap();
}
