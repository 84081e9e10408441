//! Keys, and what is done with a mouse, from the bytes that a terminal sends.

/// A key, as far as the view has a use for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    /// Control and a letter.
    Control(char),
    Character(char),
    WheelUp,
    WheelDown,
    /// The left button was pressed in this column and row, counted from 0.
    Click(u16, u16),
}

/// The keys in some bytes. A sequence that is not complete stays for the next bytes.
pub(super) fn decode(bytes: &mut Vec<u8>) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((key, length)) = first(rest) {
        keys.extend(key);
        rest = rest.get(length..).unwrap_or_default();
    }
    // Nothing that a key sends is longer.
    let rest = if rest.len() > 32 { Vec::new() } else { rest.to_vec() };
    *bytes = rest;
    keys
}

/// The first key, if it is known, and its number of bytes; none where more bytes are needed.
fn first(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    match bytes {
        [] | [0x1b, b'O'] => None,
        [0x1b, b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            let last = rest.get(end).copied().unwrap_or_default();
            Some((sequence(rest.get(..end).unwrap_or_default(), last), end + 3))
        }
        [0x1b, b'O', last, ..] => Some((sequence(&[], *last), 3)),
        [0x1b, ..] => Some((Some(Key::Escape), 1)),
        [b'\r' | b'\n', ..] => Some((Some(Key::Enter), 1)),
        [0x7f | 0x08, ..] => Some((Some(Key::Backspace), 1)),
        [byte @ 1..0x1b, ..] => Some((Some(Key::Control(char::from(byte + b'a' - 1))), 1)),
        [0..0x20, ..] => Some((None, 1)),
        [byte @ 0x20..0x7f, ..] => Some((Some(Key::Character(char::from(*byte))), 1)),
        [byte, ..] => {
            let length = match byte {
                0xc2..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0..0xf5 => 4,
                _ => return Some((None, 1)),
            };
            let text = std::str::from_utf8(bytes.get(..length)?).ok();
            Some(match text.and_then(|text| text.chars().next()) {
                Some(character) => (Some(Key::Character(character)), length),
                None => (None, 1),
            })
        }
    }
}

/// The key of a sequence with these parameters.
fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    match (last, parameters) {
        (b'M', [b'<', event @ ..]) => mouse(event),
        (_, [b'<', ..]) => None, // a button that is let go
        (b'A', _) => Some(Key::Up),
        (b'B', _) => Some(Key::Down),
        (b'C', _) => Some(Key::Right),
        (b'D', _) => Some(Key::Left),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        (b'M', _) => Some(Key::Enter), // of the keypad
        _ => None,
    }
}

/// What was done with the mouse: BUTTON;COLUMN;ROW. Buttons with Shift and the like are the terminal's own.
fn mouse(event: &[u8]) -> Option<Key> {
    let mut numbers = std::str::from_utf8(event).ok()?.split(';').map(|number| number.parse::<u16>().ok());
    let (button, column, row) = (numbers.next()??, numbers.next()??, numbers.next()??);
    match button {
        0 => Some(Key::Click(column.checked_sub(1)?, row.checked_sub(1)?)),
        64 => Some(Key::WheelUp),
        65 => Some(Key::WheelDown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_read_from_what_terminals_send() {
        for (bytes, keys) in [
            (&b"q"[..], &[Key::Character('q')][..]),
            (b"\x1b[A\x1bOB\x1b[5~\x1b[1;5C", &[Key::Up, Key::Down, Key::PageUp, Key::Right]),
            (b"\x1b[H\x1b[4~\x1b[7~\x1bOF", &[Key::Home, Key::End, Key::Home, Key::End]),
            (b"\r\x7f\x03\x1a", &[Key::Enter, Key::Backspace, Key::Control('c'), Key::Control('z')]),
            (b"\x1b", &[Key::Escape]),
            (b"\x1b\x1b", &[Key::Escape, Key::Escape]),
            ("é€".as_bytes(), &[Key::Character('é'), Key::Character('€')]),
            (b"\xff\x00\x1b[99~x", &[Key::Character('x')]),
            (b"\x1b[<0;5;8M\x1b[<0;5;8m", &[Key::Click(4, 7)]),
            (b"\x1b[<64;1;1M\x1b[<65;200;60M", &[Key::WheelUp, Key::WheelDown]),
            (b"\x1b[<2;1;1M\x1b[<0;0;1M\x1b[<0;1M\x1b[<0;99999;1M\x1b[M", &[Key::Enter]),
        ] {
            let mut left = bytes.to_vec();
            assert_eq!(decode(&mut left), keys, "{bytes:?}");
            assert!(left.is_empty(), "{bytes:?}");
        }
    }

    #[test]
    fn a_sequence_may_come_in_parts() {
        let mut bytes = b"x\x1b[".to_vec();
        assert_eq!(decode(&mut bytes), [Key::Character('x')]);
        bytes.extend(b"6~");
        assert_eq!(decode(&mut bytes), [Key::PageDown]);
        bytes.extend(b"\xe2\x82");
        assert_eq!(decode(&mut bytes), []);
        bytes.extend(b"\xac");
        assert_eq!(decode(&mut bytes), [Key::Character('€')]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic_or_keep_them(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut left = bytes;
            decode(&mut left);
            prop_assert!(left.len() <= 32);
        }
    }
}
