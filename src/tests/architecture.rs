//! `docs/architecture.md` beside the files that there are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/architecture.md")).expect("the document")
});
/// Where each table of the text has its files.
const TABLES: [(&str, &str); 3] = [
    ("| tool: `src/` |", "src"),
    ("| tests' crate: `crates/lab/src/` |", "crates/lab/src"),
    ("| library: `crates/ipvs/src/` |", "crates/ipvs/src"),
];

/// The files below a folder, without those of tests, and the folders.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // The two programs that are another name of this one are in `bin`.
    let is_other = |path: &PathBuf| path.file_stem().is_some_and(|name| name == "tests" || name == "bin");
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.filter(|path| !is_other(path)).partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| walk(folder));
    let all = files.into_iter().chain(below).chain(folders.clone());
    all.collect()
}

/// The words in backticks.
fn names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of a table, each with the names in its first cell, and in all of it.
fn rows(heading: &str) -> Vec<(Vec<&'static str>, Vec<&'static str>)> {
    let table = TEXT.split_once(heading).unwrap().1.lines().skip(2).take_while(|line| line.starts_with('|'));
    table.map(|row| (names(row.split('|').nth(1).unwrap_or_default()), names(row))).collect()
}

/// A file is named in the row of its folder, or of the nearest above it that has a row; a folder too, as `name/`.
#[test]
fn every_file_and_folder_is_named() {
    let mut missing = Vec::new();
    for (heading, root) in TABLES {
        let rows = rows(heading);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        for path in walk(&root) {
            let inner = path.strip_prefix(&root).unwrap().to_str().unwrap();
            let (folder, file) = inner.rsplit_once('/').unwrap_or(("", inner));
            let name = match file.strip_suffix(".rs") {
                Some("mod" | "lib") => continue,
                Some(stem) if path.with_extension("").is_dir() => format!("{stem}/"),
                Some(stem) => stem.to_owned(),
                None => format!("{file}/"),
            };
            let is_named =
                |names: &[&str]| names.iter().any(|it| *it == name || Some(*it) == name.strip_suffix('/'));
            let folders: Vec<String> = folder.split_terminator('/').map(|name| format!("{name}/")).collect();
            let is_of = |first: &[&str], folders: &[String]| {
                let of_row: Vec<&str> = first.iter().copied().filter(|name| name.ends_with('/')).collect();
                of_row == folders
                    || folders.len() == 1 && of_row.contains(&folders[0].as_str())
                    || folders.len() == 1 && first.contains(&folders[0].trim_end_matches('/'))
            };
            let depth = (1..=folders.len())
                .rev()
                .find(|depth| rows.iter().any(|row| is_of(&row.0, &folders[..*depth])));
            let found = match depth {
                None => rows.iter().any(|row| is_named(&row.0)),
                Some(depth) => rows.iter().any(|row| is_of(&row.0, &folders[..depth]) && is_named(&row.1)),
            };
            missing.extend((!found).then(|| inner.to_owned()));
        }
    }
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "the row of its folder in docs/architecture.md has no such name"
    );
}

/// The floors of `check/`, from the lowest.
const FLOORS: [&[&str]; 9] = [
    &["fix"],
    &["failure", "finding"],
    &["facts"],
    &["firewall"],
    &["director", "server"],
    &["verdict"],
    &["checks"],
    &["show"],
    &["repair", "way"],
];

#[test]
fn nothing_in_the_check_imports_what_is_above_it() {
    let floor = |name: &str| FLOORS.iter().position(|names| names.contains(&name));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
    let mut imports = 0;
    for path in walk(&root).into_iter().filter(|path| path.is_file()) {
        let inner = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let own = inner.split(['/', '.']).next().unwrap();
        let Some(own_floor) = floor(own) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for other in code.split("crate::check::").skip(1) {
            let other = other.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap();
            let is_below = floor(other).is_some_and(|it| it < own_floor || other == own);
            assert!(is_below, "{inner} imports {other}, which is not below it");
            imports += 1;
        }
        // A file that is a floor, or a part of one, names its neighbours by `super`.
        let depth = inner.trim_end_matches("/mod.rs").matches('/').count();
        let outside = format!("use {}", "super::".repeat(depth + 1));
        for other in code.split(&outside).skip(1).filter(|other| !other.starts_with("super")) {
            let other = other.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap();
            let is_below = floor(other).is_some_and(|it| it < own_floor || other == own);
            assert!(is_below, "{inner} imports {other}, which is not below it");
            imports += 1;
        }
    }
    assert!(imports > 100, "{imports}");
}
