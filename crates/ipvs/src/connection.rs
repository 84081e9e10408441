//! Connections: the rows of `/proc/net/ip_vs_conn`, the only place where the kernel shows them.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::error::{Error, Operation, Result};
use crate::namespace::inside;

/// What errors call it.
const PATH: &str = "/proc/net/ip_vs_conn";
/// The same of the calling thread: `/proc/net` is that of the main thread, which may be in another network namespace.
const OF_THREAD: &str = "/proc/thread-self/net/ip_vs_conn";

/// A connection, borrowed from the line that was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connection<'a> {
    /// The protocol as the kernel writes it: `TCP`, `UDP`, `SCTP`, `ICMP` …; `IP` in the template of a firewall mark.
    pub protocol: &'a str,
    /// The client; with port 0 in a persistence template, whose address is masked.
    pub client: SocketAddr,
    /// The virtual address; the firewall mark in the template of one.
    pub service: SocketAddr,
    /// The real server, of another family than the service where a tunnel crosses families.
    pub destination: SocketAddr,
    /// The state as the kernel writes it, such as `ESTABLISHED`.
    pub state: &'a str,
    /// In how many seconds the kernel forgets it, if no packet comes.
    pub expires: u64,
    /// The name and the data of the persistence engine. The data comes from the network and may be any bytes.
    pub engine: Option<(&'a [u8], &'a [u8])>,
}

/// The connections of a network namespace, read as they are asked for, in memory that does not grow with them.
///
/// There is no snapshot: while connections come and go, one may be seen twice or missed.
///
/// ```no_run
/// # fn main() -> ipvs::Result<()> {
/// let mut connections = ipvs::Connections::open()?;
/// while let Some(connection) = connections.next_row()? {
///     println!("{} -> {}", connection.client, connection.destination);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Connections<R = BufReader<File>> {
    reader: R,
    /// So many bytes of the reader's buffer are the last row.
    taken: usize,
    /// The last row, if it was not in the buffer as a whole.
    line: Vec<u8>,
}

impl Connections {
    /// As [`Connections::open`], in another network namespace; see [`Client::open_in`](crate::Client::open_in).
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`], and as [`Connections::open`].
    pub fn open_in(namespace: impl AsRef<Path>) -> Result<Self> {
        inside(namespace.as_ref(), Self::open)
    }

    /// Opens the table of the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// [`Error::Procfs`] where the file is missing, which it is until the module `ip_vs` is loaded, and
    /// [`Error::Malformed`] where it does not begin with the heading.
    pub fn open() -> Result<Self> {
        let file = File::open(OF_THREAD).map_err(|source| Error::Procfs { path: PATH, source })?;
        // The kernel hands out one page a read, whatever the room.
        Self::from_reader(BufReader::with_capacity(1 << 14, file))
    }
}

impl<R: BufRead> Connections<R> {
    /// Reads lines of the kernel's format from elsewhere, a file kept for later, say.
    ///
    /// # Errors
    ///
    /// As [`Connections::open`].
    pub fn from_reader(reader: R) -> Result<Self> {
        let mut connections = Self { reader, taken: 0, line: Vec::new() };
        match connections.next_line()? {
            Some(_) => Ok(connections),
            None => Err(unexpected("the heading is missing")),
        }
    }

    /// The next connection, or none at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] where a line is not one of the kernel's, and [`Error::Procfs`] where reading fails.
    pub fn next_row(&mut self) -> Result<Option<Connection<'_>>> {
        let Some(line) = self.next_line()? else { return Ok(None) };
        parse(line).map(Some).ok_or_else(|| unexpected(&String::from_utf8_lossy(line)))
    }

    /// The next line, without its end; none at the end. It is not copied if the buffer has it as a whole.
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        let failed = |source| Error::Procfs { path: PATH, source };
        self.reader.consume(std::mem::take(&mut self.taken));
        let end = loop {
            match self.reader.fill_buf() {
                Ok(buffer) => break memchr::memchr(b'\n', buffer),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        };
        if let Some(end) = end {
            self.taken = end + 1;
            let buffer = self.reader.fill_buf().map_err(failed)?; // as it is
            return Ok(buffer.get(..end));
        }
        self.line.clear();
        let length = self.reader.read_until(b'\n', &mut self.line).map_err(failed)?;
        Ok((length > 0).then(|| self.line.strip_suffix(b"\n").unwrap_or(&self.line)))
    }
}

fn unexpected(line: &str) -> Error {
    Error::Malformed { operation: Operation::GetConnections, reason: line.to_owned() }
}

fn parse(line: &[u8]) -> Option<Connection<'_>> {
    parse_v4(line).or_else(|| parse_words(line))
}

fn parse_words(line: &[u8]) -> Option<Connection<'_>> {
    let mut words = words(line);
    let protocol = text(words.next()?)?;
    let mut end = || endpoint(words.next()?, words.next()?);
    let ends = [end()?, end()?, end()?];
    rest(protocol, ends, words)
}

/// A row of IPv4 as the kernel writes it, whose columns have fixed places: there may be millions.
fn parse_v4(line: &[u8]) -> Option<Connection<'_>> {
    const END: usize = " 0A010002 A016".len();
    let (protocol, behind) = line.split_at_checked(3)?;
    let (ends, behind) = behind.split_at_checked(3 * END)?;
    let end = |columns: &[u8]| {
        let (address, port) = columns.strip_prefix(b" ")?.split_first_chunk::<8>()?;
        let address = Ipv4Addr::from_bits(hexadecimal(address)?);
        Some(SocketAddr::new(address.into(), hexadecimal(port.strip_prefix(b" ")?)?.try_into().ok()?))
    };
    let mut ends = ends.chunks_exact(END).map(end);
    let ends = [ends.next()??, ends.next()??, ends.next()??];
    let protocol = protocol.trim_ascii_end();
    let is_a_word = !protocol.is_empty() && !protocol.iter().any(u8::is_ascii_whitespace);
    rest(text(protocol).filter(|_| is_a_word)?, ends, words(behind.strip_prefix(b" ")?))
}

/// The words between blanks.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = line;
    std::iter::from_fn(move || {
        left = left.trim_ascii_start();
        let end = left.iter().position(u8::is_ascii_whitespace).unwrap_or(left.len());
        let (word, behind) = left.split_at_checked(end).filter(|(word, _)| !word.is_empty())?;
        left = behind;
        Some(word)
    })
}

fn text(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok()
}

/// A row of which the last words are these.
fn rest<'a>(
    protocol: &'a str,
    [client, service, destination]: [SocketAddr; 3],
    mut words: impl Iterator<Item = &'a [u8]>,
) -> Option<Connection<'a>> {
    let state = text(words.next()?)?;
    let expires = text(words.next()?)?.parse().ok()?;
    let engine = words.next().zip(words.next());
    Some(Connection { protocol, client, service, destination, state, expires, engine })
}

/// An address, eight hexadecimal digits or an IPv6 address in full, and a port in hexadecimal.
fn endpoint(address: &[u8], port: &[u8]) -> Option<SocketAddr> {
    let address = match hexadecimal(address) {
        Some(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
        None => IpAddr::V6(text(address)?.parse().ok()?),
    };
    Some(SocketAddr::new(address, hexadecimal(port)?.try_into().ok()?))
}

/// A number of eight digits at most; none of anything else.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0, |number: u32, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_read_with_and_without_an_engine() {
        let table = b"Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n\
            TCP 0A010002 A016 0A010001 0050 0A020002 1F90 ESTABLISHED     894\n\
            UDP 0A010002 0000 0A010001 13C4 0A020002 13C4 ASSURED          55 sip abc-123@10.1.0.2\n";
        let mut connections = Connections::from_reader(&table[..]).unwrap();
        let first = connections.next_row().unwrap().unwrap();
        assert_eq!(first.client, "10.1.0.2:40982".parse().unwrap());
        assert_eq!((first.state, first.expires, first.engine), ("ESTABLISHED", 894, None));
        let second = connections.next_row().unwrap().unwrap();
        assert_eq!(second.engine, Some((&b"sip"[..], &b"abc-123@10.1.0.2"[..])));
        assert!(connections.next_row().unwrap().is_none());
    }

    proptest! {
        #[test]
        fn rows_of_ipv4_are_read_as_all_others(
            ends: [(u32, u16); 3], expires: u32, change in proptest::option::of((0..70_usize, any::<u8>())),
        ) {
            let [(a, b), (c, d), (e, f)] = ends;
            let mut line =
                format!("UDP {a:08X} {b:04X} {c:08X} {d:04X} {e:08X} {f:04X} {:<11} {expires:>7}", "ASSURED").into_bytes();
            if let Some((at, byte)) = change {
                line.iter_mut().skip(at).take(1).for_each(|place| *place = byte);
            }
            let fast = parse_v4(&line);
            prop_assert!(fast == parse_words(&line) || fast.is_none(), "{:?}", fast);
            prop_assert!(change.is_some() || fast.is_some());
        }

        #[test]
        fn no_line_makes_the_reader_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&line);
        }
    }
}
