//! What is known of each real server of a director: computed once, before the checks, of which several need it.

mod filter;
mod near;
mod route;

use std::net::IpAddr;
use std::ops::Deref;

use ipvs::{DestinationEntry, ForwardingMethod, Service};

use super::director::Director;
use super::facts::connections::Stuck;
use super::fix::Fix;
pub(crate) use near::{MANY, answers_director};
pub(crate) use route::{Problem, Trouble};

/// What is known of a real server of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It gets new connections.
    is_used: bool,
    pub(crate) problem: Option<Problem>,
    /// What drops the packets to it, and the fix.
    pub(crate) to_server: Option<(String, Fix)>,
    /// The same for its answers.
    pub(crate) from_server: Option<(String, Fix)>,
    /// Clients in its network that wait for it in vain, and that network.
    pub(crate) near: Option<(Vec<IpAddr>, String)>,
    /// The director does not forward its answers.
    is_kept: bool,
    /// Connections that it does not accept.
    pub(crate) stuck: Option<Stuck>,
}

impl Verdict {
    fn of(director: &Director, service: &Service, server: &DestinationEntry) -> Self {
        let machine = &director.machine;
        let is_used = server.destination.weight > 0;
        let of_used = |drops: fn(&Director, &Service, &DestinationEntry) -> Option<(String, Fix)>| {
            if is_used { drops(director, service, server) } else { None }
        };
        let (to_server, from_server) = (of_used(filter::to_server), of_used(filter::from_server));
        let is_filtered = to_server.is_some() || from_server.is_some();
        let near = if is_used { near::near_clients(director, service, server, is_filtered) } else { None };
        Self {
            is_used,
            problem: route::problem(machine, service, server),
            to_server,
            from_server,
            near,
            is_kept: server.destination.forwarding == ForwardingMethod::Masquerade
                && !machine.forwards(server.destination.id.address),
            stuck: director.connections.stuck(&service.id, &server.destination.id),
        }
    }

    /// Whether the reason is known why clients get no answers from it.
    pub(crate) fn has_known_cause(&self) -> bool {
        self.problem.is_some()
            || self.to_server.is_some()
            || self.from_server.is_some()
            || self.near.is_some()
            || self.is_kept
    }

    /// Whether it answers clients, as far as the director knows.
    pub(crate) fn works(&self) -> bool {
        self.is_used && self.stuck.is_none() && !self.has_known_cause()
    }
}

/// A director, with what is known of each of its servers.
pub(crate) struct Examined<'a> {
    director: &'a Director,
    /// Of each service, of each server.
    verdicts: Vec<Vec<Verdict>>,
}

impl<'a> Examined<'a> {
    pub(crate) fn new(director: &'a Director) -> Self {
        let of_service = |(service, servers): (&Service, &[DestinationEntry])| {
            servers.iter().map(|server| Verdict::of(director, service, server)).collect()
        };
        Self { director, verdicts: director.services().map(of_service).collect() }
    }

    /// Every service with its servers, and what is known of each of these.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = (&Service, &[DestinationEntry], &[Verdict])> {
        let all = self.director.services().zip(&self.verdicts);
        all.map(|((service, servers), verdicts)| (service, servers, verdicts.as_slice()))
    }
}

impl Deref for Examined<'_> {
    type Target = Director;

    fn deref(&self) -> &Director {
        self.director
    }
}
