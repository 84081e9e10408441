//! The kernel's settings that checks look at, by their paths below `/proc/sys`, as they were when they were read.

use std::collections::HashMap;

use crate::sysctl;

/// Those of the whole machine.
const OF_MACHINE: [&str; 18] = [
    "net/ipv4/fib_multipath_use_neigh",
    "net/ipv4/ip_forward",
    "net/ipv4/vs/am_droprate",
    "net/ipv4/vs/backup_only",
    "net/ipv4/vs/conn_reuse_mode",
    "net/ipv4/vs/conntrack",
    "net/ipv4/vs/drop_packet",
    "net/ipv4/vs/expire_nodest_conn",
    "net/ipv4/vs/expire_quiescent_template",
    "net/ipv4/vs/pmtu_disc",
    "net/ipv4/vs/run_estimation",
    "net/ipv4/vs/secure_tcp",
    "net/ipv4/vs/snat_reroute",
    "net/ipv6/bindv6only",
    "net/ipv6/conf/all/forwarding",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_loose",
];
/// Those that each interface has for IPv4; where `all` has another value, the higher is in effect.
const OF_LINK: [&str; 8] = [
    "accept_local",
    "arp_announce",
    "arp_filter",
    "arp_ignore",
    "forwarding",
    "promote_secondaries",
    "rp_filter",
    "send_redirects",
];
/// Those that each interface has for IPv6.
const OF_LINK6: [&str; 2] = ["accept_ra", "disable_ipv6"];

/// Settings by their paths. One that is not there has no value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings(HashMap<String, u32>);

impl Settings {
    /// Those of a machine with some interfaces, by their names.
    pub(crate) fn read(links: &[&str]) -> Self {
        let read = |path: String| {
            let value = sysctl::read(&path)?;
            Some((path, value))
        };
        paths(links).filter_map(read).collect()
    }

    pub(crate) fn get(&self, path: &str) -> Option<u32> {
        debug_assert!(is_known(path), "{path} is never read: name it above");
        self.0.get(path).copied()
    }

    /// Settings by the ends of their paths; of several ends that match the first counts.
    #[cfg(test)]
    pub(crate) fn by_ends(links: &[&str], ends: &[(&str, u32)]) -> Self {
        let value = |path: &str| ends.iter().find(|(end, _)| path.ends_with(end)).map(|(_, value)| *value);
        paths(links).filter_map(|path| value(&path).map(|value| (path, value))).collect()
    }
}

impl<P: Into<String>> FromIterator<(P, u32)> for Settings {
    fn from_iter<T: IntoIterator<Item = (P, u32)>>(settings: T) -> Self {
        Self(settings.into_iter().map(|(path, value)| (path.into(), value)).collect())
    }
}

fn paths(links: &[&str]) -> impl Iterator<Item = String> {
    let names = || links.iter().copied();
    let four = std::iter::once("all").chain(names());
    let four = four.flat_map(|link| OF_LINK.map(|name| format!("net/ipv4/conf/{link}/{name}")));
    let six = names().flat_map(|link| OF_LINK6.map(|name| format!("net/ipv6/conf/{link}/{name}")));
    OF_MACHINE.into_iter().map(str::to_owned).chain(four).chain(six)
}

fn is_known(path: &str) -> bool {
    let name =
        |front| path.strip_prefix(front).and_then(|rest: &str| rest.rsplit_once('/')).map(|(_, name)| name);
    OF_MACHINE.contains(&path)
        || name("net/ipv4/conf/").is_some_and(|name| OF_LINK.contains(&name))
        || name("net/ipv6/conf/").is_some_and(|name| OF_LINK6.contains(&name))
}
