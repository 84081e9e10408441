//! `OnServer` and Answer: the walk on a real server, from the network to the socket and back to the client.

use std::net::IpAddr;

use ipvs::{DestinationEntry, ForwardingMethod, ServiceId};

use super::super::director::Director;
use super::arrival::{packet, reverse_path};
use super::roads::{Roads, plain};
use super::stage::{Stage, Step};
use super::{Flow, Walk, end, number};
use crate::check::facts::machine::{LinkKind, Machine};
use crate::check::facts::protocols::{TCP, UDP};
use crate::check::facts::question::{Refusal, Way};
use crate::check::facts::tunnels;
use crate::check::failure::report_unseen;
use crate::check::finding::without_duplicates;
use crate::check::firewall::dropped::dropped;
use crate::check::firewall::rules::{ACK, ARRIVING, LEAVING, Packet, SYN};
use crate::check::firewall::ruleset::Ruleset;
use crate::check::server;
use crate::command::{Explain, Method, RealServer};
use crate::messages::{self, Result};

/// The walk on a real server, which is this machine.
pub(super) fn walk(what: &Explain, server: IpAddr, port: Option<u16>) -> Result<Walk> {
    let ServiceId::Address { protocol, address: vip, port: service_port } = what.service else {
        return Err(messages::value(messages::MARK_OF_SERVER));
    };
    let method = what.method.unwrap_or(Method::DirectRouting);
    let (to, to_port) = match method {
        Method::Masquerade => (server, port.unwrap_or(service_port)),
        _ => (vip, service_port),
    };
    let wanted_port = Some(to_port).filter(|port| *port != 0);
    let role = RealServer {
        vip,
        method,
        director: what.director,
        port: wanted_port,
        protocol: Some(protocol),
        tunnel: what.tunnel,
    };
    let known = server::read(role)?;
    report_unseen(&known.rules.unseen);
    let flow = Flow {
        client: what.client,
        client_port: what.client_port,
        vip: to,
        port: wanted_port,
        protocol: number(protocol),
        mark: None,
    };
    let mut roads = Roads::open(vip.is_ipv4())?;
    let director = role.director.map_or("the director".to_owned(), |own| format!("the director, {own},"));
    let mut stages: Vec<Step> = [Stage::In, Stage::Ipvs, Stage::ToServer]
        .into_iter()
        .map(|stage| {
            let mut step = Step::new(stage);
            step.ask(format!("{director} knows"));
            step
        })
        .collect();
    let here = Here { machine: &known.machine, rules: &known.rules, role: &role, server };
    stages.push(here.on_server(&flow, &mut roads)?);
    stages.push(here.answer(&flow, &mut roads)?);
    let findings = without_duplicates(known.findings());
    let mut walk = Walk {
        client: end(what.client, what.client_port),
        service: what.service.to_string(),
        server: Some(end(server, port)),
        stages,
        end: String::new(),
        next: None,
        moves: None,
    };
    super::finish(&mut walk, &findings);
    Ok(walk)
}

/// The server that this machine is.
struct Here<'a> {
    machine: &'a Machine,
    rules: &'a Ruleset,
    role: &'a RealServer,
    server: IpAddr,
}

impl Here<'_> {
    /// The interface on which the director's packets arrive.
    fn wire(&self) -> Option<u32> {
        let machine = self.machine;
        let by_director = self.role.director.and_then(|director| machine.route(director).link());
        let own =
            machine.holders(self.server).map(|(_, link)| link).find(|link| link.kind == LinkKind::Ethernet);
        by_director.or(own.map(|link| link.index)).or_else(|| machine.default_route(self.role.vip).link())
    }

    fn on_server(&self, flow: &Flow, roads: &mut Roads) -> Result<Step> {
        let machine = self.machine;
        let mut step = Step::new(Stage::OnServer);
        let wire = self.wire();
        let link = match self.role.method {
            Method::Tunnel => {
                let tunnel = tunnels::usable(self.role, machine).find(|link| link.is_up);
                if let Some(tunnel) = tunnel {
                    step.note(format!("{} takes the packet out of the tunnel", tunnel.name));
                }
                tunnel.map(|link| link.index)
            }
            _ => wire,
        };
        let Some(link) = link else {
            if self.role.method != Method::Tunnel {
                step.ask("on which interface it arrives is not known: add --director ADDRESS");
            }
            return Ok(step);
        };
        self.routed(flow, link, &mut step, roads)?;
        let packet = packet(machine, flow, Some(link));
        if let Some((what, fix)) = dropped(self.rules, &ARRIVING, i32::MAX, std::slice::from_ref(&packet)) {
            step.stop(what, Some(fix));
        }
        if let Some((rule, target)) = self.rules.redirects(&packet) {
            let to = target.address.map_or("this machine".to_owned(), |address| end(address, target.port));
            step.note(format!("gets another destination, {to}: {}", rule.text()));
        } else {
            listener(machine, flow, &mut step);
        }
        Ok(step)
    }

    /// Whether the kernel takes the packet as one for this machine.
    fn routed(&self, flow: &Flow, link: u32, step: &mut Step, roads: &mut Roads) -> Result<()> {
        let machine = self.machine;
        let name = machine.name(link);
        match roads.ask(&flow.request(Some(link)))? {
            way @ Way::Local { .. } => step.note(format!(
                "arrives on {name} for {}, which is {}",
                flow.vip,
                roads.words(way, machine)
            )),
            Way::Refused(Refusal::ReversePath) => {
                let (what, fix) = reverse_path(machine, flow, name, roads)?;
                step.stop(what, Some(fix));
            }
            way @ Way::Leaves { .. } => step.stop(
                format!(
                    "{} is not an address of this server: it would go {}",
                    flow.vip,
                    roads.words(way, machine)
                ),
                None,
            ),
            Way::Refused(_) => step.stop(format!("{} is not an address of this server", flow.vip), None),
        }
        Ok(())
    }

    fn answer(&self, flow: &Flow, roads: &mut Roads) -> Result<Step> {
        let machine = self.machine;
        let mut step = Step::new(Stage::Answer);
        if machine.holders(flow.vip).next().is_none() {
            step.ask(format!("{} is not here to answer from", flow.vip));
            return Ok(step);
        }
        let way = roads.ask(&flow.answer())?;
        let from = end(flow.vip, flow.port);
        match way {
            Way::Refused(_) => {
                step.stop(
                    format!("no way from {from} to {}: {}", flow.client, roads.words(way, machine)),
                    None,
                );
            }
            Way::Local { .. } => step.note(format!("{} is this server itself", flow.client)),
            Way::Leaves { gateway, link, .. } => {
                step.note(format!("from {from} to {}: {}", flow.client, roads.words(way, machine)));
                let hop = gateway.unwrap_or(flow.client);
                let silence = format!("{hop} does not answer on {} (ip neigh)", machine.name(link));
                match (roads.answers(machine, hop, link)?, gateway) {
                    (true, _) => {}
                    (false, Some(_)) => step.stop(silence, None),
                    (false, None) => step.ask(silence),
                }
                self.through_the_director(flow, way, &mut step);
            }
        }
        let answer = Packet {
            from: Some(flow.vip),
            from_port: flow.port,
            to: Some(flow.client),
            to_port: flow.client_port,
            leaves: plain(way).link().map(|link| machine.name(link).to_owned()),
            flags: (flow.protocol == TCP).then_some(SYN | ACK),
            state: Some("established"),
            ..Packet::of(ipvs::Family::from(flow.client), flow.protocol)
        };
        if let Some((what, fix)) = dropped(self.rules, &LEAVING, i32::MAX, &[answer]) {
            step.stop(what, Some(fix));
        }
        Ok(step)
    }

    /// With masquerading the answer must pass the director; otherwise it must not, unless the director takes it on purpose.
    fn through_the_director(&self, flow: &Flow, way: Way, step: &mut Step) {
        let Some(director) = self.role.director else { return };
        let Way::Leaves { gateway, .. } = way else { return };
        let hop = gateway.unwrap_or(flow.client);
        let is_it = self.machine.is_same_machine(hop, director) || flow.client == director;
        match self.role.method {
            Method::Masquerade if !is_it => step.stop(
                format!("it goes to {hop}, not through the director, {director}, which must give it the VIP's address"),
                None,
            ),
            Method::DirectRouting | Method::Tunnel if is_it && flow.client != director => step.ask(format!(
                "the director, {director}, forwards a packet from its own address only with accept_local=1"
            )),
            _ => {}
        }
    }
}

/// What takes the packet on this machine.
fn listener(machine: &Machine, flow: &Flow, step: &mut Step) {
    let Some(port) = flow.port.filter(|_| matches!(flow.protocol, TCP | UDP)) else { return };
    let is_tcp = flow.protocol == TCP;
    if machine.listens(flow.vip, port, is_tcp) {
        step.note(format!("a socket takes it on port {port}"));
    } else {
        step.stop(format!("nothing listens on port {port} of {}: refused", flow.vip), None);
    }
}

/// The stages on a server that is the director itself.
pub(super) fn local(
    director: &Director,
    server: &DestinationEntry,
    flow: &Flow,
    roads: &mut Roads,
) -> Result<Vec<Step>> {
    let id = server.destination.id;
    let (to, port) = match server.destination.forwarding {
        ForwardingMethod::Masquerade => (id.address, Some(id.port).filter(|port| *port != 0).or(flow.port)),
        _ => (flow.vip, flow.port),
    };
    let flow = Flow { vip: to, port, ..*flow };
    let mut here = Step::new(Stage::OnServer);
    listener(&director.machine, &flow, &mut here);
    let mut answer = Step::new(Stage::Answer);
    let way = roads.ask(&flow.answer())?;
    let words = format!("to {}: {}", flow.client, roads.words(way, &director.machine));
    match way {
        Way::Refused(_) => answer.stop(words, None),
        _ => answer.note(words),
    }
    Ok(vec![here, answer])
}
