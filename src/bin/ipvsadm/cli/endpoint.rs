//! Addresses with ports, as the original reads them, and what is wrong with those that it does not read.

use std::net::{IpAddr, Ipv6Addr};

use ipvs::Protocol;

use crate::cli::value::decimal;
use crate::lookup::Missing;
use crate::resolver::Resolver;

/// Why a word is no address with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong<'a> {
    /// There is nothing.
    Nothing,
    /// Digits alone.
    PortAlone,
    /// A bracket without the other one.
    Bracket,
    /// Nothing like `:PORT` follows the bracket.
    BehindBracket,
    /// The part in brackets is no address of IPv6.
    InBrackets(&'a [u8]),
    /// An IPv6 address with something behind it that could be a port.
    Unbracketed(Ipv6Addr, &'a [u8]),
    /// The host is not known, or is no address.
    Host(&'a [u8], Missing),
    /// Nothing follows the colon.
    NoPort,
    /// A number above 65535.
    PortNumber(&'a [u8]),
    /// The name of a port where its protocol is not known yet.
    PortBeforeService(&'a [u8]),
    /// No port has this name.
    PortName(&'a [u8], Protocol, Missing),
}

type Endpoint = (IpAddr, Option<u16>);

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
        Some(protocol) => {
            resolver.port(word, protocol).map_err(|missing| Wrong::PortName(word, protocol, missing))
        }
    }
}

fn ipv6(word: &[u8]) -> Option<Ipv6Addr> {
    // Nearly all words have fewer than two colons: skip the parser.
    word.split(|byte| *byte == b':').nth(2)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}
