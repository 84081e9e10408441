//! Proves that `-L --prometheus` is what Prometheus takes: `promtool` has no complaint, the values are those of the
//! listing, and `node_exporter` and Prometheus bring them to every query of the dashboard in `docs/grafana.json`.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::OURS;
use crate::running::{FOLDER, Running, own_folder, unpacked};
use lab::kernel;

/// Runs the tool, which must succeed and say nothing.
fn ours(line: &str) -> String {
    let output = Command::new(OURS).args(line.split(' ')).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A table of every kind, with connections to one service.
fn director() {
    lab::isolate();
    for line in [
        "-A -t 127.0.0.9:80 -s wrr",
        "-a -t 127.0.0.9:80 -r 127.0.0.1:8080 -m -w 7 -x 100 -y 50",
        "-A -u 10.0.0.1:53 -s wrr -o",
        "-a -u 10.0.0.1:53 -r 10.1.0.1:53 -g -w 0",
        "-A -t [2001:db8::1]:443 -s sh -p 60",
        "-a -t [2001:db8::1]:443 -r [2001:db8:1::1]:443 -i --tun-type gue --tun-port 6080",
        "-A -f 7 -6 -s rr",
        "--start-daemon master --mcast-interface lo --syncid 5",
    ] {
        ours(line);
    }
    let server = TcpListener::bind("127.0.0.1:8080").unwrap();
    std::thread::spawn(move || {
        for client in server.incoming() {
            drop(client);
        }
    });
    for _ in 0..3 {
        TcpStream::connect("127.0.0.9:80").unwrap().read_to_end(&mut Vec::new()).unwrap();
    }
    // The kernel counts them up every two seconds.
    let end = Instant::now() + Duration::from_secs(20);
    while !ours("-L --json -t 127.0.0.9:80").contains("\"connections\":3,") {
        assert!(Instant::now() < end, "no connections are counted");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The value of a sample.
fn value(metrics: &str, sample: &str) -> u64 {
    let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    let found = lines.next().unwrap_or_else(|| panic!("no {sample} in\n{metrics}"));
    assert_eq!(lines.next(), None, "{sample} is there twice");
    found.parse().unwrap()
}

#[test]
fn promtool_takes_the_metrics_and_they_are_those_of_the_listing() {
    director();
    let metrics = ours("-L --prometheus");
    let mut promtool = Command::new(unpacked("prometheus", "usr/bin/promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");

    let web = r#"protocol="tcp",address="127.0.0.9",port="80",family="ipv4""#;
    let server = format!(r#"{web},server_address="127.0.0.1",server_port="8080",forwarding="masquerade""#);
    let listed: Value = serde_json::from_str(&ours("-L --json")).unwrap();
    let services = listed["services"].as_array().unwrap();
    let of_web = services.iter().find(|service| service["address"] == "127.0.0.9").unwrap();
    for (key, total) in of_web["stats"].as_object().unwrap() {
        assert_eq!(value(&metrics, &format!("ipvs_service_{key}_total{{{web}}}")), total.as_u64().unwrap());
        assert_eq!(value(&metrics, &format!("ipvs_server_{key}_total{{{server}}}")), total.as_u64().unwrap());
    }
    assert_eq!(value(&metrics, &format!("ipvs_service_connections_total{{{web}}}")), 3);
    for (key, expected) in [("weight", 7), ("upper_threshold", 100), ("lower_threshold", 50)] {
        assert_eq!(value(&metrics, &format!("ipvs_server_{key}{{{server}}}")), expected);
    }
    let connections = |key: &str| value(&metrics, &format!("ipvs_server_{key}_connections{{{server}}}"));
    assert_eq!((connections("active") + connections("inactive"), connections("persistent")), (3, 0));
    for (sample, expected) in [
        ("ipvs_info{version=\"1.2.1\"}", 1),
        ("ipvs_connection_table_size", kernel::connection_table_size().into()),
        ("ipvs_services", 4),
        // One has no server, and the only one of another has the weight 0.
        ("ipvs_services_without_usable_server", 2),
        ("ipvs_timeout_seconds{state=\"tcp_fin\"}", 120),
        ("ipvs_sync_daemon_running{state=\"master\",interface=\"lo\",sync_id=\"5\"}", 1),
        ("ipvs_service_connections_total{fwmark=\"7\",family=\"ipv6\"}", 0),
        (
            "ipvs_server_weight{protocol=\"tcp\",address=\"2001:db8::1\",port=\"443\",family=\"ipv6\",\
             server_address=\"2001:db8:1::1\",server_port=\"443\",forwarding=\"tunnel\"}",
            1,
        ),
    ] {
        assert_eq!(value(&metrics, sample), expected, "{sample}");
    }
    // Of one service there is nothing of others, nor of the director.
    let one = ours("-L --prometheus -t 127.0.0.9:80");
    assert!(one.lines().filter(|line| !line.starts_with('#')).all(|line| line.contains(web)), "{one}");

    let refused = |line: &str| {
        let output = Command::new(OURS).args(line.split(' ')).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for line in ["-L --prometheus --json", "-L --prometheus -c", "-L --prometheus --daemon"] {
        let (status, said) = refused(line);
        assert!(
            status == 2 && said.starts_with("options conflicts in the list command; it shows one of"),
            "{line}: {said}"
        );
    }
    let (status, said) = refused("-L --file /run/listing");
    assert_eq!((status, said.contains("--prometheus")), (2, true), "{said}");
    let (status, said) = refused("-L --prometheus --file /nonexistent/ipvs.prom");
    assert_eq!(
        (status, said.as_str()),
        (1, "cannot write '/nonexistent/ipvs.prom': No such file or directory\n")
    );
}

/// What a path of a local server is, or none while it does not answer.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// The samples that a query finds, once it finds some.
fn query(text: &str) -> Vec<Value> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut encoded = String::new();
    text.bytes().for_each(|byte| write!(encoded, "%{byte:02x}").unwrap());
    loop {
        let answer = get(9090, &format!("/api/v1/query?query={encoded}"));
        if let Some(answer) = answer.and_then(|answer| serde_json::from_str::<Value>(&answer).ok()) {
            assert_eq!(answer["status"], "success", "{text}: {answer}");
            let found = answer["data"]["result"].as_array().unwrap();
            if !found.is_empty() {
                return found.clone();
            }
        }
        assert!(Instant::now() < end, "{text} finds nothing");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn prometheus_answers_the_queries_of_the_dashboard() {
    director();
    own_folder();
    let folder = FOLDER;
    // As packaging/ipvsadm-metrics.service does.
    let unit = include_str!("../../packaging/ipvsadm-metrics.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/sbin/ipvsadm ")).unwrap();
    let (options, _) = command.rsplit_once(' ').unwrap();
    let line = format!("{options} {folder}/ipvs.prom");
    ours(&line);

    let mut exporter = Command::new(unpacked("prometheus-node-exporter", "usr/bin/prometheus-node-exporter"));
    exporter.args(["--collector.disable-defaults", "--collector.textfile"]);
    exporter.arg(format!("--collector.textfile.directory={folder}"));
    let _exporter = Running::start("exporter", exporter.arg("--web.listen-address=127.0.0.1:9100"));
    let config = format!("{folder}/prometheus.yml");
    fs::write(
        &config,
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: director\n    static_configs:\n      - targets: ['127.0.0.1:9100']\n",
    )
    .unwrap();
    let mut prometheus = Command::new(unpacked("prometheus", "usr/bin/prometheus"));
    prometheus.args([format!("--config.file={config}"), format!("--storage.tsdb.path={folder}/data")]);
    let _prometheus = Running::start("prometheus", prometheus.arg("--web.listen-address=127.0.0.1:9090"));
    let found = query("ipvs_services");
    assert_eq!(found[0]["value"][1], "4");
    let error = query("node_textfile_scrape_error");
    assert_eq!(error[0]["value"][1], "0");

    TcpStream::connect("127.0.0.9:80").unwrap().read_to_end(&mut Vec::new()).unwrap();
    std::thread::spawn(move || {
        loop {
            ours(&line);
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let dashboard: Value = serde_json::from_str(include_str!("../../docs/grafana.json")).unwrap();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let text = target["expr"].as_str().unwrap().replace("$__rate_interval", "30s");
            assert!(!query(&text).is_empty(), "{text}");
            queries += 1;
        }
    }
    assert!(queries >= 8, "{queries}");
    // Four connections by now.
    let total = r#"ipvs_service_connections_total{address="127.0.0.9"} == 4"#;
    assert_eq!(query(total).len(), 1);
}

/// `docs/alerts.yml`: each alert for a director that is not well, and none for one that is.
#[test]
fn alerts_are_for_directors_that_are_not_well() {
    let promtool = unpacked("prometheus", "usr/bin/promtool");
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/beside/alerts.yml");
    let output = Command::new(&promtool).args(["test", "rules", tests]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/alerts.yml");
    let output = Command::new(&promtool).args(["check", "rules", alerts]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // Each has a test.
    let [alerts, tests] = [alerts, tests].map(|file| fs::read_to_string(file).unwrap());
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 5);
    for name in names {
        assert!(
            tests.contains(&format!("alertname: {name}\n        exp_alerts:")),
            "{name} is never expected"
        );
    }
}
