//! The lines of `-L -c`: a connection each, in the kernel's order.

use std::io::Write;

use ipvs::Connection;

use super::columns::{blanks, left};
use super::filter::{FilteredConnections, protocol_of};
use crate::text::AddressFormatter;

/// The two heading lines.
pub(crate) fn heading(with_engine: bool) -> &'static str {
    if with_engine {
        "IPVS connection entries\npro expire state       source             virtual            destination        pe name          pe_data\n"
    } else {
        "IPVS connection entries\npro expire state       source             virtual            destination\n"
    }
}

/// Writes connections as they are read.
pub(crate) fn rows(
    out: &mut impl Write,
    connections: FilteredConnections,
    with_engine: bool,
    formatter: &mut AddressFormatter<'_>,
) -> anyhow::Result<()> {
    connections.for_each(|connection| Ok(row(out, connection, with_engine, formatter)?))
}

fn row(
    out: &mut impl Write,
    connection: &Connection<'_>,
    with_engine: bool,
    formatter: &mut AddressFormatter<'_>,
) -> std::io::Result<()> {
    let Connection { protocol, client, service, destination, state, expires, engine } = connection;
    let named = protocol_of(connection);
    left(out, protocol, 3)?;
    out.write_all(b" ")?;
    let (minutes, seconds) = (expires / 60, expires % 60);
    if minutes < 100 {
        write!(out, "{minutes:02}:{seconds:02}  ")?;
    } else {
        write!(out, "{:<6} ", format_args!("{minutes}:{seconds:02}").to_string())?;
    }
    left(out, state, 11)?;
    out.write_all(b" ")?;
    for end in [client, service] {
        left(out, formatter.endpoint(end.ip(), end.port(), named), 18)?;
        out.write_all(b" ")?;
    }
    let destination = formatter.endpoint(destination.ip(), destination.port(), named);
    match engine.filter(|_| with_engine) {
        Some((name, data)) => {
            write!(out, "{destination:<16} ")?;
            out.write_all(name)?;
            blanks(out, 19_usize.saturating_sub(name.len()).max(1))?;
            out.write_all(data)?;
            writeln!(out)
        }
        None => writeln!(out, "{destination}"),
    }
}
