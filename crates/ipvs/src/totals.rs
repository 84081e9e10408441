//! The counters of a whole network namespace: `/proc/net/ip_vs_stats`, the only place where the kernel shows them.

use std::fs;
use std::path::Path;

use crate::error::{Error, Operation, Result};
use crate::namespace::inside;
use crate::stats::{Counters, Stats};

const TOTALS: &str = "/proc/thread-self/net/ip_vs_stats";
const PER_CPU: &str = "/proc/thread-self/net/ip_vs_stats_percpu";

/// The traffic of all services of a network namespace, those included that are deleted by now.
///
/// ```
/// # fn main() -> ipvs::Result<()> {
/// # ipvs::Client::open()?;
/// let totals = ipvs::Totals::read()?;
/// println!("{} connections, {} a second", totals.stats.total.connections, totals.stats.rate.connections);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Totals and rates, a snapshot that the kernel takes every two seconds.
    pub stats: Stats,
    /// The totals of each possible CPU by its number, up to date. Setting counters to zero leaves these as they are.
    pub per_cpu: Vec<(u32, Counters)>,
}

impl Totals {
    /// As [`Totals::read`], of another network namespace; see [`Client::open_in`](crate::Client::open_in).
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`], and as [`Totals::read`].
    pub fn read_in(namespace: impl AsRef<Path>) -> Result<Self> {
        inside(namespace.as_ref(), Self::read)
    }

    /// Reads the counters of the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// [`Error::Procfs`] where a file is missing, as it is until the module `ip_vs` is loaded, and
    /// [`Error::Malformed`] where one is not of the kernel's form.
    pub fn read() -> Result<Self> {
        let stats = parse_stats(&read(TOTALS)?).ok_or_else(|| unexpected(TOTALS))?;
        let per_cpu = parse_per_cpu(&read(PER_CPU)?).ok_or_else(|| unexpected(PER_CPU))?;
        Ok(Self { stats, per_cpu })
    }
}

fn read(path: &'static str) -> Result<String> {
    fs::read_to_string(Path::new(path)).map_err(|source| Error::Procfs { path, source })
}

fn unexpected(path: &str) -> Error {
    Error::Malformed { operation: Operation::GetTotals, reason: format!("unexpected content of {path}") }
}

/// Two blocks, each of headings and a row: totals, and rates per second.
fn parse_stats(text: &str) -> Option<Stats> {
    let mut rows = text.lines().filter_map(|line| counters(line.split_whitespace()));
    Some(Stats { total: rows.next()?, rate: rows.next()? })
}

/// A row for each CPU behind two of headings, up to the row `~` of all together.
fn parse_per_cpu(text: &str) -> Option<Vec<(u32, Counters)>> {
    let rows = text.lines().skip(2).take_while(|line| !line.trim_start().starts_with('~'));
    rows.map(|row| {
        let mut words = row.split_whitespace();
        let cpu = u32::from_str_radix(words.next()?, 16).ok()?;
        Some((cpu, counters(words)?))
    })
    .collect()
}

/// Five numbers in hexadecimal, and nothing else.
fn counters<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Counters> {
    let mut number = || u64::from_str_radix(words.next()?, 16).ok();
    let counters = Counters {
        connections: number()?,
        in_packets: number()?,
        out_packets: number()?,
        in_bytes: number()?,
        out_bytes: number()?,
    };
    words.next().is_none().then_some(counters)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_hexadecimal_and_of_any_width() {
        let text = "   Total Incoming Outgoing         Incoming         Outgoing\n   \
            Conns  Packets  Packets            Bytes            Bytes\n\
            123456789A       1F        2                A                0\n\n \
            Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n       \
            5        6        7                8               1F\n";
        let stats = parse_stats(text).unwrap();
        let [total, rate] = [stats.total, stats.rate];
        assert_eq!((total.connections, total.in_packets, total.out_packets), (0x12_3456_789a, 31, 2));
        assert_eq!((total.in_bytes, total.out_bytes), (10, 0));
        assert_eq!((rate.connections, rate.in_packets, rate.out_packets), (5, 6, 7));
        assert_eq!((rate.in_bytes, rate.out_bytes), (8, 31));
        let text = "       Total ...\nCPU    Conns ...\n  0 1 2 3 4 5\n 1F 6 7 8 9 A\n  ~ 7 9 B D F\n\n Conns/s\n 0 0 0 0 0\n";
        let per_cpu = parse_per_cpu(text).unwrap();
        assert_eq!(
            per_cpu.iter().map(|(cpu, row)| (*cpu, row.out_bytes)).collect::<Vec<_>>(),
            [(0, 5), (31, 10)]
        );
        assert_eq!(parse_stats(""), None);
        assert_eq!(parse_per_cpu("a\nb\n 0 1 2\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9A-F~ \nCé]{0,200}") {
            let _ = (parse_stats(&text), parse_per_cpu(&text));
        }
    }
}
