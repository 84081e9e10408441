//! `-L -c` with filters and summaries, on connections of real traffic.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use serde_json::{Value, json};

use crate::json::read;
use crate::{OURS, run, set_up};
use lab::kernel;

/// A director that forwards its own packets to its own addresses: two TCP connections, and six of UDP from three clients to
/// three services, one of them persistent and one of a firewall mark.
struct Traffic {
    _open: Vec<TcpStream>,
    _servers: Vec<TcpListener>,
}

fn traffic() -> Traffic {
    lab::isolate();
    let addresses =
        ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2", "10.3.0.1"];
    for address in addresses {
        call("ip", &format!("addr add {address}/32 dev lo"));
    }
    for address in ["2001:db8::1", "2001:db8:1::1", "2001:db8:2::1"] {
        call("ip", &format!("addr add {address}/128 dev lo nodad"));
    }
    call("iptables-legacy", "-t mangle -A OUTPUT -d 10.0.0.3 -p udp -j MARK --set-mark 7");
    set_up(
        "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m\n-a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m\n\
         -A -u 10.0.0.1:53 -s rr\n-a -u 10.0.0.1:53 -r 10.1.0.2:53 -m\n\
         -A -u 10.0.0.2:0 -s rr -p 300\n-a -u 10.0.0.2:0 -r 10.1.0.1:0 -m\n\
         -A -f 7 -s rr -p 300\n-a -f 7 -r 10.1.0.2:0 -m\n\
         -A -u [2001:db8::1]:53 -s rr\n-a -u [2001:db8::1]:53 -r [2001:db8:1::1]:53 -m\n",
    );
    let servers = ["10.1.0.1:8080", "10.1.0.2:8080"].map(|end| TcpListener::bind(end).unwrap()).into();
    let open = [(), ()].map(|()| TcpStream::connect("10.0.0.1:80").unwrap()).into();
    for (client, service) in [
        ("10.2.0.1:4001", "10.0.0.1:53"),
        ("10.2.0.1:4002", "10.0.0.1:53"),
        ("10.2.0.2:4001", "10.0.0.1:53"),
        ("10.2.0.2:4002", "10.0.0.2:5000"),
        ("10.3.0.1:4001", "10.0.0.3:6000"),
        ("[2001:db8:2::1]:4001", "[2001:db8::1]:53"),
    ] {
        UdpSocket::bind(client).unwrap().send_to(b"ping", service).unwrap();
    }
    Traffic { _open: open, _servers: servers }
}

fn call(program: &str, line: &str) {
    let status = Command::new(program).args(line.split(' ')).status().unwrap();
    assert!(status.success(), "{program} {line}");
}

/// The rows of a listing, without the time that each is kept.
fn rows(options: &str) -> Vec<String> {
    let (status, shown, said) = run(OURS, &format!("-L -c -n {options}"));
    assert_eq!((status, said.as_str()), (0, ""), "{options}");
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some("IPVS connection entries"), "{options}");
    assert!(lines.next().unwrap().starts_with("pro expire state "), "{options}");
    let mut rows: Vec<String> = lines
        .map(|line| {
            line.split_whitespace()
                .enumerate()
                .filter(|(at, _)| *at != 1)
                .map(|(_, word)| word)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    rows.sort_unstable();
    rows
}

const LIST_CONFLICT: &str = "options conflicts in the list command; it shows one of these: the table (with --stats, --rate \
                             or --thresholds), -c, --timeout, --daemon; as one of text, --json, --prometheus";

#[test]
fn filters_keep_what_they_name() {
    if !kernel::has_iptables() {
        return;
    }
    let _traffic = traffic();
    let all = rows("");
    // A template of each persistent service beside the eight connections.
    assert_eq!(all.len(), 10, "{all:#?}");
    for (options, words, count) in [
        ("-t 10.0.0.1:80", &["TCP", " 10.0.0.1:80 "][..], 2),
        ("-t 10.0.0.1", &["TCP", " 10.0.0.1:80 "], 2),
        ("-u 10.0.0.1:53", &["UDP", " 10.0.0.1:53 "], 3),
        ("-u 10.0.0.1:80", &["UDP", " 10.0.0.1:80 "], 0),
        ("-u 10.0.0.2", &["UDP", " 10.0.0.2:"], 2),
        ("-u [2001:db8::1]:53", &["UDP", " [2001:db8::1]:53 "], 1),
        ("-f 7", &[" 10.1.0.2:", "10.3.0."], 2),
        ("-f 8", &["no such mark"], 0),
        ("-f 7 -6", &["no such mark"], 0),
        ("-r 10.1.0.1", &[" 10.1.0.1:"], 3),
        ("-r 10.1.0.1:8080", &[" 10.1.0.1:8080"], 1),
        ("-u 10.0.0.1:53 -r 10.1.0.2", &["10.0.0.1:53 10.1.0.2:53"], 3),
        ("-t 10.0.0.1:80 -r 10.1.0.2:0", &["10.0.0.1:80 10.1.0.2:8080"], 1),
        ("--client 10.2.0.1", &[" 10.2.0.1:"], 2),
        ("--client 10.2.0.9/24", &[" 10.2.0."], 4 + 1),
        ("--client 2001:db8:2::/48", &[" [2001:db8:2::1]:4001 "], 1),
        ("--client 10.2.0.0/16 --state udp", &["UDP UDP 10.2."], 4),
        ("--state ESTABLISHED", &["TCP ESTABLISHED "], 2),
        ("--state syn-recv", &["SYN_RECV"], 0),
        ("--state UDP -u 10.0.0.1:53 -r 10.1.0.2 --client 10.2.0.2/32", &["10.2.0.2:4001 10.0.0.1:53"], 1),
    ] {
        let of_all: Vec<&String> =
            all.iter().filter(|row| words.iter().all(|word| row.contains(word))).collect();
        let kept = rows(options);
        assert_eq!(kept.iter().collect::<Vec<_>>(), of_all, "{options} of {all:#?}");
        assert_eq!(kept.len(), count, "{options}: {kept:#?}");
    }
    // The columns are those of the whole listing, and JSON has the same connections.
    let (_, whole, _) = run(OURS, "-L -c -n --persistent-conn");
    let (_, some, _) = run(OURS, "-L -c -n --persistent-conn -t 10.0.0.1:80");
    assert_eq!(whole.lines().take(2).collect::<Vec<_>>(), some.lines().take(2).collect::<Vec<_>>());
    let listed = read(&run(OURS, "-L -c --json --client 10.2.0.1").1);
    assert_eq!(listed["connections"].as_array().unwrap().len(), 2);
    assert_eq!(listed["connections"][0]["client"]["address"], "10.2.0.1");
}

#[test]
fn a_summary_counts_what_a_listing_shows() {
    if !kernel::has_iptables() {
        return;
    }
    let _traffic = traffic();
    let summary = |options: &str| {
        let (status, shown, said) = run(OURS, &format!("-L -c {options}"));
        assert_eq!((status, said.as_str()), (0, ""), "{options}");
        shown
    };
    assert_eq!(
        summary("-u 10.0.0.1:53 --summary client"),
        "IPVS connections by client (connections=3, clients=2)\n\
         Connections Client\n          2 10.2.0.1\n          1 10.2.0.2\n"
    );
    assert_eq!(
        summary("--summary service"),
        "IPVS connections by service (connections=10, services=7)\n\
         Connections Service\n          3 UDP  10.0.0.1:53\n          2 TCP  10.0.0.1:80\n          \
         1 UDP  10.0.0.2:0\n          1 UDP  10.0.0.2:5000\n          1 UDP  10.0.0.3:6000\n          \
         1 UDP  [2001:db8::1]:53\n          1 FWM  7\n"
    );
    assert_eq!(
        summary("--summary server --top 1 -u 10.0.0.1:53 -n"),
        "IPVS connections by server (connections=3, servers=1)\nConnections Server\n          3 10.1.0.2:53\n"
    );
    assert_eq!(
        summary("--summary state --top 2 --client 10.2.0.0/16").lines().nth(2),
        Some("          4 UDP")
    );
    let counted = |options: &str| read(&summary(options));
    assert_eq!(
        counted("--json --summary client --top 1 -u 10.0.0.1:53"),
        json!({"schema": 1, "summary": "client", "connections": 3, "groups": 2,
               "largest": [{"client": "10.2.0.1", "connections": 2}]})
    );
    assert_eq!(
        counted("--json --summary state --state ESTABLISHED")["largest"],
        json!([{"state": "ESTABLISHED", "connections": 2}])
    );
    assert_eq!(
        counted("--json --summary server -u [2001:db8::1]:53")["largest"],
        json!([{"address": "2001:db8:1::1", "port": 53, "connections": 1}])
    );
    let services = counted("--json --summary service");
    let services = services["largest"].as_array().unwrap();
    assert_eq!(services[0], json!({"protocol": "udp", "address": "10.0.0.1", "port": 53, "connections": 3}));
    assert!(services.contains(&json!({"fwmark": 7, "family": "ipv4", "connections": 1})), "{services:?}");
    let count = |group: &Value| group["connections"].as_u64().unwrap();
    assert_eq!(services.iter().map(count).sum::<u64>(), 10);
}

#[test]
fn filters_that_mean_nothing_are_refused() {
    lab::isolate();
    set_up("-A -t 10.0.0.1:80 -s rr\n");
    for (line, said) in [
        ("-L --client 10.0.0.1", "the option 'client' is about connections: add -c"),
        ("-L -t 10.0.0.1:80 --state CLOSE", "the option 'state' is about connections: add -c"),
        ("-L --summary client", "the option 'summary' is about connections: add -c"),
        (
            "-L -c --top 3",
            "the option 'top' is about a summary: add --summary client, server, service or state",
        ),
        (
            "-L -r 10.0.0.1",
            "Illegal 'real-server' option with the 'list' command; -r is about connections: add -c",
        ),
        ("-L -c --summary client --persistent-conn", LIST_CONFLICT),
        ("-L -c --prometheus --client 10.0.0.1", LIST_CONFLICT),
        (
            "-A -t 10.0.0.2:80 --client 10.0.0.1",
            "Illegal 'client' option with the 'add-service' command; leave it out: --client goes with -L",
        ),
        (
            "-L -c --client 10.0.0.1/33",
            "illegal client specified: '10.0.0.1/33'; an address, or a network such as 192.0.2.0/24",
        ),
        (
            "-L -c --client web",
            "illegal client specified: 'web'; an address, or a network such as 192.0.2.0/24",
        ),
        (
            "-L -c --state ESTAB",
            "illegal state specified: 'ESTAB'; as a listing has it, such as ESTABLISHED, SYN_RECV, FIN_WAIT, TIME_WAIT or CLOSE",
        ),
        ("-L -c --summary port", "illegal summary specified: 'port'; client, server, service or state"),
        ("-L -c --summary client --top 0", "illegal top specified: '0'; a number from 1 on"),
        (
            "-L -c -r 10.0.0.1:http:",
            "illegal real server address[:port] specified: '10.0.0.1:http:'; the port is missing behind the colon",
        ),
    ] {
        assert_eq!(run(OURS, line), (2, String::new(), format!("{said}\n")), "{line}");
    }
}
