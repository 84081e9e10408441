//! `--netns`, taken out of the words before they are parsed: their names are looked up in the namespace.

use crate::cli::lexer::{self, Lexer};
use crate::messages::{self, Result};
use crate::option_table::OptionKey;

/// The value of `--netns`, if it is there, and the other words.
pub(crate) type Split<'a> = (Option<Vec<u8>>, Vec<&'a [u8]>);

/// The value of `--netns`, which stands before or behind the command, and the other words. Words that cannot be split
/// into options end the search: parsing reports them.
pub(crate) fn split<'a>(words: &[&'a [u8]]) -> Result<Split<'a>> {
    let mut rest = words.to_vec();
    if !words.iter().any(|word| word.starts_with(b"--netns")) {
        return Ok((None, rest));
    }
    let raw = lexer::raw(words);
    let mut lexer = Lexer::new(&raw);
    let mut namespace = None;
    while let Ok(Some(option)) = lexer.next_option() {
        if option.spec.key != OptionKey::Netns {
            continue;
        }
        if namespace.is_some() {
            return Err(messages::twice(OptionKey::Netns));
        }
        namespace = option.value.map(<[u8]>::to_vec);
        // Its value may be a word of its own.
        let count = if std::ptr::eq(option.option, option.word) { 1 } else { 2 };
        let end = words.len() - lexer.remaining();
        rest.drain(end.saturating_sub(count)..end);
    }
    Ok((namespace, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_from_wherever_it_stands() {
        for (line, namespace, rest) in [
            ("-L -n", None, "-L -n"),
            ("-L --netns blue -n", Some("blue"), "-L -n"),
            ("--netns=blue -L", Some("blue"), "-L"),
            ("--netns blue", Some("blue"), ""),
            ("--set 1 2 --netns blue 3", Some("blue"), "--set 1 2 3"),
            ("-S --file --netns --netns=blue", Some("blue"), "-S --file --netns"),
            ("-L -- --netns blue", None, "-L -- --netns blue"),
            ("-L --netns", None, "-L --netns"),
            ("-L --netnsx blue", None, "-L --netnsx blue"),
        ] {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let (found, left) = split(&words).unwrap();
            assert_eq!(found.as_deref(), namespace.map(str::as_bytes), "{line}");
            assert_eq!(left.join(&b' '), rest.as_bytes(), "{line}");
        }
        let twice = split(&[b"-L", b"--netns=a", b"--netns=b"]).unwrap_err();
        assert_eq!(twice.message, "multiple 'netns' options specified; give --netns once");
    }
}
