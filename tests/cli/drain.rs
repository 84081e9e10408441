//! `--drain` and `--undrain`: what they wait for, what they say, and what is in effect then.

mod hashing;
mod notes;
mod tables;
mod templates;

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};

use crate::{Answer, OURS, rest, run, set_up, table, until};

const VIP: &str = "10.0.0.1:80";
const FIRST: &str = "TCP 10.0.0.1:80 -> 10.1.0.1:80";
const LINE: &str = "-t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3 -x 100 -y 50";

/// Two servers of a service on this machine, of which the first is connected to, as often as there are clients.
struct Servers {
    clients: Vec<TcpStream>,
    taken: Vec<TcpStream>,
}

/// What is noted in `/run/ipvsadm` is this test's own: the number of a network namespace is used again.
pub(crate) fn own_notes() {
    std::fs::create_dir_all("/run/ipvsadm").unwrap();
    // Others may write to a file system of this kind unless it is told otherwise.
    mount(Some("lab"), "/run/ipvsadm", Some("tmpfs"), MsFlags::empty(), Some("mode=700")).unwrap();
}

fn servers(clients: usize) -> Servers {
    lab::isolate();
    own_notes();
    for address in ["10.0.0.1", "10.1.0.1", "10.1.0.2"] {
        assert_eq!(run("ip", &format!("addr add {address}/32 dev lo")).0, 0);
    }
    set_up(&format!("-A -t {VIP} -s wrr\n-a {LINE}\n"));
    let server = TcpListener::bind("10.1.0.1:80").unwrap();
    let mut servers = Servers { clients: Vec::new(), taken: Vec::new() };
    for _ in 0..clients {
        servers.clients.push(TcpStream::connect(VIP).unwrap());
        servers.taken.push(server.accept().unwrap().0);
    }
    set_up(&format!("-a -t {VIP} -r 10.1.0.2:80 -m -w 1\n"));
    servers
}

impl Servers {
    /// Ends a connection at once: without the last states of TCP, which take a minute.
    fn end_one(&mut self) {
        // What was not read makes it a reset.
        let client = self.clients.pop().unwrap();
        std::io::Write::write_all(&mut self.taken.last_mut().unwrap(), b"x").unwrap();
        client.set_nonblocking(false).unwrap();
        until("a byte arrives", || client.peek(&mut [0]).is_ok_and(|length| length == 1));
        drop(client);
        let mut taken = self.taken.pop().unwrap();
        let _ = taken.read(&mut [0]);
    }
}

/// The weights of both servers; none of one that is not there.
fn weights() -> [Option<u32>; 2] {
    let lines = table();
    let weight = |server: &str| {
        let line = lines.lines().find(|line| line.contains(server))?;
        line.split(" -w ").nth(1)?.split(' ').next()?.parse().ok()
    };
    [weight("10.1.0.1"), weight("10.1.0.2")]
}

fn drain(options: &str) -> Answer {
    run(OURS, &format!("--drain -r 10.1.0.1 {options}"))
}

#[test]
fn a_free_server_is_deleted_and_comes_back_as_it_was() {
    drop(servers(0));
    let before = table();
    let line = format!("{FIRST} is drained and deleted; this brings it back: ipvsadm -a {LINE}\n");
    assert_eq!(drain(""), (0, line, String::new()));
    assert_eq!(weights(), [None, Some(1)]);
    let back = format!("{FIRST} is back with weight 3\n");
    assert_eq!(run(OURS, "--undrain -r 10.1.0.1"), (0, back, String::new()));
    assert_eq!((run(OURS, "-S --full").1.contains(LINE), table()), (true, before.clone()));
    let (status, _, said) = run(OURS, "--undrain -r 10.1.0.1");
    assert_eq!(status, 2);
    assert!(
        said.starts_with("nothing to undrain: '10.1.0.1'; ipvsadm -a or -e brings a server back (notes of drains: /run/ipvsadm/drained-"),
        "{said}"
    );
    // By the line that is printed, with the service named, and everything that is noted.
    let (_, line, _) = run(OURS, &format!("--drain -t {VIP} -r 10.1.0.1:80 --wait 5"));
    let words = line.trim_end().split_once(": ipvsadm ").unwrap().1;
    assert_eq!(run(OURS, words).0, 0);
    assert_eq!(table(), before);
    let stays = format!("{FIRST} has weight 3 already, and is left as it is\n");
    assert_eq!(run(OURS, "--undrain"), (0, stays, String::new()));
    assert_eq!(run(OURS, "--undrain").0, 2);
}

#[test]
fn it_waits_for_connections_and_no_longer_than_it_may() {
    let mut servers = servers(2);
    let (status, out, said) = drain("--wait 1");
    let expected = format!(
        "after 1 s: {FIRST} has 2 active, 0 inactive and 0 persistent connections, and stays in the table with weight 0; \
         --drain again waits on, and this brings it back: ipvsadm -e {LINE}\n"
    );
    assert_eq!((status, out.as_str(), said), (1, "", expected));
    assert_eq!(weights(), [Some(0), Some(1)]);
    // Without a wait, too.
    assert_eq!(drain("--wait 0").0, 1);
    // Another drain knows the weight from the note.
    let mut waiting = Waiting::start("--drain -r 10.1.0.1");
    servers.end_one();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(waiting.child.try_wait().unwrap().is_none(), "one connection is open, the other was reset");
    servers.end_one();
    let (status, out, said) = waiting.end();
    assert_eq!((status, said.lines().all(|line| line.starts_with("draining: "))), (Some(0), true), "{said}");
    assert_eq!(out, format!("{FIRST} is drained and deleted; this brings it back: ipvsadm -a {LINE}\n"));
    assert_eq!(weights(), [None, Some(1)]);
    assert_eq!(run(OURS, "--undrain").1, format!("{FIRST} is back with weight 3\n"));
}

#[test]
fn inactive_connections_are_ignored_where_that_was_asked_for() {
    let mut servers = servers(1);
    servers.end_one();
    let (status, _, said) = drain("--wait 0");
    assert_eq!((status, said.contains("0 active, 1 inactive and 0 persistent")), (1, true), "{said}");
    assert_eq!(drain("--wait 0 --ignore-inactive").0, 0);
    assert_eq!(weights(), [None, Some(1)]);
}

/// A drain that runs.
struct Waiting {
    child: Child,
}

impl Waiting {
    /// Begins, and waits until the server has weight 0.
    fn start(line: &str) -> Self {
        let mut command = Command::new(OURS);
        command.args(line.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        until("weight 0", || weights()[0] == Some(0));
        Self { child }
    }

    fn signal(&self, signal: &str) {
        kill(lab::pid(&self.child), format!("SIG{signal}").parse::<Signal>().unwrap()).unwrap();
    }

    /// The status, stdout and stderr at its end.
    fn end(mut self) -> (Option<i32>, String, String) {
        let status = self.child.wait().unwrap();
        (status.code(), rest(self.child.stdout.take().unwrap()), rest(self.child.stderr.take().unwrap()))
    }
}

#[test]
fn a_signal_ends_the_wait_and_says_what_is_in_effect() {
    let _servers = servers(1);
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let waiting = Waiting::start(&format!("--drain -t {VIP} -r 10.1.0.1"));
        // It may be about to wait.
        std::thread::sleep(Duration::from_millis(300));
        waiting.signal(signal);
        let (code, out, said) = waiting.end();
        assert_eq!((code, out.as_str()), (Some(status), ""), "{said}");
        let has =
            "has 1 active, 0 inactive and 0 persistent connections, and stays in the table with weight 0";
        assert!(said.starts_with(&format!("interrupted: {FIRST} {has}; ")), "{said}");
        assert!(said.ends_with(&format!(": ipvsadm -e {LINE}\n")), "{said}");
        assert_eq!(weights(), [Some(0), Some(1)]);
        assert_eq!(run(OURS, "--undrain").0, 0);
        assert_eq!(weights(), [Some(3), Some(1)]);
    }
    // Nothing can be said about this one, but what it did is noted.
    let waiting = Waiting::start("--drain -r 10.1.0.1");
    waiting.signal("KILL");
    assert_eq!(waiting.end(), (None, String::new(), String::new()));
    assert_eq!((weights(), run(OURS, "--undrain").0, weights()), ([Some(0), Some(1)], 0, [Some(3), Some(1)]));
    // nohup protects from the end of a login.
    let mut command = Command::new("nohup");
    command
        .args([OURS, "--drain", "-r", "10.1.0.1", "--wait", "3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let waiting = Waiting { child: command.spawn().unwrap() };
    until("weight 0", || weights()[0] == Some(0));
    waiting.signal("HUP");
    let (code, _, said) = waiting.end();
    assert_eq!((code, said.contains("after 3 s: ")), (Some(1), true), "{said}");
}

#[test]
fn the_last_server_stays_unless_it_is_forced_out() {
    drop(servers(0));
    let before = table();
    let refused = |word: &str| {
        let said = format!(
            "TCP 10.0.0.1:80 would have no server for new connections without this one: '{word}'; add or bring back \
             another first, or add --force\n"
        );
        (2, String::new(), said)
    };
    assert_eq!(run(OURS, "-e -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 0 --quiet").0, 0);
    assert_eq!(drain(""), refused("10.1.0.1:80"));
    assert_eq!(run(OURS, "-e -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1 --quiet").0, 0);
    assert_eq!(table(), before);
    assert_eq!(drain("").0, 0);
    assert_eq!(run(OURS, "--drain -r 10.1.0.2"), refused("10.1.0.2:80"));
    assert_eq!(run(OURS, "--drain -r 10.1.0.2 --force").0, 0);
    assert_eq!(weights(), [None, None]);
    assert_eq!(run(OURS, "--undrain").1.lines().count(), 2);
    assert_eq!(table(), before);
}

#[test]
fn what_others_do_meanwhile_is_told() {
    let mut servers = servers(1);
    let waiting = Waiting::start("--drain -r 10.1.0.1");
    assert_eq!(run(lab::ORIGINAL, "-e -t 10.0.0.1:80 -r 10.1.0.1 -m -w 7").0, 0);
    let (status, out, said) = waiting.end();
    assert_eq!((status, out.as_str()), (Some(1), ""));
    let told = "was given weight 7 by another program: it gets new connections, stays in the table, and is drained no longer";
    assert_eq!(said, format!("{FIRST} {told}\n"));
    assert_eq!(weights(), [Some(7), Some(1)]);

    let waiting = Waiting::start("--drain -r 10.1.0.1");
    assert_eq!(run(lab::ORIGINAL, "-d -t 10.0.0.1:80 -r 10.1.0.1").0, 0);
    let (status, _, said) = waiting.end();
    let told = format!(
        "{FIRST} was deleted by another program with 1 connections; this brings it back: \
         ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 7\n"
    );
    assert_eq!((status, said), (Some(1), told));
    // --undrain is another program, too.
    assert_eq!(run(OURS, "--undrain").0, 0);
    let waiting = Waiting::start("--drain -r 10.1.0.1 --quiet");
    assert_eq!(run(OURS, "--undrain").1, format!("{FIRST} is back with weight 7\n"));
    assert_eq!(waiting.end().0, Some(1));
    // What it changes beside the weight is kept.
    let mut waiting = Waiting::start("--drain -r 10.1.0.1 --quiet --ignore-inactive");
    assert_eq!(run(lab::ORIGINAL, "-e -t 10.0.0.1:80 -r 10.1.0.1 -m -w 0 -x 9 -y 4").0, 0);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(waiting.child.try_wait().unwrap().is_none());
    servers.end_one();
    let (_, out, _) = waiting.end();
    assert!(out.ends_with("-m -w 7 -x 9 -y 4\n"), "{out}");
    assert_eq!(run(OURS, "--undrain").0, 0);
    assert!(run(OURS, "-S --full").1.contains("-r 10.1.0.1:80 -m -w 7 -x 9 -y 4\n"));
    // The table is cleared.
    let waiting = Waiting::start("--drain -r 10.1.0.1");
    assert_eq!(run(lab::ORIGINAL, "-C").0, 0);
    assert_eq!(waiting.end().0, Some(1));
    assert_eq!(
        run(OURS, "--undrain"),
        (255, String::new(), format!("{FIRST}: Service not defined: 'TCP 10.0.0.1:80'; -A adds it\n"))
    );
}

#[test]
fn a_line_each_ten_seconds_tells_how_it_goes() {
    let mut servers = servers(3);
    let mut waiting = Waiting::start("--drain -r 10.1.0.1 --wait 300");
    let mut lines = BufReader::new(waiting.child.stderr.take().unwrap());
    let begin = Instant::now();
    servers.end_one();
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let waited = begin.elapsed();
    assert!(waited > Duration::from_secs(8) && waited < Duration::from_secs(60), "{waited:?}");
    assert!(line.starts_with("draining: 2 active, "), "{line}");
    assert!(line.contains(" gone") && line.contains("; waits "), "{line}");
    waiting.signal("TERM");
    assert_eq!(waiting.child.wait().unwrap().code(), Some(143));
}

#[test]
fn on_a_terminal_one_line_is_renewed() {
    let _servers = servers(1);
    // script gives it a terminal.
    let line = format!("{OURS} --drain -r 10.1.0.1 --wait 2");
    let output = Command::new("script").args(["-qec", &line, "/dev/null"]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let begins = "\rdraining: 1 active, 0 inactive, 0 persistent; 0 gone; waits ";
    assert!(shown.matches(begins).count() >= 2, "{shown:?}");
    let (progress, last) = shown.split_once("\r\u{1b}[Kafter 2 s: ").unwrap();
    assert!(!progress.contains('\n') && last.contains("stays in the table with weight 0"), "{shown:?}");
}

#[test]
fn what_makes_the_wait_vain_is_said_beforehand() {
    drop(servers(0));
    let set = |name: &str, value: u32| {
        std::fs::write(format!("/proc/thread-self/root/proc/sys/net/ipv4/vs/{name}"), value.to_string())
            .unwrap();
    };
    assert_eq!(run(OURS, &format!("-E -t {VIP} -s wrr -p 300 --quiet")).0, 0);
    set("conn_reuse_mode", 0);
    let (status, _, said) = drain("");
    let fixes: Vec<&str> = said.lines().map(|line| line.rsplit(": ").next().unwrap()).collect();
    let expected =
        ["sysctl -w net.ipv4.vs.expire_quiescent_template=1", "sysctl -w net.ipv4.vs.conn_reuse_mode=1"];
    assert_eq!((status, fixes), (0, expected.to_vec()), "{said}");
    for fix in expected {
        assert_eq!(run("busybox", fix).0, 0);
    }
    assert_eq!(run(OURS, "--undrain").0, 0);
    assert_eq!(drain("").2, "");
    // Another program that manages the table.
    assert_eq!(run(OURS, "--undrain").0, 0);
    std::fs::create_dir_all("/run/ipvsadm/bin").unwrap();
    std::os::unix::fs::symlink("/bin/sleep", "/run/ipvsadm/bin/ldirectord").unwrap();
    let mut ldirectord = Command::new("/run/ipvsadm/bin/ldirectord").arg("60").spawn().unwrap();
    until("its name", || {
        std::fs::read_to_string(format!("/proc/{}/comm", ldirectord.id())).unwrap() == "ldirectord\n"
    });
    let (status, _, said) = drain("");
    ldirectord.kill().unwrap();
    ldirectord.wait().unwrap();
    assert_eq!(status, 0);
    assert!(said.starts_with("warning: ldirectord fills this table by its own configuration, "), "{said}");
}
