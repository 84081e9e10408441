//! Values of options: numbers, addresses with ports, masks, tunnels, scheduler flags, as the original reads them.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use ipvs::{Checksum, Family, Netmask, Protocol, Scheduler, SchedulerFlags, Timeouts, Tunnel, TunnelKind};

use crate::cli::matrix;
use crate::command::{CONNECTION_STATES, SummaryKey, Wanted};
use crate::messages::{self, Message, Result};
use crate::nearest;
use crate::option_table::OptionKey;
use crate::resolver::Resolver;

/// A decimal number; blanks and a `+` are allowed before it, nothing after it.
pub(crate) fn decimal(word: &[u8], range: RangeInclusive<u32>) -> Option<u32> {
    let word = std::str::from_utf8(word.trim_ascii_start()).ok()?;
    let digits = word.strip_prefix('+').unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| range.contains(number))
}

pub(crate) fn number(word: &[u8], range: RangeInclusive<u32>, message: &Message) -> Result<u32> {
    decimal(word, range).ok_or_else(|| message.about(word))
}

/// As [`number`], for fields of two bytes.
pub(crate) fn short(word: &[u8], range: RangeInclusive<u16>, message: &Message) -> Result<u16> {
    let range = u32::from(*range.start())..=u32::from(*range.end());
    number(word, range, message).and_then(|number| u16::try_from(number).map_err(|_| message.about(word)))
}

/// A port, with `/tcp` or `/udp` if the protocol is known.
pub(crate) fn served(word: &[u8]) -> Result<(u16, Option<Protocol>)> {
    let (front, protocol) = match (word.strip_suffix(b"/tcp"), word.strip_suffix(b"/udp")) {
        (Some(front), _) => (front, Some(Protocol::Tcp)),
        (_, Some(front)) => (front, Some(Protocol::Udp)),
        _ => (word, None),
    };
    let port = short(front, 1..=u16::MAX, &messages::SERVED).map_err(|_| messages::SERVED.about(word))?;
    Ok((port, protocol))
}

/// A timeout in seconds, at most 31 days.
pub(crate) fn timeout(word: &[u8], least: u32) -> Result<u32> {
    decimal(word, least..=Timeouts::LONGEST).ok_or_else(|| messages::invalid_timeout(word, least))
}

/// Seconds between two readings, with or without a fraction.
pub(crate) fn interval(word: &[u8]) -> Result<Duration> {
    const RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
    let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = std::str::from_utf8(word).ok().filter(is_number).and_then(|word| word.parse().ok());
    let interval = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    interval.filter(|interval| RANGE.contains(interval)).ok_or_else(|| messages::INTERVAL.about(word))
}

/// What the library reads from a word; none where that is not its text.
pub(crate) fn parsed<T: FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A name, cut to the kernel's maximum, as by the original.
pub(crate) fn cut(word: &[u8], longest: usize) -> &[u8] {
    word.get(..longest).unwrap_or(word)
}

/// The value of `-M`, for services of a family.
pub(crate) fn netmask(word: &[u8], family: Family, resolver: &mut Resolver) -> Result<Netmask> {
    match family {
        Family::V4 => resolver.host(word).map(Netmask::V4).map_err(|_| messages::MASK.about(word)),
        Family::V6 => {
            // As in the original, text after the digits is ignored.
            let word_start = word.trim_ascii_start();
            let word_start = word_start.strip_prefix(b"+").unwrap_or(word_start);
            let end = word_start.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(word_start.len());
            let bits = word_start.get(..end).and_then(|digits| decimal(digits, 1..=128));
            let bits = bits.and_then(|bits| u8::try_from(bits).ok());
            bits.map(Netmask::V6).ok_or_else(|| messages::PREFIX.about(word))
        }
    }
}

/// A multicast group of `--mcast-group`.
pub(crate) fn group(word: &[u8]) -> Result<IpAddr> {
    let string = std::str::from_utf8(word).unwrap_or_default();
    let (kind, group) = if word.contains(&b':') {
        ("IPv6", string.parse().ok().map(IpAddr::V6))
    } else {
        ("IPv4", string.parse().ok().map(IpAddr::V4))
    };
    group.filter(IpAddr::is_multicast).ok_or_else(|| messages::invalid_group(kind, word))
}

/// An address, or a network with its prefix length.
pub(crate) fn network(word: &[u8]) -> Result<IpNet> {
    parsed(word)
        .or_else(|| parsed::<IpAddr>(word).map(IpNet::from))
        .ok_or_else(|| messages::CLIENT.about(word))
}

/// The client of a packet: an address, with a port or without.
pub(crate) fn client(word: &[u8]) -> Result<(IpAddr, Option<u16>)> {
    let with_port = |client: SocketAddr| (client.ip(), Some(client.port()));
    parsed::<IpAddr>(word)
        .map(|address| (address, None))
        .or_else(|| parsed(word).map(with_port))
        .filter(|(address, _)| !address.is_unspecified())
        .ok_or_else(|| messages::WAY_OF.about(word))
}

/// `ADDRESS[%INTERFACE]`: an address that others are asked for.
pub(crate) fn wanted(word: &[u8]) -> Result<Wanted> {
    let refused = || messages::WANTED.about(word);
    let text = std::str::from_utf8(word).map_err(|_| refused())?;
    let (address, link) = match text.split_once('%') {
        Some((_, "")) => return Err(refused()),
        Some((address, link)) => (address, Some(link.to_owned())),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| refused())?;
    let is_of_one = !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
    if is_of_one { Ok(Wanted { address, link }) } else { Err(refused()) }
}

/// A state of connections as the kernel names it, from letters of either case and with `-` or `_`.
pub(crate) fn connection_state(word: &[u8]) -> Result<&'static str> {
    let letter = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() };
    let is = |name: &&&str| name.bytes().map(letter).eq(word.iter().copied().map(letter));
    CONNECTION_STATES.iter().find(is).copied().ok_or_else(|| messages::STATE.about(word))
}

/// What `--summary` counts.
pub(crate) fn summary_key(word: &[u8]) -> Result<SummaryKey> {
    use SummaryKey::{Client, Server, Service, State};
    let keys = [Client, Server, Service, State];
    keys.into_iter().find(|key| key.name().as_bytes() == word).ok_or_else(|| messages::SUMMARY.about(word))
}

/// The tunnel of a type with the given options.
pub(crate) fn tunnel(kind: TunnelKind, port: u16, given: &[OptionKey]) -> Result<Tunnel> {
    matrix::check_tunnel(kind, given)?;
    let checksum = match () {
        () if given.contains(&OptionKey::TunCsum) => Checksum::On,
        () if given.contains(&OptionKey::TunRemcsum) => Checksum::Remote,
        () => Checksum::Off,
    };
    Ok(Tunnel::new(kind, port, checksum))
}

/// The names of scheduler flags: for one scheduler, or for any.
const SCHEDULER_FLAGS: [(&str, Option<&str>, SchedulerFlags); 7] = [
    ("sh-fallback", Some("sh"), SchedulerFlags::FLAG_1),
    ("sh-port", Some("sh"), SchedulerFlags::FLAG_2),
    ("mh-fallback", Some("mh"), SchedulerFlags::FLAG_1),
    ("mh-port", Some("mh"), SchedulerFlags::FLAG_2),
    ("flag-1", None, SchedulerFlags::FLAG_1),
    ("flag-2", None, SchedulerFlags::FLAG_2),
    ("flag-3", None, SchedulerFlags::FLAG_3),
];

/// The value of `-b` for a scheduler: names separated by commas, some of which may be empty.
pub(crate) fn scheduler_flags(word: &[u8], scheduler: &Scheduler) -> Result<SchedulerFlags> {
    let mut flags = SchedulerFlags::default();
    for word in word.split(|byte| *byte == b',').filter(|name| !name.is_empty()) {
        let wrong = |how: &str, fix: &str| Err(messages::scheduler_flag(how, word, fix));
        let Some((_, of, flag)) = SCHEDULER_FLAGS.iter().find(|(name, ..)| name.as_bytes() == word) else {
            return wrong("invalid", &known_flag(word));
        };
        if let Some(of) = of.filter(|of| *scheduler != **of) {
            return wrong("incompatible", &format!("it goes with -s {of}"));
        }
        flags = flags | *flag;
    }
    Ok(flags)
}

/// The flag that was meant, or all.
fn known_flag(word: &[u8]) -> String {
    let names = || SCHEDULER_FLAGS.iter().map(|(name, ..)| *name);
    match nearest::of(&String::from_utf8_lossy(word), names()) {
        Some(name) => format!("did you mean {name}?"),
        None => names().collect::<Vec<_>>().join(", "),
    }
}

/// The flags as `-b` accepts them, by the scheduler's own names if it has any.
pub(crate) fn scheduler_flags_text(flags: SchedulerFlags, scheduler: &Scheduler) -> String {
    let mut named = SchedulerFlags::default();
    let mut text = String::new();
    for (name, of, flag) in SCHEDULER_FLAGS {
        if flags.contains(flag) && !named.contains(flag) && of.is_none_or(|of| *scheduler == *of) {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            named = named | flag;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_served_port_may_have_a_protocol() {
        for (word, expected) in [
            ("80", Some((80, None))),
            ("80/tcp", Some((80, Some(Protocol::Tcp)))),
            ("53/udp", Some((53, Some(Protocol::Udp)))),
            ("0/udp", None),
            ("53/sctp", None),
            ("/udp", None),
        ] {
            let message = format!("illegal port specified: '{word}'; a number from 1 to 65535");
            match (served(word.as_bytes()), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected),
                (Err(failure), None) => assert_eq!(failure.message, message),
                (other, _) => panic!("{word}: {other:?}"),
            }
        }
    }

    #[test]
    fn numbers_are_decimal_and_whole() {
        for (word, expected) in [
            ("5", Some(5)),
            (" +07", Some(7)),
            ("", None),
            ("+", None),
            ("5 ", None),
            ("0x5", None),
            ("-1", None),
        ] {
            assert_eq!(decimal(word.as_bytes(), 0..=100), expected, "{word}");
        }
        assert_eq!(decimal(b"99999999999", 0..=u32::MAX), None);
    }

    #[test]
    fn an_interval_may_have_a_fraction() {
        for (word, milliseconds) in
            [("1", 1000), ("0.1", 100), (".5", 500), ("2.", 2000), ("86400", 86_400_000)]
        {
            assert_eq!(interval(word.as_bytes()), Ok(Duration::from_millis(milliseconds)), "{word}");
        }
        for word in [
            "",
            ".",
            "0",
            "0.09",
            "-1",
            "+1",
            "1e3",
            "inf",
            "NaN",
            "86401",
            "1.2.3",
            "1s",
            "99999999999999999999999",
        ] {
            assert!(interval(word.as_bytes()).is_err(), "{word}");
        }
    }

    proptest! {
        #[test]
        fn no_word_makes_the_readers_panic(word in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut resolver = Resolver::default();
            let _ = (decimal(&word, 0..=9), group(&word), cut(&word, 15), interval(&word));
            let _ = scheduler_flags(&word, &"sh".parse().unwrap());
            if word.is_empty() || word[0].is_ascii_digit() || word[0] == b'[' {
                let numeric: Vec<u8> = word.iter().map(|byte| b"0123456789.:[]xfa "[*byte as usize % 18]).collect();
                let _ = crate::cli::endpoint::endpoint(&numeric, None, &mut resolver);
            }
        }
    }
}
