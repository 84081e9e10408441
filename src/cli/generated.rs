//! Parts of files that are made of the table of options, between two marks. `UPDATE_MANUAL=1 IPVS_LAB_INSIDE=no cargo
//! test --bin ipvsadm manual` writes them there, outside the lab.

use std::path::Path;

/// The part of a file between two marks is this one; with `UPDATE_MANUAL` in the environment, it becomes this one.
pub(super) fn is_made(file: &str, begin: &str, end: &str, part: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(begin).unwrap();
    let (_, tail) = rest.split_once(end).unwrap();
    let made = [head, begin, part, end, tail].concat();
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert!(page == made, "{file}: the table of options has changed: see the top of {}", file!());
}
