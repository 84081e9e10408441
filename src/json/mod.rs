//! The model in JSON, or in another format that describes itself: feature `serde`.
//!
//! The types that are not derived are written and read by way of the objects here. Keys are lower snake case, numbers are numbers, and
//! what does not apply is left out. Unknown keys and values that the model does not allow are refused.

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
                    let object = <$object>::deserialize(deserializer)?;
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
mod table;
mod text;

/// Refuses the first of these keys that is there.
fn refuse(keys: &[(&str, bool)]) -> Result<(), String> {
    let there = keys.iter().find(|(_, is_there)| *is_there);
    there.map_or(Ok(()), |(key, _)| Err(format!("unknown field `{key}`")))
}

/// The value of a key that must be there.
fn required<T>(value: Option<T>, key: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("missing field `{key}`"))
}
