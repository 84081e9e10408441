//! What may be wrong, one file a subject, and in which order it is looked for.

pub(crate) mod balance;
pub(crate) mod beside;
pub(crate) mod filtered;
pub(crate) mod fixes;
pub(crate) mod hashed;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod masqueraded;
pub(crate) mod real_server;
pub(crate) mod saved;
pub(crate) mod servers;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod standby;
pub(crate) mod tunnels;
pub(crate) mod way_back;

use super::director::Director;
use super::finding::Finding;
use super::server::Server;
use crate::supervisors::Supervisors;

/// Each makes one kind of finding, or several that exclude each other; causes come before their effects.
const CHECKS: [fn(&Director) -> Vec<Finding>; 32] = [
    services::vips,
    services::twice,
    services::supervisor_idle,
    services::no_server,
    services::all_weights_zero,
    hashed::refusing,
    services::weights_ignored,
    services::persistent_one_packet,
    balance::unbalanced,
    balance::hash_weights,
    services::one_packet_masqueraded,
    services::ftp,
    services::masks,
    services::marks,
    filtered::neighbour_discovery,
    filtered::requests,
    filtered::forwarded,
    filtered::answers,
    filtered::too_long,
    servers::reachability,
    masqueraded::clients_beside,
    masqueraded::refusing,
    servers::syn_recv,
    servers::thresholds,
    settings::forwarding,
    settings::reverse_path,
    settings::dropped_arp,
    settings::dropped_connections,
    standby::scheduling,
    limits::connections,
    settings::draining,
    settings::estimation_and_sync,
];

impl Director {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(self)).collect();
        for finding in &mut findings {
            match self.supervisors {
                _ if !finding.fix.is_of_table() => {}
                Supervisors { fill_table: Some(manager), .. } => {
                    finding.what.extend(["; ", manager, " fills the table, so change its configuration, too"]);
                }
                Supervisors { are_hidden: true, .. } => finding.what.push_str(
                    "; processes are hidden from this one: if one fills the table, change its configuration, too",
                ),
                Supervisors { .. } => {}
            }
        }
        findings
    }
}

impl Server {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = real_server::findings(&self.role, &self.machine, &self.rules);
        findings.extend(filtered::on_server(&self.role, &self.machine, &self.rules));
        findings
    }
}
