//! What is wrong with an address and port, in words.

use std::net::Ipv6Addr;

use ipvs::Protocol;

use super::{Failure, Message, text};
use crate::cli::endpoint::Wrong;
use crate::lookup::Missing;

impl Message {
    /// With the word at fault, and what is wrong with it.
    pub(crate) fn endpoint(&self, word: &[u8], wrong: Wrong<'_>) -> Failure {
        super::value(format!("{}: '{}'; {}", self.text, text(word), reason(wrong)))
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
        Wrong::PortName(word, protocol, missing) => port(word, protocol, missing),
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
        Missing::Unknown if word.is_empty() => EXAMPLE.to_owned(),
        Missing::Unknown if is_address => {
            format!("'{name}' is no address: an address has four numbers from 0 to 255, a name has letters")
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
fn port(word: &[u8], protocol: Protocol, missing: Missing) -> String {
    let name = part(word);
    match missing {
        Missing::Unknown => {
            format!(
                "no port has the name '{name}' over {} in /etc/services; a number from 0 to 65535",
                over(protocol)
            )
        }
        Missing::NoAnswer => format!("nobody answered for the port '{name}'; its number needs no answer"),
        Missing::NoGetent => no_getent("port", &name, "/etc/services", "its number"),
    }
}

fn over(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
        _ => "TCP",
    }
}

fn no_getent(what: &str, name: &str, file: &str, instead: &str) -> String {
    format!(
        "the {what} '{name}' is not in {file}, and this machine has no getent, which would ask who else \
         /etc/nsswitch.conf names; give {instead}"
    )
}
