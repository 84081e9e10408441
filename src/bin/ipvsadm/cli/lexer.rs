//! The walk over the words of a command line, by the rules of the original's parser (libpopt), which differ from
//! clap's and from getopt's: see `docs/compatibility.md`.

use crate::cli::args::{Row, Takes, by_long, by_short};

/// An option as it was met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) row: &'static Row,
    pub(crate) value: Option<&'a [u8]>,
    /// The word that it stands in.
    pub(crate) option: &'a [u8],
    /// The last word that was read for it.
    pub(crate) word: &'a [u8],
}

/// Why the walk cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stumble<'a> {
    Unknown(&'a [u8]),
    ValueMissing(&'a [u8]),
    ValueUnwanted(&'a [u8]),
}

/// A walk from the first word to the last.
pub(crate) struct Walk<'a> {
    words: std::slice::Iter<'a, &'a [u8]>,
    /// What is left of a cluster of letters, and the word that it is in.
    cluster: Option<(&'a [u8], &'a [u8])>,
    after_dashes: bool,
    /// The words that are no options.
    pub(crate) positional: Vec<&'a [u8]>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(words: &'a [&'a [u8]]) -> Self {
        Self { words: words.iter(), cluster: None, after_dashes: false, positional: Vec::new() }
    }

    /// The next option, or none at the end.
    pub(crate) fn next_option(&mut self) -> Result<Option<Given<'a>>, Stumble<'a>> {
        loop {
            if let Some((letters, word)) = self.cluster.take() {
                return self.letter(letters, word).map(Some);
            }
            let Some(word) = self.words.next().copied() else { return Ok(None) };
            match word {
                _ if self.after_dashes => self.positional.push(word),
                b"--" => self.after_dashes = true,
                [b'-', b'-', long @ ..] => return self.long(long, word).map(Some),
                [b'-', letters @ ..] if !letters.is_empty() => self.cluster = Some((letters, word)),
                _ => self.positional.push(word),
            }
        }
    }

    fn long(&mut self, long: &'a [u8], word: &'a [u8]) -> Result<Given<'a>, Stumble<'a>> {
        let mut parts = long.splitn(2, |byte| *byte == b'=');
        let row = parts.next().and_then(by_long).ok_or(Stumble::Unknown(word))?;
        self.with_value(row, parts.next(), word)
    }

    /// The first of some letters; what follows it is its value, or more letters.
    fn letter(&mut self, letters: &'a [u8], word: &'a [u8]) -> Result<Given<'a>, Stumble<'a>> {
        let (letter, rest) = letters.split_first().ok_or(Stumble::Unknown(word))?;
        let row = by_short(*letter).ok_or(Stumble::Unknown(word))?;
        let glued = (!rest.is_empty()).then_some(rest);
        match row.takes {
            Takes::Nothing => {
                self.cluster = glued.filter(|rest| !rest.starts_with(b"=")).map(|rest| (rest, word));
                self.with_value(row, glued.filter(|rest| rest.starts_with(b"=")), word)
            }
            _ => self.with_value(row, glued.map(|rest| rest.strip_prefix(b"=").unwrap_or(rest)), word),
        }
    }

    fn with_value(
        &mut self,
        row: &'static Row,
        glued: Option<&'a [u8]>,
        option: &'a [u8],
    ) -> Result<Given<'a>, Stumble<'a>> {
        let given = |value, word| Ok(Given { row, value, option, word });
        match (row.takes, glued) {
            (Takes::Nothing, Some(_)) => Err(Stumble::ValueUnwanted(option)),
            (Takes::Nothing, None) => given(None, option),
            (_, Some(value)) => given(Some(value), option),
            (Takes::Value(_), None) => match self.words.next().copied() {
                Some(value) => given(Some(value), value),
                None => Err(Stumble::ValueMissing(option)),
            },
            (Takes::Perhaps(_), None) => match self.words.as_slice().first() {
                Some(value) if !value.starts_with(b"-") => {
                    self.words.next();
                    given(Some(value), value)
                }
                _ => given(None, option),
            },
        }
    }
}
