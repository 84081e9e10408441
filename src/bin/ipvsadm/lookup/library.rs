//! Lookups by the C library.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dns_lookup::{AddrInfoHints, getaddrinfo, getnameinfo, lookup_addr};

/// The first IPv4 address of a host.
pub(crate) fn address(name: &str) -> Option<Ipv4Addr> {
    let hints =
        AddrInfoHints { address: libc::AF_INET, socktype: libc::SOCK_STREAM, ..AddrInfoHints::default() };
    getaddrinfo(Some(name), None, Some(hints)).ok()?.flatten().find_map(|found| match found.sockaddr {
        SocketAddr::V4(address) => Some(*address.ip()),
        SocketAddr::V6(_) => None,
    })
}

/// The port of a service, over UDP or over TCP.
pub(crate) fn port(name: &str, is_udp: bool) -> Option<u16> {
    let socktype = if is_udp { libc::SOCK_DGRAM } else { libc::SOCK_STREAM };
    let hints = AddrInfoHints { address: libc::AF_INET, socktype, ..AddrInfoHints::default() };
    let found = getaddrinfo(None, Some(name), Some(hints)).ok()?.flatten().next()?;
    Some(found.sockaddr.port())
}

/// The names of hosts, in their order.
pub(crate) fn host_names(addresses: &[IpAddr]) -> Vec<Option<String>> {
    addresses.iter().map(|address| lookup_addr(address).ok()).collect()
}

/// The name of a port, over UDP or over TCP.
pub(crate) fn service_name(port: u16, is_udp: bool) -> Option<String> {
    let datagram = if is_udp { libc::NI_DGRAM } else { 0 };
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    // A port without a name is returned as its number.
    let (_, name) = getnameinfo(&address, libc::NI_NUMERICHOST | datagram).ok()?;
    (name != port.to_string()).then_some(name)
}
