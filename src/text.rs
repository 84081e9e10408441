//! Addresses and ports as text, numeric or by name.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::rc::Rc;

use ipvs::{Protocol, ServiceId};

use crate::lookup::Wait;
use crate::resolver::{Resolver, names_of};

/// Formats addresses and ports; with a resolver by name, if they have one.
pub(crate) struct AddressFormatter<'a> {
    resolver: Option<&'a mut Resolver>,
    /// Whether only names that resolve back to their numbers are written, and uncut.
    reversible: bool,
    /// The names that were not written, because they do not resolve back.
    replaced_names: BTreeSet<String>,
    text: String,
}

/// The limit of the original for an address and port, in bytes.
const ENDPOINT_BYTES: usize = 59;

impl<'a> AddressFormatter<'a> {
    pub(crate) fn new(numeric: bool, resolver: &'a mut Resolver) -> Self {
        let resolver = (!numeric).then_some(resolver);
        Self { resolver, reversible: false, replaced_names: BTreeSet::new(), text: String::with_capacity(80) }
    }

    /// Text that can be read back: the number if a name is too long or resolves to something else.
    pub(crate) fn reversible(numeric: bool, resolver: &'a mut Resolver) -> Self {
        Self { reversible: true, ..Self::new(numeric, resolver) }
    }

    /// Without any names.
    pub(crate) fn numeric() -> Self {
        Self {
            resolver: None,
            reversible: false,
            replaced_names: BTreeSet::new(),
            text: String::with_capacity(80),
        }
    }

    /// The names replaced by numbers, because they resolve to something else or are too long.
    pub(crate) fn replaced_names(&self) -> &BTreeSet<String> {
        &self.replaced_names
    }

    /// Whether names are written.
    pub(crate) fn is_by_name(&self) -> bool {
        self.resolver.is_some()
    }

    /// Looks up the names of addresses and ports that will be formatted, all at once.
    pub(crate) fn expect(&mut self, endpoints: impl Iterator<Item = (IpAddr, u16, Option<Protocol>)>) {
        if let Some(resolver) = &mut self.resolver {
            let questions = endpoints.flat_map(|(address, port, protocol)| names_of(address, port, protocol));
            resolver.expect(questions, Wait::InAll, self.reversible);
        }
    }

    /// `ADDRESS:PORT`; port names depend on the protocol.
    pub(crate) fn endpoint(&mut self, address: IpAddr, port: u16, protocol: Option<Protocol>) -> &str {
        self.text.clear();
        self.append_endpoint(address, port, protocol);
        &self.text
    }

    fn append_endpoint(&mut self, address: IpAddr, port: u16, protocol: Option<Protocol>) {
        let host = self.resolver.as_mut().and_then(|resolver| resolver.host_name(address));
        let mut resolver = self.resolver.as_mut().zip(protocol);
        let service =
            resolver.as_mut().and_then(|(resolver, protocol)| resolver.service_name(port, *protocol));
        let (host, service) = self.readable(host, service, address, port, protocol);
        let start = self.text.len();
        push_endpoint(&mut self.text, address, port, host.as_deref(), service.as_deref());
        let end = start + cut(self.text.get(start..).unwrap_or_default(), ENDPOINT_BYTES).len();
        self.text.truncate(end);
    }

    /// Drops a name that is too long or resolves to something else, if the text must be readable by `-R`.
    fn readable(
        &mut self,
        host: Option<Rc<str>>,
        service: Option<Rc<str>>,
        address: IpAddr,
        port: u16,
        protocol: Option<Protocol>,
    ) -> (Option<Rc<str>>, Option<Rc<str>>) {
        let Some(resolver) = self.resolver.as_mut().filter(|_| self.reversible) else {
            return (host, service);
        };
        // Each may be shown as a number instead.
        let length =
            |name: &Option<Rc<str>>, number: usize| name.as_ref().map_or(0, |name| name.len()).max(number);
        let brackets = if address.is_ipv6() { "[]".len() } else { 0 };
        let fits = length(&host, self::address(address).len())
            + length(&service, itoa::Buffer::new().format(port).len())
            + brackets
            + ":".len()
            <= ENDPOINT_BYTES;
        let replaced_names = &mut self.replaced_names;
        let mut keep = |name: &str, leads_back: bool| {
            if !(fits && leads_back) {
                replaced_names.insert(name.to_owned());
            }
            fits && leads_back
        };
        let host = host.filter(|name| keep(name, resolver.host_resolves_back(name, address)));
        let service = service.filter(|name| keep(name, resolver.service_resolves_back(name, port, protocol)));
        (host, service)
    }

    /// A service as the listing's heading shows it: `TCP  192.0.2.1:80`, `FWM  7 IPv6`.
    pub(crate) fn service(&mut self, id: &ServiceId) -> &str {
        const IPV4_BYTES: usize = 33;
        self.text.clear();
        match *id {
            ServiceId::Address { protocol, address, port } => {
                let name = match protocol {
                    Protocol::Tcp => "TCP  ",
                    Protocol::Udp => "UDP  ",
                    Protocol::Sctp => "SCTP ",
                    Protocol::Other(_) => "?    ",
                };
                self.text.push_str(name);
                self.append_endpoint(address, port, Some(protocol));
                if address.is_ipv4() {
                    let end = cut(&self.text, IPV4_BYTES).len();
                    self.text.truncate(end);
                }
            }
            ServiceId::Fwmark { mark, family } => {
                let family = if family == ipvs::Family::V6 { " IPv6" } else { "" };
                push(&mut self.text, format_args!("FWM  {mark}{family}"));
            }
        }
        &self.text
    }
}

fn push_endpoint(text: &mut String, address: IpAddr, port: u16, host: Option<&str>, service: Option<&str>) {
    if address.is_ipv6() {
        text.push('[');
    }
    match host {
        Some(name) => text.push_str(name),
        None => push_address(text, address),
    }
    text.push_str(if address.is_ipv6() { "]:" } else { ":" });
    match service {
        Some(name) => text.push_str(name),
        None => text.push_str(itoa::Buffer::new().format(port)),
    }
}

/// The protocol for port names; unknown for packets with a firewall mark.
pub(crate) fn protocol_of(id: &ServiceId) -> Option<Protocol> {
    match id {
        ServiceId::Address { protocol, .. } => Some(*protocol),
        ServiceId::Fwmark { .. } => None,
    }
}

/// At most `bytes` bytes of a text, in whole characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The kernel's number as the original reads it, with a sign.
#[expect(clippy::cast_possible_wrap, reason = "what does not fit is negative there, too")]
pub(crate) fn signed(number: u32) -> i32 {
    number as i32
}

/// Writing to a String cannot fail.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

/// An address as the C library writes it; the standard library differs for IPv4 addresses inside IPv6 ones.
pub(crate) fn push_address(text: &mut String, address: IpAddr) {
    match address {
        IpAddr::V6(v6) => match v6.octets() {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if (a, b) != (0, 0) => {
                push(text, format_args!("::{a}.{b}.{c}.{d}"));
            }
            _ => push(text, format_args!("{v6}")),
        },
        // There are up to three in each line, and this is ten times as fast as the standard library.
        IpAddr::V4(v4) => {
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    text.push('.');
                }
                text.push_str(itoa::Buffer::new().format(octet));
            }
        }
    }
}

/// As [`push_address`], of an IPv6 address or another.
pub(crate) fn address(address: impl Into<IpAddr>) -> String {
    let mut text = String::new();
    push_address(&mut text, address.into());
    text
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_text_is_cut_between_two_characters() {
        for (bytes, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "aé"), (4, "aéz"), (5, "aéz")] {
            assert_eq!(cut("aéz", bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn addresses_are_written_as_inet_ntop_writes_them() {
        for (words, expected) in [
            ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
            ([0, 0, 0, 0, 0, 0, 0, 1], "::1"),
            ([0, 0, 0, 0, 0, 0, 0x102, 0x304], "::1.2.3.4"),
            ([0, 0, 0, 0, 0, 0xffff, 0x102, 0x304], "::ffff:1.2.3.4"),
            ([0, 8, 0, 0, 0, 0, 0, 0], "0:8::"),
            ([1, 0, 2, 3, 4, 5, 6, 7], "1:0:2:3:4:5:6:7"),
        ] {
            assert_eq!(address(Ipv6Addr::from(words)), expected);
        }
        for octet in 0..=255 {
            let v4 = Ipv4Addr::new(0, octet, 255, octet);
            assert_eq!(address(v4), v4.to_string());
        }
    }
}
