//! `--json`: the JSON of a table, that every table is read back, and messages about invalid input.

use std::io;
use std::sync::OnceLock;

use boon::{Compiler, SchemaIndex, Schemas};
use ipvs::{
    Change, Client, DaemonState, Destination, ForwardingMethod, Netmask, Persistence, Scheduler, Service,
    ServiceId, SyncDaemon, Table, Transport,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_GENERIC;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::apply::{AFTER, BEFORE, rules};
use crate::{OURS, as_nobody, feed, run, set_up, table};
use lab::kernel;

const NOTHING: (i32, String, String) = (0, String::new(), String::new());

/// One line of JSON in the form of the schema.
pub(crate) fn read(line: &str) -> Value {
    static SCHEMA: OnceLock<(Schemas, SchemaIndex)> = OnceLock::new();
    let (schemas, schema) = SCHEMA.get_or_init(|| {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        let schema = serde_json::from_str(include_str!("../../docs/schema.json")).unwrap();
        compiler.add_resource("schema.json", schema).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        (schemas, index)
    });
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    let value = serde_json::from_str(line).unwrap();
    if let Err(error) = schemas.validate(&value, *schema) {
        panic!("{error:#}\n{line}");
    }
    value
}

/// The output of a call that must succeed.
fn shown(line: &str) -> Value {
    let (status, shown, said) = run(OURS, line);
    assert_eq!((status, said.as_str()), (0, ""), "{line}");
    read(&shown)
}

/// The table of the design, and one of each other kind.
const TABLE: &str = "-A -t 192.0.2.1:80 -s wrr -p 300 -M 255.255.255.0 -b flag-1\n\
    -a -t 192.0.2.1:80 -r 192.0.2.11:80 -g -w 1\n\
    -A -u 192.0.2.1:53 -s rr -o\n\
    -A -f 7 -6 -s rr\n\
    -a -f 7 -6 -r [2001:db8::1]:0 -i -w 3 -x 9 -y 2 --tun-type gue --tun-port 6080 --tun-csum\n";

#[test]
fn a_listing_has_everything_under_its_name() {
    lab::isolate();
    set_up(TABLE);
    let zero = json!({"connections": 0, "in_packets": 0, "out_packets": 0, "in_bytes": 0, "out_bytes": 0});
    let expected = json!({"schema": 1, "ipvs": "1.2.1", "connection_table_size": kernel::connection_table_size(), "services": [
        {"protocol": "tcp", "address": "192.0.2.1", "port": 80, "scheduler": "wrr", "scheduler_flags": ["flag-1"],
         "persistence": {"timeout": 300, "netmask": "255.255.255.0"}, "stats": zero, "rates": zero, "servers": [
            {"address": "192.0.2.11", "port": 80, "forwarding": "direct_routing", "weight": 1, "upper_threshold": 0,
             "lower_threshold": 0, "active_connections": 0, "inactive_connections": 0, "persistent_connections": 0,
             "stats": zero, "rates": zero}]},
        {"protocol": "udp", "address": "192.0.2.1", "port": 53, "scheduler": "rr", "one_packet": true,
         "stats": zero, "rates": zero, "servers": []},
        {"fwmark": 7, "family": "ipv6", "scheduler": "rr", "stats": zero, "rates": zero, "servers": [
            {"address": "2001:db8::1", "port": 0, "forwarding": "tunnel",
             "tunnel": {"type": "gue", "port": 6080, "checksum": "on"}, "weight": 3, "upper_threshold": 9,
             "lower_threshold": 2, "active_connections": 0, "inactive_connections": 0, "persistent_connections": 0,
             "stats": zero, "rates": zero}]},
    ]});
    // Each view shows a part of it, and how full the tables are where the kernel tells.
    let tells = std::fs::exists("/proc/thread-self/net/ip_vs_status").unwrap();
    for line in ["-L --json", "-L --json -n --stats", "-Ln --rate --json", "-L --thresholds --json --exact"] {
        let mut listed = shown(line);
        let load = listed.as_object_mut().unwrap().remove("load");
        assert_eq!(load.is_some(), tells, "{line}");
        assert!(load.is_none_or(|load| load["services"] == 3 && load["connections"] == 0), "{line}");
        assert_eq!(listed, expected, "{line}");
    }
    assert_eq!(shown("-L --json -u 192.0.2.1:53")["services"], json!([expected["services"][1]]));
    assert_eq!(shown("-L --json -c"), json!({"schema": 1, "connections": []}));
    let timeouts = json!({"tcp": 900, "tcp_fin": 120, "udp": 300});
    assert_eq!(shown("-L --json --timeout"), json!({"schema": 1, "timeouts": timeouts}));
    assert_eq!(shown("-L --json --daemon"), json!({"schema": 1, "daemons": []}));
    run(OURS, "--start-daemon backup --mcast-interface lo --syncid 7");
    let daemons = shown("-L --json --daemon");
    assert_eq!(daemons["daemons"][0]["state"], "backup");
    assert_eq!(daemons["daemons"][0]["sync_id"], 7);

    let saved = shown("-S --json");
    assert_eq!((saved.get("timeouts"), saved.get("daemons"), saved.get("ipvs")), (None, None, None));
    assert!(saved["services"][0].get("stats").is_none());
    let full = shown("-S --json --full");
    assert_eq!((&full["timeouts"], &full["daemons"]), (&timeouts, &daemons["daemons"]));
    assert_eq!(full["services"], saved["services"]);
}

#[test]
fn every_table_comes_back() {
    lab::isolate();
    let config = Config { cases: 10, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(rules(), rules()), |(first, second)| {
            let full = || run(OURS, "-S --full").1.split_once('\n').unwrap().1.to_owned();
            prop_assert_eq!(feed(OURS, "-R --apply", &first), NOTHING);
            let (rules, saved) = (full(), run(OURS, "-S --json --full").1);
            let document = read(&saved);
            // A listing is a table too.
            let (_, listed, _) = run(OURS, "-L --json");
            prop_assert_eq!(
                feed(OURS, "-R --diff --json", &saved),
                (0, "{\"schema\":1,\"changes\":[]}\n".into(), String::new())
            );
            prop_assert_eq!(feed(OURS, "-R --json --diff", &listed).0, 0);
            for how in ["", " --replace", " --apply"] {
                prop_assert_eq!(
                    feed(OURS, "-R --apply", if how.is_empty() { "-C\n" } else { &second }),
                    NOTHING
                );
                prop_assert_eq!(feed(OURS, &format!("-R --json{how}"), &saved), NOTHING);
                prop_assert_eq!(&full(), &rules);
                prop_assert_eq!(&read(&run(OURS, "-S --json --full").1), &document);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_difference_in_json_is_the_one_in_lines() {
    lab::isolate();
    set_up(BEFORE);
    let (status, shown, said) = feed(OURS, "-R --diff --json", AFTER);
    assert_eq!((status, said.as_str()), (1, ""));
    let changes = read(&shown);
    let names: Vec<&str> = changes["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["change"].as_str().unwrap())
        .collect();
    let expected =
        ["edit_service", "edit_server", "add_server", "add_service", "delete_server", "delete_service"];
    assert_eq!(names, expected);
    assert_eq!(
        changes["changes"][5]["service"],
        json!({"protocol": "tcp", "address": "10.0.0.2", "port": 80})
    );

    // The same difference from a document.
    feed(OURS, "-R --apply", AFTER);
    let (_, after, _) = run(OURS, "-S --json");
    feed(OURS, "-R --apply", BEFORE);
    assert_eq!(feed(OURS, "-R --json --diff", &after), (1, shown, String::new()));
    assert_eq!(table(), BEFORE);
}

#[test]
fn a_document_without_a_key_leaves_what_it_is_about() {
    lab::isolate();
    set_up(
        "-A -t 10.0.0.1:80 -s rr\n--set 100 20 30\n--start-daemon backup --mcast-interface lo --syncid 4\n",
    );
    let running = || run(OURS, "-L --daemon").1 + &run(OURS, "-L --timeout").1;
    let before = running();
    assert_eq!(feed(OURS, "-R --json --apply", "{\"services\": []}"), NOTHING);
    assert_eq!((table(), running()), (String::new(), before));
    let one = r#"{"services": [{"protocol": "udp", "address": "10.0.0.9", "port": 53, "scheduler": "rr"}],
        "timeouts": {"tcp": 900, "tcp_fin": 120, "udp": 300}, "stopped_daemons": ["backup"]}"#;
    assert_eq!(feed(OURS, "-R --json --apply", one), NOTHING);
    assert_eq!(table(), "-A -u 10.0.0.9:53 -s rr\n");
    assert_eq!(running(), "Timeout (tcp tcpfin udp): 900 120 300\n");
}

#[test]
fn what_is_no_table_is_one_line_and_changes_nothing() {
    lab::isolate();
    set_up(BEFORE);
    let service = |more: &str| {
        format!(
            r#"{{"services": [{{"protocol": "tcp", "address": "10.0.0.1", "port": 80, "scheduler": "rr"{more}}}]}}"#
        )
    };
    let twice = format!("{}x", service(""));
    for (input, path, why) in [
        (
            service(r#", "servers": [{"address": "10.1.0.1", "port": 80, "forwarding": "nat"}]"#),
            "services[0].servers[0].forwarding",
            "masquerade",
        ),
        (service(r#", "prot": 1"#), "services[0].prot", "unknown field `prot`"),
        (service(r#", "persistence": {"timeout": -1}"#), "services[0].persistence.timeout", "integer `-1`"),
        (r#"{"services": [{"fwmark": 0, "scheduler": "rr"}]}"#.to_owned(), "services[0].fwmark", "nonzero"),
        ("{\"schema\": 9, \"services\": []}".to_owned(), "", "schema 9"),
        ("{\n\"services\":\n7}".to_owned(), "services", "line 3 column 1"),
        ("{}".to_owned(), "", "missing field `services`"),
        ("[]".to_owned(), "", "line 1"),
        (twice, "", "trailing"),
        (BEFORE.to_owned(), "", "line 1 column"),
        (String::new(), "", "EOF"),
        ("{\"services\": [\"\u{1b}[2J\"]}".to_owned(), "", "line 1"),
    ] {
        for how in ["", " --replace", " --apply", " --dry-run"] {
            let (status, shown, said) = feed(OURS, &format!("-R --json{how}"), &input);
            assert_eq!((status, shown.as_str(), said.lines().count()), (2, "", 1), "{how} {input}: {said}");
            assert!(said.contains(path) && said.contains(why) && said.contains("docs/schema.json"), "{said}");
            assert!(!said.contains('\u{1b}'), "{said:?}");
        }
    }
    // The kernel's refusals name the rule.
    let (status, _, said) = feed(OURS, "-R --json", &service(""));
    assert_eq!(
        (status, said.as_str()),
        (255, "-A -t 10.0.0.1:80 -s rr: Service already exists: 'TCP 10.0.0.1:80'; -E changes it\n")
    );
    for line in ["-A -t 10.0.0.9:80 --json", "-C --json", "-Z --json"] {
        let (status, _, said) = run(OURS, line);
        assert_eq!((status, said.contains("Illegal 'json' option")), (2, true), "{said}");
    }
    assert_eq!(table(), BEFORE);
    // A dry run needs no kernel.
    let (status, shown, said) = as_nobody("-R --json --dry-run --file /dev/null");
    assert_eq!((status, shown.as_str(), said.contains("EOF")), (2, "", true));
}

#[test]
fn what_no_line_can_restore_is_named_and_comes_back_from_json() {
    lab::isolate();
    let mut client = Client::open().unwrap();
    let web = ServiceId::tcp("10.0.0.1".parse().unwrap(), 80);
    let all_ports = ServiceId::tcp("10.0.0.2".parse().unwrap(), 0);
    client.add_service(&Service::new(web, Scheduler::RR)).unwrap();
    let plain = Destination::new("10.1.0.1".parse().unwrap(), 80, ForwardingMethod::DirectRouting);
    client.add_destination(&web, &plain).unwrap();
    assert_eq!(run(OURS, "-S -n").2, "");

    // A port that direct routing ignores; all ports without persistence; one-packet scheduling of TCP.
    let other_port = Destination::new("10.1.0.1".parse().unwrap(), 8080, ForwardingMethod::DirectRouting);
    client.add_destination(&web, &other_port).unwrap();
    client.add_service(&Service::new(all_ports, Scheduler::RR)).unwrap();
    let mut one_packet = Service::new(ServiceId::tcp("10.0.0.3".parse().unwrap(), 80), Scheduler::RR);
    one_packet.one_packet = true;
    client.add_service(&one_packet).unwrap();
    let said = "no line can restore this rule as it is: -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -g -w 1 and 2 more; \
        ipvsadm -S --json can save it\n";
    let (status, saved, lost) = run(OURS, "-S -n");
    assert_eq!((status, lost.as_str()), (0, said));
    assert_ne!(feed(OURS, "-R --replace", &saved), NOTHING);

    client.flush().unwrap();
    for change in [
        Change::AddService(Service::new(web, Scheduler::RR)),
        Change::AddDestination { service: web, destination: plain },
        Change::AddDestination { service: web, destination: other_port },
        Change::AddService(Service::new(all_ports, Scheduler::RR)),
        Change::AddService(one_packet),
    ] {
        client.apply(&change).unwrap();
    }
    let before = Table::read(&mut client).unwrap();
    let (status, document, said) = run(OURS, "-S --json");
    assert_eq!((status, said.as_str()), (0, ""));
    assert_eq!(feed(OURS, "-R --json --replace", &document), NOTHING);
    assert_eq!(Table::read(&mut client).unwrap(), before);
}

/// A socket of a program that makes what this one refuses: in each datagram one value is replaced by another.
struct Other(Socket, [u32; 2]);

impl Transport for Other {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let [from, to] = self.1.map(u32::to_ne_bytes);
        let mut sent = datagram.to_vec();
        while let Some(at) = sent.windows(4).position(|bytes| bytes == from) {
            sent[at..at + 4].copy_from_slice(&to);
        }
        self.0.send(&sent, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.0.recv(buffer, MSG_DONTWAIT).map(|_| ())
    }
}

#[test]
fn what_a_restore_would_refuse_is_named_when_it_is_saved() {
    lab::isolate();
    set_up("-A -t 10.0.0.9:80 -s rr\n");
    let other =
        |from, to| Client::with_transport(Other(Socket::new(NETLINK_GENERIC).unwrap(), [from, to])).unwrap();
    // More seconds than this one takes, and the number of a daemon that no message has room for.
    let web = ServiceId::tcp("10.0.0.1".parse().unwrap(), 80);
    let mut service = Service::new(web, Scheduler::RR);
    service.persistence = Some(Persistence::new(1_234_567, Netmask::single(web.family())));
    other(1_234_567, 3_000_000).add_service(&service).unwrap();
    let refused = |options: &str| {
        let (status, saved, said) = run(OURS, &format!("-S {options}"));
        assert_eq!(status, 0, "{options}: {said}");
        let restore = if options.contains("json") { "-R --json --replace" } else { "-R --replace" };
        (feed(OURS, restore, &saved), said)
    };
    for (options, expected) in [
        ("--json", "ipvsadm -R refuses what was saved of this as it is: TCP 10.0.0.1:80: "),
        ("--json --full", "ipvsadm -R refuses what was saved of this as it is: TCP 10.0.0.1:80: "),
        (
            "--full",
            "no line can restore this rule as it is: -A -t 10.0.0.1:80 -s rr -p 3000000; ipvsadm -S --json does not save all of it either",
        ),
        (
            "-n",
            "no line can restore this rule as it is: -A -t 10.0.0.1:80 -s rr -p 3000000; ipvsadm -S --json does not save all of it either",
        ),
    ] {
        let (restored, said) = refused(options);
        assert!(said.starts_with(expected) && said.lines().count() == 1, "{options}: {said}");
        assert_ne!(restored, NOTHING, "{options}");
    }
    run(OURS, "-D -t 10.0.0.1:80");
    let (restored, said) = refused("--json --full");
    assert_eq!((restored, said.as_str()), (NOTHING, ""));
    let daemon = SyncDaemon::new(DaemonState::Master, "lo".parse().unwrap(), 77);
    other(77, 777).start_daemon(&daemon).unwrap();
    let (restored, said) = refused("--json --full");
    let expected = "ipvsadm -R refuses what was saved of this as it is: the timeouts and sync daemons: ";
    assert!(said.starts_with(expected) && said.contains("777"), "{said}");
    assert_ne!(restored, NOTHING);
    let (restored, said) = refused("--full");
    assert!(said.starts_with("no line can restore this rule as it is: --start-daemon master "), "{said}");
    assert_ne!(restored, NOTHING);
}

#[test]
fn findings_name_the_service_and_the_server() {
    lab::isolate();
    set_up("-A -t 127.0.0.9:80 -s rr\n-a -t 127.0.0.9:80 -r 10.1.0.1:80 -m -w 1\n-A -f 7 -s rr\n");
    let (status, shown, said) = run(OURS, "--check --json --file /nonexistent");
    assert_eq!((status, said.as_str()), (1, ""));
    let findings = read(&shown);
    let find = |id: &str| findings.as_array().unwrap().iter().find(|finding| finding["id"] == id).unwrap();
    let unreachable = find("server-unreachable");
    assert_eq!(unreachable["at"], "TCP 127.0.0.9:80 -> 10.1.0.1:80");
    let parts = ["protocol", "service", "server", "severity"].map(|key| &unreachable[key]);
    assert_eq!(parts, ["tcp", "127.0.0.9:80", "10.1.0.1:80", "error"]);
    let of_mark = find("no-server");
    assert_eq!((&of_mark["service"], of_mark.get("protocol")), (&json!("fwmark 7"), None));
    assert_eq!(find("save-missing")["severity"], "warning");
    // Names are shown as a terminal can show them.
    run("ip", "link add name \u{9b}31m\u{202e} type dummy");
    run("ip", "link set \u{9b}31m\u{202e} up");
    run(OURS, "--start-daemon master --mcast-interface \u{9b}31m\u{202e}");
    let (_, daemons, _) = run(OURS, "-L --daemon --json");
    assert!(daemons.contains(r#""interface":"\u009b31m\u202e""#), "{daemons}");
    assert_eq!(read(&daemons)["daemons"][0]["interface"], "\u{9b}31m\u{202e}");
}
