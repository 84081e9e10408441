//! The tables of `sh` and `dh`, place by place, and whom they send elsewhere when a server goes, comes or gets another weight.
//!
//! Both have 256 places, and a client has one of them by its address, all with the same chance (`dh`: a destination). They are
//! given to the servers, the newest first: by `dh` one each, by `sh` as many as the weight, and one for weight 0; then again from
//! the newest, until all are given. So a change of one server moves the places of all others behind it.

use std::fmt;

use ipvs::{Destination, DestinationId, SchedulerFlags, Service};

/// A table's size: `CONFIG_IP_VS_SH_TAB_BITS` and `CONFIG_IP_VS_DH_TAB_BITS` are 8 wherever the kernel is built with their defaults.
pub(crate) const PLACES: usize = 256;

/// The places of `sh`: as many for a server as its weight, and one with weight 0, over and over until all are given. A weight
/// is not divided, so a heavy server may leave none for the others.
pub(crate) fn by_weight(weights: &[u32]) -> Vec<usize> {
    let turns = weights.iter().enumerate();
    turns
        .cycle()
        .flat_map(|(server, weight)| {
            let places = usize::try_from(*weight).unwrap_or(usize::MAX).clamp(1, PLACES);
            std::iter::repeat_n(server, places)
        })
        .take(PLACES)
        .collect()
}

/// The places of `dh`: one for each server, over and over.
pub(crate) fn one_each(servers: usize) -> Vec<usize> {
    (0..servers).cycle().take(PLACES).collect()
}

/// The place of a number.
#[allow(clippy::cast_possible_truncation, reason = "8 bits are left")]
pub(crate) fn place(number: u32) -> usize {
    const GOLDEN_RATIO: u32 = 0x61C8_8647;
    usize::from((number.wrapping_mul(GOLDEN_RATIO) >> 24) as u8)
}

/// The places where `sh-fallback` looks, one after another, when the server of a place is not available.
pub(crate) fn fallback(place: usize) -> impl Iterator<Item = usize> {
    (0..PLACES).map(move |step| (2 * place + step) % PLACES)
}

/// A scheduler that sends a client to the server that its place belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// By the source; with weights.
    Source { fallback: bool },
    /// By the destination.
    Destination,
    /// By the source, with a table in which others keep nearly all of their places.
    Maglev { fallback: bool },
}

impl Hashing {
    /// That of a service; none if its scheduler is none of these.
    pub(crate) fn of(service: &Service) -> Option<Self> {
        let fallback = service.scheduler_flags.contains(SchedulerFlags::FLAG_1);
        let is = |name: &str| service.scheduler == *name;
        match () {
            () if is("sh") => Some(Self::Source { fallback }),
            () if is("mh") => Some(Self::Maglev { fallback }),
            () if is("dh") => Some(Self::Destination),
            () => None,
        }
    }

    /// Whether it refuses the clients of a server of weight 0.
    pub(crate) fn refuses(self) -> bool {
        match self {
            Self::Source { fallback } | Self::Maglev { fallback } => !fallback,
            Self::Destination => true,
        }
    }

    /// Whether the service may have a flag that sends these to other servers.
    pub(crate) fn may_fall_back(self) -> bool {
        self != Self::Destination
    }

    /// The share of the clients of other servers that goes to another server when the list of `before`, the newest first, becomes
    /// that of `after`; `servers` are those that change. None of a table that is not so simple.
    pub(crate) fn moved(
        self,
        before: &[Destination],
        after: &[Destination],
        servers: &[DestinationId],
    ) -> Option<Share> {
        let (before, after) = (Places::of(self, before)?, Places::of(self, after)?);
        let others = (0..PLACES).filter_map(|place| Some((place, before.chosen(place)?)));
        let others: Vec<_> = others.filter(|(_, chosen)| !servers.contains(chosen)).collect();
        let moved = others.iter().filter(|(place, chosen)| after.chosen(*place) != Some(*chosen)).count();
        Some(Share { moved, of: others.len() })
    }
}

/// How many of some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    moved: usize,
    of: usize,
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.moved * other.of.max(1)).cmp(&(other.moved * self.of.max(1)))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Share {
    pub(crate) fn is_none(self) -> bool {
        self.moved == 0
    }
}

impl fmt::Display for Share {
    /// In percent, and never 0 % of what is more than nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.moved * 100 + self.of / 2).checked_div(self.of).unwrap_or_default();
        write!(f, "{} %", if self.moved == 0 { 0 } else { percent.max(1) })
    }
}

struct Places {
    /// The server of each place, and whether it takes clients; nothing in a service without servers.
    table: Vec<(DestinationId, bool)>,
    fallback: bool,
}

impl Places {
    fn of(hashing: Hashing, servers: &[Destination]) -> Option<Self> {
        let (numbers, fallback) = match hashing {
            Hashing::Source { fallback } => {
                let weights: Vec<u32> = servers.iter().map(|server| server.weight).collect();
                (by_weight(&weights), fallback)
            }
            Hashing::Destination => (one_each(servers.len()), false),
            Hashing::Maglev { .. } => return None,
        };
        let at = |number: usize| servers.get(number).map(|server| (server.id, server.weight > 0));
        Some(Self { table: numbers.into_iter().filter_map(at).collect(), fallback })
    }

    /// The server of a place; none if its client is refused.
    fn chosen(&self, at: usize) -> Option<DestinationId> {
        let open = |at: usize| self.table.get(at).filter(|(_, is_open)| *is_open).map(|(server, _)| *server);
        open(at).or_else(|| fallback(at).filter(|_| self.fallback).find_map(open))
    }
}

#[cfg(test)]
mod tests {
    use ipvs::ForwardingMethod;

    use super::*;

    fn server(last: u8, weight: u32) -> Destination {
        Destination::new([10, 1, 0, last].into(), 80, ForwardingMethod::Masquerade).with_weight(weight)
    }

    /// Servers of these weights, in the order in which they were added.
    fn list(weights: &[u32]) -> Vec<Destination> {
        let servers: Vec<_> = (1..).zip(weights).map(|(last, weight)| server(last, *weight)).collect();
        servers.into_iter().rev().collect()
    }

    /// As counted with 2,000 real clients of five servers.
    #[test]
    fn what_moves_is_what_the_kernel_moves() {
        let sh = Hashing::Source { fallback: true };
        let percent = |hashing: Hashing, before: &[Destination], after: &[Destination], last| {
            let share = hashing.moved(before, after, &[server(last, 1).id]).unwrap();
            share.moved * 100 / share.of
        };
        for (weights, drained, deleted) in
            [([1, 1, 1, 1, 1], 0, 77), ([10, 10, 10, 10, 10], 68, 70), ([1, 2, 3, 4, 5], 66, 61)]
        {
            let before = list(&weights);
            let mut after = before.clone();
            after[2].weight = 0;
            let near = |got: usize, counted: usize| {
                assert!(got.abs_diff(counted) <= 4, "{weights:?}: {got}, {counted}");
            };
            near(percent(sh, &before, &after, 3), drained);
            after.remove(2);
            near(percent(sh, &before, &after, 3), deleted);
        }
        let dh = Hashing::Destination;
        let before = list(&[1; 5]);
        let mut after = before.clone();
        after.remove(2);
        let deleted = percent(dh, &before, &after, 3);
        assert!((73..=79).contains(&deleted), "{deleted}");
        // Added again it is the first.
        after.insert(0, server(3, 1));
        assert!(!dh.moved(&before, &after, &[server(3, 1).id]).unwrap().is_none());
    }

    #[test]
    fn what_moves_is_rounded_and_never_hidden() {
        let text = |moved, of| Share { moved, of }.to_string();
        assert_eq!(
            [text(0, 0), text(0, 5), text(1, 255), text(2, 3), text(5, 5)],
            ["0 %", "0 %", "1 %", "67 %", "100 %"]
        );
        let mh = Hashing::Maglev { fallback: true };
        assert_eq!(mh.moved(&list(&[1, 1]), &list(&[1]), &[server(2, 1).id]), None);
        let sh = Hashing::Source { fallback: false };
        assert_eq!(sh.moved(&[], &list(&[1]), &[server(2, 1).id]), Some(Share { moved: 0, of: 0 }));
    }
}
