//! Servers that have reached their upper threshold.

use ipvs::{Change, Destination};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::table::{connections_of, is_full};
use crate::check::finding::{Finding, Kind, counted};
use crate::check::fix::Step;
use crate::check::verdict::Examined;

const THRESHOLD_REACHED: Kind =
    Kind::warning("threshold-reached", "it gets no new connections until enough of its connections end");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[THRESHOLD_REACHED], run: thresholds };

/// Servers that have reached their upper threshold.
fn thresholds(director: &Examined<'_>) -> Vec<Finding> {
    let full = director.servers().filter(|(_, server)| is_full(server));
    full.map(|(service, server)| {
        let upper = server.destination.upper_threshold;
        let connections = connections_of(server);
        let what =
            format!("it has {}, and its upper threshold is {upper}", counted(connections, "connection"));
        let room = upper.max(connections).saturating_mul(2).min(i32::MAX.unsigned_abs());
        // Newer kernels give it no new ones before it is below the lower threshold, where none is set three quarters.
        let lower_threshold = match server.destination.lower_threshold {
            0 => 0,
            lower => lower.max(room - room / 4),
        };
        let wider = Destination { upper_threshold: room, lower_threshold, ..server.destination };
        let fix = Step::Table(Change::EditDestination { service: service.id, destination: wider });
        THRESHOLD_REACHED.of_server(&service.id, &server.destination.id, what, fix)
    })
    .collect()
}
