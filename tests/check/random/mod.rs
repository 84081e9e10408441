//! Random changes of healthy clusters: clients' requests say whether a cluster is sick, and `--check`, asked on the director
//! and on each server, must say the same.
//!
//! `IPVS_RANDOM_SEED` and `IPVS_RANDOM_CASES` choose other cases than those of every run; each disagreement is printed with
//! its seed.

mod change;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lab::{Part, parts};

use change::{Change, change};

use crate::cluster::Cluster;
use crate::each;

/// The cases of every run.
const SEED: u64 = 2;
const CASES: u64 = 40;

/// Whether all clients are served by all servers with a weight, as far as four requests tell; asked again for a while, as a
/// neighbour that was asked for in vain is.
fn is_sick(cluster: &Cluster) -> (bool, String) {
    let end = Instant::now() + Duration::from_secs(4);
    loop {
        let pages = cluster.fetch();
        let sick = pages.contains('-');
        if !sick || Instant::now() > end {
            return (sick, pages);
        }
    }
}

/// The ids of the errors that are found on the director and on the servers, each with its host.
fn errors(cluster: &Cluster) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for (host, line) in [
        ("director", "ipvsadm --check --json".to_owned()),
        ("rs1", format!("ipvsadm --check --json {}", cluster.kind.role())),
        ("rs2", format!("ipvsadm --check --json {}", cluster.kind.role())),
    ] {
        let (_, json) = cluster.run(host, &line);
        let found: Vec<serde_json::Value> =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
        all.extend(
            found
                .iter()
                .filter(|finding| finding["severity"] == "error")
                .map(|finding| (host.to_owned(), text(finding, "id"), text(finding, "fix"))),
        );
    }
    all
}

/// Findings that are true of other clients than the one that asks here: those of the server's own network, those behind
/// the server's gateway, and those that pause.
const OF_OTHER_CLIENTS: [&str; 3] = ["server-vip-mask", "gateway-is-director", "timeout-short"];

/// How a case went.
enum Outcome {
    /// The change could not be made: there is no such route, or the kernel lacks it.
    None,
    Well,
    Sick,
    /// In words.
    Disagreement(String),
}

/// Whether what is found is what clients meet, and its fixes mend it.
fn play(change: &Change) -> Outcome {
    let cluster = Cluster::new(change.kind);
    let (was_sick, pages) = is_sick(&cluster);
    assert!(!was_sick, "{change:?}: sick before: {pages}");
    if cluster.run(change.host, &change.command).0 != 0 {
        return Outcome::None;
    }
    let (sick, pages) = is_sick(&cluster);
    let found = errors(&cluster);
    let says = |verdict: &str, more: &str| {
        let Change { seed, kind, host, command } = change;
        Outcome::Disagreement(format!(
            "{verdict} (seed {seed}) {kind:?}, {host}# {command}\n    clients got {pages}; found {found:?}{more}"
        ))
    };
    match (sick, found.is_empty()) {
        (true, true) => says("MISSED", ""),
        (false, true) => Outcome::Well,
        (false, false) if found.iter().all(|(_, id, _)| OF_OTHER_CLIENTS.contains(&id.as_str())) => {
            Outcome::Well
        }
        (false, false) => says("FALSE ALARM", ""),
        (true, false) => {
            let mut all_done = true;
            let mut said = String::new();
            for host in ["director", "rs1", "rs2"] {
                if found.iter().any(|(at, ..)| at == host) {
                    let role = if host == "director" { "" } else { cluster.kind.role() };
                    let (status, text) = cluster.run(host, &format!("ipvsadm --check --fix --yes {role}"));
                    all_done &= status == 0;
                    write!(said, "\n    {host}: status {status}: {}", text.replace('\n', "\n        "))
                        .unwrap();
                }
            }
            if all_done && is_sick(&cluster).0 { says("NOT MENDED", &said) } else { Outcome::Sick }
        }
    }
}

parts!(what_random_changes_do_to_clients_is_known of 4);

fn what_random_changes_do_to_clients_is_known(part: Part) {
    let number = |name: &str, default| std::env::var(name).ok().map_or(default, |text| text.parse().unwrap());
    let (seed, cases) = (number("IPVS_RANDOM_SEED", SEED), number("IPVS_RANDOM_CASES", CASES));
    let changes: Vec<Change> = (0..cases).map(|case| change(seed.wrapping_mul(1_000_000) + case)).collect();
    let outcomes = Mutex::new(Vec::new());
    each(part.share(&changes), |change| {
        let outcome = play(change);
        outcomes.lock().unwrap().push(outcome);
    });
    let (mut sick, mut well, mut all) = (0, 0, Vec::new());
    for outcome in outcomes.into_inner().unwrap() {
        match outcome {
            Outcome::None => {}
            Outcome::Well => well += 1,
            Outcome::Sick => sick += 1,
            Outcome::Disagreement(text) => all.push(text),
        }
    }
    all.sort();
    let told =
        format!("seed {seed}: {sick} cases are sick and {well} well, as --check says; {} are not", all.len());
    assert!(all.is_empty(), "{told}\n{}", all.join("\n"));
}
