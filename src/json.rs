//! JSON as the tool writes it: one object in one line, with the version of its schema (`docs/schema.json`). The objects
//! in it are those of the library's `serde`.

use std::io::{Result, Write};

use ipvs::Table;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::messages;

/// JSON whose strings have no character that a terminal would interpret, or show as nothing: they are escaped, as JSON's
/// own are.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> Result<()> {
        if fragment.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return out.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            let mut units = [0; 2];
            if messages::is_visible(character) {
                write!(out, "{character}")?;
            } else {
                let units = character.encode_utf16(&mut units).iter();
                units.copied().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
            }
        }
        Ok(())
    }
}

/// Writes a value in one line, without the end of the line.
pub(crate) fn write(out: impl Write, value: &impl Serialize) -> Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Printable))?)
}

/// An object that is written as its fields come to be known.
pub(crate) struct Object<W>(W);

impl<W: Write> Object<W> {
    pub(crate) fn begin(mut out: W) -> Result<Self> {
        write!(out, r#"{{"schema":{}"#, Table::SCHEMA)?;
        Ok(Self(out))
    }

    pub(crate) fn field(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        write!(self.0, r#","{name}":"#)?;
        write(&mut self.0, value)
    }

    /// A field whose value is an array, which is to be ended.
    pub(crate) fn array(&mut self, name: &str) -> Result<Array<'_, W>> {
        write!(self.0, r#","{name}":["#)?;
        Ok(Array { out: &mut self.0, is_empty: true })
    }

    pub(crate) fn end(mut self) -> Result<()> {
        self.0.write_all(b"}\n")
    }
}

/// An array that is written value by value.
pub(crate) struct Array<'a, W> {
    out: &'a mut W,
    is_empty: bool,
}

impl<W: Write> Array<'_, W> {
    pub(crate) fn push(&mut self, value: &impl Serialize) -> Result<()> {
        if !self.is_empty {
            self.out.write_all(b",")?;
        }
        self.is_empty = false;
        write(&mut *self.out, value)
    }

    pub(crate) fn end(self) -> Result<()> {
        self.out.write_all(b"]")
    }
}
