//! JSON as the tool writes it: one object in one line, with the version of its schema (`docs/schema.json`). The objects
//! in it are those of the library's `serde`.

use std::io::{Result, Write};

use ipvs::Table;
use serde::Serialize;

/// An object that is written as its fields come to be known.
pub(crate) struct Object<W>(W);

impl<W: Write> Object<W> {
    pub(crate) fn begin(mut out: W) -> Result<Self> {
        write!(out, r#"{{"schema":{}"#, Table::SCHEMA)?;
        Ok(Self(out))
    }

    pub(crate) fn field(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        write!(self.0, r#","{name}":"#)?;
        Ok(serde_json::to_writer(&mut self.0, value)?)
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
        Ok(serde_json::to_writer(&mut *self.out, value)?)
    }

    pub(crate) fn end(self) -> Result<()> {
        self.out.write_all(b"]")
    }
}
