//! Addresses with ports, as the original reads them, and what is wrong with those that it does not read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipvs::Protocol;

use crate::cli::value::decimal;
use crate::lookup;
use crate::messages::{Surprise, Wrong};
use crate::nearest;
use crate::resolver::{Resolver, is_classic_ipv4};

/// Whether the reading of a word may surprise.
pub(crate) fn surprise(word: &[u8], read: &Endpoint) -> Option<Surprise> {
    match *read {
        (IpAddr::V6(whole), None) => {
            let (front, port) = word.split_at_checked(word.iter().rposition(|byte| *byte == b':')?)?;
            let port = port.get(1..).filter(|port| !port.starts_with(b"0"))?;
            let port = decimal(port, 1..=65535).and_then(|port| u16::try_from(port).ok())?;
            Some(Surprise::LastNumber { whole, front: ipv6(front)?, port })
        }
        (IpAddr::V4(address), _) => {
            let host = word.rsplit(|byte| *byte == b':').next_back().unwrap_or_default();
            let host = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
            let is_plain = std::str::from_utf8(host).is_ok_and(|host| host.parse::<Ipv4Addr>().is_ok());
            (!is_plain && is_classic_ipv4(host)).then_some(Surprise::Notation(address))
        }
        (IpAddr::V6(_), Some(_)) => None,
    }
}

/// The same of an IPv4 mask, which has ones, and then zeros.
pub(crate) fn surprise_of_mask(word: &[u8], read: Ipv4Addr) -> Option<Surprise> {
    let is_plain = std::str::from_utf8(word).is_ok_and(|word| word.parse::<Ipv4Addr>().is_ok());
    let is_mask = read.to_bits().leading_ones() + read.to_bits().trailing_zeros() == u32::BITS;
    let bits = decimal(word, 1..=32).unwrap_or(24);
    let meant = Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - bits).unwrap_or_default());
    (!is_plain && !is_mask && is_classic_ipv4(word)).then_some(Surprise::Mask { read, meant })
}

pub(crate) type Endpoint = (IpAddr, Option<u16>);

/// `HOST[:PORT]`, `[IPv6]:PORT` or an IPv6 address alone. Port names depend on the protocol.
pub(crate) fn endpoint<'a>(
    word: &'a [u8],
    protocol: Option<Protocol>,
    resolver: &mut Resolver,
) -> Result<Endpoint, Wrong<'a>> {
    if word.iter().all(u8::is_ascii_digit) {
        return Err(if word.is_empty() { Wrong::Nothing } else { Wrong::PortAlone });
    }
    if let Some(rest) = word.strip_prefix(b"[") {
        return bracketed(rest, protocol, resolver);
    }
    if let Some(address) = ipv6(word) {
        return Ok((IpAddr::V6(address), None));
    }
    let Some(colon) = word.iter().rposition(|byte| *byte == b':') else {
        return host(word, resolver).map(|address| (address, None));
    };
    let (name, behind) = (word.get(..colon).unwrap_or_default(), word.get(colon + 1..).unwrap_or_default());
    if let Some(address) = ipv6(name) {
        return Err(Wrong::Unbracketed(address, behind));
    }
    let port = port(behind, protocol, resolver)?;
    Ok((host(name, resolver)?, Some(port)))
}

/// What follows the bracket.
fn bracketed<'a>(
    rest: &'a [u8],
    protocol: Option<Protocol>,
    resolver: &mut Resolver,
) -> Result<Endpoint, Wrong<'a>> {
    let end = rest.iter().position(|byte| *byte == b']').ok_or(Wrong::Bracket)?;
    let (name, behind) = (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default());
    let behind = behind.strip_prefix(b":").ok_or(Wrong::BehindBracket)?;
    let port = port(behind, protocol, resolver)?;
    let address = match ipv6(name) {
        Some(address) => IpAddr::V6(address),
        None if name.contains(&b':') => return Err(Wrong::InBrackets(name)),
        None => host(name, resolver)?,
    };
    Ok((address, Some(port)))
}

fn host<'a>(word: &'a [u8], resolver: &mut Resolver) -> Result<IpAddr, Wrong<'a>> {
    resolver.host(word).map(IpAddr::V4).map_err(|missing| Wrong::Host(word, missing))
}

fn port<'a>(word: &'a [u8], protocol: Option<Protocol>, resolver: &mut Resolver) -> Result<u16, Wrong<'a>> {
    if let Some(number) = decimal(word, 0..=65535).and_then(|number| u16::try_from(number).ok()) {
        return Ok(number);
    }
    match protocol {
        _ if word.is_empty() => Err(Wrong::NoPort),
        _ if word.iter().all(u8::is_ascii_digit) => Err(Wrong::PortNumber(word)),
        None => Err(Wrong::PortBeforeService(word)),
        Some(protocol) => resolver.port(word, protocol).map_err(|missing| Wrong::PortName {
            word,
            protocol,
            missing,
            meant: known_port(word, protocol),
        }),
    }
}

/// The name of a port that is nearest to one that is not known.
fn known_port(word: &[u8], protocol: Protocol) -> Option<String> {
    let known = lookup::services_over(&protocol.to_string().to_lowercase());
    let word = std::str::from_utf8(word).ok()?;
    nearest::of(word, known.iter().map(|(name, _)| name.as_str())).map(str::to_owned)
}

fn ipv6(word: &[u8]) -> Option<Ipv6Addr> {
    // Nearly all words have fewer than two colons: skip the parser.
    word.split(|byte| *byte == b':').nth(2)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}
