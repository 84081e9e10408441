//! Findings for people, and for programs.

use std::io::{self, Write};

use tabled::Table;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Modify, Style, Width};

use super::finding::Finding;

/// Writes the findings: a table, of which there is none where nothing is wrong, or an array of JSON objects.
pub(crate) fn show(out: &mut impl Write, findings: &[Finding], json: bool) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, findings)?;
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
    builder.push_record(["finding", "at", "what is wrong, and why it matters", "what mends it"]);
    for Finding { id, at, what, why, cure } in findings {
        builder.push_record([*id, at, &format!("{what}; {why}"), cure]);
    }
    let mut table = builder.build();
    // The commands are to be copied, so they stay in one piece.
    table.with(Style::psql()).with(Modify::new(Columns::one(2)).with(Width::wrap(PROSE).keep_words(true)));
    table
}
