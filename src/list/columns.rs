//! Columns of a listing: text and numbers padded with blanks. `std::fmt` does the same, but takes half of the time of a
//! long listing.

use std::io::{Result, Write};

const BLANKS: &str = "                                ";

/// Writes `count` blanks.
pub(super) fn blanks(out: &mut impl Write, mut count: usize) -> Result<()> {
    while count > 0 {
        let some = BLANKS.get(..count).unwrap_or(BLANKS);
        out.write_all(some.as_bytes())?;
        count -= some.len();
    }
    Ok(())
}

/// Text, padded on the right to a number of characters.
pub(super) fn left(out: &mut impl Write, text: &str, width: usize) -> Result<()> {
    out.write_all(text.as_bytes())?;
    blanks(out, width.saturating_sub(text.chars().count()))
}

/// A number, padded in the same way.
pub(super) fn number(out: &mut impl Write, number: impl itoa::Integer, width: usize) -> Result<()> {
    left(out, itoa::Buffer::new().format(number), width)
}

/// A number, padded on the left.
pub(super) fn right(out: &mut impl Write, number: impl itoa::Integer, width: usize) -> Result<()> {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    blanks(out, width.saturating_sub(digits.len()))?;
    out.write_all(digits.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn columns_are_as_the_formatter_has_them(text in ".{0,40}", signed: i32, unsigned: u64, width in 0..70_usize) {
            let mut out = Vec::new();
            left(&mut out, &text, width)?;
            number(&mut out, signed, width)?;
            number(&mut out, unsigned, width)?;
            right(&mut out, signed, width)?;
            right(&mut out, unsigned, width)?;
            let expected = format!("{text:<width$}{signed:<width$}{unsigned:<width$}{signed:>width$}{unsigned:>width$}");
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
