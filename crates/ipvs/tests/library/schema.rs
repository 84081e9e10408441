//! `docs/schema.json` and the readers agree: documents are made by the schema, and beside it, and each is taken by both or
//! by neither.

use boon::{Compiler, SchemaIndex, Schemas};
use ipvs::{Change, Counters, Destination, DestinationId, Service, ServiceId, SyncDaemon, Table, Timeouts};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, from_str, json};

/// What a document may have anywhere, where it does not belong.
const STRAYS: [&str; 16] = [
    "null",
    "true",
    "[]",
    "{}",
    "[null]",
    "\"\"",
    "\"7\"",
    "-1",
    "0",
    "7",
    "7.0",
    "7.5",
    "1e2",
    "4294967296",
    "36893488147419103232",
    "1e99",
];

/// Strings for a key, of which some are taken.
fn strings(key: &str) -> &'static [&'static str] {
    match key {
        "protocol" => &[
            "tcp",
            "udp",
            "sctp",
            "protocol-50",
            "TCP",
            "protocol-6",
            "protocol-65535",
            "protocol-65536",
            "protocol-+5",
            "protocol-05",
            "protocol-",
            "icmp",
        ],
        "address" => &[
            "192.0.2.1",
            "192.0.2.2",
            "2001:db8::1",
            "2001:DB8::2",
            "::ffff:192.0.2.1",
            "192.0.2",
            "192.0.2.01",
            "fe80::1%lo",
            "::1::",
            " 192.0.2.1",
            "[::1]",
        ],
        "family" => &["ipv4", "ipv6", "IPv4"],
        "scheduler" => &["rr", "wlc", "", "none", "a name", "fifteen-letters", "sixteen-letters-", "\u{0}"],
        "scheduler_flags" => &["flag-1", "flag-2", "flag-3", "flag-4", "sh-port"],
        "netmask" => &["255.255.255.0", "255.255.255.255", "0.0.0.0", "24", "ffff::", "255.255.255"],
        "engine" => &["sip", "", "sixteen-letters-", "seventeen-letters"],
        "forwarding" => &[
            "direct_routing",
            "tunnel",
            "masquerade",
            "local",
            "tunnel",
            "method-4",
            "method-3",
            "method-4294967295",
            "method-4294967296",
            "nat",
            "tunnel:ipip",
        ],
        "type" => &["ipip", "gue", "gre", "tunnel-3", "tunnel-0", "tunnel-255", "tunnel-256", "GUE"],
        "checksum" => &["off", "on", "remote", "checksum-3", "checksum-1", "+c", "checksum-65536"],
        "state" | "stopped_daemons" => &["master", "backup", "none"],
        "interface" => &["eth0", "lo", "\u{9b}31m", "", "fifteen-letters", "sixteen-letters-"],
        "group" => {
            &["224.0.0.81", "239.255.255.255", "240.0.0.1", "223.0.0.1", "ff02::1", "FF0e:1::2", "fe80::1"]
        }
        "ipvs" => &["1.2.1", "255.0.0", "256.0.0", "01.2.1", "1.2", "1.2.1.", "+1.2.1"],
        "change" => &[
            "add_service",
            "edit_service",
            "delete_service",
            "add_server",
            "edit_server",
            "delete_server",
            "flush",
            "zero",
            "set_timeouts",
            "start_daemon",
            "stop_daemon",
            "add",
        ],
        _ => &["", "text"],
    }
}

/// A simple random generator.
struct Maker<'a> {
    random: u64,
    defs: &'a Value,
    /// One in so many places has what does not belong there.
    odd: u64,
}

impl Maker<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.random >> 33).unwrap() % end.max(1)
    }

    fn is_odd(&mut self) -> bool {
        self.odd != 0 && self.below(usize::try_from(self.odd).unwrap()) == 0
    }

    fn one<'b, T>(&mut self, of: &'b [T]) -> &'b T {
        of.get(self.below(of.len())).unwrap()
    }

    /// The parts of a schema that all apply, with one of each choice.
    fn parts(&mut self, schema: &Value, parts: &mut Vec<Value>) {
        parts.push(schema.clone());
        if let Some(name) = schema["$ref"].as_str() {
            let target = self.defs[name.trim_start_matches("#/$defs/")].clone();
            self.parts(&target, parts);
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(choices) = schema[key].as_array() {
                let choice = self.one(choices).clone();
                self.parts(&choice, parts);
            }
        }
    }

    fn value(&mut self, key: &str, schema: &Value) -> Value {
        if self.is_odd() {
            return from_str(self.one::<&str>(&STRAYS)).unwrap_or(Value::Null);
        }
        let mut parts = Vec::new();
        self.parts(schema, &mut parts);
        if let Some(value) = parts.iter().find_map(|part| part.get("const")) {
            return value.clone();
        }
        let of = |word: &str| parts.iter().any(|part| part["type"] == word);
        if of("object") || parts.iter().any(|part| part.get("properties").is_some()) {
            return self.object(&parts);
        }
        if of("array") {
            let items = parts.iter().find_map(|part| part.get("items")).cloned().unwrap_or(Value::Null);
            return (0..self.below(3)).map(|_| self.value(key, &items)).collect();
        }
        if of("integer") || (key == "netmask" && self.below(2) == 0) {
            return self.number(&parts);
        }
        if of("boolean") {
            return Value::Bool(self.below(2) == 0);
        }
        json!(*self.one(strings(key)))
    }

    fn number(&mut self, parts: &[Value]) -> Value {
        let bound = |key: &str| parts.iter().find_map(|part| part[key].as_u64());
        let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(u64::from(u32::MAX)));
        let choices = [least, most, least + 1, most - 1, most.min(7), least.max(64).min(most)];
        let number = *self.one(&choices);
        match if self.is_odd() { 9 } else { self.below(20) } {
            9 => {
                let below = i64::try_from(least).map_or(Value::Null, |least| json!(least - 1));
                self.one(&[json!(most.saturating_add(1)), below, json!(number.to_string())]).clone()
            }
            0 => u32::try_from(number).map_or(json!(number), |number| json!(f64::from(number))),
            _ => json!(number),
        }
    }

    fn object(&mut self, parts: &[Value]) -> Value {
        let mut keys: Vec<(String, Vec<Value>)> = Vec::new();
        let mut refused = Vec::new();
        for (key, schema) in parts.iter().filter_map(|part| part["properties"].as_object()).flatten() {
            match keys.iter_mut().find(|(known, _)| known == key) {
                _ if *schema == false => refused.push(key.clone()),
                Some((_, schemas)) => schemas.push(schema.clone()),
                None => keys.push((key.clone(), vec![schema.clone()])),
            }
        }
        let mut object = Map::new();
        for (key, schemas) in keys {
            let required =
                |part: &Value| part["required"].as_array().is_some_and(|all| all.contains(&json!(key)));
            let is_there = if refused.contains(&key) {
                self.is_odd()
            } else {
                parts.iter().any(required) || self.below(2) == 0
            };
            if is_there != self.is_odd() {
                let whole = schemas.iter().fold(json!({}), |mut whole, more| {
                    if let (Some(whole), Some(more)) = (whole.as_object_mut(), more.as_object()) {
                        whole.extend(more.clone());
                    }
                    whole
                });
                object.insert(key.clone(), self.value(&key, &whole));
            }
        }
        if self.is_odd() {
            object.insert("colour".to_owned(), json!(1));
        }
        if self.is_odd() { object.into_values().collect() } else { Value::Object(object) }
    }
}

struct Schema {
    all: Schemas,
    index: SchemaIndex,
}

fn document() -> Value {
    from_str(include_str!("../../../../docs/schema.json")).unwrap()
}

impl Schema {
    fn new(name: &str) -> Self {
        let (mut all, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource("http://ipvs/schema.json", document()).unwrap();
        let part =
            json!({"$ref": format!("http://ipvs/schema.json#/$defs/{name}"), "unevaluatedProperties": false});
        compiler.add_resource("http://ipvs/part.json", part).unwrap();
        let index = compiler.compile("http://ipvs/part.json", &mut all).unwrap();
        Self { all, index }
    }

    fn takes(&self, value: &Value) -> bool {
        self.all.validate(value, self.index).is_ok()
    }
}

/// Compares the verdicts about many documents, and returns some that are taken.
fn compare<T: DeserializeOwned + std::fmt::Debug>(name: &str) -> Vec<Value> {
    let schema = Schema::new(name);
    let whole = document();
    let (mut taken, mut refused) = (Vec::new(), 0);
    for number in 0..4000_u64 {
        let mut maker = Maker {
            random: number,
            defs: whole.get("$defs").unwrap(),
            odd: [0, 0, 30, 60].into_iter().nth(usize::try_from(number % 4).unwrap()).unwrap(),
        };
        maker.below(1);
        let value = maker.value(name, whole.pointer(&format!("/$defs/{name}")).unwrap());
        let text = value.to_string();
        match from_str::<T>(&text) {
            Ok(_) => {
                assert!(schema.takes(&value), "{name}: read, and not of the schema: {text}");
                taken.push(value);
            }
            // What no schema can say.
            Err(error) if error.to_string().contains(" is there twice") && schema.takes(&value) => {}
            Err(error) => {
                assert!(!schema.takes(&value), "{name}: of the schema, and not read: {error}: {text}");
                refused += 1;
            }
        }
    }
    assert!(taken.len() > 200 && refused > 400, "{name}: {} taken, {refused} refused", taken.len());
    taken
}

/// A value as text, in which one key is there twice: that with a number, if there are so many.
fn with_twice(value: &Value, at: &mut usize, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut entries = Vec::new();
            for (key, value) in object {
                let mut entry = format!("{}:", json!(key));
                with_twice(value, at, &mut entry);
                if *at == 0 {
                    entries.push(entry.clone());
                }
                *at = at.wrapping_sub(1);
                entries.push(entry);
            }
            text.extend(["{", &entries.join(","), "}"]);
        }
        Value::Array(array) => {
            let values = array.iter().map(|value| {
                let mut text = String::new();
                with_twice(value, at, &mut text);
                text
            });
            let values: Vec<String> = values.collect();
            text.extend(["[", &values.join(","), "]"]);
        }
        other => *text += &other.to_string(),
    }
}

/// That no key may be there twice, in documents that are taken.
fn refuses_keys_twice<T: DeserializeOwned>(documents: &[Value]) {
    for value in documents.iter().take(40) {
        for number in 0.. {
            let (mut at, mut text) = (number, String::new());
            with_twice(value, &mut at, &mut text);
            if at <= number {
                assert!(from_str::<T>(&text).is_ok(), "{text}");
                break;
            }
            assert!(from_str::<T>(&text).is_err(), "{text}");
        }
    }
}

#[test]
fn the_reader_of_tables_takes_what_the_schema_takes() {
    refuses_keys_twice::<Table>(&compare::<Table>("table"));
}

#[test]
fn the_other_readers_take_what_the_schema_takes() {
    refuses_keys_twice::<Change>(&compare::<Change>("change"));
    refuses_keys_twice::<Service>(&compare::<Service>("configuredService"));
    refuses_keys_twice::<ServiceId>(&compare::<ServiceId>("serviceId"));
    refuses_keys_twice::<Destination>(&compare::<Destination>("configuredServer"));
    refuses_keys_twice::<DestinationId>(&compare::<DestinationId>("serverId"));
    refuses_keys_twice::<SyncDaemon>(&compare::<SyncDaemon>("daemon"));
    refuses_keys_twice::<Timeouts>(&compare::<Timeouts>("timeouts"));
    refuses_keys_twice::<Counters>(&compare::<Counters>("counters"));
}

#[test]
fn what_serde_would_take_by_position_or_for_nothing_is_refused() {
    for text in [
        r"[null,null,null,[]]",
        r#"{"services":null}"#,
        r#"{"services":{}}"#,
        r#"{"services":[["tcp","192.0.2.1",80,null,null,"rr"]]}"#,
        r#"{"services":[{"fwmark":7,"scheduler":"rr","servers":null}]}"#,
        r#"{"services":[{"fwmark":7,"scheduler":"rr","servers":[["192.0.2.1",80,"masquerade"]]}]}"#,
        r#"{"services":[{"fwmark":7,"scheduler":"rr","persistence":[300]}]}"#,
        r#"{"services":[],"timeouts":[1,2,3]}"#,
        r#"{"services":[],"timeouts":null}"#,
        r#"{"services":[],"daemons":null}"#,
        r#"{"services":[],"daemons":[["master","eth0"]]}"#,
        r#"{"schema":null,"services":[]}"#,
        r#"{"services":[],"ipvs":7}"#,
    ] {
        assert!(from_str::<Table>(text).is_err(), "{text}");
    }
    for text in [
        r#"{"address":"192.0.2.1","port":80,"forwarding":"masquerade","weight":null}"#,
        r#"{"address":"192.0.2.1","port":80,"forwarding":"tunnel","tunnel":["gue",80]}"#,
    ] {
        assert!(from_str::<Destination>(text).is_err(), "{text}");
    }
    for text in [r#"["flush"]"#, r#"{"change":"zero","service":null}"#, r#"["set_timeouts",{}]"#] {
        assert!(from_str::<Change>(text).is_err(), "{text}");
    }
}
