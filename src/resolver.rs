//! Host and service names, in both directions, by the system's resolver; each is looked up once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use ipvs::Protocol;

use crate::lookup::{self, Answer, Found, Lookups, Missing, Question, Transport, Wait};

/// A cache of lookups. Trees, because a hash table costs a system call for random numbers at each start.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    lookups: Lookups,
    known: Known,
    mode: Mode,
    /// The names that would have been looked up, unless names are.
    skipped: BTreeSet<Question>,
    sctp: Option<Vec<(String, u16)>>,
}

/// Whether names are looked up.
#[derive(Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    LookUp,
    /// Names are unknown.
    NumbersOnly,
    /// Every name has an address and a port.
    Collect,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Known {
    addresses: BTreeMap<String, Result<Ipv4Addr, Missing>>,
    /// All addresses of those that have more than one.
    several: BTreeMap<String, Vec<Ipv4Addr>>,
    ports: BTreeMap<(String, Transport), Result<u16, Missing>>,
    hosts: BTreeMap<IpAddr, Option<Rc<str>>>,
    services: BTreeMap<(u16, Transport), Option<Rc<str>>>,
}

impl Known {
    fn has(&self, question: &Question) -> bool {
        match question {
            Question::HostName(address) => self.hosts.contains_key(address),
            Question::Address(name) => self.addresses.contains_key(name),
            Question::ServiceName(port, transport) => self.services.contains_key(&(*port, *transport)),
            Question::Port(name, transport) => self.ports.contains_key(&(name.clone(), *transport)),
        }
    }

    fn add(&mut self, question: &Question, found: Found) {
        let missing = found.as_ref().err().copied().unwrap_or(Missing::Unknown);
        match (question.clone(), found.ok()) {
            (Question::HostName(address), found) => {
                self.hosts.insert(address, name(found));
            }
            (Question::ServiceName(port, transport), found) => {
                self.services.insert((port, transport), name(found));
            }
            (Question::Address(name), Some(Answer::Address(address))) => {
                self.addresses.insert(name, Ok(address));
            }
            (Question::Address(name), Some(Answer::Addresses(all))) => {
                self.addresses.insert(name.clone(), all.first().copied().ok_or(missing));
                self.several.insert(name, all);
            }
            (Question::Address(name), _) => {
                self.addresses.insert(name, Err(missing));
            }
            (Question::Port(name, transport), Some(Answer::Port(port))) => {
                self.ports.insert((name, transport), Ok(port));
            }
            (Question::Port(name, transport), _) => {
                self.ports.insert((name, transport), Err(missing));
            }
        }
    }
}

fn name(found: Option<Answer>) -> Option<Rc<str>> {
    match found {
        Some(Answer::Name(name)) => Some(name.into()),
        _ => None,
    }
}

/// The other direction of a name that was found: what a save asks to see whether the name can be read back.
fn back(question: &Question, found: &Found) -> Option<Question> {
    match (question, found) {
        (Question::HostName(IpAddr::V4(_)), Ok(Answer::Name(name)))
            if is_within_limits(name) && classic_ipv4(name.as_bytes()).is_none() =>
        {
            Some(Question::Address(name.clone()))
        }
        (Question::ServiceName(_, transport), Ok(Answer::Name(name))) if !begins_as_number(name) => {
            Some(Question::Port(name.clone(), *transport))
        }
        _ => None,
    }
}

/// Whether the C library looks for a host of this name.
fn is_within_limits(name: &str) -> bool {
    const LONGEST: usize = 1024; // NI_MAXHOST without its NUL
    (1..=LONGEST).contains(&name.len())
}

impl Resolver {
    /// One that knows no names.
    pub(crate) fn numbers_only() -> Self {
        Self { mode: Mode::NumbersOnly, ..Self::default() }
    }

    /// One that takes every name for known, and collects them.
    pub(crate) fn collector() -> Self {
        Self { mode: Mode::Collect, ..Self::default() }
    }

    /// The names that would have been looked up since the last call.
    pub(crate) fn take_skipped(&mut self) -> BTreeSet<Question> {
        std::mem::take(&mut self.skipped)
    }

    /// How many lookups nobody answered in time.
    pub(crate) fn unanswered(&self) -> usize {
        self.lookups.unanswered
    }

    /// The address of a word, in one of the classic notations or as a host name. As in the original, names are looked
    /// up for IPv4 only, and the first address counts.
    pub(crate) fn host(&mut self, word: &[u8]) -> Result<Ipv4Addr, Missing> {
        if let Some(address) = classic_ipv4(word) {
            return Ok(address);
        }
        // A mistyped address is no host, and nobody needs to be asked for it.
        let is_address = word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        let name = std::str::from_utf8(word).ok().filter(|name| !is_address && is_within_limits(name));
        let name = name.ok_or(Missing::Unknown)?;
        let question = Question::Address(name.to_owned());
        match self.mode {
            Mode::LookUp => {}
            Mode::NumbersOnly => {
                self.skipped.extend(Some(question).filter(|_| is_host_name(word)));
                return Err(Missing::Unknown);
            }
            Mode::Collect => {
                self.skipped.insert(question);
                return Ok(Ipv4Addr::UNSPECIFIED);
            }
        }
        self.find(question, Wait::SinceAnAnswer);
        self.known.addresses.get(name).copied().unwrap_or(Err(Missing::Unknown))
    }

    /// All addresses of a host that has more than one, once it was looked up.
    pub(crate) fn several(&self, host: &[u8]) -> Option<&[Ipv4Addr]> {
        self.known.several.get(std::str::from_utf8(host).ok()?).map(Vec::as_slice)
    }

    /// The port that a service name stands for.
    pub(crate) fn port(&mut self, word: &[u8], protocol: Protocol) -> Result<u16, Missing> {
        let name = std::str::from_utf8(word).ok().filter(|name| !name.is_empty() && !begins_as_number(name));
        // A number is not a name, even if the lookup accepts it.
        let name = name.ok_or(Missing::Unknown)?;
        let question = Question::Port(name.to_owned(), transport(protocol));
        match self.mode {
            Mode::LookUp => {}
            Mode::NumbersOnly => {
                self.skipped.insert(question);
                return Err(Missing::Unknown);
            }
            Mode::Collect => {
                self.skipped.extend(Some(question).filter(|_| protocol != Protocol::Sctp));
                return Ok(1);
            }
        }
        if protocol == Protocol::Sctp {
            let found = self.sctp().iter().find(|(known, _)| known == name);
            return found.map(|(_, port)| *port).ok_or(Missing::Unknown);
        }
        self.find(question, Wait::SinceAnAnswer);
        let key = (name.to_owned(), transport(protocol));
        self.known.ports.get(&key).copied().unwrap_or(Err(Missing::Unknown))
    }

    /// The first name of a host that the resolver returns.
    pub(crate) fn host_name(&mut self, address: IpAddr) -> Option<Rc<str>> {
        if !self.known.hosts.contains_key(&address) {
            self.find(Question::HostName(address), Wait::InAll);
        }
        self.known.hosts.get(&address).cloned().flatten()
    }

    /// Looks up names that will be asked for, all at once; with `and_back`, what those names stand for, too.
    pub(crate) fn expect(
        &mut self,
        questions: impl IntoIterator<Item = Question>,
        wait: Wait,
        and_back: bool,
    ) {
        let questions: BTreeSet<Question> = questions.into_iter().collect();
        let known = &mut self.known;
        let new: Vec<Question> = questions.into_iter().filter(|question| !known.has(question)).collect();
        self.lookups.ask(new, wait, |question, found| {
            let back = and_back.then(|| back(question, &found)).flatten();
            known.add(question, found);
            back.filter(|back| !known.has(back))
        });
    }

    fn find(&mut self, question: Question, wait: Wait) {
        if !self.known.has(&question) {
            self.expect([question], wait, false);
        }
    }

    /// Whether the host's name on a command line means this address; never for IPv6.
    pub(crate) fn host_resolves_back(&mut self, name: &str, address: IpAddr) -> bool {
        self.host(name.as_bytes()).ok().map(IpAddr::V4) == Some(address)
    }

    /// The name of a port.
    pub(crate) fn service_name(&mut self, port: u16, protocol: Protocol) -> Option<Rc<str>> {
        if protocol == Protocol::Sctp {
            let found = self.sctp().iter().find(|(_, known)| *known == port);
            return found.map(|(name, _)| name.as_str().into());
        }
        let key = (port, transport(protocol));
        if !self.known.services.contains_key(&key) {
            self.find(Question::ServiceName(key.0, key.1), Wait::InAll);
        }
        self.known.services.get(&key).cloned().flatten()
    }

    /// Whether the port's name on a command line means this port.
    pub(crate) fn service_resolves_back(
        &mut self,
        name: &str,
        port: u16,
        protocol: Option<Protocol>,
    ) -> bool {
        protocol.is_some_and(|protocol| self.port(name.as_bytes(), protocol) == Ok(port))
    }

    /// The services of SCTP. The C library has no calls for them: its protocol is TCP or UDP.
    fn sctp(&mut self) -> &[(String, u16)] {
        self.sctp.get_or_insert_with(|| lookup::services_over("sctp"))
    }
}

/// The questions whose answers are the name of an address and port.
pub(crate) fn names_of(
    address: IpAddr,
    port: u16,
    protocol: Option<Protocol>,
) -> impl Iterator<Item = Question> {
    let service = protocol.filter(|protocol| *protocol != Protocol::Sctp);
    let service = service.map(|protocol| Question::ServiceName(port, transport(protocol)));
    [Question::HostName(address)].into_iter().chain(service)
}

/// The protocol by which the C library finds a port; it knows two.
fn transport(protocol: Protocol) -> Transport {
    if protocol == Protocol::Udp { Transport::Udp } else { Transport::Tcp }
}

fn begins_as_number(name: &str) -> bool {
    name.trim_ascii_start().starts_with(|first: char| first.is_ascii_digit() || "+-".contains(first))
}

/// Whether a word may be a host name: its last label is not a number, unlike that of a mistyped address.
fn is_host_name(word: &[u8]) -> bool {
    let last = word.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    last.iter().any(|byte| !byte.is_ascii_digit())
}

/// Whether a word is an IPv4 address in one of the classic notations.
pub(crate) fn is_classic_ipv4(word: &[u8]) -> bool {
    classic_ipv4(word).is_some()
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
