//! Names from a DNS server: looked up as by the system's resolver, and not at all with `-n`.

use std::fs;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use crate::{OURS, feed, lab, run, set_up, table};

const A: u16 = 1;
const PTR: u16 = 12;

/// The server's records: a name, a type, and the data of the answer.
fn zone() -> Vec<(&'static str, u16, Vec<u8>)> {
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    vec![
        ("vip.example.test", A, vec![10, 0, 0, 1]),
        ("web.example.test", A, vec![10, 1, 0, 1]),
        ("1.0.0.10.in-addr.arpa", PTR, labels("vip.example.test")),
        ("1.0.1.10.in-addr.arpa", PTR, labels("web.example.test")),
        ("2.0.1.10.in-addr.arpa", PTR, labels("web.example.test")),
        (six, PTR, labels("six.example.test")),
    ]
}

/// A name in DNS encoding.
fn labels(name: &str) -> Vec<u8> {
    let length = |label: &str| u8::try_from(label.len()).unwrap();
    name.split('.').flat_map(|label| [&[length(label)], label.as_bytes()].concat()).chain([0]).collect()
}

/// The answer to a query with one question, and the question.
fn reply(query: &[u8]) -> (Vec<u8>, String) {
    let question = &query[12..];
    let end = question.iter().position(|&byte| byte == 0).unwrap() + 5;
    let found = zone().into_iter().find(|(name, kind, _)| {
        let wanted = [labels(name), vec![0, u8::try_from(*kind).unwrap(), 0, 1]].concat();
        question[..end].eq_ignore_ascii_case(&wanted)
    });
    let (answers, code) = if found.is_some() { (1, 0) } else { (0, 3) };
    let head = [query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0];
    let mut reply = [&head[..], &question[..end]].concat();
    if let Some((_, kind, data)) = found {
        let length = u8::try_from(data.len()).unwrap();
        reply.extend([0xc0, 12, 0, u8::try_from(kind).unwrap(), 0, 1, 0, 0, 0, 60, 0, length]);
        reply.extend(data);
    }
    (reply, String::from_utf8_lossy(&question[..end - 5]).into_owned())
}

/// Gives the test a network with a DNS server, and reports its queries.
fn with_dns() -> Arc<Mutex<Vec<String>>> {
    lab::isolate();
    let dir = format!("/run/dns-{:?}", std::thread::current().id());
    fs::create_dir_all(&dir).unwrap();
    for (file, text) in [("nsswitch.conf", "hosts: files dns\nservices: files\n"), ("hosts", "")] {
        fs::write(format!("{dir}/{file}"), text).unwrap();
        lab::lay_over(format!("{dir}/{file}"), format!("/etc/{file}"));
    }
    fs::write(format!("{dir}/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    lab::lay_over(format!("{dir}/resolv.conf"), fs::canonicalize("/etc/resolv.conf").unwrap());

    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let (reply, name) = reply(&query[..length]);
            record.lock().unwrap().push(name);
            socket.send_to(&reply, client).unwrap();
        }
    });
    asked
}

#[test]
fn names_come_from_the_dns() {
    let mut shown = Vec::new();
    for tool in [lab::ORIGINAL, OURS] {
        let asked = with_dns();
        for line in ["-A -t vip.example.test:80 -s rr", "-a -t vip.example.test:80 -r web.example.test -g"] {
            assert_eq!(run(tool, line), (0, String::new(), String::new()), "{tool} {line}");
        }
        assert_eq!(table(), "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n", "{tool}");
        assert!(!asked.lock().unwrap().is_empty());
        set_up("-A -t [2001:db8::1]:80 -s rr\n");
        shown.push((run(tool, "-L"), run(tool, "-L -c"), run(tool, "-A -t nobody.example.test:80").0));
    }
    assert_eq!(shown[0], shown[1]);
    let (listing, _, missing) = &shown[0];
    assert!(listing.1.contains("vip.example.test:http rr") && listing.1.contains("web.example.test:http"));
    assert!(listing.1.contains("[six.example.test]:http") && *missing == 2, "{listing:?}");
}

#[test]
fn numeric_commands_ask_no_name_server() {
    for tool in [lab::ORIGINAL, OURS] {
        let asked = with_dns();
        set_up("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -g\n-A -t [2001:db8::1]:80\n");
        for line in
            ["-L -n", "-L -n --stats", "-L -n -c", "-S -n", "-L -n -t 10.0.0.1:80", "-Z", "-L --timeout"]
        {
            assert_eq!(run(tool, line).0, 0, "{tool} {line}");
        }
        run(tool, "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m");
        assert_eq!(*asked.lock().unwrap(), [""; 0], "{tool}");
        assert!(run(tool, "-L").1.contains("vip.example.test"), "the server is there to be asked");
    }
}

#[test]
fn a_listing_asks_for_each_address_once() {
    let asked = with_dns();
    let ports = 1..100;
    set_up(
        &ports.fold(String::new(), |rules, port| rules + "-A -t 10.0.0.1:" + &port.to_string() + " -s rr\n"),
    );
    assert_eq!(run(lab::ORIGINAL, "-L").0, 0);
    assert!(asked.lock().unwrap().len() >= 99, "the original asks for every row");
    asked.lock().unwrap().clear();
    assert_eq!(run(OURS, "-L").0, 0);
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[test]
fn one_name_of_two_servers_is_saved_once() {
    with_dns();
    let rules = "-A -t 10.0.0.1:80 -s rr\n\
        -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n\
        -a -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 1\n";
    set_up(rules);
    let saved = run(lab::ORIGINAL, "-S").1;
    assert_eq!(saved.matches("-r web.example.test:http").count(), 2);
    let (status, saved, said) = run(OURS, "-S");
    let expected =
        "saved as numbers: these names do not resolve back to the same address or port: web.example.test\n";
    assert_eq!((status, said.as_str()), (0, expected));
    run(OURS, "-C");
    assert_eq!(feed(OURS, "-R", &saved), (0, String::new(), String::new()));
    assert_eq!(table(), rules);
}
