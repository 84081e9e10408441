//! How full the tables of a network namespace are: `/proc/net/ip_vs_status`, since Linux 7.2.

use std::fs;
use std::io;

use crate::error::{Error, Operation, Result};

const STATUS: &str = "/proc/thread-self/net/ip_vs_status";
const LIMIT: &str = "/proc/sys/net/ipv4/vs/conn_max";

/// How full the tables of connections and services of a network namespace are.
///
/// ```
/// # fn main() -> ipvs::Result<()> {
/// # ipvs::Client::open()?;
/// if let Some(load) = ipvs::TableLoad::read()? {
///     println!("{} connections of {:?}", load.connections, load.connections_allowed);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct TableLoad {
    /// Connections and persistence templates. A client of a persistent service has one of each.
    pub connections: u64,
    /// How many there may be (`net.ipv4.vs.conn_max`); none if the setting is not there, or hidden from this user.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub connections_allowed: Option<u64>,
    /// The table of connections.
    pub connection_table: Buckets,
    /// The services.
    pub services: u64,
    /// The table of services.
    pub service_table: Buckets,
    /// Places that the kernel's threads use to bring counters up to date, as it shows them (`Stats thread slots`).
    pub estimator_slots: u64,
}

/// A hash table: a chain of entries in each bucket. Each connection has one or two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Buckets {
    /// Buckets: the table grows and shrinks. 0 before the first use.
    pub size: u64,
    /// Those without an entry.
    pub empty: u64,
    /// The entries of the longest chain. The kernel counts to 7: that is 7 or more.
    pub longest: u64,
}

impl TableLoad {
    /// Reads it for the network namespace of the calling thread; none on a kernel that does not tell, before Linux 7.2.
    ///
    /// # Errors
    ///
    /// [`Error::Procfs`] where a file cannot be read, and [`Error::Malformed`] where it is not of the kernel's form.
    pub fn read() -> Result<Option<Self>> {
        let text = match fs::read_to_string(STATUS) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|source| Error::Procfs { path: STATUS, source })?,
        };
        let reason = || format!("unexpected content of {STATUS}");
        let load = parse(&text)
            .ok_or_else(|| Error::Malformed { operation: Operation::GetTotals, reason: reason() })?;
        let connections_allowed = match fs::read_to_string(LIMIT) {
            Ok(text) => text.trim().parse().ok(),
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied].contains(&error.kind()) =>
            {
                None
            }
            Err(source) => return Err(Error::Procfs { path: LIMIT, source }),
        };
        Ok(Some(Self { connections_allowed, ..load }))
    }
}

/// Lines of a name, a colon and a number, with more in parentheses.
fn parse(text: &str) -> Option<TableLoad> {
    let mut load = TableLoad::default();
    let mut has_connections = false;
    for line in text.lines() {
        let (name, value) = line.split_once(':')?;
        let number = || value.split_whitespace().next()?.parse::<u64>().ok();
        match name {
            "Conns" => {
                load.connections = number()?;
                has_connections = true;
            }
            "Services" => load.services = number()?,
            "Stats thread slots" => load.estimator_slots = number()?,
            _ => {
                let table = match name {
                    _ if name.starts_with("Conn buckets") => &mut load.connection_table,
                    _ if name.starts_with("Service buckets") => &mut load.service_table,
                    _ => continue, // a later kernel may tell more
                };
                match name.split_once(" buckets").map(|(_, of)| of.trim_start()) {
                    Some("") => table.size = number()?,
                    Some("empty") => table.empty = number()?,
                    Some(of) => {
                        let length: u64 = of.strip_prefix("len-")?.parse().ok()?;
                        if number()? > 0 {
                            table.longest = table.longest.max(length);
                        }
                    }
                    None => return None,
                }
            }
        }
    }
    has_connections.then_some(load)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let text = "Conns:\t30\nConn buckets:\t512 (9 bits, lfactor -4)\nConn buckets empty:\t453 (88%)\n\
            Conn buckets len-1:\t58 (98%)\nConn buckets len-2:\t1 (1%)\nServices:\t1\n\
            Service buckets:\t16 (4 bits, lfactor -3)\nService buckets empty:\t15 (93%)\n\
            Service buckets len-1:\t1 (100%)\nStats thread slots:\t1 (max 4)\nStats chain max len:\t3958\n\
            Stats thread ests:\t9499200\n";
        let load = TableLoad {
            connections: 30,
            connections_allowed: None,
            connection_table: Buckets { size: 512, empty: 453, longest: 2 },
            services: 1,
            service_table: Buckets { size: 16, empty: 15, longest: 1 },
            estimator_slots: 1,
        };
        assert_eq!(parse(text), Some(load));
        let unused = "Conns:\t0\nConn buckets:\t0 (0 bits, lfactor 0)\nServices:\t0\n";
        assert_eq!(parse(unused), Some(TableLoad::default()));
        for wrong in
            ["", "Conns\n", "Conns:\tmany\n", "Conns:\t1\nConn buckets len-x:\t1\n", "Services:\t1\n"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "((Conns|Conn buckets|Services)( empty| len-[0-9]{1,3})?:?[\t 0-9(%)]{0,30}\n?){0,6}") {
            let _ = parse(&text);
        }
    }
}
