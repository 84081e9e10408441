//! Findings for people, and for programs.

use std::io::{self, Write};

use tabled::Table;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Modify, Style, Width};

use super::finding::Finding;
use crate::messages;

/// Writes the findings: a table, of which there is none where nothing is wrong, or an array of JSON objects.
pub(crate) fn show(out: &mut impl Write, findings: &[Finding], json: bool) -> io::Result<()> {
    if json {
        return write_json(out, findings);
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
    builder.push_record(["finding", "at", "what is wrong, and why it matters", "what mends it"]);
    for Finding { id, at, what, why, cure } in findings {
        let [at, what] = [at, what].map(|words| messages::printable(words));
        // Of a command, the words are quoted one by one: no character is hidden in it.
        builder.push_record([*id, &at, &format!("{what}; {why}"), cure]);
    }
    let mut table = builder.build();
    // The commands are to be copied, so they stay in one piece.
    table.with(Style::psql()).with(Modify::new(Columns::one(2)).with(Width::wrap(PROSE).keep_words(true)));
    table
}

/// JSON whose strings, the only place for such characters, have in numbers what a terminal would not show as itself.
fn write_json(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    for character in serde_json::to_string_pretty(findings)?.chars() {
        if messages::is_visible(character) || character == '\n' {
            write!(out, "{character}")?;
        } else {
            let mut units = [0; 2];
            let units = character.encode_utf16(&mut units).iter();
            units.copied().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
        }
    }
    writeln!(out)
}
