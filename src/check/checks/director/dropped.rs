//! Packets that IPVS drops by intention, and connections that it forgets while they are in use.

use ipvs::{Change, Protocol, ServiceId, Timeouts};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::finding::{Finding, Kind};
use crate::check::fix::{Fix, Step};
use crate::check::verdict::Examined;

const DROP_PACKET: Kind = Kind::error("drop-packet", "clients have to try again, and wait meanwhile");
const TIMEOUT_SHORT: Kind =
    Kind::error("timeout-short", "a client that pauses for longer gets no more answers");

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[DROP_PACKET, TIMEOUT_SHORT], run: dropped_connections };

/// A value of `drop_packet`; the others drop packets only while memory is short.
const ALWAYS: u32 = 3;

/// Timeouts of TCP up to this are too short.
const SHORTEST: u32 = 10;

/// Packets that IPVS drops by intention, and connections that it forgets while they are in use.
fn dropped_connections(director: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if director.table.is_empty() {
        return findings;
    }
    let path = "net/ipv4/vs/drop_packet";
    if director.machine.sysctl(path) == Some(ALWAYS) {
        let rate = director.machine.sysctl("net/ipv4/vs/am_droprate").unwrap_or(10);
        let at = path.replace('/', ".");
        let what = format!("{at} is 3: one of {rate} new connections is dropped");
        findings.push(DROP_PACKET.at(&at, what, Fix::set([(path, 0)])));
    }
    let of_tcp = director.services().any(|(service, _)| match service.id {
        ServiceId::Address { protocol, .. } => protocol == Protocol::Tcp,
        ServiceId::Fwmark { .. } => true,
    });
    if let Some(timeouts) =
        director.timeouts.filter(|timeouts| of_tcp && (1..=SHORTEST).contains(&timeouts.tcp))
    {
        let what = format!("IPVS forgets TCP connections that were idle for {} s", timeouts.tcp);
        let usual = Timeouts { tcp: 900, tcp_fin: 0, udp: 0 };
        let fix = Step::Table(Change::SetTimeouts(usual));
        findings.push(TIMEOUT_SHORT.at(&"timeouts", what, fix));
    }
    findings
}
