//! The columns of the table: which there are at a width, what they hold, and how rows are sorted by them.

use std::cmp::Ordering;

use ipvs::ForwardingMethod;

use super::model::{Change, KeptServer, Model, Server, Service};
use super::number;
use super::rate::Rate;
use crate::messages;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Address,
    Method,
    Weight,
    Active,
    Inactive,
    Connections,
    Packets,
    Bytes,
    Share,
}

use Column::{Active, Address, Bytes, Connections, Inactive, Method, Packets, Share, Weight};

/// From left to right.
pub(super) const COLUMNS: [Column; 9] =
    [Address, Method, Weight, Active, Inactive, Connections, Packets, Bytes, Share];

/// The others, in the order in which they are given room.
const BY_IMPORTANCE: [Column; 8] = [Active, Connections, Weight, Inactive, Bytes, Share, Packets, Method];

/// The width of addresses: where columns are few, where they are many, and where there is room for all.
const LEAST_ADDRESS: u16 = 25;
const ADDRESS: u16 = 28;
const MOST_ADDRESS: u16 = 56;

/// A wider bar tells nothing more.
const MOST_SHARE: u16 = 40;

/// Which way rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: Column,
    /// Against the column's own direction: addresses and names go up, numbers down.
    pub(super) is_reversed: bool,
}

impl Column {
    pub(super) fn title(self) -> &'static str {
        match self {
            Address => "address",
            Method => "method",
            Weight => "weight",
            Active => "active",
            Inactive => "inact",
            Connections => "conn/s",
            Packets => "pkt/s",
            Bytes => "bytes/s",
            Share => "share",
        }
    }

    pub(super) fn width(self) -> u16 {
        match self {
            Address => ADDRESS,
            Method | Bytes => 7,
            Weight | Active | Connections => 6,
            Inactive | Packets => 5,
            Share => 10,
        }
    }

    /// The next column to the right, or to the left, among those that a width has.
    pub(super) fn beside(self, width: u16, is_right: bool) -> Self {
        let place = |column: Self| COLUMNS.iter().position(|one| *one == column);
        let shown: Vec<Self> = that_fit(width).into_iter().map(|(column, _)| column).collect();
        let next = |column: &&Self| place(**column) > place(self);
        let before = |column: &&Self| place(**column) < place(self);
        let found = if is_right {
            shown.iter().find(next).or(shown.first())
        } else {
            shown.iter().rev().find(before).or(shown.last())
        };
        found.copied().unwrap_or(self)
    }

    /// What it shows of a service. Connections are those of its servers together.
    pub(super) fn of_service(self, service: &Service, servers: &[Server]) -> String {
        let sum = |count: fn(&KeptServer) -> u32| {
            let left = servers.iter().filter(|server| !server.is_gone());
            number::count(left.map(|server| u64::from(count(&server.entry))).sum())
        };
        match self {
            Method => name(service.entry.service.scheduler.as_bytes()),
            Active if !servers.is_empty() => sum(|entry| entry.active_connections),
            Inactive if !servers.is_empty() => sum(|entry| entry.inactive_connections),
            Connections | Packets | Bytes => number::rate(service.rate().map(|rate| self.rate(rate))),
            Address | Weight | Active | Inactive | Share => String::new(),
        }
    }

    /// What it shows of a server, with an arrow between an old weight and a new one.
    pub(super) fn of_server(self, server: &Server, arrow: &str) -> String {
        let entry = &server.entry;
        match self {
            Method => method(entry.destination.forwarding).to_owned(),
            Weight => match server.change() {
                Some(Change::Weight(was)) => was_and_is(was, entry.destination.weight, arrow),
                _ => number::count(entry.destination.weight.into()),
            },
            Active => number::count(entry.active_connections.into()),
            Inactive => number::count(entry.inactive_connections.into()),
            Connections | Packets | Bytes => number::rate(server.rate().map(|rate| self.rate(rate))),
            Address | Share => String::new(),
        }
    }

    fn rate(self, rate: &Rate) -> f64 {
        match self {
            Packets => rate.packets(),
            Bytes => rate.bytes(),
            _ => rate.connections,
        }
    }
}

/// An old weight and the new one, where there is room for both.
fn was_and_is(was: u32, is: u32, arrow: &str) -> String {
    let is = number::count(is.into());
    let both = format!("{was}{arrow}{is}");
    if both.chars().count() > usize::from(Weight.width()) { is } else { both }
}

/// A name of the kernel's, which may be any bytes, without any that control a terminal.
pub(super) fn name(bytes: &[u8]) -> String {
    messages::printable(&String::from_utf8_lossy(bytes))
}

/// As in a listing.
pub(super) fn method(method: ForwardingMethod) -> &'static str {
    match method {
        ForwardingMethod::Masquerade => "Masq",
        ForwardingMethod::Local => "Local",
        ForwardingMethod::Tunnel(_) => "Tunnel",
        ForwardingMethod::DirectRouting => "Route",
        ForwardingMethod::Other(_) => "?",
    }
}

/// Active and inactive connections of a server.
pub(super) fn connections(server: &Server) -> u64 {
    u64::from(server.entry.active_connections) + u64::from(server.entry.inactive_connections)
}

/// The columns that fit into a width, from left to right, with their widths; one blank is between two.
pub(super) fn that_fit(width: u16) -> Vec<(Column, u16)> {
    let mut left = width.saturating_sub(LEAST_ADDRESS);
    let mut chosen = Vec::new();
    for column in BY_IMPORTANCE {
        // Behind the first numbers, longer addresses are worth more than another column.
        let reserved = if chosen.len() > 2 { ADDRESS - LEAST_ADDRESS } else { 0 };
        if left.saturating_sub(reserved) > column.width() {
            left -= column.width() + 1;
            chosen.push(column);
        }
    }
    let address = LEAST_ADDRESS.min(width) + left;
    let spare = address.saturating_sub(MOST_ADDRESS).min(MOST_SHARE - Share.width());
    let spare = if chosen.contains(&Share) { spare } else { 0 };
    let width = |column: Column| match column {
        Address => address - spare,
        Share => column.width() + spare,
        _ => column.width(),
    };
    let is_there = |column: &Column| *column == Address || chosen.contains(column);
    COLUMNS.into_iter().filter(is_there).map(|column| (column, width(column))).collect()
}

/// The column of the table that a column of the screen belongs to.
pub(super) fn at(width: u16, column: u16) -> Option<Column> {
    let mut end = 0;
    that_fit(width).into_iter().find_map(|(one, width)| {
        end += width + 1;
        (column < end).then_some(one)
    })
}

impl Sort {
    /// The places of the services in the order of this column. Services have no weight and no connections of their own:
    /// by those, only servers are sorted.
    pub(super) fn services(self, model: &Model, mut places: Vec<usize>) -> Vec<usize> {
        let services = model.services();
        let by = |compare: &dyn Fn(&Service, &Service) -> Ordering, places: &mut Vec<usize>| {
            places.sort_by(|a, b| match (services.get(*a), services.get(*b)) {
                (Some(a), Some(b)) => compare(a, b),
                _ => Ordering::Equal,
            });
        };
        match self.column {
            Address if self.is_reversed => places.reverse(), // they come in the order of their ids
            Address | Weight | Active | Inactive | Share => {}
            Method => by(
                &|a, b| {
                    self.up(a.entry.service.scheduler.as_bytes().cmp(b.entry.service.scheduler.as_bytes()))
                },
                &mut places,
            ),
            Connections | Packets | Bytes => by(&|a, b| self.by_rate(a.rate(), b.rate()), &mut places),
        }
        places
    }

    /// The places of servers in the order of this column.
    pub(super) fn servers(self, servers: &[Server]) -> Vec<usize> {
        let mut places: Vec<usize> = (0..servers.len()).collect();
        let compare = |a: &Server, b: &Server| {
            let (x, y) = (&a.entry, &b.entry);
            match self.column {
                Address => self.up(x.destination.id.cmp(&y.destination.id)),
                Method => self.up(method(x.destination.forwarding).cmp(method(y.destination.forwarding))),
                Weight => self.down(x.destination.weight.cmp(&y.destination.weight)),
                Active => self.down(x.active_connections.cmp(&y.active_connections)),
                Inactive => self.down(x.inactive_connections.cmp(&y.inactive_connections)),
                Share => self.down(connections(a).cmp(&connections(b))),
                Connections | Packets | Bytes => self.by_rate(a.rate(), b.rate()),
            }
        };
        places.sort_by(|a, b| match (servers.get(*a), servers.get(*b)) {
            (Some(a), Some(b)) => compare(a, b),
            _ => Ordering::Equal,
        });
        places
    }

    fn up(self, order: Ordering) -> Ordering {
        if self.is_reversed { order.reverse() } else { order }
    }

    fn down(self, order: Ordering) -> Ordering {
        self.up(order.reverse())
    }

    fn by_rate(self, a: Option<&Rate>, b: Option<&Rate>) -> Ordering {
        let of = |rate: Option<&Rate>| rate.map_or(-1.0, |rate| self.column.rate(rate));
        self.down(of(a).total_cmp(&of(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_weight_is_never_cut() {
        for (was, is, text) in
            [(1, 7, "1→7"), (100, 99, "100→99"), (1000, 99, "99"), (0, 2_147_483_647, "2.15G")]
        {
            assert_eq!(was_and_is(was, is, "→"), text);
        }
    }

    #[test]
    fn only_columns_that_are_shown_are_gone_through() {
        let through = |width, is_right| {
            let all = std::iter::successors(Some(Address), |column| Some(column.beside(width, is_right)));
            all.skip(1).take(3).collect::<Vec<_>>()
        };
        assert_eq!(through(80, true), [Weight, Active, Inactive]);
        assert_eq!(through(40, true), [Active, Connections, Address]);
        assert_eq!(through(40, false), [Connections, Active, Address]);
        assert_eq!(through(20, true), [Address; 3]);
        // A column that the terminal was wide enough for before.
        assert_eq!((Method.beside(80, true), Method.beside(80, false)), (Weight, Address));
    }

    #[test]
    fn columns_fit_into_any_width() {
        for width in 0..400 {
            let columns = that_fit(width);
            let sum: u16 = columns.iter().map(|(_, width)| width + 1).sum();
            assert_eq!(sum, width + 1, "{columns:?}");
        }
        let at = |width| that_fit(width).into_iter().map(|(column, _)| column).collect::<Vec<_>>();
        assert_eq!(at(20), [Address]);
        assert_eq!(at(40), [Address, Active, Connections]);
        assert_eq!(at(80), [Address, Weight, Active, Inactive, Connections, Packets, Bytes, Share]);
        assert_eq!(at(88), COLUMNS);
    }
}
