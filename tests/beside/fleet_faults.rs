//! A director that follows a key of etcd, and what may go wrong on the way: within 30 seconds of everything being well, its
//! table is that of the last document, and its metrics say so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::OURS;
use crate::etcd::{KEY, Store, etcdctl, put};
use crate::fleet::{FIRST, document, follow, log, metric, table, with};
use crate::running::{FOLDER, own_folder, unpacked};
use lab::network::build;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// etcd ends, properly or not, and comes back.
    Killed,
    Restarted,
    /// It comes back with an older snapshot, where its revisions begin again.
    Restored,
    /// It forgets what was before.
    Compacted,
    /// It does not answer for a while, but is there.
    Halted,
    /// The director's cable is unplugged.
    CutOff,
    /// The director may not read the key.
    Revoked,
    /// The next calls of `etcdctl get` fail.
    Unread,
    /// The next documents are refused for a reason that passes.
    Refused,
}

const FAULTS: [Fault; 9] = [
    Fault::Killed,
    Fault::Restarted,
    Fault::Restored,
    Fault::Compacted,
    Fault::Halted,
    Fault::CutOff,
    Fault::Revoked,
    Fault::Unread,
    Fault::Refused,
];

/// Numbers that look random, the same ones for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        // The constants of Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(limit)).unwrap()
    }
}

/// A program in front of another, which fails as often as the file FAIL has lines.
fn fails_first(name: &str, program: &str, only: &str, says: &str) -> String {
    let path = format!("{FOLDER}/{name}");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = '{only}' ] && [ -s '{path}.fail' ]; then\n\
         sed -i 1d '{path}.fail'\necho '{says}' >&2\nexit 1\nfi\nexec '{program}' \"$@\"\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

fn fail(name: &str, times: u32) {
    let lines = "x\n".repeat(usize::try_from(times).unwrap());
    fs::write(format!("{FOLDER}/{name}.fail"), lines).unwrap();
}

/// Who may read the key: its own role, that of the directors.
fn allow(is_allowed: bool) {
    let line: &[&str] = if is_allowed {
        &["role", "grant-permission", "director", "read", KEY]
    } else {
        &["role", "revoke-permission", "director", KEY]
    };
    let (done, said) = etcdctl(line);
    assert!(done, "{said}");
}

/// Users and roles, as the documents tell to have them.
fn protect() {
    for line in [
        "user add root:root",
        "user grant-role root root",
        "role add director",
        "user add director:secret",
        "user grant-role director director",
        "auth enable",
    ] {
        let (done, said) = etcdctl(&line.split(' ').collect::<Vec<_>>());
        assert!(done, "{line}: {said}");
    }
    allow(true);
}

fn cable(way: &str) {
    assert!(Command::new("ip").args(["link", "set", "d1-eth0", way]).status().unwrap().success());
}

fn pause(seconds: u32) {
    std::thread::sleep(Duration::from_secs(seconds.into()));
}

/// A table of its own for each number, and its document: a few servers in lines or JSON, or more than etcdctl can give to a
/// program.
fn written(number: u32, is_large: bool, random: &mut Random) -> (String, String) {
    let lines = if is_large {
        let server =
            |of: u32| format!("-a -t 10.0.0.1:80 -r 10.2.{}.{}:80 -m -w {number}\n", of / 250, of % 250 + 1);
        FIRST.to_owned() + &(0..1250).map(server).collect::<String>()
    } else {
        with(&[number, number + 1])
    };
    let json = document(&lines);
    assert!(!is_large || json.len() > 128 << 10, "{}", json.len());
    (table("scratch"), if is_large || random.below(2) == 0 { json } else { lines })
}

/// The director's metric, where it has been written.
fn is_applied() -> Option<String> {
    fs::exists(format!("{FOLDER}/d1/ipvs-etcd--ipvsadm-web.prom"))
        .unwrap()
        .then(|| metric("d1", "ipvs_follow_applied"))
}

fn until(what: &str, seconds: u64, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < Duration::from_secs(seconds),
            "{what}: not after {seconds} seconds; the metric is {:?}, and it said:\n{}",
            is_applied(),
            log("d1")
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{what}: after {:.1} s", start.elapsed().as_secs_f32());
}

/// Lets one thing go wrong, with a new document before, meanwhile or after, and puts it right. Gives what the table must
/// become.
fn round(store: Store, fault: Fault, number: u32, is_large: bool, random: &mut Random) -> (Store, String) {
    let (table, text) = written(number, is_large, random);
    // Before, where that is not undone; after, where there is no meanwhile.
    let [before, meanwhile, _] = [0, 1, 2].map(|moment| moment == number % 3);
    let before = before && fault != Fault::Compacted;
    let meanwhile = meanwhile && [Fault::CutOff, Fault::Revoked].contains(&fault);
    if before {
        put(&text);
    }
    let mut store = store;
    match fault {
        Fault::Killed | Fault::Restarted => {
            store.process.signal(if fault == Fault::Killed { Signal::SIGKILL } else { Signal::SIGTERM });
            pause(random.below(8));
            drop(store);
            store = Store::start();
        }
        Fault::Restored => {
            let snapshot = format!("{FOLDER}/snapshot{number}");
            let (done, said) = etcdctl(&["snapshot", "save", &snapshot]);
            assert!(done, "{said}");
            for passing in 0..=random.below(4) {
                put(&with(&[1000 + passing]));
            }
            pause(random.below(3));
            store = store.restored(&snapshot);
        }
        Fault::Compacted => {
            put(&with(&[2000]));
            let fields = etcdctl(&["get", "--write-out=fields", "--", KEY]).1;
            let revision = fields.lines().find_map(|line| line.strip_prefix("\"Revision\" : ")).unwrap();
            let (done, said) = etcdctl(&["compact", revision]);
            assert!(done, "{said}");
        }
        Fault::Halted => {
            store.process.signal(Signal::SIGSTOP);
            pause(random.below(8));
            store.process.signal(Signal::SIGCONT);
        }
        Fault::CutOff | Fault::Revoked => {
            let is_cable = fault == Fault::CutOff;
            if is_cable {
                cable("down");
            } else {
                allow(false);
            }
            pause(random.below(8));
            if meanwhile {
                put(&text);
                pause(random.below(8));
            }
            if is_cable { cable("up") } else { allow(true) }
        }
        Fault::Unread => fail("etcdctl", random.below(3) + 1),
        Fault::Refused => fail("ipvsadm", random.below(3) + 1),
    }
    if !before && !meanwhile {
        put(&text);
    }
    (store, table)
}

/// Begins with a director that follows, and lets all of these go wrong.
fn survives(faults: impl Iterator<Item = Fault>, large: impl Fn(u32) -> bool, random: &mut Random) {
    lab::isolate();
    own_folder();
    build(&["store eth0@lan 10.9.0.1/24", "d1 eth0@lan 10.9.0.11/24", "scratch"], &[]);
    let real = unpacked("etcd-client", "usr/bin/etcdctl").display().to_string();
    let mut store = Store::start();
    protect();
    let more = [
        ("ETCDCTL", fails_first("etcdctl", &real, "get", "Error: etcdserver: leader changed")),
        ("IPVSADM", fails_first("ipvsadm", OURS, "-R", "the kernel has no memory for this now")),
        ("ETCDCTL_USER", "director:secret".to_owned()),
    ];
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut follower = follow("d1", &more);
    for (fault, number) in faults.zip(1..) {
        let (back, expected) = round(store, fault, number, large(number), random);
        store = back;
        until(&format!("{number} {fault:?}"), 30, || {
            table("d1") == expected && is_applied().as_deref() == Some("1")
        });
    }
    assert!(follower.is_running(), "{}", log("d1"));
}

#[test]
fn a_director_survives_what_may_go_wrong() {
    let short = [Fault::Unread, Fault::Refused, Fault::CutOff, Fault::Restored];
    survives(short.into_iter(), |number| number == 3, &mut Random(1));
}

/// Not of `cargo test`: many random faults; `IPVS_FLEET_SEED` repeats those of a run.
#[test]
#[ignore = "takes 20 minutes: docs/testing.md has the command"]
fn a_director_survives_fifty_faults() {
    let seed = std::env::var("IPVS_FLEET_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) << 32 | 0x5eed);
    println!("IPVS_FLEET_SEED={seed}");
    let mut random = Random(seed);
    let faults: Vec<Fault> = (0..50).map(|_| FAULTS[random.below(9) as usize]).collect();
    survives(faults.into_iter(), |number| number % 7 == 0, &mut random);
}

/// While etcd cannot be read the metrics say so, and the reason is the true one.
#[test]
fn a_director_says_what_is_wrong() {
    lab::isolate();
    own_folder();
    build(&["store eth0@lan 10.9.0.1/24", "d1 eth0@lan 10.9.0.11/24", "scratch"], &[]);
    let _store = Store::start();
    protect();
    put(FIRST);
    let _follower = follow("d1", &[("ETCDCTL_USER", "director:secret")]);
    until("applied", 30, || table("d1") == FIRST && is_applied().as_deref() == Some("1"));
    let answered = |director: &str| metric(director, "ipvs_follow_time_seconds");
    allow(false);
    until("revoked", 30, || is_applied().as_deref() == Some("0"));
    assert!(log("d1").contains("Error: etcdserver: permission denied"), "{}", log("d1"));
    assert!(!log("d1").contains("does not answer"), "{}", log("d1"));
    assert_eq!(table("d1"), FIRST);
    let last = answered("d1");
    allow(true);
    until("allowed", 30, || is_applied().as_deref() == Some("1") && answered("d1") != last);
    cable("down");
    until("cut off", 30, || is_applied().as_deref() == Some("0"));
    let said = log("d1");
    assert!(said.lines().count() < 8, "each is said once: {said}");
    assert_eq!(table("d1"), FIRST);
}

/// Whatever the key: a file of its own, which Prometheus reads.
#[test]
fn every_key_has_metrics_of_its_own() {
    lab::isolate();
    own_folder();
    let folder = format!("{FOLDER}/metrics");
    fs::create_dir(&folder).unwrap();
    // A store that has nothing.
    let etcdctl = format!("{FOLDER}/etcdctl");
    let script = "#!/bin/sh\n[ $1 = watch ] && exec sleep 9\necho '{\"header\":{\"cluster_id\":1,\"revision\":7,\"raft_term\":2}}'\n";
    fs::write(&etcdctl, script).unwrap();
    fs::set_permissions(&etcdctl, PermissionsExt::from_mode(0o755)).unwrap();
    let long = ["x".repeat(300), "x".repeat(299) + "y"];
    let keys =
        ["a/b", "a-b", "a.b", "a_b", "a_055b", "-x", "q\"uo\\te", "two\nlines", "中", &long[0], &long[1]];
    let _followers: Vec<_> = keys
        .iter()
        .map(|key| {
            let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/follow-etcd"));
            script.arg(key).env("ETCDCTL", &etcdctl).env("IPVSADM", OURS).env("IPVS_METRICS", &folder);
            crate::running::Running::start("keys.log", &mut script)
        })
        .collect();
    let files = || -> Vec<String> {
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .filter(|path| path.extension().unwrap() == "prom")
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    };
    let end = Instant::now() + Duration::from_secs(60);
    while files().len() < keys.len() {
        assert!(
            Instant::now() < end,
            "{} files: {:?}",
            files().len(),
            fs::read_to_string(format!("{FOLDER}/keys.log"))
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let all = files();
    for key in keys {
        let label = key.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let sample = format!("\nipvs_follow_applied{{key=\"{label}\"}} 0\n");
        assert_eq!(all.iter().filter(|file| file.contains(&sample)).count(), 1, "{key}: {all:?}");
    }
    // The samples of all in one, as node_exporter gives them.
    let head: Vec<&str> = all[0].split_inclusive('\n').take(2).collect();
    let samples = all.iter().flat_map(|file| file.split_inclusive('\n'));
    let samples: Vec<&str> = samples.filter(|line| line.starts_with("ipvs_follow_applied{")).collect();
    let input = format!("{FOLDER}/all");
    fs::write(&input, [head, samples].concat().concat()).unwrap();
    let promtool = Command::new(unpacked("prometheus", "usr/bin/promtool"))
        .args(["check", "metrics"])
        .stdin(fs::File::open(input).unwrap())
        .output()
        .unwrap();
    assert!(promtool.status.success(), "{promtool:?}");
}
