//! keepalived's configuration: as its process sees the file, which may be that of a container.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const USUAL: &str = "/etc/keepalived/keepalived.conf";

/// Files that include others, so often.
const DEEPEST: usize = 4;

/// Whether a process of keepalived has services in its configuration.
pub(super) fn has_services(process: &Path) -> bool {
    lines(process).iter().any(|line| line.trim_start().starts_with("virtual_server "))
}

/// Whether a process of keepalived in another network namespace fills the table of this one: `net_namespace_ipvs`.
pub(super) fn manages(process: &Path, proc: &Path) -> bool {
    let Ok(own) = fs::metadata(proc.join("self/ns/net")) else { return false };
    let lines = lines(process);
    let mut named = lines.iter().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "net_namespace_ipvs").and(words.next())
    });
    named.any(|name| {
        let namespace = fs::metadata(Path::new("/run/netns").join(name));
        namespace.is_ok_and(|it| (it.dev(), it.ino()) == (own.dev(), own.ino()))
    })
}

/// All lines of the configuration, as far as it can be read.
fn lines(process: &Path) -> Vec<String> {
    let root = process.join("root");
    let mut all = Vec::new();
    read(&root, &file_of(process), DEEPEST, &mut all);
    all
}

/// The configuration that is named on the command line: `-f FILE`, `--use-file=FILE`.
fn file_of(process: &Path) -> PathBuf {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0);
    while let Some(word) = words.next() {
        let path = match word {
            b"-f" | b"--use-file" => words.next(),
            word => word.strip_prefix(b"--use-file=").or_else(|| word.strip_prefix(b"-f")),
        };
        if let Some(path) = path.filter(|path| path.starts_with(b"/")) {
            return OsStr::from_bytes(path).into();
        }
    }
    USUAL.into()
}

fn read(root: &Path, path: &Path, depth: usize, all: &mut Vec<String>) {
    let Ok(text) = fs::read_to_string(inside(root, path)) else { return };
    for line in text.lines() {
        let included = line.trim_start().strip_prefix("include ").filter(|_| depth > 0);
        if let Some(pattern) = included {
            let pattern = path.parent().unwrap_or(Path::new("/")).join(pattern.trim());
            for file in matching(root, &pattern) {
                read(root, &file, depth - 1, all);
            }
        }
        all.push(line.to_owned());
    }
}

/// The path as it is from outside.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The files of a pattern, whose last part may have a `*`.
fn matching(root: &Path, pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().and_then(OsStr::to_str);
    let Some((front, back)) = name.and_then(|name| name.split_once('*')) else { return vec![pattern.into()] };
    let folder = pattern.parent().unwrap_or(Path::new("/"));
    let names = super::names_in(&inside(root, folder)).into_iter();
    let fits = |name: &OsString| {
        let name = name.to_string_lossy();
        name.len() >= front.len() + back.len() && name.starts_with(front) && name.ends_with(back)
    };
    names.filter(fits).map(|name| folder.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_as_its_process_sees_it() {
        const SERVER: &str = "vrrp_instance a {\n}\n  virtual_server 192.0.2.1 80 {\n";
        for (line, files, expected) in [
            (&b"keepalived\0-n\0"[..], &[(USUAL, SERVER)][..], true),
            (b"keepalived\0", &[(USUAL, "vrrp_instance a {\n}\n# virtual_server 192.0.2.1 80 {\n")], false),
            (
                b"keepalived\0",
                &[(USUAL, "include conf.d/*.conf\n"), ("/etc/keepalived/conf.d/a.conf", SERVER)],
                true,
            ),
            (
                b"keepalived\0",
                &[(USUAL, "include conf.d/*.conf\n"), ("/etc/keepalived/conf.d/a.off", SERVER)],
                false,
            ),
            (b"keepalived\0", &[(USUAL, "include /etc/lvs\n"), ("/etc/lvs", SERVER)], true),
            (b"keepalived\0", &[(USUAL, "include keepalived.conf\n")], false),
            (b"keepalived\0-f\0/etc/lvs\0", &[(USUAL, ""), ("/etc/lvs", SERVER)], true),
            (b"keepalived\0--use-file=/etc/lvs\0", &[(USUAL, SERVER), ("/etc/lvs", "")], false),
            (b"keepalived\0", &[], false),
        ] {
            let process = tempfile::tempdir().unwrap();
            fs::write(process.path().join("cmdline"), line).unwrap();
            for (path, text) in files {
                let path = inside(&process.path().join("root"), Path::new(path));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            assert_eq!(has_services(process.path()), expected, "{files:?}");
        }
    }
}
