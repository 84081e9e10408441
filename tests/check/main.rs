//! Proves that `--check` finds what makes clients suffer, and nothing else: on a healthy cluster of each kind it says
//! nothing; then each fault is made, real traffic suffers from it, `--check` names it, the command that it prints is
//! carried out, and the finding and the suffering are gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cluster;
mod faults;
#[path = "../lab/mod.rs"]
mod lab;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cluster::{Cluster, Kind};
use faults::{FAULTS, Fault};

/// Does each piece of work in a network of its own, several at a time: most of the time is spent waiting for clients
/// that wait in vain.
fn each<T: Sync + std::fmt::Debug>(works: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(item) = works.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(item)));
                    if result.is_err() {
                        failed.lock().unwrap().push(format!("{item:?}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn a_healthy_cluster_gives_no_finding() {
    each(&Kind::ALL, |kind| {
        let cluster = Cluster::new(*kind);
        let nothing = (0, String::new());
        for _ in 0..2 {
            assert_eq!(cluster.run("client", &cluster.fetch()), (0, "rs1 rs1 rs2 rs2".to_owned()), "{kind:?}");
            assert_eq!(cluster.run("director", "ipvsadm --check"), nothing, "{kind:?}");
            for server in ["rs1", "rs2"] {
                let line = format!("ipvsadm --check {}", kind.role());
                assert_eq!(cluster.run(server, &line), nothing, "{kind:?} {server}");
            }
        }
        assert_eq!(cluster.run("director", "ipvsadm --check --json"), (0, "[]".to_owned()));
    });
}

/// The ids and the commands of what is found.
fn findings(cluster: &Cluster, fault: &Fault) -> Vec<(String, String)> {
    let (status, json) = cluster.run(fault.at, &format!("ipvsadm --check --json {}", fault.options));
    let findings: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(status, i32::from(!findings.is_empty()), "{json}");
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(finding, "id"), text(finding, "cure"))).collect()
}

fn play(fault: &Fault) {
    let mut cluster = Cluster::new(fault.kind);
    for (host, command) in fault.stage {
        match command.strip_prefix("start ") {
            Some(command) => cluster.start(host, command),
            None => drop(cluster.succeed(host, command)),
        }
    }
    let fetch = cluster.fetch();
    let (host, probe) = fault.probe.unwrap_or(("client", &fetch));
    let (_, before) = cluster.run(host, probe);
    assert_eq!(before, fault.healthy, "before the fault: {host}# {probe}");

    cluster.succeed(fault.at, fault.make);
    let (_, suffering) = cluster.run(host, probe);
    assert_ne!(suffering, fault.cured, "nobody suffers: {host}# {probe}");

    let found = findings(&cluster, fault);
    let cure = found.iter().find(|(id, _)| id == fault.id).map(|(_, cure)| cure.clone());
    let mut cure = cure.unwrap_or_else(|| panic!("{} is not among {found:?}; clients got: {suffering}", fault.id));
    for (blank, value) in fault.blanks {
        assert!(cure.contains(blank), "{cure}");
        cure = cure.replace(blank, value);
    }
    match cure.strip_prefix("start ") {
        Some(cure) => cluster.start(fault.at, cure),
        None => drop(cluster.succeed(fault.at, &cure)),
    }
    for (host, command) in fault.then {
        cluster.succeed(host, command);
    }
    let after = findings(&cluster, fault);
    assert!(after.iter().all(|(id, _)| id != fault.id), "after {cure}: {after:?}");
    // Neighbours that were asked for in vain are asked again after a while.
    let end = Instant::now() + Duration::from_secs(8);
    loop {
        let (_, after) = cluster.run(host, probe);
        if after == fault.cured {
            break;
        }
        assert!(Instant::now() < end, "after {cure}: {host}# {probe}\n{after}, not {}", fault.cured);
    }
}

#[test]
fn what_makes_clients_suffer_is_found_and_mended() {
    let only = std::env::var("FAULT").unwrap_or_default();
    let chosen: Vec<&Fault> = FAULTS.iter().flat_map(|faults| faults.iter()).filter(|fault| fault.id.contains(&only)).collect();
    each(&chosen, |fault| play(fault));
}

#[test]
fn every_finding_of_the_guide_has_a_fault() {
    let guide = include_str!("../../docs/direct-routing.md");
    for id in guide.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')) {
        assert!(FAULTS.iter().flat_map(|faults| faults.iter()).any(|fault| fault.id == id), "{id}");
    }
}
