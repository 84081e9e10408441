//! From the words of a command line, or of a line of a restore, to what they ask for.

use crate::cli::args::Opt;
use crate::cli::lexer::{Stumble, Walk};
use crate::cli::options::Typed;
use crate::command::Command;
use crate::messages::{self, Failure, Result};
use crate::resolver::Resolver;

/// Reads the words behind the program's name, of which there is at least one. Errors come in the order of the
/// words, and only then those about what does not go together.
pub(crate) fn parse(program: &str, words: &[&[u8]], resolver: &mut Resolver) -> Result<Command> {
    let mut walk = Walk::new(words);
    let first = match walk.next_option() {
        Ok(Some(given)) if given.row.is_command() => given,
        Ok(Some(given)) => return Err(messages::try_help(program, Some(given.word), COMMAND_FIRST)),
        Ok(None) => return Err(messages::try_help(program, words.first().copied(), COMMAND_FIRST)),
        Err(stumble) => return Err(first_stumble(program, stumble)),
    };
    match first.row.opt {
        Opt::Help => return Ok(Command::Help),
        Opt::Version => return Ok(Command::Version),
        _ => {}
    }
    let mut typed = Typed::behind(&first)?;
    while let Some(given) = walk.next_option().map_err(stumbled)? {
        typed.take(&given, resolver)?;
    }
    typed.finish(first.row.opt, &walk.positional)
}

const COMMAND_FIRST: &str = "a command such as -A or -L comes first";

fn first_stumble(program: &str, stumble: Stumble<'_>) -> Failure {
    match stumble {
        Stumble::Unknown(word) => messages::try_help(program, Some(word), "there is no such command"),
        Stumble::ValueMissing(word) => messages::try_help(program, Some(word), "it needs a value"),
        Stumble::ValueUnwanted(word) => messages::try_help(program, Some(word), "it takes no value"),
    }
}

/// Why the walk over the words behind a command cannot go on.
pub(crate) fn stumbled(stumble: Stumble<'_>) -> Failure {
    let (word, what) = match stumble {
        Stumble::Unknown(word) => (word, "unknown option"),
        Stumble::ValueMissing(word) => (word, "missing argument"),
        Stumble::ValueUnwanted(word) => (word, "option does not take an argument"),
    };
    Failure {
        status: messages::STATUS_REFUSED,
        message: format!("{}: {what}", messages::text(word)),
        restore_goes_on: true,
    }
}
