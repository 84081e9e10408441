//! The manual pages: the kernel's settings with their defaults, and no complaint of those who show them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The settings that a page describes between two headings, with their defaults: `.BR NAME ", " NAME " DEFAULT"`.
fn described(page: &str, begin: &str, end: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join(page)).expect("a page");
    let section = text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).expect("the section").0;
    let mut settings = BTreeMap::new();
    for line in
        section.lines().filter_map(|line| line.strip_prefix(".BR ").or_else(|| line.strip_prefix(".B ")))
    {
        let mut words = line.split('"');
        let mut names: Vec<&str> = words.next().into_iter().flat_map(str::split_whitespace).collect();
        let mut default = "";
        while let (Some(quoted), Some(rest)) = (words.next(), words.next()) {
            if quoted == ", " {
                names.extend(rest.split_whitespace());
            } else {
                default = quoted.trim();
            }
        }
        settings.extend(names.iter().map(|name| ((*name).to_owned(), default.to_owned())));
    }
    settings
}

#[test]
fn the_manual_has_the_settings_of_the_kernel() {
    lab::isolate();
    for scheduler in ["lblc", "lblcr"] {
        let mut added = Command::new(lab::ORIGINAL);
        added.args(["-A", "-t", "10.0.0.1:80", "-s", scheduler]);
        // The second one exists already, and its module is loaded all the same.
        let _ = added.output().expect("the original starts");
    }
    let page = described("docs/man/ipvsadm.8", ".SH KERNEL SETTINGS", ".SH EXAMPLES");
    for entry in fs::read_dir("/proc/sys/net/ipv4/vs").expect("IPVS") {
        let path = entry.expect("a setting").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let value = fs::read_to_string(&path).expect("a value").trim().replace('\t', " ");
        // Those of the memory, the processors and the namespace.
        let differs =
            matches!(name.as_str(), "sync_qlen_max" | "est_cpulist" | "conn_lfactor" | "svc_lfactor");
        let expected = if differs { "" } else { value.as_str() };
        assert_eq!(page.get(&name).map(String::as_str), Some(expected), "{name}");
    }
}

#[test]
fn mandoc_and_groff_have_no_complaint_about_the_pages() {
    let unpacked = |package: &str, program: &str| folder().join("target/lab").join(package).join(program);
    let mandoc = unpacked("mandoc", "usr/bin/mandoc");
    let groff = unpacked("groff-base", "usr/bin");
    let share = unpacked("groff-base", "usr/share/groff");
    let libraries = unpacked("libuchardet0", &format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let version = fs::read_dir(&share).expect("groff").filter_map(Result::ok).map(|entry| entry.file_name());
    let version = version.filter(|name| name.to_string_lossy().starts_with("1.")).max().expect("a version");
    let share = share.join(version);
    let typeset = |page: &Path, words: &[&str]| {
        let mut groff_itself = Command::new(groff.join("groff"));
        // As man does, with the macros of the page's language.
        let is_chinese = page.components().any(|part| part.as_os_str() == "zh");
        groff_itself.arg("-man").args(is_chinese.then_some("-mzh")).args(["-Tutf8", "-Kutf8", "-ww"]);
        groff_itself
            .env("GROFF_TMAC_PATH", share.join("tmac"))
            .env("GROFF_FONT_PATH", share.join("font"))
            .env("GROFF_BIN_PATH", &groff)
            .env("LD_LIBRARY_PATH", &libraries)
            .env("PATH", &groff);
        groff_itself.args(words).arg(page).output().expect("groff")
    };
    let complaints = |page: &Path| {
        let checked = Command::new(&mandoc).args(["-Tlint", "-Wall"]).arg(page).output().expect("mandoc");
        let typeset = typeset(page, &["-z"]);
        [checked.stdout, checked.stderr, typeset.stdout, typeset.stderr].concat()
    };
    let mut pages: Vec<PathBuf> = Vec::new();
    for place in ["docs/man", "docs/zh/man"] {
        let found = fs::read_dir(folder().join(place)).into_iter().flatten().filter_map(Result::ok);
        pages.extend(found.map(|entry| entry.path()));
    }
    assert!(pages.len() >= 4, "{pages:?}");
    for page in pages {
        assert_eq!(String::from_utf8_lossy(&complaints(&page)), "", "{}", page.display());
        // On a terminal of 80 columns, without colours and overstriking, no line is wider. Lines of text are 78 wide.
        let shown = typeset(&page, &["-rLL=78n", "-P-c", "-P-b", "-P-u"]).stdout;
        let shown = String::from_utf8(shown).expect("UTF-8");
        let width = |line: &str| -> usize {
            line.chars().map(|letter| if letter < '\u{2e80}' { 1 } else { 2 }).sum()
        };
        let wide: Vec<&str> = shown.lines().filter(|line| width(line) > 80).collect();
        assert!(shown.len() > 1000 && wide.is_empty(), "{}: {wide:#?}", page.display());
    }
    // They would complain.
    let wrong = Path::new("/run/wrong.8");
    fs::write(wrong, ".TH WRONG 8 2026-11-26\n.SH NAME\nwrong \\- \\fQwrong\n.XX\n")
        .expect("a file in the lab's /run");
    let said = complaints(wrong);
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("mandoc") && said.contains("troff"), "{said}");
}
