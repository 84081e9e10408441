//! `-S`: the table as lines that `-R` takes.

use std::io::Write;

use ipvs::Client;

use crate::list::services;
use crate::list::text::Texts;
use crate::names::Resolver;
use crate::rule;

/// Writes the whole table.
pub(crate) fn save(
    out: &mut impl Write,
    numeric: bool,
    client: &mut Client,
    resolver: &mut Resolver,
) -> anyhow::Result<()> {
    let mut texts = Texts::to_read_back(numeric, resolver);
    for entry in services(client, true)? {
        rule::service(out, &entry.service, &mut texts)?;
        let id = &entry.service.id;
        let mut destinations = client.destinations(id)?;
        destinations.sort_by_key(|entry| entry.destination.id);
        for entry in destinations {
            rule::destination(out, id, &entry.destination, &mut texts)?;
        }
    }
    Ok(())
}
