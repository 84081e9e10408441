//! Whether a real server takes packets out of the director's tunnel.

use std::net::IpAddr;
use std::path::Path;

use ipvs::{Family, TunnelKind};

use crate::check::checks::value::{Check, OfServer};
use crate::check::facts::address::Route;
use crate::check::facts::machine::{Link, LinkKind, Machine};
use crate::check::facts::tunnels::{is_of_kind, is_six_in_four, takes, usable};
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, Step};
use crate::check::server::Server;
use crate::command::{Method, RealServer};
use crate::programs;

const TUNNEL_DOWN: Kind =
    Kind::error("tunnel-down", "packets from the director are not decapsulated: clients time out");
const TUNNEL_RP_FILTER: Kind = Kind::error(
    "tunnel-rp-filter",
    "packets from the tunnel are dropped, because answers would leave by another interface",
);

/// What it finds, and how.
pub(super) const CHECK: OfServer = Check { kinds: &[TUNNEL_DOWN, TUNNEL_RP_FILTER], run };

fn run(server: &Server) -> Vec<Finding> {
    if server.role.method == Method::Tunnel { tunnel(&server.role, &server.machine) } else { Vec::new() }
}

fn tunnel(role: &RealServer, machine: &Machine) -> Vec<Finding> {
    let mut findings: Vec<Finding> = closed_port(role, machine).into_iter().collect();
    if !usable(role, machine).any(|link| link.is_up) {
        findings.push(down(role, machine));
    }
    let strict = usable(role, machine)
        .filter(|link| role.vip.is_ipv4() && link.is_up && machine.effective(&link.name, "rp_filter") == 1);
    findings.extend(strict.map(|link| {
        let path = |name: &str| format!("net/ipv4/conf/{name}/rp_filter");
        let fix = match machine.default_route(role.vip) {
            Route::Unreachable | Route::Local => Fix::set([(path("all"), 0), (path(&link.name), 0)]),
            _ => Fix::set([(path(&link.name), 2)]),
        };
        TUNNEL_RP_FILTER.at(&link.name, format!("rp_filter is strict on {}", link.name), fix)
    }));
    findings
}

/// No tunnel of the kind is up.
fn down(role: &RealServer, machine: &Machine) -> Finding {
    let is_gre = matches!(role.tunnel, Some((TunnelKind::Gre, _)));
    let (module, name) = match (is_gre, role.vip.is_ipv4()) {
        (false, true) => ("ipip", "tunl0"),
        (false, false) if is_six_in_four(role) => ("sit", "sit0"),
        (false, false) => ("ip6_tunnel", "ip6tnl0"),
        (true, true) => ("ip_gre", "gre0"),
        (true, false) => ("ip6_gre", "ip6gre0"),
    };
    let has_it = machine.links.iter().any(|link| link.name == name);
    let load = if has_it { Fix::default() } else { Step::Module(module).into() };
    let mut others = machine.links.iter().filter(|link| {
        link.is_up && matches!(link.kind, LinkKind::Tunnel | LinkKind::Gre | LinkKind::OtherTunnel)
    });
    let is_of_others = |link: &&Link| link.is_up && is_of_kind(role, link) && !takes(role, machine, link);
    let of_others = machine.links.iter().find(is_of_others);
    let what = match (others.next(), role.tunnel) {
        _ if of_others.is_some() => of_others.map_or(String::new(), |link| {
            let end = |address: Option<IpAddr>| address.map_or("any".to_owned(), |it| it.to_string());
            format!(
                "{} takes packets from {} to {} alone, not those of the director",
                link.name,
                end(link.facts.remote),
                end(link.facts.local)
            )
        }),
        (Some(other), Some((kind, _))) => {
            format!(
                "no tunnel of the director's kind, {kind}, is up on this server; {} is of another",
                other.name
            )
        }
        _ => "no tunnel is up on this server".to_owned(),
    };
    TUNNEL_DOWN.at(&name, what, load.and(Step::bring_up(name)))
}

/// Nothing takes GUE's packets from their port.
fn closed_port(role: &RealServer, machine: &Machine) -> Option<Finding> {
    let (TunnelKind::Gue, port) = role.tunnel? else { return None };
    if machine.listeners.iter().any(|listener| !listener.is_tcp && listener.port == port) {
        return without_header(role, port);
    }
    let open = Step::GuePort { port, family: Family::from(role.vip) };
    let what = format!("nothing takes GUE from UDP port {port} (ip fou show)");
    let fix = Fix(vec![Step::Module("fou"), open]);
    Some(TUNNEL_DOWN.at(&format_args!("UDP port {port}"), what, fix))
}

/// The port takes packets in UDP without GUE's header.
fn without_header(role: &RealServer, port: u16) -> Option<Finding> {
    // To ask a kernel without it would load it.
    let printed =
        Path::new("/sys/module/fou").exists().then(|| programs::output("ip", &["fou", "show"]).ok())??;
    let is_of_port = |line: &&str| {
        let mut words = line.split_whitespace();
        words.find(|word| *word == "port").and(words.next()) == Some(port.to_string().as_str())
    };
    let line = printed.lines().find(is_of_port)?;
    if line.split_whitespace().any(|word| word == "gue") {
        return None;
    }
    let again = Step::GuePort { port, family: Family::from(role.vip) };
    let fix = Fix(vec![Step::Firewall(format!("ip fou del port {port}")), again]);
    let what =
        format!("UDP port {port} takes packets without the header of GUE (ip fou show): {}", line.trim());
    Some(TUNNEL_DOWN.at(&format_args!("UDP port {port}"), what, fix))
}
