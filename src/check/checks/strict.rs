//! An `rp_filter` that drops clients' packets, on a director or on a real server.

use std::net::IpAddr;

use crate::check::facts::machine::{Link, Machine};
use crate::check::finding::{Finding, Kind, counted};
use crate::check::fix::Fix;

pub(crate) const RP_FILTER: Kind = Kind::error(
    "rp-filter",
    "packets are dropped because answers would leave by another interface than they arrive on",
);

/// On an interface where packets for an address arrive, if answers would leave by another.
pub(crate) fn strict_rp_filter(machine: &Machine, vip: IpAddr, link: &Link) -> Option<Finding> {
    const STRICT: u32 = 1;
    let back = machine.default_route(vip).link();
    if !vip.is_ipv4()
        || machine.rp_filter_drops == 0
        || back == Some(link.index)
        || machine.effective(&link.name, "rp_filter") != STRICT
    {
        return None;
    }
    let what = format!(
        "rp_filter has dropped {}; the default route leaves by another interface than {}",
        counted(machine.rp_filter_drops, "packet"),
        link.name
    );
    let path = |name: &str, value| (format!("net/ipv4/conf/{name}/rp_filter"), value);
    let fix = match back {
        Some(_) => Fix::set([path(&link.name, 2)]),
        None => Fix::set([path("all", 0), path(&link.name, 0)]), // loose mode also needs a route back
    };
    Some(RP_FILTER.at(&link.name, what, fix))
}
