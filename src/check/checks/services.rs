//! The virtual services of a director and their addresses.

use std::net::IpAddr;

use ipvs::{
    Change, DaemonState, DestinationEntry, Family, ForwardingMethod, Netmask, Persistence, Protocol, Service,
    ServiceId,
};

use crate::balance::{self, unbalanced};
use crate::change::warnings::weighted_alternative;
use crate::shell;

use super::fixes::{delete_address, log_of, move_address, remote_check, set_arp, set_mark, set_weight};
use super::servers;
use crate::check::director::Director;
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::facts::protocols::UDP;
use crate::check::facts::table::{address, all_zero};
use crate::check::finding::{Finding, Kind};
use crate::check::firewall::marked::Misplaced;
use crate::check::firewall::rules::Packet;
use crate::check::fix::{AddressStep, Fix, INTERFACE, Step, Word};

/// The virtual addresses: whether they are on an interface that is up, and ARP requests for them are answered. If
/// another machine may have them, no command adds them to this one: two would answer.
pub(crate) fn vips(director: &Director) -> Vec<Finding> {
    let runs = |side| director.daemons.iter().any(|daemon| daemon.state == side);
    let is_backup = runs(DaemonState::Backup) && !runs(DaemonState::Master);
    if is_backup || director.supervisors.move_addresses.is_some() {
        return Vec::new(); // a standby has none, and the program that moves them knows which machine is the standby
    }
    let vips = director.services().filter_map(|(service, servers)| Some((address(&service.id)?, servers)));
    vips.filter_map(|(vip, servers)| self::vip(director, vip, servers)).collect()
}

fn vip(director: &Director, vip: IpAddr, servers: &[DestinationEntry]) -> Option<Finding> {
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
        return Some(Kind::VipLinkDown.at(&vip, what, elsewhere.map_or(fix, |_| ask_other())));
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
        return Some(Kind::VipVoid.at(&vip, what, fix));
    }
    let on_link = machine.on_link(vip);
    if machine.route(vip) != Route::Local {
        return missing(machine, vip, servers, elsewhere);
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
        return machine.is_silent(vip, link).then(|| Kind::VipUnanswered.at(&vip, what, fix));
    }
    if is_on_wire {
        return wrong_link(machine, vip, elsewhere);
    }
    let what = with_reason(format!(
        "{vip} is only on {}, and {} does not answer ARP for it",
        holder.name, link.name
    ));
    let move_it = || move_address(machine, place, holder, &link.name);
    Some(Kind::VipOnLoopback.at(&vip, what, elsewhere.map_or_else(move_it, |_| ask_other())))
}

/// Addresses that another machine answers for, too.
pub(crate) fn twice(director: &Director) -> Vec<Finding> {
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
        Kind::VipTwice.at(vip, what, fix)
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
    Some(Kind::VipOnOtherLink.at(&vip, what, fix))
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
        return Some(Kind::VipMissing.at(
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
    Some(Kind::VipMissing.at(&vip, what, fix))
}

pub(crate) fn no_server(director: &Director) -> Vec<Finding> {
    let empty = director.services().filter(|(_, servers)| servers.is_empty() && !director.is_of_kubernetes());
    empty
        .map(|(service, _)| {
            // Servers of another port of the address may serve this one too.
            let is_sibling = |other: &Service| match (service.id, other.id) {
                (
                    ServiceId::Address { protocol, address, .. },
                    ServiceId::Address { protocol: other_protocol, address: other_address, .. },
                ) => (protocol, address) == (other_protocol, other_address),
                _ => false,
            };
            let sibling =
                director.services().find(|(other, servers)| !servers.is_empty() && is_sibling(other));
            let servers = sibling.map_or(&[][..], |(_, servers)| servers);
            let same: Fix = servers
                .iter()
                .map(|server| {
                    let mut destination = server.destination;
                    destination.id.port = service.id.port();
                    Change::AddDestination { service: service.id, destination }
                })
                .collect();
            let fix = if same.is_empty() { Step::NewServer(service.id).into() } else { same };
            let fix = director.supervisors.fill_table.map_or(fix, log_of);
            Kind::NoServer.of_service(&service.id, "the service has no real server", fix)
        })
        .collect()
}

pub(crate) fn all_weights_zero(director: &Director) -> Vec<Finding> {
    let idle = director.services().filter(|(_, servers)| all_zero(servers) && !director.is_of_kubernetes());
    let finding = |(service, servers): (&Service, &[DestinationEntry])| {
        let problem = |server: &DestinationEntry| servers::problem(&director.machine, service, server);
        let usable = servers.iter().filter(|server| problem(server).is_none());
        let earlier = |server: &DestinationEntry| {
            director.weights.get(&(service.id, server.destination.id)).copied().unwrap_or(1)
        };
        let back: Fix = usable.map(|server| set_weight(&service.id, server, earlier(server))).collect();
        let (what, fix) = match servers.first().and_then(|server| Some((server, problem(server)?))) {
            Some((server, (kind, what))) if back.is_empty() => {
                (format!("all real servers have weight 0, and {what}"), servers::examine(kind, server))
            }
            _ => ("all real servers have weight 0".to_owned(), back),
        };
        Kind::AllWeightsZero.of_service(
            &service.id,
            what,
            director.supervisors.fill_table.map_or(fix, log_of),
        )
    };
    idle.map(finding).collect()
}

pub(crate) fn weights_ignored(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let mut weights = servers.iter().map(|server| server.destination.weight).filter(|weight| *weight > 0);
        let first = weights.next();
        let differ = weights.any(|weight| Some(weight) != first);
        // Where all goes to one server, that is reported.
        let differ = differ && unbalanced(service).is_none();
        if let Some(scheduler) = weighted_alternative(service.scheduler).filter(|_| differ) {
            let what = format!("the weights differ, and scheduler {} ignores them", service.scheduler);
            let fix = Step::Table(Change::EditService(Service { scheduler, ..*service }));
            findings.push(Kind::WeightsIgnored.of_service(&service.id, what, fix));
        }
    }
    findings
}

pub(crate) fn persistent_one_packet(director: &Director) -> Vec<Finding> {
    // An engine identifies clients by packet contents: then the two work together.
    let both =
        |service: &Service| service.one_packet && service.persistence.is_some() && service.engine.is_none();
    let services = director.services().filter(|(service, _)| both(service));
    services
        .map(|(service, _)| {
            let fix = Step::Table(Change::EditService(Service { persistence: None, ..*service }));
            Kind::PersistentOnePacket.of_service(
                &service.id,
                "the service is persistent, and one-packet (-o)",
                fix,
            )
        })
        .collect()
}

/// One-packet services with masqueraded servers, unless a rule translates their answers.
pub(crate) fn one_packet_masqueraded(director: &Director) -> Vec<Finding> {
    let is_astray = |service: &Service, server: &DestinationEntry| {
        let id = server.destination.id;
        let answer = Packet {
            from: Some(id.address),
            from_port: Some(id.port).filter(|port| *port != 0),
            ..Packet::of(Family::from(id.address), UDP)
        };
        balance::answers_untranslated(service, &server.destination) && !director.rules.may_translate(&answer)
    };
    let services = director
        .services()
        .filter(|(service, servers)| servers.iter().any(|server| is_astray(service, server)));
    services
        .map(|(service, _)| {
            let fix = Step::Table(Change::EditService(Service { one_packet: false, ..*service }));
            let what = "the service schedules each packet by itself (-o), and has masqueraded servers (-m)";
            Kind::OnePacketMasqueraded.of_service(&service.id, what, fix)
        })
        .collect()
}

/// FTP whose data connections go to another server, or to addresses that clients do not reach.
pub(crate) fn ftp(director: &Director) -> Vec<Finding> {
    const FTP: u16 = 21;
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        if !matches!(service.id, ServiceId::Address { protocol: Protocol::Tcp, port: FTP, .. }) {
            continue;
        }
        let used: Vec<&DestinationEntry> =
            servers.iter().filter(|server| server.destination.weight > 0).collect();
        let is_masqueraded =
            |server: &&&DestinationEntry| server.destination.forwarding == ForwardingMethod::Masquerade;
        if used.iter().any(|server| is_masqueraded(&server)) && director.machine.has_ftp_helper == Some(false)
        {
            let what = "masqueraded servers name their own addresses for the data, and the module ip_vs_ftp, which translates them, is not loaded";
            findings.push(Kind::FtpData.of_service(&service.id, what, Step::Module("ip_vs_ftp")));
        }
        let is_spread = used.iter().filter(|server| !is_masqueraded(server)).count() > 1;
        if is_spread && service.persistence.is_none() {
            let netmask = Netmask::single(service.id.family());
            let persistence = Some(Persistence { timeout: 600, netmask });
            let fix = Step::Table(Change::EditService(Service { persistence, ..*service }));
            let what = "the service is FTP and not persistent, so the scheduler may choose another server for the data";
            findings.push(Kind::FtpData.of_service(&service.id, what, fix));
        }
    }
    findings
}

/// A supervisor with services that runs beside an empty table.
pub(crate) fn supervisor_idle(director: &Director) -> Vec<Finding> {
    let idle = director.idle_supervisor.filter(|_| director.table.is_empty());
    idle.map(|name| {
        let what = format!("{name} runs and has services in its configuration, and the table is empty");
        Kind::SupervisorIdle.at(&name, what, Step::Restart(name.into()))
    })
    .into_iter()
    .collect()
}

/// Persistence that takes all clients as one.
pub(crate) fn masks(director: &Director) -> Vec<Finding> {
    // With IPv6 all clients are in 2000::/3.
    let is_all = |netmask: &Netmask| match netmask {
        Netmask::V4(mask) => mask.to_bits().count_ones() < 4,
        Netmask::V6(bits) => *bits < 8,
    };
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        let used = servers.iter().filter(|server| server.destination.weight > 0).count();
        let Some(persistence) = service.persistence.filter(|it| is_all(&it.netmask) && used > 1) else {
            continue;
        };
        let what =
            format!("the netmask {} of its persistence takes nearly all clients as one", persistence.netmask);
        let netmask = Netmask::single(service.id.family());
        let persistence = Some(Persistence { netmask, ..persistence });
        let fix = Step::Table(Change::EditService(Service { persistence, ..*service }));
        findings.push(Kind::MaskOfAll.of_service(&service.id, what, fix));
    }
    findings
}

pub(crate) fn marks(director: &Director) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, _) in director.services() {
        let ServiceId::Fwmark { mark, family } = service.id else { continue };
        let Some(is_set) = director.rules.may_set(mark.get(), family) else { continue };
        let nowhere =
            || Misplaced { what: format!("no rule of the packet filter sets the mark {mark}"), fix: None };
        let misplaced = if is_set {
            director.rules.misplaced(mark.get(), family, &director.machine)
        } else {
            Some(nowhere())
        };
        if let Some(Misplaced { what, fix }) = misplaced {
            let fix = fix.unwrap_or_else(|| set_mark(director, mark.get(), family).into());
            findings.push(Kind::MarkUnset.of_service(&service.id, what, fix));
        }
    }
    findings
}
