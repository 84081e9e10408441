//! Names from a DNS server: looked up as by the system's resolver, and not at all with `-n`.

use std::fs;
use std::sync::{Arc, Mutex};

use crate::{OURS, feed, run, set_up, table};
use lab::dns::{self, A, Log, PTR, Record, Way, labels};

/// The server's records: a name, a type, and the data of the answer.
fn zone(name: &str, kind: u16) -> Option<Vec<Record>> {
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    let zone = [
        ("vip.example.test", A, vec![10, 0, 0, 1]),
        ("web.example.test", A, vec![10, 1, 0, 1]),
        ("1.0.0.10.in-addr.arpa", PTR, labels("vip.example.test")),
        ("1.0.1.10.in-addr.arpa", PTR, labels("web.example.test")),
        ("2.0.1.10.in-addr.arpa", PTR, labels("web.example.test")),
        (six, PTR, labels("six.example.test")),
    ];
    let is_asked = |record: &(&str, u16, _)| record.0.eq_ignore_ascii_case(name) && record.1 == kind;
    zone.into_iter().find(is_asked).map(|(_, _, data)| vec![(name.to_owned(), kind, data)])
}

/// Gives the test a network whose names are those of a name server, and says how it is asked.
pub(crate) fn machine(hosts: &str, resolv_conf: &str) {
    lab::isolate();
    let dir = format!("/run/dns-{:?}", std::thread::current().id());
    fs::create_dir_all(&dir).unwrap();
    let nsswitch = format!("hosts: {hosts}\nservices: files\n");
    for (file, text) in [("nsswitch.conf", nsswitch.as_str()), ("hosts", "")] {
        fs::write(format!("{dir}/{file}"), text).unwrap();
        lab::lay_over(format!("{dir}/{file}"), format!("/etc/{file}"));
    }
    fs::write(format!("{dir}/resolv.conf"), format!("nameserver 127.0.0.1\n{resolv_conf}")).unwrap();
    lab::lay_over(format!("{dir}/resolv.conf"), fs::canonicalize("/etc/resolv.conf").unwrap());
}

/// Gives the test a network with a DNS server, and reports its queries.
fn with_dns() -> Arc<Mutex<Log>> {
    machine("files dns", "");
    dns::serve("127.0.0.1:53", zone, |_, _| Way::Answer)
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
        assert!(!asked.lock().unwrap().asked.is_empty());
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
        assert_eq!(asked.lock().unwrap().asked, [""; 0], "{tool}");
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
    assert!(asked.lock().unwrap().asked.len() >= 99, "the original asks for every row");
    asked.lock().unwrap().asked.clear();
    assert_eq!(run(OURS, "-L").0, 0);
    let asked = std::mem::take(&mut asked.lock().unwrap().asked);
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
