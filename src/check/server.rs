//! Everything known about a real server, and how it is read.

use super::facts::machine::Machine;
use super::facts::udp::{self, UdpAnswers};
use super::facts::{answers, neighbours, read};
use super::firewall;
use super::firewall::ruleset::Ruleset;
use crate::command::RealServer;
use crate::messages::Result;

/// Everything known about a real server.
pub(crate) struct Server {
    /// What it is to be.
    pub(crate) role: RealServer,
    /// The rules of the packet filters.
    pub(crate) rules: Ruleset,
    pub(crate) machine: Machine,
    pub(crate) udp: UdpAnswers,
}

/// All that is known of this machine as a real server.
pub(crate) fn read(role: RealServer) -> Result<Server> {
    let destinations = [Some(role.vip), role.director].into_iter().flatten();
    let mut machine = read::machine(&destinations.collect(), Some(&role))?;
    let silent = answers::silent_gateways(&machine);
    neighbours::probe_again(&mut machine, &silent);
    Ok(Server { rules: firewall::read(), udp: udp::read(&role), machine, role })
}
