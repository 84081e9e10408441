//! Persistence that takes all clients as one.

use ipvs::{Change, Netmask, Persistence, Service};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::finding::{Finding, Kind};
use crate::check::fix::Step;
use crate::check::verdict::Examined;

const MASK_OF_ALL: Kind = Kind::warning("mask-of-all", "all clients go to one server");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[MASK_OF_ALL], run: masks };

/// Persistence that takes all clients as one.
fn masks(director: &Examined<'_>) -> Vec<Finding> {
    // With IPv6 all clients are in 2000::/3.
    let is_all = |netmask: &Netmask| match netmask {
        Netmask::V4(mask) => mask.to_bits().count_ones() < 4,
        Netmask::V6(bits) => *bits < 8,
    };
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let used = servers.iter().filter(|server| server.destination.weight > 0).count();
        let Some(persistence) = service.persistence.filter(|it| is_all(&it.netmask) && used > 1) else {
            continue;
        };
        let what =
            format!("the netmask {} of its persistence takes nearly all clients as one", persistence.netmask);
        let netmask = Netmask::single(service.id.family());
        let persistence = Some(Persistence { netmask, ..persistence });
        let fix = Step::Table(Change::EditService(Service { persistence, ..*service }));
        findings.push(MASK_OF_ALL.of_service(&service.id, what, fix));
    }
    findings
}
