//! From words to a command: the lexer, the values, and the rules for combinations.

#[cfg(test)]
mod completions;
pub(crate) mod endpoint;
#[cfg(test)]
mod generated;
pub(crate) mod help;
pub(crate) mod lexer;
#[cfg(test)]
mod manual;
pub(crate) mod matrix;
pub(crate) mod namespace;
pub(crate) mod options;
pub(crate) mod parse;
pub(crate) mod siblings;
pub(crate) mod value;
