//! From the words of a command line, or of a line of a restore, to a command.

use crate::cli::lexer::{self, LexError, Lexer};
use crate::cli::options::Options;
use crate::command::Command;
use crate::messages::{self, Failure, Result, remedy};
use crate::nearest;
use crate::option_table::{Arity, OPTIONS, OptionKey, OptionSpec, by_letter, by_name};
use crate::resolver::Resolver;

/// Parses the words after the program's name; there is at least one. Errors are reported in the order of the words,
/// then those of combinations.
pub(crate) fn parse(program: &str, words: &[&[u8]], resolver: &mut Resolver) -> Result<Command> {
    parsed(program, words, resolver).map_err(|failure| match with_one_hyphen(words) {
        Some(name) => Failure { message: format!("{}; did you mean --{name}?", failure.message), ..failure },
        None => failure,
    })
}

/// The command whose long name was typed with one hyphen, which reads it as letters.
fn with_one_hyphen(words: &[&[u8]]) -> Option<&'static str> {
    let word = std::str::from_utf8(words.first()?.strip_prefix(b"-")?).ok()?;
    let names = OPTIONS.iter().filter(|spec| spec.is_command()).map(|spec| spec.name);
    (word.len() > 2 && !word.starts_with('-')).then(|| nearest::of(word, names)).flatten()
}

fn parsed(program: &str, words: &[&[u8]], resolver: &mut Resolver) -> Result<Command> {
    let raw = lexer::raw(words);
    let mut lexer = Lexer::new(&raw);
    let first = match (words.first(), lexer.next_option()) {
        // As in the original, words that are no options may stand before it.
        (_, Ok(Some(option))) if option.spec.is_command() => option,
        // Whatever follows, this is no command, and the first that is wrong.
        (Some(word), _) if !word.starts_with(b"-") || *word == b"-" => {
            return Err(messages::try_help(program, Some(word), &no_option(word)));
        }
        (_, Ok(Some(option))) => {
            return Err(messages::try_help(program, Some(option.option), &command_first(words)));
        }
        (first, Ok(None)) => return Err(messages::try_help(program, first.copied(), COMMAND_FIRST)),
        (_, Err(error)) => return Err(no_command(program, error)),
    };
    match first.spec.key {
        OptionKey::Help => {
            let of =
                lexer.next_option().ok().flatten().map(|option| option.spec).filter(|spec| spec.is_command());
            return Ok(Command::Help(
                of.map(|spec| spec.key).filter(|key| !matches!(key, OptionKey::Help | OptionKey::Version)),
            ));
        }
        OptionKey::Version => return Ok(Command::Version),
        _ => {}
    }
    let mut options = Options::for_command(&first)?;
    while let Some(option) = lexer.next_option().map_err(unreadable)? {
        // With the commands of the original it is refused, as there.
        if option.spec.key == OptionKey::Help && first.spec.key.is_extension() {
            return Ok(Command::Help(Some(first.spec.key)));
        }
        options.set(&option, resolver)?;
    }
    options.into_command(first.spec.key, &lexer.positional)
}

const COMMAND_FIRST: &str = "a command such as -A or -L comes first";

/// The command that stands further behind, or an example.
fn command_first(words: &[&[u8]]) -> String {
    let raw = lexer::raw(words);
    let mut lexer = Lexer::new(&raw);
    let options = std::iter::from_fn(|| lexer.next_option().ok().flatten());
    match options.filter(|option| option.spec.is_command()).map(|option| messages::text(option.option)).next()
    {
        // A cluster of letters shows the first that is wrong.
        Some(command) if words.iter().skip(1).any(|word| *word == command.as_bytes()) => {
            format!("the command comes first: {command}")
        }
        _ => words.first().and_then(|word| reordered(word)).unwrap_or_else(|| COMMAND_FIRST.to_owned()),
    }
}

/// A cluster of letters with the command in front.
fn reordered(word: &[u8]) -> Option<String> {
    let letters = std::str::from_utf8(word).ok()?.strip_prefix('-')?;
    let is_option = |letter: char| letter.is_ascii_alphanumeric() && by_letter(letter).is_some();
    let is_command = |letter: &char| by_letter(*letter).is_some_and(OptionSpec::is_command);
    let command = letters.chars().find(is_command).filter(|_| letters.chars().all(is_option))?;
    Some(format!("the command comes first: -{command}{}", letters.replacen(command, "", 1)))
}

/// What a word that is neither an option nor its value may have been meant as.
fn no_option(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word);
    if let Some(rest) = without_dashes(&text) {
        return format!("it begins with a dash that is no hyphen: type {}", messages::printable(&rest));
    }
    if let Some(fix) = remedy::in_ascii(word) {
        return fix;
    }
    if text.starts_with(['{', '[']) {
        return "this is JSON: -R --json reads it".to_owned();
    }
    let known = |name: &str| OPTIONS.iter().find(|spec| spec.is_command() && spec.name == name);
    let letter = |text: &str| {
        let mut letters = text.chars();
        let letter = letters.next().filter(|_| letters.next().is_none())?;
        by_letter(letter).filter(|spec| spec.is_command())
    };
    let names = OPTIONS.iter().filter(|spec| spec.is_command()).map(|spec| spec.name);
    match (known(&text), letter(&text), nearest::of(&text, names)) {
        (Some(spec), ..) => format!("a command begins with a hyphen: {}", remedy::typed(spec)),
        (None, Some(_), _) => format!("a command begins with a hyphen: -{text}"),
        (None, None, Some(name)) => format!("there is no such command; did you mean --{name}?"),
        _ => COMMAND_FIRST.to_owned(),
    }
}

/// The word with hyphens where it begins with other dashes, as text processors and web pages make of them.
fn without_dashes(text: &str) -> Option<String> {
    const ONE: [char; 6] = ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2212}', '\u{ff0d}'];
    const LONG: char = '\u{2014}';
    let rest =
        text.trim_start_matches('-').trim_start_matches(|letter| letter == LONG || ONE.contains(&letter));
    let dashes = text.strip_suffix(rest).filter(|dashes| !dashes.is_ascii())?;
    let hyphens = dashes.chars().map(|dash| if dash == LONG { "--" } else { "-" }).collect::<String>();
    // An en dash is also what two hyphens become.
    let hyphens =
        if rest.chars().nth(1).is_some() && by_name(rest).is_some() { "--".to_owned() } else { hyphens };
    Some(hyphens + rest)
}

fn no_command(program: &str, error: LexError<'_>) -> Failure {
    match error {
        LexError::UnknownOption(word) => {
            let meant = meant(word, OptionSpec::is_command);
            messages::try_help(program, Some(word), &format!("there is no such command{meant}"))
        }
        LexError::MissingValue(word) => messages::try_help(program, Some(word), &lacks_value(word)),
        LexError::UnexpectedValue(word) => messages::try_help(program, Some(word), "it takes no value"),
    }
}

/// What stands behind an option that is the last word, or the last letter of it.
fn lacks_value(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word);
    let spec = match text.strip_prefix("--") {
        Some(name) => by_name(name),
        None => text.chars().next_back().and_then(by_letter),
    };
    match spec.map(|spec| (spec.arity, spec.key)) {
        Some((_, OptionKey::StartDaemon | OptionKey::StopDaemon)) => {
            "master or backup stands behind it".to_owned()
        }
        Some((Arity::Value(value) | Arity::Optional(value), _)) => format!("{value} stands behind it"),
        _ => "it needs a value".to_owned(),
    }
}

/// What an unknown option was probably meant as, behind a message; nothing if none is near.
fn meant(word: &[u8], is_wanted: impl Fn(&OptionSpec) -> bool) -> String {
    if let Some(fix) = remedy::in_ascii(word) {
        return format!("; {fix}");
    }
    if let [b'-', letter] = word {
        let other = if letter.is_ascii_lowercase() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        };
        let spec = by_letter(char::from(other)).filter(|spec| is_wanted(spec));
        return match spec {
            Some(spec) => format!("; did you mean {}?", remedy::typed(spec)),
            None if letter.is_ascii_digit() => "; a number is not negative here".to_owned(),
            None => String::new(),
        };
    }
    if word.len() > 1 && word.iter().skip(1).all(u8::is_ascii_digit) {
        return "; a number is not negative here".to_owned();
    }
    let name = word.strip_prefix(b"--").unwrap_or_default().split(|byte| *byte == b'=').next();
    let name = String::from_utf8_lossy(name.unwrap_or_default());
    let names = OPTIONS.iter().filter(|spec| spec.heading.is_some() && is_wanted(spec)).map(|spec| spec.name);
    nearest::of(&name, names).map_or_else(String::new, |name| format!("; did you mean --{name}?"))
}

/// The failure for a word after the command.
pub(crate) fn unreadable(error: LexError<'_>) -> Failure {
    let (word, what, meant) = match error {
        LexError::UnknownOption(word) => (word, "unknown option", meant(word, |spec| !spec.is_command())),
        LexError::MissingValue(word) => (word, "missing argument", format!("; {}", lacks_value(word))),
        LexError::UnexpectedValue(word) => (word, "option does not take an argument", String::new()),
    };
    Failure {
        status: messages::STATUS_REFUSED,
        message: format!("{}: {what}{meant}", messages::text(word)),
        continue_restore: true,
    }
}

/// A word that is neither an option nor a value.
pub(crate) fn unexpected(word: &[u8]) -> Failure {
    let with_hyphens = without_dashes(&String::from_utf8_lossy(word));
    let with_hyphens = with_hyphens
        .map(|rest| format!("it begins with a dash that is no hyphen: type {}", messages::printable(&rest)));
    let fix = with_hyphens.or_else(|| remedy::in_ascii(word));
    messages::unexpected_argument(word, &fix.unwrap_or_else(|| remedy::of_argument(word).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_dashes_are_told_from_hyphens() {
        for (word, expected) in [
            ("\u{2013}A", Some("-A")),
            ("\u{2212}t", Some("-t")),
            ("\u{2014}stats", Some("--stats")),
            ("\u{2013}stats", Some("--stats")),
            ("-\u{2013}stats", Some("--stats")),
            ("-A", None),
            ("A", None),
            ("", None),
        ] {
            assert_eq!(without_dashes(word).as_deref(), expected, "{word}");
        }
    }
}
