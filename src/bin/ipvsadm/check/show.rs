//! Prints findings, for people and for programs.

use std::io::{self, Write};

use tabled::Table;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Modify, Style, Width};

use super::finding::Finding;
use crate::json;
use crate::messages;

/// Writes the findings: as a table, or nothing if there are none; or as an array of JSON objects.
pub(crate) fn show(out: &mut impl Write, findings: &[Finding], as_json: bool) -> io::Result<()> {
    if as_json {
        json::write(&mut *out, &findings)?;
        return writeln!(out);
    }
    if findings.is_empty() {
        return Ok(());
    }
    let table = table(findings).to_string();
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

fn table(findings: &[Finding]) -> Table {
    const PROSE: usize = 48;
    let mut builder = Builder::default();
    builder.push_record(["finding", "at", "what is wrong, and why it matters", "fix"]);
    for Finding { id, at, what, why, fix, .. } in findings {
        let [at, what] = [at, what].map(|words| messages::printable(words));
        // The words of a command are already quoted, so no character is hidden in it.
        builder.push_record([*id, &at, &format!("{what}; {why}"), fix]);
    }
    let mut table = builder.build();
    // Commands are not wrapped, so that they can be copied.
    table.with(Style::psql()).with(Modify::new(Columns::one(2)).with(Width::wrap(PROSE).keep_words(true)));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Severity;

    fn findings() -> [Finding; 2] {
        let finding = |id, at: &str, what: &str, why, fix: &str| Finding {
            id,
            at: at.to_owned(),
            protocol: None,
            service: None,
            server: None,
            severity: Severity::Error,
            what: what.to_owned(),
            why,
            fix: fix.to_owned(),
        };
        [
            finding("first-id", "TCP 192.0.2.1:80", "it is \"so\"", "that follows", "ipvsadm -Z"),
            finding("second-id", "\u{1b}[1m\u{202e}eth0\u{9b}", "x", "y", "ip link"),
        ]
    }

    fn shown(findings: &[Finding], json: bool) -> String {
        let mut out = Vec::new();
        show(&mut out, findings, json).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_each_thing_in_its_place() {
        assert_eq!(shown(&[], false), "");
        let rows = [
            " finding   | at                                | what is wrong, and why it matters | fix",
            "-----------+-----------------------------------+-----------------------------------+---------------",
            " first-id  | TCP 192.0.2.1:80                  | it is \"so\"; that follows          | ipvsadm -Z",
            " second-id | \\u{1b}[1m\\u{202e}eth0\\u{9b} | x; y                              | ip link",
        ];
        let text = shown(&findings(), false);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<&str> = text.lines().collect();
        for (line, row) in lines.iter().zip(rows).filter(|(line, _)| !line.starts_with('-')) {
            assert_eq!(words(line), words(row));
        }
        assert_eq!(lines.len(), rows.len());
        assert!(lines.iter().all(|line| line.trim_end() == *line), "{text}");
    }

    #[test]
    fn prose_is_wrapped_and_commands_are_not() {
        let [mut finding, _] = findings();
        (finding.what, finding.fix) = ("word ".repeat(40), "command ".repeat(40).trim_end().to_owned());
        let text = shown(&[finding.clone()], false);
        assert!(text.lines().count() > 5 && text.contains(&finding.fix), "{text}");
    }

    #[test]
    fn json_has_each_thing_under_its_name() {
        assert_eq!(shown(&[], true), "[]\n");
        let text = shown(&findings(), true);
        let first = r#"[{"id":"first-id","at":"TCP 192.0.2.1:80","severity":"error","what":"it is \"so\"","why":"that follows","fix":"ipvsadm -Z"},"#;
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains(r#""at":"\u001b[1m\u202eeth0\u009b""#), "{text}");
        let read: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(read[1]["at"], findings()[1].at);
    }
}
