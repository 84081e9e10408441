//! Services that their scheduler cannot balance.

use ipvs::{Change, Service};

use super::fixes::set_weight;
use crate::balance;
use crate::check::director::Director;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, Step};

/// All goes to one of several servers.
pub(crate) fn unbalanced(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let used = servers.iter().filter(|server| server.destination.weight > 0).count();
        let Some((what, scheduler)) = balance::unbalanced(service).filter(|_| used > 1) else { continue };
        let fix = Step::Table(Change::EditService(Service { scheduler, ..*service }));
        findings.push(Kind::AllToOne.of_service(&service.id, what, fix));
    }
    findings
}

/// Weights that are larger than the table of `sh`, or than they need to be.
pub(crate) fn hash_weights(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let weights: Vec<u32> = servers.iter().map(|server| server.destination.weight).collect();
        let Some(smaller) = balance::smaller_weights(&service.scheduler, &weights) else { continue };
        let edits =
            servers.iter().zip(smaller).filter(|(server, weight)| server.destination.weight != *weight);
        let fix: Fix = edits.map(|(server, weight)| set_weight(&service.id, server, weight)).collect();
        findings.push(Kind::HashWeights.of_service(&service.id, balance::too_large(&weights), fix));
    }
    findings
}
