//! What a start needs only on some machines, and the unit must permit: each way to resolve a name, and loading the
//! module.

use std::fs;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::machine::Machine;
use crate::{ipvsadm, is_host, succeeds};

const RULES: &str = "/etc/ipvsadm.rules";

/// Answers each query for an IPv4 address with 10.0.0.LAST.
fn name_server(address: &str, last: u8) {
    let socket = UdpSocket::bind((address, 53)).unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let question = query.get(12..length).unwrap();
            // A name, ending with a label of length 0, a type and a class.
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
            let head = [query[0], query[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
            let answer = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, last];
            socket.send_to(&[&head, &question[..end], &answer].concat(), client).unwrap();
        }
    });
}

/// Answers each host query like the name service's daemon (`nscd`), with 10.0.0.LAST.
fn name_service(machine: &Machine, last: u8) {
    const GETHOSTBYNAME: u32 = 4;
    let folder = machine.root().join("run/nscd");
    fs::create_dir(&folder).unwrap();
    let listener = UnixListener::bind(folder.join("socket")).unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map(Result::unwrap) {
            // A version, the request type, the length of the name.
            let mut head = [[0; 4]; 3];
            client.read_exact(head.as_flattened_mut()).unwrap();
            let [_, kind, length] = head.map(u32::from_ne_bytes);
            let mut name = vec![0; usize::try_from(length).unwrap()];
            client.read_exact(&mut name).unwrap();
            if kind == GETHOSTBYNAME {
                // The version; found; the name's length; aliases; AF_INET, of 4 bytes; addresses; errors.
                let reply = [2, 1, length, 0, 2, 4, 1, 0].map(u32::to_ne_bytes);
                client.write_all(&[reply.as_flattened(), &name, &[10, 0, 0, last]].concat()).unwrap();
            }
        }
    });
}

#[test]
fn names_are_found_by_every_way_to_a_name() {
    if is_host() {
        return;
    }
    let mut machine = Machine::new("names", None);
    fs::write("/etc/nsswitch.conf", "hosts: dns\nservices: files\n").unwrap();
    fs::write(RULES, "-A -t vip.example.test:80 -s rr\n").unwrap();
    machine.boot();
    name_server("127.0.0.1", 4);
    name_server("::1", 6);
    for (server, address) in [("127.0.0.1", "10.0.0.4"), ("::1", "10.0.0.6"), ("none", "10.0.0.9")] {
        fs::write("/etc/resolv.conf", format!("nameserver {server}\n")).unwrap();
        if server == "none" {
            name_service(&machine, 9);
        }
        succeeds(&machine, "start ipvsadm");
        assert_eq!(ipvsadm("-Sn", ""), format!("-A -t {address}:80 -s rr\n"));
        succeeds(&machine, "stop ipvsadm");
    }
}

#[test]
fn the_module_is_loaded_where_the_kernel_does_not_load_it_itself() {
    if is_host() {
        return;
    }
    let mut machine = Machine::new("module", None);
    // The one scheduler that is not a module.
    fs::write(RULES, "-A -t 10.0.0.1:80 -s none\n").unwrap();
    fs::create_dir_all("/lib/modules").unwrap();
    lab::lay_over("/run/modules/lib/modules", "/lib/modules");
    machine.boot();
    let sh = |line: &str| {
        let output = Command::new("sh").args(["-ec", line]).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    };
    // Networks of earlier tests may still be shutting down.
    sh("for try in $(seq 100); do \
            modprobe -d /run/modules -r $(sed -n 's/^\\(ip_vs_[a-z_]*\\) .*/\\1/p' /proc/modules) ip_vs && exit; sleep 0.1; \
        done; exit 1");
    assert!(!fs::exists("/proc/net/ip_vs").unwrap());
    let helper = fs::read_to_string("/proc/sys/kernel/modprobe").unwrap();
    fs::write("/proc/sys/kernel/modprobe", "/bin/false").unwrap();
    succeeds(&machine, "start ipvsadm");
    assert_eq!(ipvsadm("-Sn", ""), "-A -t 10.0.0.1:80 -s none\n");
    fs::write("/proc/sys/kernel/modprobe", helper).unwrap();
}
