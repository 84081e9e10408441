//! What a later release may add to is `#[non_exhaustive]`: forgetting it on a new type would make its growth a breaking
//! change.

use std::fs;
use std::path::Path;

/// Ids, families and states do not grow, and a netmask has the two forms of its families.
const COMPLETE: [&str; 6] = [
    "pub struct DestinationId",
    "pub struct Version",
    "pub enum ServiceId",
    "pub enum Family",
    "pub enum DaemonState",
    "pub enum Netmask",
];

/// The declarations of public enums, and of public structs with public fields, that may be matched or built whole.
fn exhaustive(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("bin") {
            exhaustive(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            // An item with its documentation and attributes is a paragraph, up to the first empty line.
            for item in source.split("\n\n") {
                let declaration = item.lines().find(|line| {
                    line.starts_with("pub enum ") || line.starts_with("pub struct ") && line.ends_with('{')
                });
                let Some(declaration) = declaration else { continue };
                let is_open = declaration.contains("enum") || item.contains("\n    pub ");
                if is_open && !item.contains("non_exhaustive") {
                    found.push(declaration.trim_end_matches(['{', ' ']).to_owned());
                }
            }
        }
    }
}

#[test]
fn what_may_grow_is_declared_so() {
    let mut found = Vec::new();
    exhaustive(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort_unstable();
    let mut complete = COMPLETE.to_vec();
    complete.sort_unstable();
    assert_eq!(found, complete);
}
