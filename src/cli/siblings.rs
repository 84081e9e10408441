//! The words of `ipvsadm-save` and `ipvsadm-restore`, which are options of `ipvsadm`. Unknown words are refused; the
//! original's `ipvsadm-restore` ignores them and clears the table.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::cli::lexer::{self, LexError, Lexer};
use crate::cli::parse;
use crate::command::{Command, Only, Restore, RestoreMode, Save};
use crate::messages::{self, Failure, Result, STATUS_LIST, STATUS_REFUSED};
use crate::option_table::{OptionKey, by_name};

/// A program that is installed beside `ipvsadm`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sibling {
    name: &'static str,
    options: &'static [OptionKey],
    hint: &'static str,
    /// The exit status for words that cannot be parsed.
    status: u8,
    usage: Option<&'static str>,
}

const SAVE: Sibling = Sibling {
    name: "ipvsadm-save",
    options: &[OptionKey::Numeric, OptionKey::Full, OptionKey::File, OptionKey::Version],
    hint: "the options are -n, --full and --file PATH",
    status: STATUS_LIST,
    // The original's two lines.
    usage: Some(
        "ipvsadm-save: Script to save the IPVS table to stdout.
   With the -n option, prints out the table in numeric format.",
    ),
};

const RESTORE: Sibling = Sibling {
    name: "ipvsadm-restore",
    options: &[OptionKey::File, OptionKey::Version],
    hint: "the one option is --file PATH",
    status: STATUS_REFUSED,
    usage: None,
};

impl Sibling {
    /// The sibling of this name.
    pub(crate) fn named(name: &[u8]) -> Option<&'static Self> {
        [&SAVE, &RESTORE].into_iter().find(|sibling| sibling.name.as_bytes() == name)
    }

    /// The siblings that have an option.
    #[cfg(test)]
    pub(crate) fn with(option: OptionKey) -> impl Iterator<Item = &'static str> {
        // That one is taken out of the words before.
        let has = move |sibling: &&Self| option == OptionKey::Netns || sibling.options.contains(&option);
        [&SAVE, &RESTORE].into_iter().filter(has).map(|sibling| sibling.name)
    }

    /// The command made of its words.
    pub(crate) fn parse(&self, words: &[&[u8]]) -> Result<Command> {
        let words = lexer::raw(words);
        let mut lexer = Lexer::new(&words);
        let (mut numeric, mut full, mut file) = (false, false, None);
        while let Some(option) = lexer.next_option().map_err(|error| self.unreadable(error))? {
            match (option.spec.key, option.value) {
                (key, _) if !self.options.contains(&key) => return Err(self.refused(option.option)),
                (OptionKey::Version, _) => return Ok(Command::Version),
                (OptionKey::File, Some(_)) if file.is_some() => return Err(messages::twice(OptionKey::File)),
                (OptionKey::File, Some(path)) => file = Some(PathBuf::from(OsStr::from_bytes(path))),
                (OptionKey::Full, _) => full = true,
                _ => numeric = true, // may be repeated, as with the original
            }
        }
        match lexer.positional.first() {
            Some(word) => Err(self.refused(word)),
            None if self == &SAVE => Ok(Command::Save(Save { numeric, full, json: false, file })),
            None => Ok(Command::Restore(Restore {
                mode: RestoreMode::Replace,
                only: Only::All,
                dry: false,
                json: false,
                file,
            })),
        }
    }

    fn unreadable(&self, error: LexError<'_>) -> Failure {
        match error {
            LexError::MissingValue(word) | LexError::UnexpectedValue(word) if self.has_option(word) => {
                Failure { status: self.status, ..parse::unreadable(error) }
            }
            LexError::UnknownOption(word)
            | LexError::MissingValue(word)
            | LexError::UnexpectedValue(word) => self.refused(word),
        }
    }

    /// Whether a word is the long form of one of its options, with or without a value.
    fn has_option(&self, word: &[u8]) -> bool {
        let name = word.strip_prefix(b"--").and_then(|long| long.split(|byte| *byte == b'=').next());
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        name.and_then(by_name).is_some_and(|spec| self.options.contains(&spec.key))
    }

    fn refused(&self, word: &[u8]) -> Failure {
        let message = match self.usage {
            Some(usage) if matches!(word, b"-h" | b"--help") => usage.to_owned(),
            _ => format!("'{}' is not an option of {}; {}", messages::text(word), self.name, self.hint),
        };
        Failure { status: self.status, message, continue_restore: false }
    }
}
