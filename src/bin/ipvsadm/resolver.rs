//! Host and service names, in both directions, by the system's resolver; each is looked up once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use ipvs::Protocol;

use crate::lookup;

/// A cache of lookups. Trees, because a hash table costs a system call for random numbers at each start.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    addresses: BTreeMap<Vec<u8>, Option<Ipv4Addr>>,
    ports: BTreeMap<(Vec<u8>, u16), Option<u16>>,
    hosts: BTreeMap<IpAddr, Option<Rc<str>>>,
    services: BTreeMap<(u16, u16), Option<Rc<str>>>,
    /// No lookups: names are unknown.
    numbers_only: bool,
    /// With `numbers_only`, the last name that would have been looked up.
    skipped: Option<Vec<u8>>,
    sctp: Option<Vec<(String, u16)>>,
}

impl Resolver {
    /// One that knows no names.
    pub(crate) fn numbers_only() -> Self {
        Self { numbers_only: true, ..Self::default() }
    }

    /// With `numbers_only`, the name that would have been looked up since the last call.
    pub(crate) fn take_skipped(&mut self) -> Option<Vec<u8>> {
        self.skipped.take()
    }

    /// The address of a word, in one of the classic notations or as a host name. As in the original, names are looked
    /// up for IPv4 only, and the first address counts.
    pub(crate) fn host(&mut self, word: &[u8]) -> Option<Ipv4Addr> {
        classic_ipv4(word).or_else(|| {
            if self.numbers_only {
                self.skipped = Some(word.to_vec()).filter(|word| is_host_name(word));
                return None;
            }
            *self.addresses.entry(word.to_vec()).or_insert_with(|| {
                const LONGEST: usize = 1024; // NI_MAXHOST without its NUL
                let is_name = |name: &&str| (1..=LONGEST).contains(&name.len());
                lookup::address(std::str::from_utf8(word).ok().filter(is_name)?)
            })
        })
    }

    /// The port that a service name stands for.
    pub(crate) fn port(&mut self, word: &[u8], protocol: Protocol) -> Option<u16> {
        let name = std::str::from_utf8(word).ok().filter(|name| !name.is_empty())?;
        if self.numbers_only {
            self.skipped = Some(word.to_vec()).filter(|_| !begins_as_number(name));
            return None;
        }
        if protocol == Protocol::Sctp {
            return self.sctp().iter().find(|(known, _)| known == name).map(|(_, port)| *port);
        }
        *self.ports.entry((word.to_vec(), protocol.number())).or_insert_with(|| {
            // A number is not a name, even if the lookup accepts it.
            if begins_as_number(name) { None } else { lookup::port(name, protocol == Protocol::Udp) }
        })
    }

    /// The first name of a host that the resolver returns.
    pub(crate) fn host_name(&mut self, address: IpAddr) -> Option<Rc<str>> {
        if let Some(known) = self.hosts.get(&address) {
            return known.clone();
        }
        let name: Option<Rc<str>> = lookup::host_names(&[address]).pop().flatten().map(Into::into);
        self.hosts.insert(address, name.clone());
        name
    }

    /// Looks up hosts whose names will be asked for, if that is faster together.
    pub(crate) fn expect_hosts(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        if !lookup::TOGETHER {
            return;
        }
        let unknown: BTreeSet<IpAddr> =
            addresses.filter(|address| !self.hosts.contains_key(address)).collect();
        let unknown: Vec<IpAddr> = unknown.into_iter().collect();
        if unknown.len() > 1 {
            let names = lookup::host_names(&unknown);
            self.hosts.extend(unknown.into_iter().zip(names.into_iter().map(|name| name.map(Into::into))));
        }
    }

    /// Whether the host's name on a command line means this address; never for IPv6.
    pub(crate) fn host_resolves_back(&mut self, name: &str, address: IpAddr) -> bool {
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
            lookup::service_name(port, protocol == Protocol::Udp)
        };
        let name: Option<Rc<str>> = text.map(Into::into);
        self.services.insert(key, name.clone());
        name
    }

    /// Whether the port's name on a command line means this port.
    pub(crate) fn service_resolves_back(
        &mut self,
        name: &str,
        port: u16,
        protocol: Option<Protocol>,
    ) -> bool {
        protocol.is_some_and(|protocol| self.port(name.as_bytes(), protocol) == Some(port))
    }

    /// The services of SCTP, which the resolver's calls do not support: their protocol is TCP or UDP.
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

/// Whether a word may be a host name: its last label is not a number, unlike that of a mistyped address.
fn is_host_name(word: &[u8]) -> bool {
    let last = word.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    last.iter().any(|byte| !byte.is_ascii_digit())
}

/// The names in a line of `/etc/services`: `NAME PORT/sctp [ALIAS...] [# ...]`, the main name first.
fn sctp_line(line: &str) -> Vec<(String, u16)> {
    let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
    let (Some(name), Some(entry)) = (words.next(), words.next()) else { return Vec::new() };
    let Some(port) = entry.strip_suffix("/sctp").and_then(|port| port.parse().ok()) else {
        return Vec::new();
    };
    std::iter::once(name).chain(words).map(|name| (name.to_owned(), port)).collect()
}

/// The classic notations of an IPv4 address: one to four numbers separated by dots, decimal, octal (`0…`) or
/// hexadecimal (`0x…`); the last fills all remaining bytes. Text after a blank is ignored.
fn classic_ipv4(word: &[u8]) -> Option<Ipv4Addr> {
    // Nearly all are in the notation that the standard library reads too, much faster.
    if let Ok(address) = std::str::from_utf8(word).unwrap_or_default().parse() {
        return Some(address);
    }
    let word = word.split(|byte| byte.is_ascii_whitespace() || *byte == 0x0b).next()?;
    let parts = word.split(|byte| *byte == b'.').map(classic_number).collect::<Option<Vec<u32>>>()?;
    let (last, front) = parts.split_last()?;
    let mut address = 0;
    for (index, part) in front.iter().enumerate() {
        let shift = 24_u32.checked_sub(8 * u32::try_from(index).ok()?)?;
        address |= u32::from(u8::try_from(*part).ok()?) << shift;
    }
    let room = u32::MAX.checked_shr(8 * u32::try_from(front.len()).ok()?)?;
    (front.len() < 4 && *last <= room).then(|| Ipv4Addr::from_bits(address | last))
}

fn classic_number(part: &[u8]) -> Option<u32> {
    let part = std::str::from_utf8(part).ok()?;
    if !part.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (digits, radix) = match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (part, 8),
        None => (part, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classic_addresses_are_read_as_inet_aton_reads_them() {
        for (word, expected) in [
            ("10.0.0.1", Some([10, 0, 0, 1])),
            ("10.1", Some([10, 0, 0, 1])),
            ("10.1.2", Some([10, 1, 0, 2])),
            ("167772161", Some([10, 0, 0, 1])),
            ("0x0a000001", Some([10, 0, 0, 1])),
            ("012.0.0.1", Some([10, 0, 0, 1])),
            ("10.0.0.1 junk", Some([10, 0, 0, 1])),
            ("10.0.0.256", None),
            ("256.1", None),
            ("10.0.0.1.", None),
            ("1.2.3.4.5", None),
            ("08.0.0.1", None),
            ("+1.2.3.4", None),
            ("", None),
        ] {
            assert_eq!(classic_ipv4(word.as_bytes()), expected.map(Ipv4Addr::from), "{word}");
        }
    }

    proptest! {
        #[test]
        fn no_word_makes_the_reader_panic(word in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = classic_ipv4(&word);
        }
    }
}
