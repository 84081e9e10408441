//! Lines of rules: parsing, saving, restoring, and comparing with the table.

pub(crate) mod apply;
pub(crate) mod document;
pub(crate) mod lines;
pub(crate) mod replace;
pub(crate) mod restore;
pub(crate) mod save;
