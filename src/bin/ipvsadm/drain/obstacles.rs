//! What would make the wait for a drained server vain, said before it begins.

use ipvs::{Persistence, ServiceId};

use super::targets::Target;
use crate::command::Drain;
use crate::messages::warning;
use crate::netns;
use crate::supervisors::Supervisors;

/// The warnings, each once; `setting` reads one below `net.ipv4.vs`.
pub(super) fn warnings(
    targets: &[Target],
    drain: &Drain,
    supervisors: Supervisors,
    setting: impl Fn(&str) -> Option<u32>,
) -> Vec<String> {
    let is_off = |name: &str| setting(name) == Some(0);
    let set = |name: &str, value: u32| netns::command(format!("sysctl -w net.ipv4.vs.{name}={value}"));
    let mut warnings = Vec::new();
    if let Some(program) = supervisors.fill_table {
        warnings.push(warning::supervised(program));
    }
    for target in targets.iter().filter(|target| target.noted.weight == 0) {
        warnings.push(warning::weightless_before(&target.to_string()));
    }
    for (id, Persistence { timeout, .. }) in persistent(targets) {
        if is_off("expire_quiescent_template") {
            let fix = set("expire_quiescent_template", 1);
            warnings.push(warning::clients_come_back(&id, timeout, &fix));
        }
        // The kernel keeps who came from where for that long after the last connection, whatever the settings.
        if let Some(seconds) = drain.wait.filter(|seconds| *seconds < timeout) {
            let of_it = targets.iter().filter(|target| target.service.id == id);
            if of_it.clone().any(|target| target.server.persistent_connections > 0) {
                warnings.push(warning::short_wait(&id, seconds, timeout));
            }
        }
    }
    if is_off("conn_reuse_mode") && is_off("expire_nodest_conn") {
        warnings.push(warning::ports_are_reused(&set("conn_reuse_mode", 1)));
    }
    warnings
}

/// The persistent services among them, each once.
fn persistent(targets: &[Target]) -> Vec<(ServiceId, Persistence)> {
    let mut services: Vec<_> =
        targets.iter().filter_map(|target| Some((target.service.id, target.service.persistence?))).collect();
    services.dedup_by_key(|(id, _)| *id);
    services
}
