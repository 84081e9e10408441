//! From the words of a command line, or of a line of a restore, to a command.

use crate::cli::lexer::{self, LexError, Lexer};
use crate::cli::options::Options;
use crate::command::Command;
use crate::messages::{self, Failure, Result};
use crate::option_table::OptionKey;
use crate::resolver::Resolver;

/// Parses the words after the program's name; there is at least one. Errors are reported in the order of the words,
/// then those of combinations.
pub(crate) fn parse(program: &str, words: &[&[u8]], resolver: &mut Resolver) -> Result<Command> {
    let raw = lexer::raw(words);
    let mut lexer = Lexer::new(&raw);
    let first = match lexer.next_option() {
        Ok(Some(option)) if option.spec.is_command() => option,
        Ok(Some(option)) => return Err(messages::try_help(program, Some(option.word), COMMAND_FIRST)),
        Ok(None) => return Err(messages::try_help(program, words.first().copied(), COMMAND_FIRST)),
        Err(error) => return Err(no_command(program, error)),
    };
    match first.spec.key {
        OptionKey::Help => return Ok(Command::Help),
        OptionKey::Version => return Ok(Command::Version),
        _ => {}
    }
    let mut options = Options::for_command(&first)?;
    while let Some(option) = lexer.next_option().map_err(unreadable)? {
        options.set(&option, resolver)?;
    }
    options.into_command(first.spec.key, &lexer.positional)
}

const COMMAND_FIRST: &str = "a command such as -A or -L comes first";

fn no_command(program: &str, error: LexError<'_>) -> Failure {
    match error {
        LexError::UnknownOption(word) => messages::try_help(program, Some(word), "there is no such command"),
        LexError::MissingValue(word) => messages::try_help(program, Some(word), "it needs a value"),
        LexError::UnexpectedValue(word) => messages::try_help(program, Some(word), "it takes no value"),
    }
}

/// The failure for a word after the command.
pub(crate) fn unreadable(error: LexError<'_>) -> Failure {
    let (word, what) = match error {
        LexError::UnknownOption(word) => (word, "unknown option"),
        LexError::MissingValue(word) => (word, "missing argument"),
        LexError::UnexpectedValue(word) => (word, "option does not take an argument"),
    };
    Failure {
        status: messages::STATUS_REFUSED,
        message: format!("{}: {what}", messages::text(word)),
        continue_restore: true,
    }
}
