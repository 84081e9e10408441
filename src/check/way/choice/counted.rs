//! The schedulers that choose by the connections of each server at that moment. Of servers that are alike the first in the
//! kernel's list is taken: the one that was added last.

use std::cmp::Ordering;

use ipvs::{DestinationEntry, Scheduler};

use super::{Availability, Unknown, Verdict};

/// What such a scheduler looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `lc`: the fewest connections.
    Fewest,
    /// `wlc`: the fewest by weight.
    FewestByWeight,
    /// `sed`: the shortest expected delay.
    ShortestDelay,
    /// `nq`: one without active connections, otherwise the shortest expected delay.
    NeverQueue,
    /// `fo`: the highest weight.
    Failover,
    /// `ovf`: the highest weight of those that have no more active connections than that.
    Overflow,
}

impl Order {
    pub(super) fn of(scheduler: Scheduler) -> Option<Self> {
        Some(match scheduler {
            Scheduler::LC => Self::Fewest,
            Scheduler::WLC => Self::FewestByWeight,
            Scheduler::SED => Self::ShortestDelay,
            Scheduler::NQ => Self::NeverQueue,
            Scheduler::FO => Self::Failover,
            Scheduler::OVF => Self::Overflow,
            _ => return None,
        })
    }

    /// The server of the next connection.
    pub(super) fn next(self, servers: &[DestinationEntry], available: &[Availability]) -> Verdict {
        let all: Vec<(usize, &DestinationEntry, Availability)> = servers
            .iter()
            .zip(available)
            .enumerate()
            .map(|(at, (server, is))| (at, server, *is))
            .filter(|(_, server, is)| {
                matches!(is, Availability::Available | Availability::Between) && self.takes(server)
            })
            .collect();
        let idle =
            all.iter().find(|(_, server, _)| self == Self::NeverQueue && server.active_connections == 0);
        // The first of those that are alike.
        let best =
            all.iter().reduce(|best, one| if self.compare(one.1, best.1).is_lt() { one } else { best });
        match idle.or(best) {
            None => Verdict::Refused(None),
            Some((at, _, Availability::Between)) => Verdict::Unknown(Unknown::BetweenThresholds(*at)),
            Some((at, ..)) => Verdict::Server(*at),
        }
    }

    fn takes(self, server: &DestinationEntry) -> bool {
        self != Self::Overflow || server.active_connections <= server.destination.weight
    }

    /// Which of two servers comes first.
    fn compare(self, one: &DestinationEntry, other: &DestinationEntry) -> Ordering {
        let weight = |server: &DestinationEntry| u64::from(server.destination.weight);
        let load = |server: &DestinationEntry| {
            256 * u64::from(server.active_connections) + u64::from(server.inactive_connections)
        };
        let delay = |server: &DestinationEntry| u64::from(server.active_connections) + 1;
        let by_weight = |cost: &dyn Fn(&DestinationEntry) -> u64| {
            (u128::from(cost(one)) * u128::from(weight(other)))
                .cmp(&(u128::from(cost(other)) * u128::from(weight(one))))
        };
        match self {
            Self::Fewest => load(one).cmp(&load(other)),
            Self::FewestByWeight => by_weight(&load),
            Self::ShortestDelay | Self::NeverQueue => by_weight(&delay),
            Self::Failover | Self::Overflow => weight(other).cmp(&weight(one)),
        }
    }
}
