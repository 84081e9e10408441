//! The VIP on a real server: it is there, alone, and nobody sees it.

use super::place::{Place, wants_vip};
use crate::check::checks::fixes::move_address;
use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::address::{Route, full_prefix};
use crate::check::facts::answers::own;
use crate::check::facts::machine::{Connection, LinkKind, Machine, TcpState};
use crate::check::facts::tunnels::usable;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{ADDRESS, AddressChange, AddressStep, Fix, Step};
use crate::check::server::Server;
use crate::command::{Method, RealServer};
use crate::shell;

const SERVER_VIP_ON_WIRE: Kind =
    Kind::error("server-vip-on-wire", "this server answers ARP for the VIP, as the director does");
const SERVER_VIP_MASK: Kind = Kind::error(
    "server-vip-mask",
    "every address of that network counts as this machine's: answers to clients in it never leave",
);
const SERVER_VIP_MISSING: Kind =
    Kind::error("server-vip-missing", "this machine does not accept packets for the VIP: clients time out");

/// What it finds, and how.
pub(super) const CHECK: OfServer =
    Check { kinds: &[SERVER_VIP_ON_WIRE, SERVER_VIP_MASK, SERVER_VIP_MISSING], run };

fn run(server: &Server) -> Vec<Finding> {
    match wants_vip(server) {
        Place::Here => vip(&server.role, &server.machine),
        Place::Elsewhere => Vec::new(),
        Place::Unknown { link, reason } => vec![may_be_director(server, link, reason)],
    }
}

/// This machine may be the director: nothing takes the VIP away.
fn may_be_director(server: &Server, link: &str, reason: &str) -> Finding {
    let vip = server.role.vip;
    let what = format!(
        "{vip} is on {link}, which is connected to a network, and this machine may be the director: {reason}; if it is \
         not, --director names the director"
    );
    SERVER_VIP_ON_WIRE.at(&vip, what, Fix::look("ipvsadm -L -n"))
}

/// The interface for the address.
fn vip_interface<'a>(role: &RealServer, machine: &'a Machine) -> &'a str {
    let tunnel = usable(role, machine).find(|link| link.is_up);
    tunnel.filter(|_| role.method == Method::Tunnel).map_or("lo", |link| &link.name)
}

fn vip(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let vip = role.vip;
    let mut findings = Vec::new();
    for (place, link) in machine.holders(vip) {
        if link.kind == LinkKind::Ethernet {
            let what = format!("{vip} is on {}, which is connected to a network", link.name);
            // The director, and perhaps the user, reaches the server through its own address.
            let near =
                role.director.and_then(|director| machine.route(director).link()).unwrap_or(link.index);
            if own(role, machine).any(|own| own.link == near) {
                let fix = move_address(machine, place, link, vip_interface(role, machine));
                findings.push(SERVER_VIP_ON_WIRE.at(&vip, what, fix));
            } else {
                let name = machine.name(near);
                let what = format!(
                    "{what}, and {name} has no other address: if this is the VIP, add the server's own first"
                );
                let (how, prefix, link) = (AddressChange::Add, place.prefix, machine.word(near));
                let fix = Step::Address(AddressStep { how, address: ADDRESS, prefix, link });
                findings.push(SERVER_VIP_ON_WIRE.at(&vip, what, fix));
            }
        } else if place.prefix != full_prefix(vip) {
            let what = format!(
                "{vip} is on {} with the mask /{}, not /{}",
                link.name,
                place.prefix,
                full_prefix(vip)
            );
            findings.push(SERVER_VIP_MASK.at(&vip, what, move_address(machine, place, link, &link.name)));
        }
    }
    if machine.route(vip) != Route::Local {
        findings.push(missing(role, machine));
    }
    findings
}

fn missing(role: &RealServer, machine: &Machine) -> Finding {
    let vip = role.vip;
    let what = format!("{vip} is not on this server");
    let is_from_vip =
        |connection: &Connection| connection.state == TcpState::Established && connection.remote.ip() == vip;
    if !machine.connections.iter().any(is_from_vip) {
        let link = vip_interface(role, machine);
        let path = format!("net/ipv6/conf/{link}/disable_ipv6");
        let is_disabled = vip.is_ipv6() && machine.sysctl(&path) == Some(1);
        let allow = if is_disabled { Fix::set([(path, 0)]) } else { Fix::default() };
        let what = if is_disabled { format!("{what}, and IPv6 is disabled on {link}") } else { what };
        return SERVER_VIP_MISSING.at(&vip, what, allow.and(Step::add_address(vip, link)));
    }
    // A user who is connected from it, on the director, would be cut off.
    let what = format!("{what}, and the director's own connections use it as source: they would be cut");
    let director = role.director.map_or("DIRECTOR".to_owned(), |director| director.to_string());
    let change = if vip.is_ipv4() {
        format!(
            "ip addr replace {vip}/32 dev INTERFACE && sysctl -w net.ipv4.conf.all.promote_secondaries=1 && \
             ip addr del {vip}/PREFIX dev INTERFACE"
        )
    } else {
        format!("ip addr change {vip}/128 dev INTERFACE preferred_lft 0")
    };
    SERVER_VIP_MISSING.at(&vip, what, Step::Remote(shell::line(["ssh", &director, &change])))
}
