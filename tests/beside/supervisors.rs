//! Beside the real keepalived: it moves the address by VRRP, runs the sync daemon and fills the table, while this tool
//! lists, checks and drains.

use std::fs::{self};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::OURS;
use crate::running::{FOLDER, Running, own_folder, unpacked};
use lab::network::{build, enter, within};

const VIP: &str = "192.168.1.100";

/// The real keepalived on a host.
fn keepalived(host: &str, priority: u8) -> Running {
    let package = unpacked("keepalived", "usr");
    configure(host, priority, 3);
    let mut command = Command::new(package.join("sbin/keepalived"));
    command.args(["--dont-fork", "--log-console", "--log-detail", "--no-syslog"]);
    command.args(["--use-file", &format!("{FOLDER}/{host}.conf")]);
    for (option, name) in [("--pid", "pid"), ("--vrrp_pid", "vrrp"), ("--checkers_pid", "checkers")] {
        command.args([option, &format!("{FOLDER}/{host}.{name}")]);
    }
    let libraries = package.join("lib/x86_64-linux-gnu");
    command.env("LD_LIBRARY_PATH", libraries);
    within(host, || Running::start(&format!("{host}.log"), &mut command))
}

/// The configuration of one of two directors.
fn configure(host: &str, priority: u8, weight: u8) {
    let server = |last: u8| {
        format!(
            "  real_server 192.168.1.{last} 80 {{\n    weight {weight}\n    TCP_CHECK {{\n      connect_timeout 1\n      retry 1\n      \
             delay_before_retry 1\n    }}\n  }}\n"
        )
    };
    let text = format!(
        "global_defs {{\n  router_id {host}\n  lvs_sync_daemon eth0 VI_1 id 51\n  vrrp_garp_master_delay 1\n}}\n\
         vrrp_instance VI_1 {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  priority {priority}\n  advert_int 2\n  \
         virtual_ipaddress {{\n    {VIP}/32 dev eth0\n  }}\n}}\n\
         virtual_server {VIP} 80 {{\n  delay_loop 1\n  lb_algo rr\n  lb_kind DR\n  protocol TCP\n{}{}}}\n",
        server(11),
        server(12)
    );
    fs::write(format!("{FOLDER}/{host}.conf"), text).unwrap();
}

/// Runs the tool from outside: its status, stdout and stderr.
fn ours(line: &str) -> (i32, String, String) {
    let output = Command::new(OURS).args(line.split(' ')).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn run(host: &str, command: &str) -> (bool, String) {
    let output = within(host, || Command::new("/bin/sh").args(["-c", command]).output()).unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn until(what: &str, seconds: u64, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {seconds} seconds");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn has_vip(host: &str) -> bool {
    run(host, "ip -4 addr show dev eth0").1.contains(&format!("{VIP}/32"))
}

fn table(host: &str) -> String {
    ours(&format!("-Sn --netns {host}")).1
}

fn servers_answer(hosts: [&'static str; 2]) {
    for host in hosts {
        run(host, "cd /proc/sys/net/ipv4/conf/all && echo 1 >arp_ignore && echo 2 >arp_announce");
        assert!(run(host, &format!("ip addr add {VIP}/32 dev lo")).0);
        std::thread::spawn(move || {
            enter(host);
            for mut stream in TcpListener::bind("0.0.0.0:80").unwrap().incoming().flatten() {
                // What is said comes back behind the server's name.
                std::thread::spawn(move || {
                    let mut bytes = [0; 100];
                    while let Ok(length @ 1..) = stream.read(&mut bytes) {
                        let _ = stream.write_all(&[host.as_bytes(), b" ", &bytes[..length]].concat());
                    }
                });
            }
        });
    }
}

/// Says something to a server, and returns the answer.
fn say(stream: &mut TcpStream, line: &str) -> std::io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(line.as_bytes())?;
    let mut bytes = [0; 100];
    let length = stream.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned())
}

fn connect() -> TcpStream {
    let address = format!("{VIP}:80").parse().unwrap();
    within("client", || TcpStream::connect_timeout(&address, Duration::from_secs(10))).unwrap()
}

const BOTH: &str = "-A -t 192.168.1.100:80 -s rr\n\
    -a -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 3\n\
    -a -t 192.168.1.100:80 -r 192.168.1.12:80 -g -w 3\n";

#[test]
fn keepalived_fails_over_while_this_tool_reads_and_drains() {
    lab::isolate();
    own_folder();
    build(
        &[
            "client eth0@lan 192.168.1.10/24",
            "d1 eth0@lan 192.168.1.1/24",
            "d2 eth0@lan 192.168.1.2/24",
            "rs1 eth0@lan 192.168.1.11/24",
            "rs2 eth0@lan 192.168.1.12/24",
        ],
        &[],
    );
    servers_answer(["rs1", "rs2"]);
    for host in ["d1", "d2"] {
        run(host, "echo '1 3' >/proc/sys/net/ipv4/vs/sync_threshold");
    }
    let (first, second) = (keepalived("d1", 150), keepalived("d2", 100));
    until("the first has the address", 60, || has_vip("d1"));
    for host in ["d1", "d2"] {
        until(&format!("{host} has a table"), 60, || table(host) == BOTH);
    }
    assert!(!has_vip("d2"), "{}", second.log());

    // Listings succeed all the while.
    let stop = Arc::new(AtomicBool::new(false));
    let readers = ["-Ln --netns d1", "-L --json --netns d2", "-Lnc --netns d2"].map(|line| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let (status, _, said) = ours(line);
                assert_eq!((status, said.as_str()), (0, ""), "{line}");
                std::thread::sleep(Duration::from_millis(200));
            }
        })
    });
    // Neither of them is reported: what keepalived does is as it should be.
    for host in ["d1", "d2"] {
        assert_eq!(ours(&format!("--check --netns {host}")), (0, String::new(), String::new()), "{host}");
    }
    let (_, daemons, _) = ours("-L --daemon --netns d1");
    assert!(daemons.contains("master sync daemon (mcast=eth0, syncid=51"), "{daemons}\n{}", first.log());
    assert!(ours("-L --daemon --netns d2").1.contains("backup sync daemon (mcast=eth0, syncid=51"));

    // What is ours beside it: a service of our own comes and goes, and keepalived's stays.
    let own = "-A -t 192.168.1.200:25 -s rr\n-a -t 192.168.1.200:25 -r 192.168.1.11:25 -g -w 1\n";
    fs::write(format!("{FOLDER}/own"), own).unwrap();
    let applied = ours(&format!("-R --apply --only-listed --file {FOLDER}/own --netns d1"));
    assert_eq!(applied, (0, String::new(), String::new()));
    until("both are there", 60, || table("d1") == format!("{BOTH}{own}"));

    // A drain warns, and keepalived does not bring the server back by itself.
    let (status, out, said) = ours("--drain -r 192.168.1.12 --wait 10 --netns d1");
    assert_eq!(status, 0, "{said}");
    assert!(said.starts_with("warning: keepalived fills this table by its own configuration"), "{said}");
    let back = "this brings it back: ipvsadm --netns d1 -a -t 192.168.1.100:80 -r 192.168.1.12:80 -g -w 3\n";
    assert!(out.ends_with(back), "{out}");
    std::thread::sleep(Duration::from_secs(3));
    assert!(!table("d1").contains("192.168.1.12"));
    assert_eq!(ours("--undrain --netns d1").0, 0);
    assert_eq!(table("d1"), format!("{BOTH}{own}"));
    // By its configuration weights change for good: it brings back what was drained, and what is not its own stays.
    assert_eq!(ours("--drain -r 192.168.1.12 --wait 10 --quiet --netns d1").2, "");
    configure("d1", 150, 7);
    first.signal(Signal::SIGHUP);
    until("the new weights", 60, || table("d1") == format!("{}{own}", BOTH.replace("-w 3", "-w 7")));
    let stays = "TCP 192.168.1.100:80 -> 192.168.1.12:80 has weight 7 already, and is left as it is\n";
    assert_eq!(ours("--undrain --netns d1").1, stays);

    // A connection outlives the director that forwarded it.
    let mut stream = connect();
    let server = say(&mut stream, "hello").unwrap().split_once(' ').unwrap().0.to_owned();
    for number in 0..4 {
        assert_eq!(say(&mut stream, &format!("{number}")).unwrap(), format!("{server} {number}"));
    }
    until("the connection is synchronized", 60, || {
        ours("-Lnc --netns d2").1.contains("ESTABLISHED 192.168.1.10:")
    });
    first.signal(Signal::SIGTERM);
    until("the second has the address", 60, || has_vip("d2"));
    assert_eq!(say(&mut stream, "still there?").unwrap(), format!("{server} still there?"));
    let mut new = connect();
    assert!(say(&mut new, "new").unwrap().ends_with(" new"));
    until("it is the master", 60, || ours("-L --daemon --netns d2").1.contains("master sync daemon"));
    assert_eq!(ours("--check --netns d2"), (0, String::new(), String::new()));
    // What keepalived did not make it does not take with it.
    until("keepalived has taken its service with it", 60, || table("d1") == own);
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
}

/// The real ldirectord on a host, by this tool; it ends with the test.
fn ldirectord(host: &str) -> Running {
    let package = unpacked("ldirectord", "usr");
    let config = "checktimeout = 1\nnegotiatetimeout = 1\ncheckinterval = 1\nautoreload = no\ncleanstop = yes\n\
        maintenancedir = /run/beside/maintenance\nlogfile = \"/run/beside/ldirectord.log\"\n\n\
        virtual = 192.168.1.100:80\n\treal = 192.168.1.11:80 gate 3\n\treal = 192.168.1.12:80 gate 3\n\
        \tscheduler = rr\n\tprotocol = tcp\n\tchecktype = connect\n\tquiescent = no\n";
    fs::write(format!("{FOLDER}/ldirectord.cf"), config).unwrap();
    fs::create_dir_all(format!("{FOLDER}/maintenance")).unwrap();
    let mut libraries = vec![package.join("share/perl5").display().to_string()];
    for folder in fs::read_dir(package.join("lib")).unwrap().flatten() {
        for version in fs::read_dir(folder.path().join("perl5")).into_iter().flatten().flatten() {
            libraries.push(version.path().display().to_string());
        }
    }
    let mut command = Command::new(package.join("sbin/ldirectord"));
    command.args(["-d", &format!("{FOLDER}/ldirectord.cf"), "start"]);
    // Without the layer it would start itself again.
    command.env("PERL5LIB", libraries.join(":")).env("PERLIO", "perlio");
    within(host, || Running::start("debug", &mut command))
}

#[test]
fn ldirectord_leaves_a_drain_alone_until_a_check_changes() {
    lab::isolate();
    lab::put(OURS);
    own_folder();
    build(
        &["d1 eth0@lan 192.168.1.1/24", "rs1 eth0@lan 192.168.1.11/24", "rs2 eth0@lan 192.168.1.12/24"],
        &[],
    );
    servers_answer(["rs1", "rs2"]);
    let ldirectord = ldirectord("d1");
    until("it has its table", 60, || table("d1") == BOTH);
    let own = "-A -f 7 -s rr\n";
    let (status, _, said) = ours("-A -f 7 -s rr --netns d1");
    assert_eq!((status, said.as_str()), (0, ""));

    let (status, _, said) = ours("--drain -r 192.168.1.12 --wait 10 --netns d1");
    assert_eq!(status, 0, "{said}");
    assert!(said.starts_with("warning: ldirectord fills this table by its own configuration"), "{said}");
    std::thread::sleep(Duration::from_secs(3));
    assert!(!table("d1").contains("192.168.1.12"), "it does not look at the table");
    assert_eq!(ours("--undrain --netns d1").0, 0);
    assert_eq!(table("d1"), format!("{BOTH}{own}"));
    // A check that fails, and succeeds again, brings back what was drained.
    assert_eq!(ours("--drain -r 192.168.1.12 --wait 10 --quiet --netns d1").0, 0);
    let checks = |what: &str| ldirectord.log().matches(what).count();
    let failed = checks("Deactivated service 192.168.1.12");
    run("rs2", "ip link set eth0 down");
    until("the check fails", 60, || checks("Deactivated service 192.168.1.12") > failed);
    run("rs2", "ip link set eth0 up");
    until("it is back", 60, || table("d1") == format!("{BOTH}{own}"));
    // Its folder takes a server out, as long as the file is there.
    fs::write(format!("{FOLDER}/maintenance/192.168.1.12"), "").unwrap();
    until("it is out", 60, || !table("d1").contains("192.168.1.12"));
    fs::remove_file(format!("{FOLDER}/maintenance/192.168.1.12")).unwrap();
    until("it is in", 60, || table("d1") == format!("{BOTH}{own}"));
    ldirectord.signal(Signal::SIGTERM);
    until("it has taken its service with it", 60, || table("d1") == own);
}
