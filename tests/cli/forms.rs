//! Lines and JSON are two forms of one thing: what one takes, the other takes, in every mode, with the same result.

use ipvs::{Client, DaemonState, InterfaceName, SyncDaemon, Table};
use serde_json::json;

use crate::{OURS, feed, run, set_up, table};

/// A template of a number's place, in lines and as JSON: `#` stands for the number.
struct Field {
    line: &'static str,
    document: &'static str,
}

const fn field(line: &'static str, document: &'static str) -> Field {
    Field { line, document }
}

/// Every number that a service, a server, a daemon or the timeouts have.
const FIELDS: [Field; 18] = [
    field("-A -f # -s rr", r#"{"services":[{"fwmark":#,"scheduler":"rr"}]}"#),
    field(
        "-A -t 10.0.0.1:# -s rr -p 60",
        r#"{"services":[{"protocol":"tcp","address":"10.0.0.1","port":#,"scheduler":"rr","persistence":{"timeout":60}}]}"#,
    ),
    field(
        "-A -f 7 -s rr -p #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr","persistence":{"timeout":#}}]}"#,
    ),
    field(
        "-A -f 7 -6 -s rr -p 60 -M #",
        r#"{"services":[{"fwmark":7,"family":"ipv6","scheduler":"rr","persistence":{"timeout":60,"netmask":#}}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1:# -m",
        r#"{"services":[{"fwmark":7,"scheduler":"rr","servers":[{"address":"10.1.0.1","port":#,"forwarding":"masquerade"}]}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1:80 -m -w #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr","servers":[{"address":"10.1.0.1","port":80,"forwarding":"masquerade","weight":#}]}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1:80 -m -x #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr","servers":[{"address":"10.1.0.1","port":80,"forwarding":"masquerade","upper_threshold":#}]}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1:80 -m -x 2147483647 -y #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr","servers":[{"address":"10.1.0.1","port":80,"forwarding":"masquerade","upper_threshold":2147483647,"lower_threshold":#}]}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1:80 -m -x 70000 -y #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr","servers":[{"address":"10.1.0.1","port":80,"forwarding":"masquerade","upper_threshold":70000,"lower_threshold":#}]}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1 -i --tun-type gue --tun-port #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr","servers":[{"address":"10.1.0.1","port":0,"forwarding":"tunnel","tunnel":{"type":"gue","port":#}}]}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n--set # 20 30",
        r#"{"services":[{"fwmark":7,"scheduler":"rr"}],"timeouts":{"tcp":#,"tcp_fin":20,"udp":30}}"#,
    ),
    field(
        "-A -f 7 -s rr\n--set 10 # 30",
        r#"{"services":[{"fwmark":7,"scheduler":"rr"}],"timeouts":{"tcp":10,"tcp_fin":#,"udp":30}}"#,
    ),
    field(
        "-A -f 7 -s rr\n--set 10 20 #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr"}],"timeouts":{"tcp":10,"tcp_fin":20,"udp":#}}"#,
    ),
    field(
        "-A -f 7 -s rr\n--start-daemon master --mcast-interface lo --syncid #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr"}],"daemons":[{"state":"master","interface":"lo","sync_id":#}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n--start-daemon master --mcast-interface lo --sync-maxlen #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr"}],"daemons":[{"state":"master","interface":"lo","max_length":#}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n--start-daemon backup --mcast-interface lo --sync-maxlen #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr"}],"daemons":[{"state":"backup","interface":"lo","max_length":#}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n--start-daemon master --mcast-interface lo --mcast-port #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr"}],"daemons":[{"state":"master","interface":"lo","port":#}]}"#,
    ),
    field(
        "-A -f 7 -s rr\n--start-daemon master --mcast-interface lo --mcast-ttl #",
        r#"{"services":[{"fwmark":7,"scheduler":"rr"}],"daemons":[{"state":"master","interface":"lo","ttl":#}]}"#,
    ),
];

/// Where some field ends, and beyond.
const NUMBERS: [&str; 17] = [
    "-1",
    "0",
    "1",
    "128",
    "129",
    "255",
    "256",
    "65507",
    "65508",
    "65535",
    "65536",
    "2678400",
    "2678401",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
];

/// What the kernel has, all of it.
fn whole() -> String {
    serde_json::to_string(&Table::read(&mut Client::open().unwrap()).unwrap()).unwrap()
}

/// Without services and daemons, and with the kernel's own timeouts.
fn cleared() {
    let mut client = Client::open().unwrap();
    client.flush().unwrap();
    for daemon in client.daemons().unwrap() {
        client.stop_daemon(daemon.state, daemon.sync_id).unwrap();
    }
    client.set_timeouts(&ipvs::Timeouts::KERNEL).unwrap();
}

#[test]
fn a_number_is_taken_by_both_forms_or_by_neither() {
    lab::isolate();
    run("ip", "link set lo up");
    for Field { line, document } in FIELDS {
        let mut verdicts = std::collections::HashSet::new();
        for number in NUMBERS {
            cleared();
            let (status, _, said) = feed(OURS, "-R --apply", &line.replace('#', number));
            let by_line = (status == 0, whole());
            cleared();
            let text = document.replace('#', number);
            let (status, _, told) = feed(OURS, "-R --json --apply", &text);
            assert_eq!((status == 0, whole()), by_line, "{text}: {told}; as a line: {said}");
            verdicts.insert(status == 0);
            if status == 0 {
                // What is applied is what is read back.
                assert_eq!(feed(OURS, "-R --json --diff", &text).0, 0, "{text}: {}", by_line.1);
                let digits = format!(":{number}");
                let is_there =
                    by_line.1.contains(&format!("{digits},")) || by_line.1.contains(&format!("{digits}}}"));
                // What 0 is the default of is not written, and the kernel shortens messages as it must.
                assert!(is_there || number == "0" || text.contains("max_length"), "{text}: {}", by_line.1);
            }
        }
        assert_eq!(verdicts.len(), 2, "{line}");
    }
}

const BEFORE: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n";
const AFTER: &str = "-A -u 10.0.0.2:53 -s wlc\n-a -u 10.0.0.2:53 -r 10.1.0.2:53 -m -w 3\n";

/// The same table as lines and as JSON: another service, other timeouts, and of the daemons that run one is stopped and
/// the other replaced.
fn forms() -> [String; 2] {
    let lines = format!(
        "{AFTER}--set 10 20 30\n--stop-daemon backup\n--start-daemon master --mcast-interface lo --syncid 9\n"
    );
    let document = json!({
        "services": [{
            "protocol": "udp", "address": "10.0.0.2", "port": 53, "scheduler": "wlc",
            "servers": [{"address": "10.1.0.2", "port": 53, "forwarding": "masquerade", "weight": 3}],
        }],
        "timeouts": {"tcp": 10, "tcp_fin": 20, "udp": 30},
        "daemons": [{"state": "master", "interface": "lo", "sync_id": 9}],
        "stopped_daemons": ["backup"],
    });
    [lines, document.to_string()]
}

#[test]
fn each_mode_does_the_same_with_both_forms() {
    lab::isolate();
    run("ip", "link set lo up");
    let daemon = |state, id| SyncDaemon::new(state, InterfaceName::new(b"lo").unwrap(), id);
    for master in [None, Some(3), Some(9)] {
        for mode in [
            "",
            " --replace",
            " --diff",
            " --apply",
            " --dry-run",
            " --replace --dry-run",
            " --apply --dry-run",
        ] {
            let told = forms().map(|input| {
                cleared();
                set_up(BEFORE);
                let mut client = Client::open().unwrap();
                client.start_daemon(&daemon(DaemonState::Backup, 3)).unwrap();
                if let Some(id) = master {
                    client.start_daemon(&daemon(DaemonState::Master, id)).unwrap();
                }
                let json = if input.starts_with('{') { " --json" } else { "" };
                let how =
                    if mode == " --diff" { " --json --diff".to_owned() } else { format!("{json}{mode}") };
                let (status, shown, said) = feed(OURS, &format!("-R{how}"), &input);
                (
                    status,
                    shown,
                    said.replacen("line 5: ", "", 1),
                    table(),
                    run(OURS, "-L --daemon").1,
                    run(OURS, "-L --timeout").1,
                )
            });
            let [lines, document] = told;
            if mode.contains("dry-run") && !mode.contains("apply") {
                // The same lines in another order.
                let sorted = |text: &str| {
                    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                    lines.sort();
                    lines
                };
                assert_eq!(sorted(&lines.1), sorted(&document.1), "{mode} {master:?}");
                assert_eq!(lines.0, document.0);
                continue;
            }
            let [mut lines, mut document] = [lines, document];
            if mode.contains("dry-run") {
                let changes: serde_json::Value = serde_json::from_str(&document.1).unwrap();
                let count = |shown: &str| shown.lines().count().to_string();
                (lines.1, document.1) =
                    (count(&lines.1), changes["changes"].as_array().unwrap().len().to_string());
            }
            // A daemon that runs already is refused by its line, or by its rule.
            if lines.0 == 255 {
                (lines.2, document.2) =
                    (lines.2.len().min(1).to_string(), document.2.len().min(1).to_string());
            }
            assert_eq!(lines, document, "{mode} {master:?}");
            if [" --replace", " --apply"].contains(&mode) {
                assert_eq!((lines.0, lines.3.as_str()), (0, AFTER), "{mode}: {}", lines.2);
                assert!(lines.4.contains("syncid=9") && !lines.4.contains("backup"), "{}", lines.4);
            }
        }
    }
}

#[test]
fn a_server_of_the_other_family_is_refused_for_its_method() {
    lab::isolate();
    let server = r#"{"address":"2001:db8::1","port":80,"forwarding":"masquerade"}"#;
    let document = format!(
        r#"{{"services":[{{"protocol":"tcp","address":"10.0.0.1","port":80,"scheduler":"rr","servers":[{server}]}}]}}"#
    );
    for how in ["", " --replace", " --apply"] {
        let (status, _, said) = feed(OURS, &format!("-R --json{how}"), &document);
        assert_eq!(status, 255, "{said}");
        assert!(said.contains("is reached by a tunnel alone (-i)") && !said.contains("daemon"), "{said}");
        run(OURS, "-C");
    }
}

#[test]
fn a_name_that_is_no_text_is_of_the_schema_and_comes_back() {
    lab::isolate();
    let name = InterfaceName::new(b"d\xff0").unwrap();
    let add = std::process::Command::new("ip")
        .args(["link", "add", "name"])
        .arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name.as_bytes()))
        .args(["up", "type", "dummy"])
        .status();
    assert!(add.unwrap().success());
    let mut client = Client::open().unwrap();
    client.start_daemon(&SyncDaemon::new(DaemonState::Backup, name, 3)).unwrap();
    let (status, listed, _) = run(OURS, "-L --daemon --json");
    assert_eq!(status, 0);
    assert_eq!(crate::json::read(&listed)["daemons"][0]["interface"], json!([100, 255, 48]));
    let (_, saved, _) = run(OURS, "-S --json --full");
    crate::json::read(&saved);
    client.stop_daemon(DaemonState::Backup, 3).unwrap();
    assert_eq!(feed(OURS, "-R --json --apply", &saved).0, 0);
    assert_eq!(client.daemons().unwrap()[0].interface, name);
}
