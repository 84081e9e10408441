//! The lines of `-L -c`: a connection each, in the kernel's order.

use std::io::Write;
use std::net::SocketAddr;

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
    connections: FilteredConnections<'_>,
    with_engine: bool,
    formatter: &mut AddressFormatter<'_>,
) -> anyhow::Result<()> {
    if !formatter.is_by_name() {
        // A row is put together before it is written: there may be millions.
        let mut line = Vec::new();
        let settled = connections.for_each(|connection| {
            line.clear();
            row(&mut line, connection, with_engine, formatter)?;
            Ok(out.write_all(&line)?)
        })?;
        return Ok(settled?);
    }
    let mut kept = Vec::with_capacity(TOGETHER);
    let settled = connections.for_each(|connection| {
        kept.push(Kept::of(connection));
        if kept.len() == TOGETHER { named_rows(out, &mut kept, with_engine, formatter) } else { Ok(()) }
    })?;
    named_rows(out, &mut kept, with_engine, formatter)?;
    Ok(settled?)
}

/// The names of as many rows are looked up together.
const TOGETHER: usize = 1024;

/// A row that is kept until its names are known.
struct Kept {
    protocol: String,
    client: SocketAddr,
    service: SocketAddr,
    destination: SocketAddr,
    state: String,
    expires: u64,
    engine: Option<(Vec<u8>, Vec<u8>)>,
}

impl Kept {
    fn of(connection: &Connection<'_>) -> Self {
        let Connection { protocol, client, service, destination, state, expires, engine } = *connection;
        let (protocol, state) = (protocol.to_owned(), state.to_owned());
        let engine = engine.map(|(name, data)| (name.to_vec(), data.to_vec()));
        Self { protocol, client, service, destination, state, expires, engine }
    }

    fn connection(&self) -> Connection<'_> {
        let Self { protocol, client, service, destination, state, expires, engine } = self;
        let engine = engine.as_ref().map(|(name, data)| (name.as_slice(), data.as_slice()));
        let (client, service, destination) = (*client, *service, *destination);
        Connection { protocol, client, service, destination, state, expires: *expires, engine }
    }
}

/// Writes the rows that were kept.
fn named_rows(
    out: &mut impl Write,
    kept: &mut Vec<Kept>,
    with_engine: bool,
    formatter: &mut AddressFormatter<'_>,
) -> anyhow::Result<()> {
    formatter.expect(kept.iter().flat_map(|kept| {
        let named = protocol_of(&kept.connection());
        [kept.client, kept.service, kept.destination].map(|end| (end.ip(), end.port(), named))
    }));
    kept.drain(..).try_for_each(|kept| row(out, &kept.connection(), with_engine, formatter))?;
    Ok(())
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
    let (minutes, seconds) = (&(expires / 60), &(expires % 60));
    if let (Ok(minutes @ 0..100), Ok(seconds)) = (u8::try_from(*minutes), u8::try_from(*seconds)) {
        let digits = |number: u8| [b'0' + number / 10, b'0' + number % 10];
        let ([a, b], [c, d]) = (digits(minutes), digits(seconds));
        out.write_all(&[a, b, b':', c, d, b' ', b' '])?;
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
    if let Some((name, data)) = engine.filter(|_| with_engine) {
        write!(out, "{destination:<16} ")?;
        out.write_all(name)?;
        blanks(out, 19_usize.saturating_sub(name.len()).max(1))?;
        out.write_all(data)?;
    } else {
        out.write_all(destination.as_bytes())?;
    }
    out.write_all(b"\n")
}
