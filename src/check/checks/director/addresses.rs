//! The virtual addresses: whether they are on an interface that is up, and whoever asks for them is answered.

use std::net::IpAddr;

use ipvs::{DaemonState, DestinationEntry};

use super::mistyped;
use crate::check::checks::fixes::{delete_address, move_address, remote_check, set_arp};
use crate::check::checks::value::{Check, OfDirector};
use crate::check::director::Director;
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::facts::table::address;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{AddressStep, Fix, INTERFACE, Step, Word};
use crate::check::verdict::Examined;
use crate::shell;

const VIP_MISSING: Kind =
    Kind::error("vip-missing", "no machine answers ARP for the address, so no request arrives here");
const VIP_LINK_DOWN: Kind =
    Kind::error("vip-link-down", "an interface that is down answers for none of its addresses");
const VIP_VOID: Kind =
    Kind::error("vip-void", "this machine does not answer for an address that another machine has or had");
const VIP_ON_LOOPBACK: Kind = Kind::error("vip-on-loopback", "ARP requests for the address get no reply");
const VIP_ON_OTHER_LINK: Kind = Kind::error("vip-on-other-link", "ARP requests for the address get no reply");
const VIP_UNANSWERED: Kind = Kind::error("vip-unanswered", "ARP requests for the address get no reply");
const VIP_TWICE: Kind =
    Kind::error("vip-twice", "each client reaches one machine or the other, by chance and for minutes");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check {
    kinds: &[
        VIP_MISSING,
        VIP_LINK_DOWN,
        VIP_VOID,
        VIP_ON_LOOPBACK,
        VIP_ON_OTHER_LINK,
        VIP_UNANSWERED,
        VIP_TWICE,
    ],
    run,
};

fn run(director: &Examined<'_>) -> Vec<Finding> {
    [vips(director), twice(director)].concat()
}

/// The virtual addresses: whether they are on an interface that is up, and ARP requests for them are answered. If
/// another machine may have them, no command adds them to this one: two would answer.
fn vips(director: &Examined<'_>) -> Vec<Finding> {
    let runs = |side| director.daemons.iter().any(|daemon| daemon.state == side);
    let is_backup = runs(DaemonState::Backup) && !runs(DaemonState::Master);
    if is_backup || director.supervisors.move_addresses.is_some() {
        return Vec::new(); // a standby has none, and the program that moves them knows which machine is the standby
    }
    let vips = director.services().filter_map(|(service, servers)| Some((address(&service.id)?, servers)));
    vips.filter_map(|(vip, servers)| vip_of(director, vip, servers)).collect()
}

fn vip_of(director: &Director, vip: IpAddr, servers: &[DestinationEntry]) -> Option<Finding> {
    let machine = &director.machine;
    let elsewhere = match () {
        () if !director.daemons.is_empty() => {
            Some("a sync daemon runs here, so another director may have it")
        }
        () if director.supervisors.fill_table.is_some() => {
            Some("a supervisor runs here, so another director may have it")
        }
        () if director.supervisors.are_hidden => {
            Some("processes are hidden from this one, so a program may move it to another director")
        }
        () => None,
    };
    let ask_other = || Fix::from(Step::Remote(format!("ssh DIRECTOR ip addr show to {vip}")));
    let with_reason = |what: String| elsewhere.map_or(what.clone(), |reason| format!("{what}; {reason}"));
    // An address stays on this machine when its interface goes down.
    // Without a carrier it stays, and other interfaces of its network answer for it.
    let mut wires = machine.on_links(vip).peekable();
    let is_cut = wires.peek().is_some() && wires.all(|link| !link.has_carrier);
    let is_down =
        |link: &Link| link.kind == LinkKind::Ethernet && (!link.is_up || !link.has_carrier && is_cut);
    let is_up = machine.holders(vip).any(|(_, link)| !is_down(link));
    if let Some((_, link)) = machine.holders(vip).next().filter(|_| !is_up) {
        let below = link.parent.and_then(|parent| machine.link(parent)).filter(|parent| !parent.is_up);
        let (how, fix) = match below {
            _ if !link.is_up => (String::from("which is down"), Step::bring_up(&link.name).into()),
            Some(below) => {
                (format!("and {} below it is down", below.name), Step::bring_up(&below.name).into())
            }
            None => {
                let look = Fix::look(shell::line(["ip", "-s", "link", "show", "dev", &link.name]));
                ("which has no carrier: examine its cable and the switch".to_owned(), look)
            }
        };
        let what = with_reason(format!("{vip} is on {}, {how}", link.name));
        return Some(VIP_LINK_DOWN.at(&vip, what, elsewhere.map_or(fix, |_| ask_other())));
    }
    if let Some((place, link)) = machine.holders(vip).next().filter(|_| machine.is_void(vip)) {
        let what = with_reason(format!(
            "{vip} is on {}, but not in use: another machine had it when it was added (ip addr shows dadfailed)",
            link.name
        ));
        let name = link.name.as_str();
        let add = AddressStep::add(vip, name);
        let again = Step::Renew { delete: delete_address(place, name), add };
        let fix = elsewhere.map_or_else(|| if_nobody_has(vip, &name.into(), again), |_| ask_other());
        return Some(VIP_VOID.at(&vip, what, fix));
    }
    let on_link = machine.on_link(vip);
    if machine.route(vip) != Route::Local {
        // Nobody can be asked, and each of a pair runs both daemons.
        if director.daemons.len() > 1 && on_link.is_none() {
            return None;
        }
        let mistyped =
            || if elsewhere.is_none() { mistyped::address(director, vip, VIP_MISSING) } else { None };
        return mistyped().or_else(|| missing(machine, vip, servers, elsewhere));
    }
    // If the address is in none of this machine's networks, a route leads here, and no ARP is needed.
    let link = on_link?;
    let is_answered = vip.is_ipv4() && !machine.is_quiet(vip, link);
    let is_on_wire = machine.holders(vip).any(|(_, link)| link.kind == LinkKind::Ethernet);
    let (place, holder) = machine.holders(vip).next()?;
    if is_answered || holder.kind == LinkKind::Dummy && director.is_of_kubernetes() {
        return None;
    }
    if vip.is_ipv4() && holder.index == link.index {
        let (what, fix) = set_arp(machine, link, "arp_ignore", 1);
        return machine.is_silent(vip, link).then(|| VIP_UNANSWERED.at(&vip, what, fix));
    }
    if is_on_wire {
        return wrong_link(machine, vip, elsewhere);
    }
    let what = with_reason(format!(
        "{vip} is only on {}, and {} does not answer ARP for it",
        holder.name, link.name
    ));
    let move_it = || move_address(machine, place, holder, &link.name);
    Some(VIP_ON_LOOPBACK.at(&vip, what, elsewhere.map_or_else(move_it, |_| ask_other())))
}

/// Addresses that another machine answers for, too.
fn twice(director: &Examined<'_>) -> Vec<Finding> {
    let machine = &director.machine;
    let vips = director.vips();
    let held = machine.twice.iter().filter(|(vip, ..)| machine.holders(*vip).next().is_some());
    held.map(|(vip, link, ethernet)| {
        let mac = ethernet.map(|byte| format!("{byte:02x}")).join(":");
        let name = machine.name(*link);
        let what = format!("another machine, {mac}, answers ARP for {vip} on {name}, too");
        let is_it = |server: &DestinationEntry| {
            machine.neighbours.of(server.destination.id.address).any(|it| it.ethernet == Some(*ethernet))
        };
        let known =
            director.servers().find(|(service, server)| address(&service.id) == Some(*vip) && is_it(server));
        let fix = known.map_or_else(
            || Fix::look(format!("ip neigh show dev {} | grep {mac}", shell::quoted(name))),
            |(service, server)| remote_check(director, &vips, service, server),
        );
        VIP_TWICE.at(vip, what, fix)
    })
    .collect()
}

/// An address on an interface whose network does not contain it, where those that it belongs to do not answer for it.
fn wrong_link(machine: &Machine, vip: IpAddr, elsewhere: Option<&str>) -> Option<Finding> {
    let has_it = |link: &Link| machine.holders(vip).any(|(_, holder)| holder.index == link.index);
    let answers = |link: &Link| has_it(link) || vip.is_ipv4() && !machine.is_quiet(vip, link);
    // One that shares the wire answers itself.
    let shares = |link: &Link| machine.holders(vip).any(|(_, holder)| holder.parent == Some(link.index));
    if machine.on_links(vip).any(|link| answers(link) || shares(link)) {
        return None;
    }
    let (right, (_, wrong)) = (machine.on_link(vip)?, machine.holders(vip).next()?);
    let reason = elsewhere.map_or(String::new(), |reason| format!("; {reason}"));
    let what = format!(
        "{vip} is on {}, and belongs to the network of {}, which does not answer ARP for it{reason}",
        wrong.name, right.name
    );
    let fix = match elsewhere {
        Some(_) => Step::Remote(format!("ssh DIRECTOR ip addr show to {vip}")),
        None => Step::add_address(vip, right.name.as_str()),
    };
    Some(VIP_ON_OTHER_LINK.at(&vip, what, fix))
}

/// Takes an address, and first asks for it: never take one that another machine has, whatever is known here.
fn if_nobody_has(vip: IpAddr, link: &Word, take: Step) -> Fix {
    Fix(vec![Step::NobodyHas { address: vip, link: link.clone() }, take])
}

/// An address that this director does not have.
fn missing(
    machine: &Machine,
    vip: IpAddr,
    servers: &[DestinationEntry],
    elsewhere: Option<&str>,
) -> Option<Finding> {
    let first_server =
        || servers.first().and_then(|server| machine.route(server.destination.id.address).link());
    let by_route = || machine.default_route(vip).link().or_else(first_server);
    let link = machine.on_link(vip).map(|link| link.index).or_else(by_route);
    let name = link.map_or(INTERFACE, |link| machine.word(link));
    let is_answered = link.is_some_and(|link| machine.answered(vip, link));
    let reason = match elsewhere {
        Some(_) if is_answered => return None, // the other director has it
        None if is_answered => format!(
            "; another machine answers for it on {} (ip neigh)",
            link.map_or("", |link| machine.name(link))
        ),
        Some(reason) => format!("; {reason}"),
        None => String::new(),
    };
    let mut what = format!("no interface of this director has the address {vip}{reason}");
    if !reason.is_empty() {
        return Some(VIP_MISSING.at(
            &vip,
            what,
            Fix::look(format!("ping -c 1 -W 1 {vip}; ip neigh show {vip}")),
        ));
    }
    let take = |name: Word| if_nobody_has(vip, &name, Step::add_address(vip, name.clone()));
    let mut fix = take(name);
    if let (None, Some(down)) = (machine.on_link(vip), machine.on_link_down(vip)) {
        what = format!("{what}; {}, whose network contains it, is down", down.name);
        fix = Fix::from(Step::bring_up(&down.name)).and(take(down.name.as_str().into()));
    }
    Some(VIP_MISSING.at(&vip, what, fix))
}
