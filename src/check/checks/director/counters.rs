//! Counters that the kernel does not refresh.

use crate::check::checks::value::{Check, OfDirector};
use crate::check::finding::{Finding, Kind};
use crate::check::fix::Fix;
use crate::check::verdict::Examined;

const COUNTERS_FROZEN: Kind = Kind::warning(
    "counters-frozen",
    "--stats and --rate show old values, and so does every program that reads them",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[COUNTERS_FROZEN], run: counters };

/// Counters that are not refreshed.
fn counters(director: &Examined<'_>) -> Vec<Finding> {
    let machine = &director.machine;
    let mut findings = Vec::new();
    let path = "net/ipv4/vs/run_estimation";
    if machine.sysctl(path) == Some(0) && !director.table.is_empty() {
        let at = path.replace('/', ".");
        findings.push(COUNTERS_FROZEN.at(
            &at,
            format!("{at} is 0: the kernel does not refresh the counters"),
            Fix::set([(path, 1)]),
        ));
    }
    let nowhere = director.estimating.as_ref().is_some_and(|cpus| cpus.trim().is_empty());
    if nowhere && findings.is_empty() && !director.table.is_empty() {
        let at = "net.ipv4.vs.est_cpulist";
        let what = format!("{at} is empty: no CPU refreshes the counters");
        findings.push(COUNTERS_FROZEN.at(&at, what, Fix::set([("net/ipv4/vs/est_cpulist", 0)])));
    }
    findings
}
