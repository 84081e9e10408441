//! `ToServer`: from IPVS to the next machine.

use ipvs::{DestinationEntry, ForwardingMethod, Service};

use super::super::director::Director;
use super::Flow;
use super::roads::Roads;
use super::stage::{Stage, Step};
use crate::check::facts::question::{Question, Way};
use crate::check::firewall::dropped::dropped;
use crate::check::firewall::packets;
use crate::check::firewall::rules::{LEAVING, Packet};
use crate::messages::Result;

/// The packet's way out of the director. Rules of routing see its destination alone.
pub(super) fn step(
    director: &Director,
    service: &Service,
    server: &DestinationEntry,
    flow: &Flow,
    roads: &mut Roads,
) -> Result<Step> {
    let machine = &director.machine;
    let mut step = Step::new(Stage::ToServer);
    let address = server.destination.id.address;
    let method = server.destination.forwarding;
    let plain = Question::to(address);
    let way = roads.ask(&plain)?;
    let words = roads.words(way, machine);
    match way {
        Way::Local { .. } => step.note(format!("{address} is this machine itself")),
        Way::Refused(_) => step.stop(format!("no way to {address}: {words}"), None),
        Way::Leaves { gateway: Some(gateway), .. } if method == ForwardingMethod::DirectRouting => step.ask(format!(
            "{address} is behind {gateway}, which must take packets for {}: direct routing keeps that destination",
            flow.vip
        )),
        Way::Leaves { gateway, link, .. } => {
            let hop = gateway.unwrap_or(address);
            let ethernet = machine.neighbours.of(hop).find(|known| known.link == link).and_then(|it| it.ethernet);
            let ethernet = ethernet.map_or(String::new(), |bytes| {
                format!(", {}", bytes.map(|byte| format!("{byte:02x}")).join(":"))
            });
            step.note(format!("{}: to {address} {words}{ethernet}", in_words(method)));
            if !roads.answers(machine, hop, link)? {
                step.stop(format!("{hop} does not answer on {} (ip neigh)", machine.name(link)), None);
            }
        }
    }
    let of_client = packets::to_server(machine, &director.rules, service, server)
        .into_iter()
        .filter(|packet| {
            packet.to_port.is_none_or(|port| {
                flow.port.is_none() || Some(port) == flow.port || method == ForwardingMethod::Masquerade
            })
        })
        .map(|packet| match method {
            ForwardingMethod::Tunnel(_) => packet,
            _ => Packet { from: Some(flow.client), from_port: flow.client_port, ..packet },
        });
    if let Some((what, fix)) = dropped(&director.rules, &LEAVING, i32::MAX, &of_client.collect::<Vec<_>>()) {
        step.stop(what, Some(fix));
    }
    Ok(step)
}

/// A forwarding method in words.
pub(super) fn in_words(method: ForwardingMethod) -> &'static str {
    match method {
        ForwardingMethod::Masquerade => "masquerading",
        ForwardingMethod::Tunnel(_) => "tunnel",
        ForwardingMethod::DirectRouting => "direct routing",
        _ => "local",
    }
}
