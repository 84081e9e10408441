//! The model in JSON, or in another format that describes itself: feature `serde`.
//!
//! The types that are not derived are written and read by way of the objects here. Keys are lower snake case, numbers are numbers, and
//! what does not apply is left out. What `docs/schema.json` does not allow is refused: unknown keys, keys without a value, values
//! that the model or the kernel does not take as they are.

/// Types that are written and read by way of an object.
macro_rules! by_way_of {
    ($object:ty: $($kind:ty),+) => {
        $(
            impl serde::Serialize for $kind {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    <$object>::from(*self).serialize(serializer)
                }
            }

            impl<'de> serde::Deserialize<'de> for $kind {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let object = <$object>::deserialize(crate::json::strict::Strict(deserializer))?;
                    Self::try_from(object).map_err(serde::de::Error::custom)
                }
            }
        )+
    };
}

mod change;
mod connection;
mod daemon;
mod destination;
mod service;
mod strict;
mod table;
mod text;
mod values;

use std::ops::RangeInclusive;

/// Refuses the first of these keys that is there.
fn refuse(keys: &[(&str, bool)]) -> Result<(), String> {
    let there = keys.iter().find(|(_, is_there)| *is_there);
    there.map_or(Ok(()), |(key, _)| Err(format!("unknown field `{key}`")))
}

/// Refuses a number that is not in a range.
fn within(what: &'static str, number: u32, range: RangeInclusive<u32>) -> Result<(), String> {
    let remedy = || format!("a number from {} to {}", range.start(), range.end());
    if range.contains(&number) {
        Ok(())
    } else {
        Err(format!("{what} '{number}' cannot be used; {}", remedy()))
    }
}

/// The value of a key that must be there.
fn required<T>(value: Option<T>, key: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("missing field `{key}`"))
}
