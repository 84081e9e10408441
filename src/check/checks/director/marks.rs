//! Firewall marks that no packet carries.

use ipvs::ServiceId;

use crate::check::checks::fixes::set_mark;
use crate::check::checks::value::{Check, OfDirector};
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::marked::Misplaced;
use crate::check::verdict::Examined;

const MARK_UNSET: Kind = Kind::error("mark-unset", "no packet carries the mark, so the service gets none");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[MARK_UNSET], run: marks };

fn marks(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, _) in director.services() {
        let ServiceId::Fwmark { mark, family } = service.id else { continue };
        // It may be for programs of this machine, whose packets pass OUTPUT.
        let is_own = |client| director.machine.holders(client).next().is_some();
        if director.connections.has_clients(&service.id, is_own) {
            continue;
        }
        let Some(is_set) = director.rules.may_set(mark.get(), family) else { continue };
        let nowhere =
            || Misplaced { what: format!("no rule of the packet filter sets the mark {mark}"), fix: None };
        let misplaced = if is_set {
            director.rules.misplaced(mark.get(), family, &director.machine)
        } else {
            Some(nowhere())
        };
        if let Some(Misplaced { what, fix }) = misplaced {
            let fix = fix.unwrap_or_else(|| set_mark(director, mark.get(), family).into());
            findings.push(MARK_UNSET.of_service(&service.id, what, fix));
        }
    }
    findings
}
