//! What is wrong with an address and port, in words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipvs::Protocol;

use super::{Failure, Message, remedy, text};
use crate::lookup::Missing;

/// Why a word is no address with a port.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    PortName { word: &'a [u8], protocol: Protocol, missing: Missing, meant: Option<String> },
}

/// How a word was read, where that may not be what was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surprise {
    /// A whole IPv6 address without brackets: its last number may have been meant as the port of another address.
    LastNumber { whole: Ipv6Addr, front: Ipv6Addr, port: u16 },
    /// An IPv4 address that is not written as four decimal numbers.
    Notation(Ipv4Addr),
    /// The same for a mask, and that of the prefix length that it may be.
    Mask { read: Ipv4Addr, meant: Ipv4Addr },
}

impl Message {
    /// With the word at fault, and what is wrong with it.
    pub(crate) fn endpoint(&self, word: &[u8], wrong: Wrong<'_>) -> Failure {
        let reason = remedy::in_ascii(word).unwrap_or_else(|| reason(wrong));
        super::value(format!("{}: '{}'; {reason}", self.text, text(word)))
    }
}

/// A service without a port, and the word where that may have been meant to have one.
pub(crate) fn zero_port(address: IpAddr, surprise: Option<&(Vec<u8>, Surprise)>) -> Failure {
    let sentence = super::ZERO_PORT.text;
    match (surprise, address) {
        (Some((word, Surprise::LastNumber { whole, front, port })), _) => super::value(format!(
            "{sentence}: '{}'; with brackets it has a port: [{front}]:{port}, or [{whole}]:PORT",
            text(word)
        )),
        (_, IpAddr::V6(address)) => {
            super::value(format!("{sentence}; write [{address}]:PORT, or -p for all ports"))
        }
        _ => super::ZERO_PORT.without_word(),
    }
}

/// How a word of a refused change was read.
pub(crate) fn reading(word: &[u8], surprise: Surprise) -> String {
    match surprise {
        Surprise::LastNumber { front, port, .. } => format!("; did you mean [{front}]:{port}?"),
        Surprise::Notation(address) => format!("; '{}' was read as the address {address}", text(word)),
        Surprise::Mask { read, .. } => format!("; '{}' was read as the mask {read}", text(word)),
    }
}

/// A word was read as something that may not have been meant.
pub(crate) fn surprising(word: &[u8], surprise: Surprise) -> String {
    let word = text(word);
    match surprise {
        Surprise::LastNumber { whole, front, port } => format!(
            "warning: '{word}' was read as an address without a port; with brackets it is one of these: \
             [{front}]:{port}, or [{whole}]:PORT"
        ),
        Surprise::Notation(address) => format!(
            "warning: '{word}' was read as the address {address}; an address is written as four numbers from 0 to 255, \
             without zeros before them (they make it octal)"
        ),
        Surprise::Mask { read, meant } => format!(
            "warning: '{word}' was read as the mask {read}; a mask is written as four numbers, such as {meant}"
        ),
    }
}

/// Says that names did not come, if so.
pub(crate) fn report_unanswered(count: usize) {
    if count > 0 {
        let names = if count == 1 { "1 name" } else { &format!("{count} names") };
        super::report(&format!(
            "{names} did not come, and the number stands there: no name server answered in time \
             (/etc/resolv.conf); -n asks for no names"
        ));
    }
}

const EXAMPLE: &str =
    "an address or a name followed by :PORT, such as 192.0.2.1:80, an IPv6 address in brackets";

fn reason(wrong: Wrong<'_>) -> String {
    match wrong {
        Wrong::Nothing | Wrong::Bracket => EXAMPLE.to_owned(),
        Wrong::PortAlone => {
            "a number alone is no address; put one before it, such as 192.0.2.1:80".to_owned()
        }
        Wrong::BehindBracket => {
            "an IPv6 address in brackets is followed by :PORT, such as [2001:db8::1]:80".to_owned()
        }
        Wrong::InBrackets(word) => format!("'{}' is no IPv6 address", part(word)),
        Wrong::Unbracketed(address, behind) => unbracketed(address, behind),
        Wrong::Host(word, missing) => host(word, missing),
        Wrong::NoPort => "the port is missing behind the colon".to_owned(),
        Wrong::PortNumber(word) => format!("the port '{}' is above 65535", part(word)),
        Wrong::PortBeforeService(word) => {
            format!(
                "the name of a port, '{}', is known by the service's protocol: give -t or -u before it",
                part(word)
            )
        }
        Wrong::PortName { word, protocol, missing, meant } => port(word, protocol, missing, meant),
    }
}

fn unbracketed(address: Ipv6Addr, behind: &[u8]) -> String {
    let port = if behind.is_empty() { "PORT".to_owned() } else { part(behind) };
    format!("an IPv6 address with a port stands in brackets: [{address}]:{port}")
}

/// A part of a word that the message shows whole already.
fn part(word: &[u8]) -> String {
    const SHOWN: usize = 64;
    text(word.get(..SHOWN).unwrap_or(word)) + if word.len() > SHOWN { "..." } else { "" }
}

/// Why a host has no address.
fn host(word: &[u8], missing: Missing) -> String {
    let name = part(word);
    let is_address = !word.is_empty() && word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    match missing {
        Missing::Unknown if word.is_empty() => "the address is missing in front of the colon".to_owned(),
        Missing::Unknown if is_address => {
            format!("'{name}' is no address: an address has four numbers from 0 to 255, a name has letters")
        }
        Missing::Unknown if name.contains("://") => {
            format!("leave out '{}://'", name.split("://").next().unwrap_or_default())
        }
        Missing::Unknown if name.contains('/') => {
            format!(
                "'{name}' is a network, and here is one address: leave out the slash and the number behind it"
            )
        }
        Missing::Unknown if name.contains(':') => {
            format!("'{name}' has a colon too many: an address and one port are ADDRESS:PORT")
        }
        Missing::Unknown => {
            format!("no IPv4 address is known for the host '{name}' (/etc/hosts, DNS); an address or a name")
        }
        Missing::NoAnswer => {
            format!("no name server answered for the host '{name}' (/etc/resolv.conf); an address needs none")
        }
        Missing::NoGetent => no_getent("host", &name, "/etc/hosts", "its address"),
    }
}

/// Why a port has no number.
fn port(word: &[u8], protocol: Protocol, missing: Missing, meant: Option<String>) -> String {
    let name = part(word);
    match missing {
        Missing::Unknown => {
            let bare = name.trim_end_matches([',', ';', '.']);
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number(bare) {
                return format!("behind the port stands something else: type {bare}");
            }
            if name.split([',', '-']).all(is_number) {
                return "a service has one port; a firewall mark (-f) makes one service of several"
                    .to_owned();
            }
            let fix = meant.map_or_else(
                || "a number from 0 to 65535".to_owned(),
                |meant| format!("did you mean {meant}?"),
            );
            format!("no port has the name '{name}' over {protocol} in /etc/services; {fix}")
        }
        Missing::NoAnswer => format!("nobody answered for the port '{name}'; its number needs no answer"),
        Missing::NoGetent => no_getent("port", &name, "/etc/services", "its number"),
    }
}

fn no_getent(what: &str, name: &str, file: &str, instead: &str) -> String {
    format!(
        "the {what} '{name}' is not in {file}, and this machine has no getent, which would ask who else \
         /etc/nsswitch.conf names; give {instead}"
    )
}
