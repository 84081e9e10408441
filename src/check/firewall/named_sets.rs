//! Sets and maps of nftables that have names, as rules refer to them: `tcp dport @web drop`.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// The elements of each, by table and name.
#[derive(Debug, Default)]
pub(super) struct NamedSets(HashMap<(String, String), Value>);

impl NamedSets {
    /// Adds an object `set` or `map`. One that packets or time change says nothing about the next packet.
    pub(super) fn add(&mut self, table: &str, object: &Value) {
        let flags = object.get("flags").and_then(Value::as_array).into_iter().flatten();
        let is_fixed = flags.filter_map(Value::as_str).all(|flag| flag != "dynamic" && flag != "timeout");
        if let (true, Some(name)) = (is_fixed, object.get("name").and_then(Value::as_str)) {
            let elements = object.get("elem").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
            let set = Value::Object(Map::from_iter([("set".to_owned(), elements)]));
            self.0.insert((table.to_owned(), format!("@{name}")), set);
        }
    }

    /// A rule of a table with the elements in place of the names.
    pub(super) fn resolve(&self, table: &str, rule: &Value) -> Value {
        match rule {
            Value::String(word) if word.starts_with('@') => {
                self.0.get(&(table.to_owned(), word.clone())).unwrap_or(rule).clone()
            }
            Value::Array(all) => all.iter().map(|value| self.resolve(table, value)).collect(),
            Value::Object(all) => {
                all.iter().map(|(key, value)| (key.clone(), self.resolve(table, value))).collect()
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_stand_for_the_elements_that_stay() {
        let mut sets = NamedSets::default();
        sets.add("ip f", &json!({ "name": "web", "type": "inet_service", "elem": [80, 443] }));
        sets.add("ip f", &json!({ "name": "none", "type": "inet_service" }));
        sets.add(
            "ip f",
            &json!({ "name": "clients", "flags": ["dynamic", "timeout"], "elem": ["192.0.2.1"] }),
        );
        let resolved = |table, right| sets.resolve(table, &json!([{ "match": { "right": right } }]));
        let rule = |right: Value| json!([{ "match": { "right": right } }]);
        assert_eq!(resolved("ip f", "@web"), rule(json!({ "set": [80, 443] })));
        assert_eq!(resolved("ip f", "@none"), rule(json!({ "set": [] })));
        for (table, other) in [("ip g", "@web"), ("ip f", "@clients"), ("ip f", "web")] {
            assert_eq!(resolved(table, other), rule(json!(other)));
        }
    }
}
