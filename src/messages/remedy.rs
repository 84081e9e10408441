//! What to type instead of a word at fault.

use std::net::IpAddr;

use crate::nearest;
use crate::option_table::{Arity, OPTIONS, OptionKey, OptionSpec};

use super::text;

/// An option or a command as people type it: by its letter, if it has one.
pub(crate) fn typed(spec: &OptionSpec) -> String {
    spec.letters.chars().next().map_or_else(|| format!("--{}", spec.name), |letter| format!("-{letter}"))
}

/// The same with its value.
pub(crate) fn typed_with_value(spec: &OptionSpec) -> String {
    match spec.arity {
        Arity::Nothing => typed(spec),
        Arity::Value(value) => format!("{} {value}", typed(spec)),
        Arity::Optional(value) => format!("{} [{value}]", typed(spec)),
    }
}

/// The options of a group, or the one of this key.
pub(crate) fn members(key: OptionKey) -> impl Iterator<Item = &'static OptionSpec> {
    OPTIONS
        .iter()
        .filter(move |spec| spec.heading.is_some() && (spec.key == key || spec.checked_as == Some(key)))
}

/// The options of a group as alternatives: `-t, -u, --sctp-service or -f`.
pub(crate) fn one_of(key: OptionKey) -> String {
    let all: Vec<String> = members(key).map(typed).collect();
    match all.as_slice() {
        [front @ .., last] if !front.is_empty() => format!("{} or {last}", front.join(", ")),
        all => all.concat(),
    }
}

/// The word as it can be typed, where it has wide characters, or quotes, as keyboards for other languages and web pages make
/// them.
pub(crate) fn in_ascii(word: &[u8]) -> Option<String> {
    let word = std::str::from_utf8(word).ok().filter(|word| !word.is_ascii())?;
    let plain = |letter: char| match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0),
        '\u{3000}' | '\u{a0}' => Some(' '),
        '\u{3001}' => Some(','),
        '\u{3002}' => Some('.'),
        '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{200b}' | '\u{feff}' => None,
        other => Some(other),
    };
    let word: String = word.chars().filter_map(plain).collect();
    (word.is_ascii() && !word.is_empty())
        .then(|| format!("it has characters that look like others: type {}", text(word.as_bytes())))
}

/// A time with a unit, in seconds.
pub(crate) fn in_seconds(word: &[u8]) -> Option<u64> {
    let word = std::str::from_utf8(word).ok()?;
    let end = word.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = word.split_at_checked(end)?;
    let seconds = match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "seconds" => 1,
        "m" | "min" | "minutes" => 60,
        "h" | "hours" => 3600,
        "d" | "days" => 24 * 3600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds)
}

/// Where a word belongs that is neither an option nor its value.
pub(crate) fn of_argument(word: &[u8]) -> &'static str {
    let word = String::from_utf8_lossy(word);
    let is_address = |word: &str| {
        let host = word.rsplit_once(':').map_or(word, |(host, _)| host);
        host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || word.parse::<IpAddr>().is_ok()
    };
    match word.as_ref() {
        word if nearest::is_scheduler(word) => "a scheduler stands behind -s",
        word if word.contains("-port") || word.contains("-fallback") || word.starts_with("flag-") => {
            "flags are one word, with commas, behind -b"
        }
        word if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) => {
            "a port stands behind its address and a colon, another number behind its option"
        }
        word if is_address(word) => "a service stands behind -t, -u or --sctp-service, a server behind -r",
        "ipvsadm" | "sudo" => "the command line begins once",
        _ => "each word is an option, or stands behind the option whose value it is",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_keyboards_are_shown_as_they_can_be_typed() {
        for (word, expected) in [
            ("192.0.2.1\u{ff1a}80", Some("192.0.2.1:80")),
            ("\u{ff11}\u{ff19}\u{ff12}.0.2.1", Some("192.0.2.1")),
            ("\u{201c}wrr\u{201d}", Some("wrr")),
            ("-A\u{3000}-t", Some("-A -t")),
            ("192\u{3002}0", Some("192.0")),
            ("wrr", None),
            ("\u{e4}rger", None),
            ("\u{201c}\u{201d}", None),
        ] {
            let expected =
                expected.map(|word| format!("it has characters that look like others: type {word}"));
            assert_eq!(in_ascii(word.as_bytes()), expected, "{word}");
        }
        assert_eq!(in_ascii(b"\xff"), None);
    }

    #[test]
    fn times_with_units_are_in_seconds() {
        for (word, expected) in [
            ("5m", Some(300)),
            ("2h", Some(7200)),
            ("30s", Some(30)),
            ("1D", Some(86400)),
            ("5", None),
            ("m", None),
        ] {
            assert_eq!(in_seconds(word.as_bytes()), expected, "{word}");
        }
        assert_eq!(in_seconds(b"99999999999999999999d"), None);
    }
}
