//! The beginning of every test on a kernel: a separate network, and the tool to test.
//!
//! The kernel itself is provided by `tests/lab/run`, the runner that cargo puts before each test program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test ends where it fails"
)]

pub mod churn;
pub mod dns;
pub mod kernel;
pub mod many_connections;
pub mod network;
pub mod points;

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;

/// The original tool, from the distribution's package `ipvsadm`.
pub const ORIGINAL: &str = "/sbin/ipvsadm";

/// Of `<linux/if.h>`.
const IFF_UP: &str = "1";

/// A part of a long test, which guests share.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// From 0 on.
    pub number: usize,
    /// How many parts there are.
    pub of: usize,
}

impl Part {
    /// The share of this part: all parts together cover everything once.
    pub fn share<T>(self, all: &[T]) -> &[T] {
        let start = |number| all.len() * number / self.of;
        all.get(start(self.number)..start(self.number + 1)).unwrap_or_default()
    }
}

/// Makes the tests `WORK::part_1`, `WORK::part_2` and so on of a function `WORK(Part)`.
#[macro_export]
macro_rules! parts {
    ($work:ident of 2) => {
        $crate::parts!($work: part_1 0, part_2 1);
    };
    ($work:ident of 4) => {
        $crate::parts!($work: part_1 0, part_2 1, part_3 2, part_4 3);
    };
    ($work:ident of 8) => {
        $crate::parts!(
            $work: part_1 0, part_2 1, part_3 2, part_4 3, part_5 4, part_6 5, part_7 6, part_8 7
        );
    };
    ($work:ident: $($name:ident $number:literal),*) => {
        mod $work {
            const NUMBERS: &[usize] = &[$($number),*];
            const OF: usize = NUMBERS.len();
            #[allow(clippy::indexing_slicing, reason = "every part is there, or this does not compile")]
            const _: () = {
                let mut at = 0;
                while at < OF {
                    assert!(NUMBERS[at] == at);
                    at += 1;
                }
            };
            $(
                #[test]
                fn $name() {
                    super::$work($crate::Part { number: $number, of: OF });
                }
            )*
        }
    };
}
/// Gives the calling test (its thread, and the programs it starts) an empty network namespace with `lo` up, and
/// separate mounts: its own `/run/netns`, so that names given to `ip netns add` cannot collide.
pub fn isolate() {
    assert!(
        std::env::var_os("IPVS_LAB_INSIDE").is_some(),
        "this test changes the kernel's IPVS table: start it with `cargo test`, whose runner is tests/lab/run"
    );
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces of the test's own");
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_PRIVATE | MsFlags::MS_REC, nothing).expect("private mounts");
    // The network's own sysfs brings `lo` up without a program, which would take 20 ms to start.
    mount(Some("lab"), "/run/netns", Some("sysfs"), MsFlags::empty(), nothing).expect("sysfs");
    fs::write("/run/netns/class/net/lo/flags", IFF_UP).expect("lo comes up");
    umount2("/run/netns", MntFlags::MNT_DETACH).expect("sysfs goes"); // even if another thread has just looked at it
    mount(Some("lab"), "/run/netns", Some("tmpfs"), MsFlags::empty(), nothing).expect("/run/netns");
}

/// The number of a process, for the system's calls.
pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("the number of a process"))
}

/// Binds a file or folder over another, in the calling test's mounts.
pub fn lay_over(new: impl AsRef<Path>, old: impl AsRef<Path>) {
    let (new, old, nothing) = (new.as_ref(), old.as_ref(), None::<&str>);
    let mounted = mount(Some(new), old, nothing, MsFlags::MS_BIND, nothing);
    mounted.expect("a file or folder over one of its kind");
}

/// Mounts a tool over the original, for the calling thread and the programs it starts: its three commands replace
/// those of the package.
pub fn put(tool: &str) {
    let beside = Path::new(tool).parent().expect("an absolute path");
    for name in ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"] {
        // On most machines /sbin is a link to /usr/sbin; a mount applies to the resolved path.
        let (from, place) = (beside.join(name), Path::new("/sbin").join(name));
        if tool != ORIGINAL {
            let nothing = None::<&str>;
            mount(Some(&from), &place, nothing, MsFlags::MS_BIND, nothing).expect("a tool over the original");
        }
        let length = |path: &Path| fs::metadata(path).expect("a command").len();
        assert_eq!(length(&from), length(&place), "{name} is in its place");
    }
}

/// Runs the transcript `tests/FOLDER/NAME.txt` with `tool` as `ipvsadm`, in a separate network.
pub fn play(folder: &str, name: &str, tool: &str) {
    isolate();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let session = Command::new(tests.join("lab/play"))
        .arg(tool)
        .arg(tests.join(folder).join(name).with_extension("txt"))
        .output()
        .expect("tests/lab/play starts");
    assert!(
        session.status.success(),
        "tests/{folder}/{name}.txt with {tool}:\n{}\n{}",
        String::from_utf8_lossy(&session.stdout),
        String::from_utf8_lossy(&session.stderr)
    );
}
