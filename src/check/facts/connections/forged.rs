//! Connections that wait because nobody is behind their clients' addresses: packets with forged senders, which show nothing about
//! a server.

use std::collections::HashSet;
use std::net::IpAddr;

use ipvs::{DestinationId, ServiceId};

use super::{Count, ServerConnections};

/// So many that come once each are no chance.
const MANY: usize = 10;

impl Count {
    /// Whether packets with forged senders explain the connections of a service that wait. What is wrong with one server shows on
    /// that one alone; so they wait for all its servers alike, and others are served meanwhile, or they are many, and none comes
    /// twice: clients that are not served try again.
    pub(crate) fn is_flood(&self, service: &ServiceId, servers: &[DestinationId]) -> bool {
        let counted: Vec<&ServerConnections> =
            servers.iter().filter_map(|server| self.counted.get(&(*service, *server))).collect();
        let waiting: Vec<(IpAddr, u64)> =
            counted.iter().flat_map(|server| server.waiting.iter().copied()).collect();
        let distinct: HashSet<IpAddr> = waiting.iter().map(|(client, _)| *client).collect();
        if counted.len() < servers.len() || distinct.is_empty() || !are_alike(&counted) {
            return false;
        }
        let is_crowd = waiting.len() >= MANY && distinct.len() * 10 >= waiting.len() * 9;
        let ages = || waiting.iter().map(|(_, age)| *age);
        // Those that wait now are too new to tell how long the others will.
        let since = if is_crowd { ages().max() } else { ages().min() };
        let is_served = |(client, age): &(IpAddr, u64)| {
            !distinct.contains(client) && since.is_some_and(|since| *age <= since)
        };
        let some_are_served = counted.iter().any(|server| server.served.iter().any(is_served));
        some_are_served || is_crowd && servers.len() > 1
    }

    /// Whether some of those that wait are certainly clients, who came more than once; or they are too many for a chance.
    pub(super) fn are_clients(&self, waiting: &[(IpAddr, u64)]) -> bool {
        let came_again = |client: &IpAddr| self.clients.get(client).is_some_and(|count| *count > 1);
        waiting.len() >= MANY || waiting.iter().any(|(client, _)| came_again(client))
    }
}

/// Whether as many connections of each server wait, or as large a part of them.
fn are_alike(servers: &[&ServerConnections]) -> bool {
    let similar = |of: fn(&ServerConnections) -> usize| {
        let (least, most) = (servers.iter().map(|it| of(it)).min(), servers.iter().map(|it| of(it)).max());
        least.zip(most).is_some_and(|(least, most)| least > 0 && least * 3 >= most)
    };
    similar(|server| server.waiting.len())
        || similar(|server| server.waiting.len() * 1000 / server.all.max(1))
}
