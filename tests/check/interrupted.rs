//! Fixes that were interrupted: the next check prints one that continues from there.

use crate::cluster::{Cluster, Kind};
use crate::faults::{self, Fault};
use crate::{each, findings, settles};
use lab::{Part, parts};

/// The fix of a finding, if there is one.
fn fix(cluster: &Cluster, fault: &Fault) -> Option<String> {
    let found = findings(cluster, fault).into_iter().find(|(id, _)| id == fault.id);
    let fill =
        |line: String| fault.blanks.iter().fold(line, |line, (blank, value)| line.replace(blank, value));
    found.map(|(_, line)| fill(line))
}

/// Whether the fix of a fault is interrupted after each of its commands but the last.
pub(crate) fn concerns(fault: &Fault) -> bool {
    fault.at == "rs1" && fault.stage.is_empty() && fault.kind != Kind::Marked
}

parts!(a_fix_that_was_interrupted_is_completed of 2);

fn a_fix_that_was_interrupted_is_completed(part: Part) {
    let faults: Vec<&Fault> = faults::all().filter(|fault| concerns(fault)).collect();
    let after = |fault: &&'static Fault| (1..fault.commands).map(|done| (*fault, done)).collect::<Vec<_>>();
    let works: Vec<(&Fault, usize)> = faults.iter().flat_map(after).collect();
    assert!(works.len() >= 6, "fixes of more than one command are there");
    each(part.share(&works), |(fault, done)| {
        let cluster = Cluster::new(fault.kind);
        cluster.succeed(fault.at, fault.make);
        cluster.probe(fault.probe); // some faults show only with traffic
        let line = fix(&cluster, fault).unwrap_or_else(|| panic!("{}", fault.id));
        let begun = line.split(" && ").take(*done).collect::<Vec<_>>().join(" && ");
        cluster.succeed(fault.at, &begun);
        if let Some(rest) = fix(&cluster, fault) {
            cluster.succeed(fault.at, &rest);
        }
        for (host, command) in fault.then {
            cluster.succeed(host, command);
        }
        settles(&cluster, fault.probe, fault.fixed, &format!("after {begun}, and the rest of {line}"));
    });
}
