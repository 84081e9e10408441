//! The limit of connections that the kernel has since Linux 7.2.

use crate::check::checks::value::{Check, OfDirector};
use crate::check::finding::{Finding, Kind, counted};
use crate::check::fix::Fix;
use crate::check::verdict::Examined;

const CONNECTION_LIMIT: Kind = Kind::error(
    "connection-limit",
    "the kernel drops the packets of new clients, and counts and logs nothing of it",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[CONNECTION_LIMIT], run: connections };

const PATH: &str = "net/ipv4/vs/conn_max";

/// The highest value that the kernel takes.
const HIGHEST: u64 = 1 << 30;

/// The limit, if nine tenths of it are used.
fn connections(director: &Examined<'_>) -> Vec<Finding> {
    let Some((load, allowed)) = director.load.and_then(|load| Some((load, load.connections_allowed?))) else {
        return Vec::new();
    };
    if director.table.is_empty() || load.connections.saturating_mul(10) < allowed.saturating_mul(9) {
        return Vec::new();
    }
    let at = PATH.replace('/', ".");
    let templates: u64 = director.servers().map(|(_, server)| u64::from(server.persistent_connections)).sum();
    let share = match templates {
        0 => String::new(),
        1 => ", 1 of them a persistence template, which takes a place beside its client's connection"
            .to_owned(),
        _ => format!(
            ", {templates} of them persistence templates, which take a place beside their client's connection"
        ),
    };
    let what = match allowed {
        0 => format!("{at} is 0: no connection is allowed"),
        _ => format!(
            "{at} allows {}, and there are {}{share}",
            counted(allowed, "connection"),
            load.connections
        ),
    };
    let enough = load.connections.max(allowed).saturating_mul(2).clamp(65_536, HIGHEST);
    let fix = Fix::set([(PATH, u32::try_from(enough).unwrap_or(u32::MAX))]);
    vec![CONNECTION_LIMIT.at(&at, what, fix)]
}
