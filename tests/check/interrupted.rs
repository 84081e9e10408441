//! Fixes that were interrupted: the next check prints one that continues from there.

use crate::cluster::{Cluster, Kind};
use crate::faults::{self, Fault};
use crate::lab::{Part, parts};
use crate::{each, findings, settles};

/// The fix of a finding, if there is one.
fn fix(cluster: &Cluster, fault: &Fault) -> Option<String> {
    let found = findings(cluster, fault).into_iter().find(|(id, _)| id == fault.id);
    let fill =
        |line: String| fault.blanks.iter().fold(line, |line, (blank, value)| line.replace(blank, value));
    found.map(|(_, line)| fill(line))
}

parts!(a_fix_that_was_interrupted_is_completed of 2);

fn a_fix_that_was_interrupted_is_completed(part: Part) {
    let on_server =
        |fault: &&Fault| fault.at == "rs1" && fault.stage.is_empty() && fault.kind != Kind::Marked;
    let faults: Vec<&Fault> = faults::all().filter(on_server).collect();
    let interrupted = std::sync::atomic::AtomicUsize::new(0);
    each(part.share(&faults), |fault| {
        let parts = |line: &str| line.split(" && ").count();
        let mut done = 1;
        loop {
            let cluster = Cluster::new(fault.kind);
            let fetch = cluster.fetch();
            let probe = fault.probe.unwrap_or(("client", &fetch));
            cluster.succeed(fault.at, fault.make);
            cluster.run(probe.0, probe.1); // some faults show only with traffic
            let Some(line) = fix(&cluster, fault) else { panic!("{}", fault.id) };
            if line.starts_with("start ") || done >= parts(&line) {
                return;
            }
            let part = line.split(" && ").take(done).collect::<Vec<_>>().join(" && ");
            cluster.succeed(fault.at, &part);
            if let Some(rest) = fix(&cluster, fault) {
                cluster.succeed(fault.at, &rest);
            }
            for (host, command) in fault.then {
                cluster.succeed(host, command);
            }
            settles(&cluster, probe, fault.fixed, &format!("after {part}, and the rest of {line}"));
            interrupted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            done += 1;
        }
    });
    assert!(interrupted.into_inner() >= 3, "fixes of more than one part are there");
}
