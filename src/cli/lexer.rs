//! Splits the words of a command line, or of a line of a restore, into options and values. `clap_lex` splits the
//! words; this file interprets the parts as the original's parser (libpopt) does, whose grammar differs from clap's
//! and getopt's: see `docs/compatibility.md`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use clap_lex::{ArgCursor, RawArgs, ShortFlags};

use crate::option_table::{Arity, OptionSpec, by_letter, by_name};

/// An option and its value, as given on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParsedOption<'a> {
    pub(crate) spec: &'static OptionSpec,
    pub(crate) value: Option<&'a [u8]>,
    /// The word that contains it.
    pub(crate) option: &'a [u8],
    /// The last word that was read for it.
    pub(crate) word: &'a [u8],
}

/// A word that is not an option, or an option that lacks its value or has an unexpected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LexError<'a> {
    UnknownOption(&'a [u8]),
    MissingValue(&'a [u8]),
    UnexpectedValue(&'a [u8]),
}

/// Words that a [`Lexer`] reads.
pub(crate) fn raw(words: &[&[u8]]) -> RawArgs {
    RawArgs::new(words.iter().map(|word| OsStr::from_bytes(word)))
}

/// Reads options from the first word to the last.
pub(crate) struct Lexer<'a> {
    words: &'a RawArgs,
    cursor: ArgCursor,
    /// The rest of a cluster of letters, and the word that contains it.
    cluster: Option<(ShortFlags<'a>, &'a [u8])>,
    is_after_escape: bool,
    /// The words that are neither options nor values.
    pub(crate) positional: Vec<&'a [u8]>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(words: &'a RawArgs) -> Self {
        Self { words, cursor: words.cursor(), cluster: None, is_after_escape: false, positional: Vec::new() }
    }

    /// How many words were not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.words.remaining(&mut self.cursor.clone()).count()
    }

    /// The next option, or none at the end.
    pub(crate) fn next_option(&mut self) -> Result<Option<ParsedOption<'a>>, LexError<'a>> {
        loop {
            if let Some((letters, word)) = self.cluster.take() {
                return self.letter(letters, word).map(Some);
            }
            let Some(argument) = self.words.next(&mut self.cursor) else { return Ok(None) };
            let word = argument.to_value_os().as_bytes();
            if self.is_after_escape {
                self.positional.push(word);
            } else if argument.is_escape() {
                self.is_after_escape = true;
            } else if let Some((name, value)) = argument.to_long() {
                let spec = name.ok().and_then(by_name).ok_or(LexError::UnknownOption(word))?;
                return self.with_value(spec, value.map(OsStr::as_bytes), word).map(Some);
            } else if let Some(letters) = argument.to_short() {
                self.cluster = Some((letters, word));
            } else {
                self.positional.push(word);
            }
        }
    }

    /// The first of some letters; the rest is its value, or more letters.
    fn letter(
        &mut self,
        mut letters: ShortFlags<'a>,
        word: &'a [u8],
    ) -> Result<ParsedOption<'a>, LexError<'a>> {
        let letter = letters.next_flag().and_then(Result::ok);
        let spec = letter.and_then(by_letter).ok_or(LexError::UnknownOption(word))?;
        let rest = letters.clone().next_value_os().map(OsStr::as_bytes);
        let behind_sign = rest.and_then(|rest| rest.strip_prefix(b"="));
        if spec.arity != Arity::Nothing {
            return self.with_value(spec, behind_sign.or(rest), word);
        }
        if behind_sign.is_none() && rest.is_some() {
            self.cluster = Some((letters, word));
        }
        self.with_value(spec, behind_sign, word)
    }

    fn with_value(
        &mut self,
        spec: &'static OptionSpec,
        attached: Option<&'a [u8]>,
        option: &'a [u8],
    ) -> Result<ParsedOption<'a>, LexError<'a>> {
        let parsed = |value, word| Ok(ParsedOption { spec, value, option, word });
        match (spec.arity, attached) {
            (Arity::Nothing, Some(_)) => return Err(LexError::UnexpectedValue(option)),
            (Arity::Nothing, None) => return parsed(None, option),
            (_, Some(value)) => return parsed(Some(value), option),
            (Arity::Value(_), None) => {}
            (Arity::Optional(_), None) => {
                let next = self.words.peek_os(&self.cursor);
                if next.is_none_or(|next| next.as_bytes().starts_with(b"-")) {
                    return parsed(None, option);
                }
            }
        }
        let value = self.words.next_os(&mut self.cursor).ok_or(LexError::MissingValue(option))?.as_bytes();
        parsed(Some(value), value)
    }
}
