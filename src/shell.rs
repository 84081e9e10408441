//! Command lines for a user to copy into a shell: every printed word is quoted here.

use crate::messages;

/// A command line of words, quoted where needed.
pub(crate) fn line<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// A word quoted for any POSIX shell, without control or invisible characters.
pub(crate) fn quoted(word: impl AsRef<[u8]>) -> String {
    let word = word.as_ref();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-:,=+@%".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) {
        return String::from_utf8_lossy(word).into_owned();
    }
    match std::str::from_utf8(word) {
        Ok(text) if text.chars().all(messages::is_visible) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => printf_substitution(word),
    }
}

/// The word as output of `printf`. Command substitution strips trailing newlines, so those are appended literally.
fn printf_substitution(word: &[u8]) -> String {
    use std::fmt::Write;
    let end = word.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
    let (front, ends) = word.split_at_checked(end).unwrap_or_default();
    let mut text = String::new();
    if !front.is_empty() {
        text.push_str("\"$(printf '");
        for byte in front {
            if byte.is_ascii_alphanumeric() || b"/._".contains(byte) {
                text.push(char::from(*byte));
            } else {
                let _ = write!(text, "\\{byte:03o}"); // writing to a string cannot fail
            }
        }
        text.push_str("')\"");
    }
    if !ends.is_empty() {
        text.extend(["'", &"\n".repeat(ends.len()), "'"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        for (word, expected) in [
            ("/etc/ipvsadm.rules", "/etc/ipvsadm.rules"),
            ("eth0.7", "eth0.7"),
            ("", "''"),
            ("x;id", "'x;id'"),
            ("[2001:db8::1]:80", "'[2001:db8::1]:80'"),
            ("/tmp/it's here", r"'/tmp/it'\''s here'"),
            ("münchen", "'münchen'"),
            ("\u{1b}[31mred", r#""$(printf '\033\13331mred')""#),
            ("a\u{202e}b", r#""$(printf 'a\342\200\256b')""#),
            ("100%\u{7f}", r#""$(printf '100\045\177')""#),
        ] {
            assert_eq!(quoted(word), expected);
        }
        assert_eq!(quoted(b"\xff"), r#""$(printf '\377')""#);
        assert_eq!(line(["ip", "link", "set", "dev", "x;id", "up"]), "ip link set dev 'x;id' up");
    }

    /// The word that a shell reads.
    fn read_by_sh(word: &str) -> Vec<u8> {
        let script = format!("printf %s {word}");
        Command::new("/bin/sh").args(["-c", &script]).output().unwrap().stdout
    }

    #[test]
    fn a_shell_reads_the_words_back() {
        for word in [
            &b"-x"[..],
            b"~",
            b"*",
            b"#x",
            b"!x",
            b"\n",
            b"a\nb\n\n",
            b"\\",
            b"a\\'b",
            b"$(id)`id`\"",
            b"%s",
            b"%\x1b",
            b"-\x1b",
        ] {
            assert_eq!(read_by_sh(&quoted(word)), word, "{}", std::ffi::OsStr::from_bytes(word).display());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
        #[test]
        fn a_shell_reads_any_word_back(word in proptest::collection::vec(1..=255u8, 0..16)) {
            prop_assert_eq!(read_by_sh(&quoted(&word)), word);
        }
    }
}
