//! What somebody probably meant: the nearest of some words.

use std::fmt::Display;

use strsim::damerau_levenshtein;

/// The schedulers of Linux.
const SCHEDULERS: [&str; 13] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf"];

/// The nearest of some words, if it is near: other letters' case, a beginning, or some letters wrong.
pub(crate) fn of<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowed = match word.chars().count() {
        0..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    let distance = |known: &str| {
        let is_beginning = word.len() >= 3 && known.starts_with(&word);
        if is_beginning && known != word { 1 } else { damerau_levenshtein(&word, known) }
    };
    let measured = known.into_iter().map(|known| (distance(&known.to_ascii_lowercase()), known));
    measured
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Whether this is a scheduler of Linux.
pub(crate) fn is_scheduler(word: &str) -> bool {
    SCHEDULERS.contains(&word)
}

/// The scheduler that was meant.
pub(crate) fn scheduler(word: &str) -> Option<&'static str> {
    of(word, SCHEDULERS).filter(|known| *known != word)
}

/// The persistence engine that was meant: Linux has one.
pub(crate) fn engine(word: &str) -> Option<&'static str> {
    of(word, ["sip"]).filter(|known| *known != word)
}

/// The one whose text differs by one or two characters.
pub(crate) fn text<'a, T: Display>(text: &str, known: impl Iterator<Item = &'a T>) -> Option<&'a T> {
    const NEAR: usize = 2;
    measured(text, known).filter(|(distance, _)| *distance <= NEAR).map(|(_, known)| known)
}

/// The one whose text differs least, and by how much.
pub(crate) fn measured<'a, T: Display>(
    text: &str,
    known: impl Iterator<Item = &'a T>,
) -> Option<(usize, &'a T)> {
    let measured = known.map(|known| (damerau_levenshtein(text, &known.to_string()), known));
    measured.min_by_key(|(distance, _)| *distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        for (word, expected) in [
            ("RR", Some("rr")),
            ("wcl", Some("wlc")),
            ("wrr", None),
            ("round-robin", None),
            ("lbcl", Some("lblc")),
            ("", None),
        ] {
            assert_eq!(scheduler(word), expected, "{word}");
        }
        let options = ["stats", "scheduler", "thresholds", "state", "start-daemon"];
        for (word, expected) in [
            ("stat", Some("stats")),
            ("sched", Some("scheduler")),
            ("thresold", Some("thresholds")),
            ("xyzzy", None),
        ] {
            assert_eq!(of(word, options), expected, "{word}");
        }
    }
}
