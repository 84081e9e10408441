//! Answer: the director's part in the way back, which it has with masquerading alone.

use ipvs::{DestinationEntry, ForwardingMethod, Service};

use super::super::director::Director;
use super::arrival::reverse_path;
use super::roads::{Roads, plain};
use super::stage::{Stage, Step};
use super::{Flow, end};
use crate::check::facts::question::{Question, Refusal, Way};
use crate::check::firewall::dropped::dropped;
use crate::check::firewall::packets;
use crate::check::firewall::rules::{FORWARDED, Packet, SENT};
use crate::messages::Result;

/// The answer's way.
pub(super) fn step(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
    flow: &Flow,
    roads: &mut Roads,
) -> Result<Step> {
    let mut step = Step::new(Stage::Answer);
    let address = server.destination.id.address;
    if server.destination.forwarding != ForwardingMethod::Masquerade {
        step.ask(format!(
            "{address} answers {} itself, from {}, and the director does not see it",
            flow.client, flow.vip
        ));
        return Ok(step);
    }
    let machine = &director.machine;
    let to = Question::to(address);
    let way = roads.ask(&to)?;
    let Some(link) = plain(way).link() else { return Ok(step) };
    step.note(format!("comes back through the director: from {address} on {}", machine.name(link)));
    forwarded(director, server, flow, link, &mut step, roads)?;
    let (forward, sent) = packets::from_server(machine, &director.rules, service, server);
    let of_client = |packets: Vec<Packet>| -> Vec<Packet> {
        packets
            .into_iter()
            .map(|packet| Packet { to: Some(flow.client), to_port: flow.client_port, ..packet })
            .collect()
    };
    let found = dropped(&director.rules, &FORWARDED, i32::MAX, &of_client(forward))
        .or_else(|| dropped(&director.rules, &SENT, i32::MAX, &of_client(sent)));
    if let Some((what, fix)) = found {
        step.stop(what, Some(fix));
    }
    let back = roads.ask(&flow.answer())?;
    match back {
        Way::Refused(_) => {
            step.stop(format!("no way to {}: {}", flow.client, roads.words(back, machine)), None);
        }
        _ => step.note(format!(
            "leaves as {}: to {} {}",
            end(flow.vip, flow.port),
            flow.client,
            roads.words(back, machine)
        )),
    }
    Ok(step)
}

/// Whether the kernel forwards the server's answer.
fn forwarded(
    director: &Director,
    server: &DestinationEntry,
    flow: &Flow,
    link: u32,
    step: &mut Step,
    roads: &mut Roads,
) -> Result<()> {
    let machine = &director.machine;
    let (address, port) = (server.destination.id.address, server.destination.id.port);
    if machine.holders(flow.client).next().is_some() || !machine.forwards(address) {
        return Ok(()); // the finding on forwarding has the setting
    }
    let answer = Question {
        from: Some(address),
        arrives: Some(link),
        from_port: Some(port).filter(|port| *port != 0).or(flow.port),
        ..flow.answer()
    };
    match roads.ask(&answer)? {
        Way::Refused(Refusal::ReversePath) => {
            let from_server = Flow { client: address, vip: flow.client, ..*flow };
            let (what, fix) = reverse_path(machine, &from_server, machine.name(link), roads)?;
            step.stop(what, Some(fix));
        }
        way @ Way::Refused(_) => {
            step.stop(
                format!("no way from {address} to {}: {}", flow.client, roads.words(way, machine)),
                None,
            );
        }
        Way::Local { .. } | Way::Leaves { .. } => {}
    }
    Ok(())
}
