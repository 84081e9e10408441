//! Lookups by the machine's `getent`. Without one, nothing has a name.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

/// As many words as fit a command line everywhere.
const KEYS: usize = 1000;

/// The lines that `getent` prints about some keys of a database, split into words.
fn getent(database: &str, keys: &[String]) -> Vec<Vec<String>> {
    let mut command = Command::new("getent");
    command.args([database, "--"]).args(keys).stdin(Stdio::null()).stderr(Stdio::null());
    // Its status is not 0 if any of the keys is unknown.
    let Ok(output) = command.output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn protocol(is_udp: bool) -> &'static str {
    if is_udp { "udp" } else { "tcp" }
}

/// The first IPv4 address of a host.
pub(crate) fn address(name: &str) -> Option<Ipv4Addr> {
    // The first finds nothing while no interface but lo has an address, the second no IPv4 address beside an IPv6 one.
    ["ahostsv4", "hosts"].into_iter().find_map(|database| {
        getent(database, &[name.to_owned()]).iter().find_map(|line| line.first()?.parse().ok())
    })
}

/// The port of a service, over UDP or over TCP.
pub(crate) fn port(name: &str, is_udp: bool) -> Option<u16> {
    let found = getent("services", &[format!("{name}/{}", protocol(is_udp))]);
    let (port, _) = found.first()?.get(1)?.split_once('/')?;
    port.parse().ok()
}

/// The names of hosts, in their order.
pub(crate) fn host_names(addresses: &[IpAddr]) -> Vec<Option<String>> {
    let mut names = BTreeMap::new();
    for addresses in addresses.chunks(KEYS) {
        let keys: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        for line in getent("hosts", &keys) {
            let mut words = line.into_iter();
            if let (Some(Ok(address)), Some(name)) =
                (words.next().map(|word| word.parse::<IpAddr>()), words.next())
            {
                names.entry(address).or_insert(name);
            }
        }
    }
    addresses.iter().map(|address: &IpAddr| names.get(address).cloned()).collect()
}

/// The name of a port, over UDP or over TCP.
pub(crate) fn service_name(port: u16, is_udp: bool) -> Option<String> {
    getent("services", &[format!("{port}/{}", protocol(is_udp))]).into_iter().next()?.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(not(target_feature = "crt-static"))]
    use crate::lookup::library;

    #[cfg(not(target_feature = "crt-static"))]
    #[test]
    fn getent_finds_what_the_library_finds() {
        let hosts = ["127.0.0.1", "::1", "203.0.113.77"].map(|address| address.parse().unwrap());
        let number = |names: Vec<Option<String>>| -> Vec<Option<String>> {
            // The library returns an address without a name as its number.
            names.into_iter().map(|name| name.filter(|name| name.parse::<IpAddr>().is_err())).collect()
        };
        assert_eq!(number(host_names(&hosts)), number(library::host_names(&hosts)));
        for name in ["localhost", "no-such-host.invalid", "-s"] {
            assert_eq!(address(name), library::address(name), "{name}");
        }
        for is_udp in [false, true] {
            for name in ["http", "domain", "www", "bootps", "no-such-service", "-s"] {
                assert_eq!(port(name, is_udp), library::port(name, is_udp), "{name}");
            }
            for port in [22, 53, 67, 80, 81, 65535] {
                assert_eq!(service_name(port, is_udp), library::service_name(port, is_udp), "{port}");
            }
        }
        assert!(port("http", false) == Some(80) && address("localhost").is_some());
    }

    #[test]
    fn many_addresses_are_asked_for_together() {
        let many = vec![IpAddr::from(Ipv4Addr::LOCALHOST); 2 * KEYS + 1];
        let names = host_names(&many);
        assert!(names.len() == many.len() && names.iter().all(Option::is_some));
    }
}
