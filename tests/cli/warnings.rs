//! Warnings about a change that may be a mistake: each appears exactly when the kernel does what it says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use crate::{Answer, OURS, answer, feed, run, services, set_up};
use lab::kernel;

/// The initial table, the command, its warning, and the kernel's resulting table.
const CASES: [[&str; 4]; 24] = [
    [
        "-A -t 10.0.0.1:80 -s rr",
        "-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -g",
        "the port '8080' was dropped, the server is 10.1.0.1:80: with -g it has the service's port; -m maps ports",
        "-r 10.1.0.1:80 -g -w 1\n",
    ],
    [
        "-A -t [2001:db8::1]:80 -s rr",
        "-a -t [2001:db8::1]:80 -r [2001:db8::2]:8080",
        "the port '8080' was dropped, the server is [2001:db8::2]:80: with -g it has the service's port; -m maps ports",
        "-r [2001:db8::2]:80 -g -w 1\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -i",
        "-e -t 10.0.0.1:80 -r 10.1.0.1:8080 -i",
        "the port '8080' was dropped, the server is 10.1.0.1:80: with -i it has the service's port; -m maps ports",
        "-r 10.1.0.1:80 -i -w 1 --tun-type ipip\n",
    ],
    [
        "-A -f 7 -s rr",
        "-a -f 7 -r 10.1.0.1:8080 -g",
        "the port '8080' has no effect: with -g packets keep their destination port; -m maps ports",
        "-r 10.1.0.1:8080 -g -w 1\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s rr -p 60 -M 255.255.0.0",
        "-a -t 10.0.0.1:80 -r 10.1.0.1 -w 5",
        "the weight '5' has no effect: scheduler rr ignores every weight except 0; \
         this changes it: ipvsadm -E -t 10.0.0.1:80 -s wrr -p 60 -M 255.255.0.0",
        "-r 10.1.0.1:80 -g -w 5\n",
    ],
    [
        "-A -f 7 -6 -s lc\n-a -f 7 -6 -r [2001:db8::2]:0 -m",
        "-e -f 7 -6 -r [2001:db8::2]:0 -m -w 5",
        "the weight '5' has no effect: scheduler lc ignores every weight except 0; this changes it: ipvsadm -E -f 7 -6 -s wlc",
        "-r [2001:db8::2]:0 -m -w 5\n",
    ],
    [
        "-A -u 10.0.0.1:53 -s dh -o",
        "-a -u 10.0.0.1:53 -r 10.1.0.1 -w 2",
        "the weight '2' has no effect: scheduler dh ignores every weight except 0; this changes it: ipvsadm -E -u 10.0.0.1:53 -s wrr -o",
        "-r 10.1.0.1:53 -g -w 2\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.1.0.1 -w 5 -x 100 -y 10",
        "-e -t 10.0.0.1:80 -r 10.1.0.1 -g",
        "-e reset options that were left out: '-w 5' to 1, '-x 100' to 0, '-y 10' to 0; --keep changes only those that are given",
        "-r 10.1.0.1:80 -g -w 1\n",
    ],
    [
        "-A -f 7 -s wlc\n-a -f 7 -r 10.1.0.1 -m -w 0",
        "-e -f 7 -r 10.1.0.1 -x 5",
        "-e reset options that were left out: '-m' to -g, '-w 0' to 1; --keep changes only those that are given",
        "-r 10.1.0.1:0 -g -w 1 -x 5 -y 0\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.1.0.1 -i --tun-type gue --tun-port 9",
        "-e -t 10.0.0.1:80 -r 10.1.0.1 -i -w 3",
        "-e reset options that were left out: '--tun-type gue' to ipip; --keep changes only those that are given",
        "-r 10.1.0.1:80 -i -w 3 --tun-type ipip\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.1.0.1 -i --tun-type gre --tun-csum",
        "-e -t 10.0.0.1:80 -r 10.1.0.1 -i -w 3 --tun-type gre",
        "-e reset options that were left out: '--tun-csum' to none; --keep changes only those that are given",
        "-r 10.1.0.1:80 -i -w 3 --tun-type gre --tun-nocsum\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.1.0.1 -g",
        "-e -t 10.0.0.1:80 -r 10.1.0.1 -m",
        "'-g' was changed to -m: open connections keep -g; -g changes it back",
        "-r 10.1.0.1:80 -m -w 1\n",
    ],
    [
        "-A -u 10.0.0.1:53 -s rr -p 60 -M 255.255.255.0 --pe sip -o",
        "-E -u 10.0.0.1:53",
        "-E reset options that were left out: '-s rr' to wlc, '-p 60' to none, '-M 255.255.255.0' to none, '--pe sip' to none, \
         '-o' to none; --keep changes only those that are given",
        "-A -u 10.0.0.1:53 -s wlc\n",
    ],
    [
        "-A -t [2001:db8::1]:80 -s rr -p 60 -M 64",
        "-E -t [2001:db8::1]:80 -s rr -p 90",
        "-E reset options that were left out: '-M 64' to none; --keep changes only those that are given",
        "-A -t [2001:db8::1]:80 -s rr -p 90\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s sh -b sh-port",
        "-E -t 10.0.0.1:80 -s sh -p 360",
        "-E reset options that were left out: '-b sh-port' to none; --keep changes only those that are given",
        "-A -t 10.0.0.1:80 -s sh -p 360\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s sh",
        "-E -t 10.0.0.1:80",
        "-E reset options that were left out: '-s sh' to wlc; --keep changes only those that are given",
        "-A -t 10.0.0.1:80 -s wlc\n",
    ],
    [
        "",
        "-A -u 10.0.0.1:53 -o",
        "scheduler wlc counts connections, and with -o there are none: every packet goes to one server; this spreads them: \
         ipvsadm -E -u 10.0.0.1:53 -s wrr -o",
        "-A -u 10.0.0.1:53 -s wlc -o\n",
    ],
    [
        "",
        "-A -f 7 -s nq -o",
        "scheduler nq counts connections, and with -o there are none: every packet goes to one server; this spreads them: \
         ipvsadm -E -f 7 -s wrr -o",
        "-A -f 7 -s nq -o\n",
    ],
    [
        "-A -u [2001:db8::1]:53 -s wlc",
        "-E -u [2001:db8::1]:53 -s sed",
        "scheduler sed counts active connections, and those of UDP never are: every client goes to one server; this spreads \
         them: ipvsadm -E -u '[2001:db8::1]:53' -s wlc",
        "-A -u [2001:db8::1]:53 -s sed\n",
    ],
    [
        "",
        "-A -t 10.0.0.1:80 -s dh",
        "scheduler dh chooses by the destination, and the service has one address: every client goes to one server; this \
         spreads them: ipvsadm -E -t 10.0.0.1:80 -s wrr",
        "-A -t 10.0.0.1:80 -s dh\n",
    ],
    [
        "-A -u 10.0.0.1:53 -s rr -o",
        "-a -u 10.0.0.1:53 -r 10.1.0.1 -m",
        "with -o nothing translates the answers of a masqueraded server: those of 10.1.0.1:53 reach clients with its own address; \
         use -g or -i, or this: ipvsadm -E -u 10.0.0.1:53 -s rr",
        "-r 10.1.0.1:53 -m -w 1\n",
    ],
    [
        "-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1 -m",
        "-E -f 7 -s rr -o",
        "with -o nothing translates the answers of a masqueraded server: those of 10.1.0.1:0 reach clients with its own address; \
         use -g or -i, or this: ipvsadm -E -f 7 -s rr",
        "-r 10.1.0.1:0 -m -w 1\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s sh\n-a -t 10.0.0.1:80 -r 10.1.0.1 -w 300\n-a -t 10.0.0.1:80 -r 10.1.0.2 -w 200",
        "-a -t 10.0.0.1:80 -r 10.1.0.3 -w 100",
        "the weights 300, 200, 100 take 600 places, and the table of scheduler sh has 256: servers get another share than their \
         weights, or nothing; this gives the same shares with smaller ones: \
         ipvsadm -e -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 3 && ipvsadm -e -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 2 && \
         ipvsadm -e -t 10.0.0.1:80 -r 10.1.0.3:80 -g -w 1",
        "-r 10.1.0.3:80 -g -w 100\n",
    ],
    [
        "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -w 10\n-a -t 10.0.0.1:80 -r 10.1.0.2 -w 20",
        "-E -t 10.0.0.1:80 -s sh",
        "the weights 10, 20 have a common divisor, and scheduler sh does not divide: a server that is drained moves clients of the \
         others; this gives the same shares with smaller ones: \
         ipvsadm -e -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1 && ipvsadm -e -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 2",
        "-r 10.1.0.2:80 -g -w 20\n",
    ],
];

/// Runs this tool with `IPVSADM_QUIET` set.
fn run_in_environment(value: &str, line: &str) -> Answer {
    answer(Command::new(OURS).args(line.split(' ')).env("IPVSADM_QUIET", value).output().unwrap())
}

fn set_up_anew(lines: &str) {
    set_up(&format!("-C\n{lines}\n"));
}

#[test]
fn each_warning_says_what_the_kernel_has() {
    lab::isolate();
    let nothing = (0, String::new(), String::new());
    for [there, typed, said, left] in CASES {
        let said = (0, String::new(), format!("warning: {said}\n"));
        set_up_anew(there);
        assert_eq!(run(OURS, typed), said, "{typed}");
        let table = services();
        assert!(table.ends_with(left), "{typed}: {table}");

        // The original leaves the same table, and both say nothing.
        set_up_anew(there);
        assert_eq!(run(lab::ORIGINAL, typed), nothing, "{typed}");
        assert_eq!(services(), table, "{typed}");
        set_up_anew(there);
        assert_eq!(run(OURS, &format!("{typed} --quiet")), nothing, "{typed}");
        assert_eq!(services(), table, "{typed}");
        set_up_anew(there);
        assert_eq!(run_in_environment("1", typed), nothing, "{typed}");
        assert_eq!(services(), table, "{typed}");
        set_up_anew(there);
        assert_eq!(feed(OURS, "-R", typed), nothing, "{typed}");
        assert_eq!(services(), table, "{typed}");
    }
    let [there, typed, said, _] = CASES[0];
    for value in ["", "0"] {
        set_up_anew(there);
        assert_eq!(run_in_environment(value, typed), (0, String::new(), format!("warning: {said}\n")));
    }
}

#[test]
fn intended_changes_have_no_warning() {
    lab::isolate();
    set_up(
        "-A -t 10.0.0.1:80 -s wrr -p 60\n-A -u 10.0.0.1:53 -s rr\n-A -f 7 -s lc\n\
         -a -u 10.0.0.1:53 -r 10.1.0.9 -i --tun-type gue --tun-port 9 --tun-csum\n",
    );
    for line in [
        "-A -t 10.0.0.2:80",
        "-A -u 10.0.0.2:53 -s wlc",
        "-A -u 10.0.0.3:53 -s sh -o",
        "-A -u 10.0.0.4:53 -s fo",
        "-A -t 10.0.0.4:80 -s sed",
        "-A -f 8 -s dh",
        "-A -f 9 -s sed",
        "-a -u 10.0.0.3:53 -r 10.1.0.1 -g",
        "-a -u 10.0.0.3:53 -r 10.1.0.2 -g -w 3",
        "-a -t 10.0.0.4:80 -r 10.1.0.2 -m",
        "-a -f 9 -r 10.1.0.2 -m",
        "-a -t 10.0.0.1:80 -r 10.1.0.1 -w 5",
        "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 1 -x 5 -y 2",
        "-a -t 10.0.0.1:80 -r 10.1.0.3:8080 -m -w 5",
        "-a -u 10.0.0.1:53 -r 10.1.0.1 -w 0",
        "-a -u 10.0.0.1:53 -r 10.1.0.2 -w 1",
        "-a -f 7 -r 10.1.0.1",
        "-a -f 7 -r 10.1.0.2:0 -g",
        "-a -f 7 -r 10.1.0.3:8080 -m",
        "-e -t 10.0.0.1:80 -r 10.1.0.2 -g -w 3 -x 9 -y 0",
        "-e -t 10.0.0.1:80 -r 10.1.0.2 --keep -w 4",
        "-e -t 10.0.0.1:80 -r 10.1.0.3:8080 --keep -w 4",
        "-e -t 10.0.0.1:80 -r 10.1.0.1 -w 0",
        "-e -u 10.0.0.1:53 -r 10.1.0.9 -i --tun-type gre --tun-csum",
        "-e -u 10.0.0.1:53 -r 10.1.0.9 -i --tun-type gre --tun-nocsum",
        "-e -f 7 -r 10.1.0.3:8080 --keep -x 5",
        "-E -t 10.0.0.1:80 -s wrr -p 90",
        "-E -t 10.0.0.1:80 -s rr --keep",
        "-E -t 10.0.0.2:80",
        "-Ln --thresholds",
        "-Sn",
        "-Z",
        "-d -t 10.0.0.1:80 -r 10.1.0.1",
        "-D -t 10.0.0.1:80",
    ] {
        let (status, _, said) = run(OURS, line);
        assert_eq!((status, said.as_str()), (0, ""), "{line}");
    }
    // A change that is not made is not warned about.
    let (status, _, said) = run(OURS, "-e -u 10.0.0.1:53 -r 10.1.0.77:80 -g -w 7");
    assert_eq!((status, said.as_str()), (255, "No such destination: '10.1.0.77:53'; there is 10.1.0.2:53\n"));
    let (status, _, said) = run(OURS, "-a -u 10.0.0.1:53 -r 10.1.0.1:80 -g -w 7");
    assert_eq!((status, said.as_str()), (255, "Destination already exists: '10.1.0.1:53'; -e changes it\n"));
    let shown = "-a -u 10.0.0.1:53 -r 10.1.0.1:53 -g -w 7\n";
    assert_eq!(
        run(OURS, "-a -u 10.0.0.1:53 -r 10.1.0.1:80 -w 7 --dry-run"),
        (0, shown.into(), String::new())
    );
}

/// How 40 connections, each from another client to another address, are distributed over two servers.
fn spread(scheduler: &str, weights: [u32; 2]) -> String {
    lab::isolate();
    let network = "addr add 10.1.0.1/32 dev lo\naddr add 10.1.0.2/32 dev lo\n\
        route add local 10.2.0.0/24 dev lo\nroute add local 10.9.0.0/24 dev lo\n";
    assert_eq!(feed("ip", "-batch -", network).0, 0);
    let mark = "-t mangle -A OUTPUT -d 10.9.0.0/24 -j MARK --set-mark 7";
    assert_eq!(run("iptables-legacy", mark).0, 0);
    let [first, second] = weights;
    set_up(&format!(
        "-A -f 7 -s {scheduler}\n-a -f 7 -r 10.1.0.1 -m -w {first}\n-a -f 7 -r 10.1.0.2 -m -w {second}\n"
    ));
    for number in 1..=40 {
        let client = UdpSocket::bind(format!("10.2.0.{number}:7")).unwrap();
        client.send_to(b"hello", format!("10.9.0.{number}:7")).unwrap();
    }
    let (_, listing, _) = run(lab::ORIGINAL, "-Ln");
    let counts = listing.lines().filter(|line| line.contains("10.1.0."));
    let counts: Vec<&str> = counts.filter_map(|line| line.split_whitespace().last()).collect();
    let all: u32 = counts.iter().map(|count| count.parse::<u32>().unwrap()).sum();
    assert_eq!((counts.len(), all), (2, 40), "{scheduler}: {listing}");
    counts.join(" ")
}

#[test]
fn the_schedulers_use_weights_as_the_warnings_say() {
    if !kernel::has_iptables() {
        return;
    }
    // Of Linux's own schedulers, nq uses them only while all servers are busy, which they are not here.
    for scheduler in ["rr", "lc", "dh", "wrr", "wlc", "lblc", "lblcr", "sh", "mh", "sed", "fo", "ovf"] {
        let uses_weights = spread(scheduler, [1, 1]) != spread(scheduler, [9, 1]);
        set_up_anew(&format!("-A -t 10.0.0.1:80 -s {scheduler}"));
        let (_, _, said) = run(OURS, "-a -t 10.0.0.1:80 -r 10.1.0.1 -w 9");
        let warns = said.contains("has no effect");
        assert_eq!(uses_weights, !warns, "{scheduler}: {said}");
    }
}

#[test]
fn a_port_behind_a_mark_has_no_effect() {
    if !kernel::has_iptables() {
        return;
    }
    lab::isolate();
    let network = "addr add 10.0.0.1/32 dev lo\naddr add 10.1.0.1/32 dev lo\n";
    assert_eq!(feed("ip", "-batch -", network).0, 0);
    let mark = "-t mangle -A OUTPUT -d 10.0.0.1 -p tcp --dport 80 -j MARK --set-mark 7";
    assert_eq!(run("iptables-legacy", mark).0, 0);
    set_up("-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1:8080 -g\n");
    let meant = TcpListener::bind("0.0.0.0:8080").unwrap();
    assert!(TcpStream::connect("10.0.0.1:80").is_err(), "the port of -r was used");
    let found = TcpListener::bind("0.0.0.0:80").unwrap();
    TcpStream::connect("10.0.0.1:80").unwrap();
    drop((meant, found));
}

#[test]
fn open_connections_keep_their_method() {
    lab::isolate();
    let network = "addr add 10.0.0.1/32 dev lo\naddr add 10.1.0.1/32 dev lo\n";
    assert_eq!(feed("ip", "-batch -", network).0, 0);
    set_up("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m\n");
    let server = TcpListener::bind("10.1.0.1:80").unwrap();
    let mut client = TcpStream::connect("10.0.0.1:80").unwrap();
    let (mut taken, _) = server.accept().unwrap();
    let (_, _, said) = run(OURS, "-e -t 10.0.0.1:80 -r 10.1.0.1 -g");
    assert!(said.contains("'-m' was changed to -g: open connections keep -m"), "{said}");
    client.write_all(b"still there?").unwrap();
    let mut heard = [0; 12];
    taken.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still there?");
    // A new connection uses the new method: nothing serves the service's address itself.
    assert!(TcpStream::connect("10.0.0.1:80").is_err());
}
