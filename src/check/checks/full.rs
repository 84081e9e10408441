//! The table of the connection tracking, on a director and on a real server.

use crate::check::facts::machine::Machine;
use crate::check::finding::{Finding, Kind};
use crate::check::fix::Fix;

pub(super) const CONNTRACK_FULL: Kind =
    Kind::error("conntrack-full", "the kernel drops the first packet of each new client");

/// A table that has no room for new clients.
pub(super) fn full_table(machine: &Machine) -> Vec<Finding> {
    const MOST: &str = "net/netfilter/nf_conntrack_max";
    let (count, most) = (machine.sysctl("net/netfilter/nf_conntrack_count"), machine.sysctl(MOST));
    let (Some(count), Some(most)) = (count, most) else { return Vec::new() };
    // It forgets a few now and then, so it is rarely quite full.
    if most == 0 || u64::from(count) * 20 < u64::from(most) * 19 {
        return Vec::new();
    }
    let what = format!(
        "the connection tracking has {count} of at most {most} connections (net.netfilter.nf_conntrack_max)"
    );
    let fix = Fix::set([(MOST, most.saturating_mul(2))]);
    vec![CONNTRACK_FULL.at(&"net.netfilter.nf_conntrack_max", what, fix)]
}
