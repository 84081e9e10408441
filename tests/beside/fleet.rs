//! Many directors with one table: three of them follow a key of a real etcd (`packaging/follow-etcd`), one is cut off or
//! down while it changes, and a bad document changes nothing.

use std::fs::{self};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::OURS;
use crate::etcd::{ENDPOINT, KEY, Store, put};
use crate::running::{FOLDER, Running, own_folder, unpacked};
use lab::network::{build, within};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DIRECTORS: [&str; 3] = ["d1", "d2", "d3"];

/// What the unit starts; `more` has settings beside its own.
pub(crate) fn follow(director: &str, more: &[(&str, &str)]) -> Running {
    let metrics = format!("{FOLDER}/{director}");
    fs::create_dir_all(&metrics).unwrap();
    let mut script = Command::new(format!("{ROOT}/packaging/follow-etcd"));
    script.arg(KEY).env("IPVSADM", OURS).env("ETCDCTL", unpacked("etcd-client", "usr/bin/etcdctl"));
    script.env("ETCDCTL_ENDPOINTS", ENDPOINT).env("IPVS_METRICS", metrics).envs(more.iter().copied());
    within(director, || Running::start(&format!("{director}.log"), &mut script))
}

/// The lines of a director's table.
pub(crate) fn table(director: &str) -> String {
    let output = Command::new(OURS).args(["-Sn", "--netns", director]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn log(director: &str) -> String {
    fs::read_to_string(format!("{FOLDER}/{director}.log")).unwrap_or_default()
}

/// Waits until directors have a table.
fn until_all_have(directors: &[&str], expected: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    for director in directors {
        while table(director) != expected {
            assert!(
                Instant::now() < end,
                "{director} has\n{}\nnot\n{expected}\n{}",
                table(director),
                log(director)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The value of a metric of a director.
pub(crate) fn metric(director: &str, name: &str) -> String {
    let file = fs::read_to_string(format!("{FOLDER}/{director}/ipvs-etcd--ipvsadm-web.prom")).unwrap();
    let sample = format!("{name}{{key=\"{KEY}\"}} ");
    file.lines().find_map(|line| line.strip_prefix(&sample)).unwrap_or_else(|| panic!("{file}")).to_owned()
}

/// The JSON of lines.
pub(crate) fn document(lines: &str) -> String {
    within("scratch", || {
        let run = |words: &[&str], input: &str| {
            let mut command = Command::new(OURS);
            let mut child = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["-R", "--replace"], lines);
        run(&["-S", "--json"], "")
    })
}

pub(crate) const FIRST: &str = "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n";

/// The same with servers of these weights beside the first.
pub(crate) fn with(weights: &[u32]) -> String {
    let servers = weights
        .iter()
        .zip(2..)
        .map(|(weight, last)| format!("-a -t 10.0.0.1:80 -r 10.1.0.{last}:80 -m -w {weight}\n"));
    FIRST.to_owned() + &servers.collect::<String>()
}

#[test]
fn three_directors_follow_one_key() {
    lab::isolate();
    own_folder();
    build(
        &[
            "store eth0@lan 10.9.0.1/24",
            "d1 eth0@lan 10.9.0.11/24",
            "d2 eth0@lan 10.9.0.12/24",
            "d3 eth0@lan 10.9.0.13/24",
            "scratch",
        ],
        &[],
    );
    let store = Store::start();
    // There is nothing yet: the tables stay, and it is said.
    let mut followers: Vec<Option<Running>> = DIRECTORS.map(|director| Some(follow(director, &[]))).into();
    let end = Instant::now() + Duration::from_secs(60);
    while !DIRECTORS.iter().all(|director| log(director).contains("there is no document at revision 1: ")) {
        assert!(Instant::now() < end, "{}", log("d1"));
        std::thread::sleep(Duration::from_millis(200));
    }
    put(&document(&with(&[])));
    until_all_have(&DIRECTORS, FIRST);

    // A connection through one of them lasts whatever changes beside its server.
    let (mut client, mut taken) = within("d1", || {
        for address in ["10.0.0.1/32", "10.1.0.1/32"] {
            assert!(
                Command::new("ip").args(["addr", "add", address, "dev", "lo"]).status().unwrap().success()
            );
        }
        let server = TcpListener::bind("10.1.0.1:80").unwrap();
        let client = TcpStream::connect("10.0.0.1:80").unwrap();
        (client, server.accept().unwrap().0)
    });
    // Lines are a document, too.
    put(&with(&[2]));
    until_all_have(&DIRECTORS, &with(&[2]));

    // The third is cut off, and the second is down.
    let cable = |way: &str| {
        assert!(Command::new("ip").args(["link", "set", "d3-eth0", way]).status().unwrap().success());
    };
    cable("down");
    followers[1] = None;
    put(&document(&with(&[3, 4])));
    until_all_have(&["d1"], &with(&[3, 4]));
    assert_eq!([table("d2"), table("d3")], [with(&[2]), with(&[2])]);
    cable("up");
    followers[1] = Some(follow("d2", &[]));
    until_all_have(&DIRECTORS, &with(&[3, 4]));

    // Bad documents: no JSON, and what the kernel refuses.
    let bad = ["{\"services\": [", "-A -t 10.0.0.9:80 -s nosuch\n"];
    for (number, document) in bad.iter().enumerate() {
        let counts = DIRECTORS.map(|director| log(director).matches("not in effect").count());
        put(document);
        let end = Instant::now() + Duration::from_secs(60);
        let is_told = |(director, count): (&&str, usize)| {
            log(director).matches("not in effect").count() > count
                && metric(director, "ipvs_follow_applied") == "0"
        };
        while !DIRECTORS.iter().zip(counts).all(is_told) {
            assert!(Instant::now() < end, "bad document {number}: {}", log("d1"));
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(DIRECTORS.map(table), DIRECTORS.map(|_| with(&[3, 4])));
    }
    // etcd starts again, and what was said then comes through.
    drop(store);
    let _store = Store::start();
    put(&with(&[5]));
    until_all_have(&DIRECTORS, &with(&[5]));
    for director in DIRECTORS {
        let end = Instant::now() + Duration::from_secs(20);
        while metric(director, "ipvs_follow_applied") != "1" {
            assert!(Instant::now() < end, "{}", log(director));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    client.write_all(b"still there?").unwrap();
    let mut heard = [0; 12];
    taken.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still there?");
}
