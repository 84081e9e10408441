//! `-S`: the table as lines that `-R` takes.

use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;

use ipvs::{Change, Client};

use crate::command::Save;
use crate::file;
use crate::list::text::Texts;
use crate::list::{destinations, services};
use crate::names::Resolver;
use crate::report;
use crate::rule;

/// Writes the whole table, to a file where one is named.
pub(crate) fn save(
    out: &mut impl Write,
    save: &Save,
    client: &mut Client,
    resolver: &mut Resolver,
) -> anyhow::Result<()> {
    let mut texts = Texts::reversible(save.numeric || save.full, resolver);
    match &save.file {
        Some(path) => file::write_whole(path, |out| lines(out, save.full, client, &mut texts))?,
        None => lines(out, save.full, client, &mut texts)?,
    }
    if !texts.left_out().is_empty() {
        let names: Vec<&str> = texts.left_out().iter().map(String::as_str).collect();
        report(&format!(
            "saved as numbers, for the names would not be read back as the same: {}",
            names.join(", ")
        ));
    }
    if save.file.is_none() && io::stdout().is_terminal() {
        report("nothing was written to a file; ipvsadm -S > FILE does, or ipvsadm -S --file FILE");
    }
    Ok(())
}

fn lines(out: &mut dyn Write, full: bool, client: &mut Client, texts: &mut Texts<'_>) -> anyhow::Result<()> {
    let mut out = out;
    if full {
        head(&mut out, client, texts)?;
    }
    for entry in services(client, true)? {
        rule::service(&mut out, "-A", &entry.service, texts)?;
        let id = &entry.service.id;
        for kept in destinations(client, id, true, false)? {
            rule::destination(&mut out, "-a", id, &kept.destination, full, texts)?;
        }
    }
    if full {
        // Last, for servers of another family than their service's cannot be added while a daemon runs.
        for daemon in client.daemons()? {
            rule::change(&mut out, &Change::StartDaemon(daemon), texts)?;
        }
    }
    Ok(())
}

/// What a full save begins with.
fn head(out: &mut impl Write, client: &mut Client, texts: &mut Texts<'_>) -> anyhow::Result<()> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    writeln!(out, "# saved by ipvsadm {} on {now}", env!("CARGO_PKG_VERSION"))?;
    rule::change(out, &Change::SetTimeouts(client.timeouts()?), texts)?;
    Ok(())
}
