//! `--explain`: on a healthy cluster the walk passes, on the director and on the server that it names; with each fault that
//! clients suffer from it dies, on the machine that has the fault.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::cluster::{Cluster, Kind};
use crate::{each, faults};
use lab::network::within;
use lab::{Part, parts};

/// The client's address, and the option for the service.
fn asked(kind: Kind) -> (String, &'static str) {
    let client = kind.addresses("client").first().unwrap().to_string();
    let service = match kind {
        Kind::Routing | Kind::RoutingBehindRouter | Kind::MasqueradeOneArm => "-t 192.168.1.100:80",
        Kind::Marked => "-f 1",
        Kind::Routing6 | Kind::Masquerade6 => "-t [2001:db8::100]:80",
        Kind::Masquerade | Kind::Tunnel => "-t 192.0.2.100:80",
    };
    (client, service)
}

/// The real server's own address.
fn address(kind: Kind, server: &str) -> String {
    let address = *kind.addresses(server).first().unwrap();
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

/// What the walk on the director says of a server, and then that server itself by the printed command: the status, and all
/// that was printed.
fn walks(cluster: &Cluster, server: &str) -> (i32, String) {
    let kind = cluster.kind;
    let (client, service) = asked(kind);
    let target = address(kind, server).trim_matches(['[', ']']).to_owned();
    let (status, text) =
        cluster.run("director", &format!("ipvsadm --explain {client} {service} -r {target}"));
    let Some(next) = text.lines().find_map(|line| line.trim().strip_prefix("ssh ")) else {
        return (status, text);
    };
    let (_, command) = next.split_once(' ').unwrap();
    let (then, more) = cluster.run(server, command);
    (status.max(then), format!("{text}\n{server}# {command}\n{more}"))
}

#[test]
fn the_walk_of_a_healthy_cluster_passes() {
    each(&Kind::ALL, |kind| {
        let cluster = Cluster::new(*kind);
        for server in ["rs1", "rs2"] {
            let (status, text) = walks(&cluster, server);
            assert_eq!(status, 0, "{kind:?} {server}\n{text}");
            assert!(text.contains("ssh") || text.contains("it passes"), "{text}");
        }
    });
}

parts!(the_walk_dies_of_what_clients_suffer_from of 4);

/// One fault of each kind; all with `IPVS_ALL_FAULTS=1`.
fn the_walk_dies_of_what_clients_suffer_from(part: Part) {
    // These are served, if not as configured.
    const SERVED: [&str; 5] =
        ["all-to-one", "hash-weights", "weights-ignored", "threshold-reached", "expire-quiescent-template"];
    let mut ids = HashSet::new();
    let all = std::env::var_os("IPVS_ALL_FAULTS").is_some();
    let suffering: Vec<_> = faults::all()
        .filter(|fault| fault.probe.is_none() && !SERVED.contains(&fault.id))
        .filter(|fault| all || ids.insert((fault.id, fault.at)))
        .collect();
    let suffering = part.share(&suffering);
    let missed = std::sync::Mutex::new(Vec::new());
    each(suffering, |fault| {
        let mut cluster = Cluster::new(fault.kind);
        for (host, command) in fault.stage {
            match command.strip_prefix("start ") {
                Some(daemon) => cluster.start(host, daemon),
                None => drop(cluster.succeed(host, command)),
            }
        }
        cluster.succeed(fault.at, fault.make);
        let added = fault
            .make
            .split_once("-a ")
            .and_then(|(_, rest)| rest.split_once("-r "))
            .map(|(_, rest)| rest.split(' ').next().unwrap());
        let walks = match added {
            Some(address) if fault.make.starts_with("ipvsadm") => {
                let (client, service) = asked(fault.kind);
                vec![cluster.run("director", &format!("ipvsadm --explain {client} {service} -r {address}"))]
            }
            _ => {
                let (client, service) = asked(fault.kind);
                let chosen = cluster.run("director", &format!("ipvsadm --explain {client} {service}"));
                [vec![chosen], ["rs1", "rs2"].map(|server| walks(&cluster, server)).to_vec()].concat()
            }
        };
        if walks.iter().all(|(status, _)| *status == 0) {
            let texts: Vec<&str> = walks.iter().map(|(_, text)| text.as_str()).collect();
            missed.lock().unwrap().push(format!(
                "{} at {}: {}\n{}",
                fault.id,
                fault.at,
                fault.make,
                texts.join("\n")
            ));
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(
        missed.is_empty(),
        "{} of {} faults are missed:\n{}",
        missed.len(),
        suffering.len(),
        missed.join("\n\n")
    );
}

#[test]
fn the_server_is_the_one_that_the_client_gets() {
    let cluster = Cluster::new(Kind::Routing);
    for scheduler in ["sh", "mh", "dh", "wlc"] {
        cluster.succeed("director", &format!("ipvsadm -E -t 192.168.1.100:80 -s {scheduler}"));
        let (status, text) =
            cluster.run("director", "ipvsadm --explain 192.168.1.10 -t 192.168.1.100:80 --json");
        assert_eq!(status, 0, "{text}");
        let walk: serde_json::Value = serde_json::from_str(&text).unwrap();
        let names = [("192.168.1.11:80", "rs1"), ("192.168.1.12:80", "rs2")];
        let (_, name) = names.iter().find(|(server, _)| walk["server"] == *server).unwrap();
        let got = cluster.fetch();
        // A connection that is over counts with wlc.
        assert!(
            if scheduler == "wlc" { got.contains(name) } else { got == [*name; 4].join(" ") },
            "{scheduler}: {text}\n{got}"
        );
        assert_eq!(walk["stages"][1]["stage"], "Ipvs");
        assert!(walk["next"].as_str().unwrap().starts_with("ssh 192.168.1.1"), "{text}");
    }
}

#[test]
fn what_a_change_moves_is_told_before_it_is_made() {
    let cluster = Cluster::new(Kind::Routing);
    cluster.succeed("director", "ipvsadm -E -t 192.168.1.100:80 -s sh -b sh-fallback");
    for host in 21..=28 {
        cluster.succeed("client", &format!("ip addr add 192.168.1.{host}/24 dev eth0"));
    }
    within("client", || {
        for host in 21..=28 {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from(([192, 168, 1, host], 0)).into()).unwrap();
            let vip = SocketAddr::from(([192, 168, 1, 100], 80));
            socket.connect_timeout(&vip.into(), Duration::from_secs(2)).unwrap();
        }
    });
    let server_of = |client: &str| {
        let text =
            cluster.run("director", &format!("ipvsadm --explain {client} -t 192.168.1.100:80 --json")).1;
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["server"].to_string()
    };
    let before: Vec<String> = (21..=28).map(|host| server_of(&format!("192.168.1.{host}"))).collect();
    let change = "ipvsadm --explain 192.168.1.10 -t 192.168.1.100:80 --without 192.168.1.11 --json";
    let told: serde_json::Value = serde_json::from_str(&cluster.run("director", change).1).unwrap();
    cluster.succeed("director", "ipvsadm -d -t 192.168.1.100:80 -r 192.168.1.11");
    let moved: Vec<String> = (21..=28)
        .zip(before)
        .map(|(host, before)| (format!("192.168.1.{host}"), before))
        .filter(|(client, before)| server_of(client) != *before)
        .map(|(client, _)| client)
        .collect();
    assert!(!moved.is_empty());
    assert_eq!(told["moves"]["clients"], serde_json::json!(moved), "{told}");
    assert_eq!(told["moves"]["of_clients"], 8, "{told}");
    assert!(told["moves"]["permille"].as_u64().unwrap() > 400, "{told}");
    assert_eq!(told["moves"]["others_permille"], 0, "with two servers the other one keeps all: {told}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let cluster = Cluster::new(Kind::Routing);
    let service = "-t 192.168.1.100:80";
    for (words, status, said) in [
        ("--explain 192.168.1.10".to_owned(), 2, "You need to supply the 'service-address' option"),
        (format!("--explain 192.168.1 {service}"), 2, "illegal client specified: '192.168.1'"),
        (format!("--explain 2001:db8::1 {service}"), 2, "the client '2001:db8::1' is of IPv6"),
        (format!("--explain 192.168.1.10 {service} -w 3"), 2, "add --without ADDRESS"),
        (format!("--explain 192.168.1.10 {service} -g"), 2, "add -r SERVER"),
        (
            format!("--explain 192.168.1.10 {service} --without 192.168.1.77"),
            2,
            "no real server '192.168.1.77'",
        ),
        ("--explain 192.168.1.10 -f 9 -r 192.168.1.11 -g".to_owned(), 2, "name the address instead of -f"),
        // These are no mistakes of words: the packet dies.
        ("--explain 192.168.1.10 -t 192.168.1.100:81".to_owned(), 1, "no service takes it"),
        (
            "--explain 192.168.1.10 -t 192.168.1.101:80".to_owned(),
            1,
            "192.168.1.101 is not an address of this machine",
        ),
        (format!("--explain 192.168.1.10 {service} -r 192.168.1.77"), 1, "192.168.1.77 is no real server"),
    ] {
        let (found, text) = cluster.run("director", &format!("ipvsadm {words}"));
        assert!(found == status && text.contains(said), "{words}: {found}\n{text}");
    }
}
