//! Host and service names, both ways, by the system's resolver, each asked for once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use dns_lookup::{AddrInfoHints, getaddrinfo, getnameinfo};
use ipvs::Protocol;

use crate::value::classic_ipv4;

/// What was asked before. Trees, for hash tables cost each start a system call for random numbers.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    addresses: BTreeMap<Vec<u8>, Option<Ipv4Addr>>,
    ports: BTreeMap<(Vec<u8>, u16), Option<u16>>,
    hosts: BTreeMap<IpAddr, Option<Rc<str>>>,
    services: BTreeMap<(u16, u16), Option<Rc<str>>>,
    /// Nobody is asked: a name stands for nothing.
    numbers_only: bool,
    /// The name that was to be looked up last, where nobody is asked.
    unasked: Option<Vec<u8>>,
    sctp: Option<Vec<(String, u16)>>,
}

impl Resolver {
    /// One that knows no names.
    pub(crate) fn numbers_only() -> Self {
        Self { numbers_only: true, ..Self::default() }
    }

    /// The name that was to be looked up since the last call, if nobody is asked.
    pub(crate) fn take_unasked(&mut self) -> Option<Vec<u8>> {
        self.unasked.take()
    }

    /// The address that a word says, in one of the classic forms or as a host name. Names are looked up for IPv4
    /// alone, and the first address counts, as in the original.
    pub(crate) fn host(&mut self, word: &[u8]) -> Option<Ipv4Addr> {
        classic_ipv4(word).or_else(|| {
            if self.numbers_only {
                self.unasked = Some(word.to_vec()).filter(|word| is_host_name(word));
                return None;
            }
            *self.addresses.entry(word.to_vec()).or_insert_with(|| {
                const LONGEST: usize = 1024; // NI_MAXHOST, without its end
                let is_name = |name: &&str| (1..=LONGEST).contains(&name.len());
                let name = std::str::from_utf8(word).ok().filter(is_name)?;
                let hints = AddrInfoHints {
                    address: libc::AF_INET,
                    socktype: libc::SOCK_STREAM,
                    ..AddrInfoHints::default()
                };
                getaddrinfo(Some(name), None, Some(hints)).ok()?.flatten().find_map(|found| {
                    match found.sockaddr {
                        SocketAddr::V4(address) => Some(*address.ip()),
                        SocketAddr::V6(_) => None,
                    }
                })
            })
        })
    }

    /// The port that a service name stands for.
    pub(crate) fn port(&mut self, word: &[u8], protocol: Protocol) -> Option<u16> {
        let name = std::str::from_utf8(word).ok().filter(|name| !name.is_empty())?;
        if self.numbers_only {
            self.unasked = Some(word.to_vec()).filter(|_| !begins_as_number(name));
            return None;
        }
        if protocol == Protocol::Sctp {
            return self.sctp().iter().find(|(known, _)| known == name).map(|(_, port)| *port);
        }
        *self.ports.entry((word.to_vec(), protocol.number())).or_insert_with(|| {
            // A number is not a name, whatever getaddrinfo makes of it.
            if begins_as_number(name) {
                return None;
            }
            let socktype = if protocol == Protocol::Udp { libc::SOCK_DGRAM } else { libc::SOCK_STREAM };
            let hints = AddrInfoHints { address: libc::AF_INET, socktype, ..AddrInfoHints::default() };
            let found = getaddrinfo(None, Some(name), Some(hints)).ok()?.flatten().next()?;
            Some(found.sockaddr.port())
        })
    }

    /// The name of a host, the first that the resolver knows.
    pub(crate) fn host_name(&mut self, address: IpAddr) -> Option<Rc<str>> {
        if let Some(known) = self.hosts.get(&address) {
            return known.clone();
        }
        let name: Option<Rc<str>> = dns_lookup::lookup_addr(&address).ok().map(Into::into);
        self.hosts.insert(address, name.clone());
        name
    }

    /// Whether a command line with the host's name means this address, which for IPv6 it never does.
    pub(crate) fn host_leads_back(&mut self, name: &str, address: IpAddr) -> bool {
        self.host(name.as_bytes()).map(IpAddr::V4) == Some(address)
    }

    /// The name of a port.
    pub(crate) fn service_name(&mut self, port: u16, protocol: Protocol) -> Option<Rc<str>> {
        let key = (port, protocol.number());
        if let Some(known) = self.services.get(&key) {
            return known.clone();
        }
        let text = if protocol == Protocol::Sctp {
            self.sctp().iter().find(|(_, known)| *known == port).map(|(name, _)| name.clone())
        } else {
            let datagram = if protocol == Protocol::Udp { libc::NI_DGRAM } else { 0 };
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            // A port without a name comes back as its number.
            let found =
                getnameinfo(&address, libc::NI_NUMERICHOST | datagram).ok().map(|(_, service)| service);
            found.filter(|name| *name != port.to_string())
        };
        let name: Option<Rc<str>> = text.map(Into::into);
        self.services.insert(key, name.clone());
        name
    }

    /// Whether a command line with the port's name means this port.
    pub(crate) fn service_leads_back(&mut self, name: &str, port: u16, protocol: Option<Protocol>) -> bool {
        protocol.is_some_and(|protocol| self.port(name.as_bytes(), protocol) == Some(port))
    }

    /// The services of SCTP, which the resolver's calls do not tell: their protocol is TCP or UDP.
    fn sctp(&mut self) -> &[(String, u16)] {
        self.sctp.get_or_insert_with(|| {
            let file = std::fs::read("/etc/services").unwrap_or_default();
            String::from_utf8_lossy(&file).lines().flat_map(sctp_line).collect()
        })
    }
}

fn begins_as_number(name: &str) -> bool {
    name.trim_ascii_start().starts_with(|first: char| first.is_ascii_digit() || "+-".contains(first))
}

/// Whether a word may be the name of a host: the last part of one is no number, unlike that of a mistyped address.
fn is_host_name(word: &[u8]) -> bool {
    let last = word.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    last.iter().any(|byte| !byte.is_ascii_digit())
}

/// The names in a line of `/etc/services`: `NAME PORT/sctp [ALIAS...] [# ...]`, the main one first.
fn sctp_line(line: &str) -> Vec<(String, u16)> {
    let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
    let (Some(name), Some(entry)) = (words.next(), words.next()) else { return Vec::new() };
    let Some(port) = entry.strip_suffix("/sctp").and_then(|port| port.parse().ok()) else {
        return Vec::new();
    };
    std::iter::once(name).chain(words).map(|name| (name.to_owned(), port)).collect()
}
