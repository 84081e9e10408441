//! Values in the JSON of nftables.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde_json::Value;

use super::values::{network, protocol_number, range};

pub(super) fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// The values of a set, or the one.
pub(super) fn values(right: &Value) -> Vec<&Value> {
    let all = right.get("set").unwrap_or(right);
    let elements = all.as_array().map_or_else(|| vec![all], |all| all.iter().collect());
    elements.into_iter().map(|element| element.pointer("/elem/val").unwrap_or(element)).collect()
}

/// The operands of a disjunction, or the one value.
pub(super) fn all_of(value: &Value) -> Vec<&Value> {
    values(value.get("|").unwrap_or(value))
}

pub(super) fn words(values: &[&Value]) -> Option<Vec<String>> {
    let word = |value: &&Value| match value {
        // A set by its name.
        Value::String(text) if text.starts_with('@') => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    values.iter().map(word).collect()
}

pub(super) fn numbers(values: &[&Value]) -> Option<Vec<u8>> {
    words(values)?.iter().map(|word| protocol_number(word)).collect()
}

pub(super) fn networks(values: &[&Value]) -> Option<Vec<IpNet>> {
    let one = |value: &&Value| match (value.get("prefix"), value.get("range").and_then(Value::as_array)) {
        (Some(prefix), _) => {
            let address: IpAddr = text(prefix, "addr")?.parse().ok()?;
            Some(vec![IpNet::new(address, u8::try_from(prefix.get("len")?.as_u64()?).ok()?).ok()?])
        }
        (None, Some(ends)) => {
            let [first, last] = ends.as_slice() else { return None };
            range(&format!("{}-{}", first.as_str()?, last.as_str()?))
        }
        (None, None) => Some(vec![network(value.as_str()?)?]),
    };
    Some(values.iter().map(one).collect::<Option<Vec<_>>>()?.concat())
}

pub(super) fn ranges(values: &[&Value]) -> Option<Vec<RangeInclusive<u16>>> {
    let port = |value: &Value| u16::try_from(value.as_u64()?).ok();
    let one = |value: &&Value| match value.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        Some([first, last]) => Some(port(first)?..=port(last)?),
        _ => port(value).map(|port| port..=port),
    };
    values.iter().map(one).collect()
}
