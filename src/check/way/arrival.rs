//! In: from the network up to IPVS.

use super::super::fix::Fix;
use super::Flow;
use super::roads::{Roads, plain};
use super::stage::{Stage, Step};
use crate::check::facts::machine::{LinkKind, Machine};
use crate::check::facts::protocols::TCP;
use crate::check::facts::question::{Refusal, Way};
use crate::check::firewall::SCHEDULED;
use crate::check::firewall::dropped::{chain, dropped, named};
use crate::check::firewall::packets::later;
use crate::check::firewall::rules::{ARRIVING, Packet, SYN};
use crate::check::firewall::ruleset::Ruleset;
use crate::messages::Result;

/// The interface that a client's packets arrive on: a client beside this machine uses that of its network; others the one where
/// ARP for the address is answered; without such, the one that answers leave by.
pub(super) fn wire(machine: &Machine, flow: &Flow, back: Way) -> Option<u32> {
    if let Way::Leaves { gateway: None, link, .. } = back {
        return Some(link);
    }
    let holder = machine.holders(flow.vip).find(|(_, link)| link.kind == LinkKind::Ethernet && link.is_up);
    holder.map(|(_, link)| link.index).or_else(|| plain(back).link())
}

/// A client's first packet, as a packet filter sees it.
pub(super) fn packet(machine: &Machine, flow: &Flow, link: Option<u32>) -> Packet {
    Packet {
        from: Some(flow.client),
        to: Some(flow.vip),
        from_port: flow.client_port,
        to_port: flow.port,
        is_of_client: flow.protocol == TCP,
        flags: (flow.protocol == TCP).then_some(SYN),
        arrives: link.map(|link| machine.name(link).to_owned()),
        state: Some("new"),
        is_local: Some(true),
        ..Packet::of(ipvs::Family::from(flow.client), flow.protocol)
    }
}

/// The packet's way into this machine.
pub(super) fn step(machine: &Machine, rules: &Ruleset, flow: &Flow, roads: &mut Roads) -> Result<Step> {
    let mut step = Step::new(Stage::In);
    if machine.holders(flow.client).next().is_some() {
        step.note(format!("{} is this machine itself: OUTPUT instead of INPUT", flow.client));
        return Ok(step);
    }
    let back = roads.ask(&flow.answer())?;
    let link = wire(machine, flow, back);
    match link {
        Some(link) => step.note(format!(
            "arrives on {} (the way back to {}: {})",
            machine.name(link),
            flow.client,
            roads.words(back, machine)
        )),
        None => step.note(format!("the way back to {}: {}", flow.client, roads.words(back, machine))),
    }
    routed(machine, flow, link, &mut step, roads)?;
    let packet = packet(machine, flow, link);
    let drops = |packets: &[Packet]| dropped(rules, &ARRIVING, SCHEDULED, packets);
    let found = drops(std::slice::from_ref(&packet))
        .or_else(|| drops(&later(machine, std::slice::from_ref(&packet), false)));
    if let Some((what, fix)) = found {
        step.stop(what, Some(fix));
    } else if let Some((rule, target)) = rules.redirects(&packet) {
        let to = target.address.map_or("this machine".to_owned(), |address| super::end(address, target.port));
        step.note(format!(
            "{} gets another destination, {to}, in {}: {}",
            named(&packet),
            chain(&rule),
            rule.text()
        ));
    } else if !rules.is_open(&ARRIVING) {
        step.note("the packet filter lets it pass, as far as its rules can be read");
    }
    Ok(step)
}

/// Whether the kernel takes it as a packet for this machine.
fn routed(
    machine: &Machine,
    flow: &Flow,
    link: Option<u32>,
    step: &mut Step,
    roads: &mut Roads,
) -> Result<()> {
    let way = roads.ask(&flow.request(link))?;
    let name = link.map_or("INTERFACE", |link| machine.name(link));
    match way {
        Way::Local { .. } => {
            step.note(format!("{} is {}", flow.vip, roads.words(way, machine)));
        }
        Way::Refused(Refusal::ReversePath) => {
            let (what, fix) = reverse_path(machine, flow, name, roads)?;
            step.stop(what, Some(fix));
        }
        Way::Refused(Refusal::Invalid) if link.is_some() => step.stop(
            format!(
                "a packet from {} that arrives on {name} is taken as forged or has no way (martian)",
                flow.client
            ),
            None,
        ),
        Way::Leaves { .. } => step.stop(
            format!(
                "{} is not an address of this machine: the packet would leave again, {}",
                flow.vip,
                roads.words(way, machine)
            ),
            None,
        ),
        Way::Refused(_) => step.stop(
            format!("{} is not an address of this machine: {}", flow.vip, roads.words(way, machine)),
            None,
        ),
    }
    Ok(())
}

/// What `rp_filter` does on an interface, and the command that makes it take the packet.
pub(super) fn reverse_path(
    machine: &Machine,
    flow: &Flow,
    name: &str,
    roads: &mut Roads,
) -> Result<(String, Fix)> {
    let back = roads.ask(&flow.answer())?;
    let path = |name: &str, value| (format!("net/ipv4/conf/{name}/rp_filter"), value);
    // Loose mode, too, wants a way back.
    let fix = match back {
        Way::Refused(_) => Fix::set([path("all", 0), path(name, 0)]),
        _ => Fix::set([path(name, 2)]),
    };
    let what = format!(
        "rp_filter ({}) on {name} drops it: the way back to {}: {}",
        machine.effective(name, "rp_filter"),
        flow.client,
        roads.words(back, machine)
    );
    Ok((what, fix))
}
