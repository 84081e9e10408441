//! Counters and rates.

use crate::netlink::attr::attributes;
use crate::netlink::read_error::ReadError;
use crate::netlink::uapi::*;

/// Five numbers about traffic: totals since the object was made or its counters zeroed, or rates per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Counters {
    /// Connections scheduled (kernel: `CONNS`, `CPS`).
    pub connections: u64,
    /// Packets from clients (`INPKTS`, `INPPS`).
    pub in_packets: u64,
    /// Packets to clients (`OUTPKTS`, `OUTPPS`). With direct routing and tunnels they do not pass the director: 0.
    pub out_packets: u64,
    /// Bytes from clients (`INBYTES`, `INBPS`).
    pub in_bytes: u64,
    /// Bytes to clients (`OUTBYTES`, `OUTBPS`).
    pub out_bytes: u64,
}

impl Counters {
    with_methods! {
        /// These numbers with other connections.
        with_connections(connections: u64);
        /// These numbers with other packets from clients.
        with_in_packets(in_packets: u64);
        /// These numbers with other packets to clients.
        with_out_packets(out_packets: u64);
        /// These numbers with other bytes from clients.
        with_in_bytes(in_bytes: u64);
        /// These numbers with other bytes to clients.
        with_out_bytes(out_bytes: u64);
    }

    /// What was counted since an earlier reading of the same object's totals. Where a number is lower than it was,
    /// the counters began anew in between (set to zero, or another object of the same name): then what they count now
    /// is what is known.
    ///
    /// ```
    /// use ipvs::Counters;
    ///
    /// let first = Counters::default().with_connections(90).with_in_bytes(5_000);
    /// let second = Counters::default().with_connections(100).with_in_bytes(9_000);
    /// assert_eq!(second.since(&first).connections, 10);
    /// let after_reset = Counters::default().with_connections(4);
    /// assert_eq!(after_reset.since(&second), after_reset);
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let difference = || {
            Some(Self {
                connections: self.connections.checked_sub(earlier.connections)?,
                in_packets: self.in_packets.checked_sub(earlier.in_packets)?,
                out_packets: self.out_packets.checked_sub(earlier.out_packets)?,
                in_bytes: self.in_bytes.checked_sub(earlier.in_bytes)?,
                out_bytes: self.out_bytes.checked_sub(earlier.out_bytes)?,
            })
        };
        difference().unwrap_or(*self)
    }
}

/// The counters of a service or of a real server, a snapshot that the kernel takes every two seconds.
///
/// They are 64 bits wide. A kernel before 4.1 sends only 32 bits of the connections, packets and rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Stats {
    /// Totals.
    #[cfg_attr(feature = "serde", serde(rename = "stats"))]
    pub total: Counters,
    /// Rates per second, a decaying average. The byte rates are bytes, not bits, per second.
    #[cfg_attr(feature = "serde", serde(rename = "rates"))]
    pub rate: Counters,
}

impl Stats {
    with_methods! {
        /// These counters with other totals.
        with_total(total: Counters);
        /// These counters with other rates.
        with_rate(rate: Counters);
    }

    /// Writes a statistics nest of 64 bits, as the kernel does.
    #[cfg(feature = "fake-kernel")]
    pub(crate) fn write(&self, nest: &mut crate::netlink::attr::Writer) {
        let Self { total, rate } = self;
        for (kind, value) in [
            (IPVS_STATS_ATTR_CONNS, total.connections),
            (IPVS_STATS_ATTR_INPKTS, total.in_packets),
            (IPVS_STATS_ATTR_OUTPKTS, total.out_packets),
            (IPVS_STATS_ATTR_INBYTES, total.in_bytes),
            (IPVS_STATS_ATTR_OUTBYTES, total.out_bytes),
            (IPVS_STATS_ATTR_CPS, rate.connections),
            (IPVS_STATS_ATTR_INPPS, rate.in_packets),
            (IPVS_STATS_ATTR_OUTPPS, rate.out_packets),
            (IPVS_STATS_ATTR_INBPS, rate.in_bytes),
            (IPVS_STATS_ATTR_OUTBPS, rate.out_bytes),
        ] {
            nest.u64(kind, value);
        }
    }

    /// Reads a statistics nest of either width.
    pub(crate) fn read(nest: Option<&[u8]>) -> Result<Self, ReadError> {
        let mut stats = Self::default();
        for attribute in attributes(nest.unwrap_or_default()) {
            let attribute = attribute?;
            let field = match attribute.kind {
                IPVS_STATS_ATTR_CONNS => &mut stats.total.connections,
                IPVS_STATS_ATTR_INPKTS => &mut stats.total.in_packets,
                IPVS_STATS_ATTR_OUTPKTS => &mut stats.total.out_packets,
                IPVS_STATS_ATTR_INBYTES => &mut stats.total.in_bytes,
                IPVS_STATS_ATTR_OUTBYTES => &mut stats.total.out_bytes,
                IPVS_STATS_ATTR_CPS => &mut stats.rate.connections,
                IPVS_STATS_ATTR_INPPS => &mut stats.rate.in_packets,
                IPVS_STATS_ATTR_OUTPPS => &mut stats.rate.out_packets,
                IPVS_STATS_ATTR_INBPS => &mut stats.rate.in_bytes,
                IPVS_STATS_ATTR_OUTBPS => &mut stats.rate.out_bytes,
                _ => continue, // filler, or of a newer kernel
            };
            *field = attribute.counter()?;
        }
        Ok(stats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::DestinationEntry;
    use crate::family::Family;
    use crate::netlink::attr::Writer;
    use crate::service::ServiceEntry;

    /// What `<linux/ip_vs.h>` numbers from 1 to 10, with ten values one behind the other from `first` on.
    fn expected(first: u64) -> Stats {
        let five = |first| Counters {
            connections: first,
            in_packets: first + 1,
            out_packets: first + 2,
            in_bytes: first + 3,
            out_bytes: first + 4,
        };
        Stats { total: five(first), rate: five(first + 5) }
    }

    fn narrow(first: u32) -> impl FnOnce(&mut Writer) {
        move |nest| (1..=10).zip(first..).for_each(|(kind, value)| nest.u32(kind, value))
    }

    fn wide(first: u64) -> impl FnOnce(&mut Writer) {
        move |nest| (1..=10).zip(first..).for_each(|(kind, value)| nest.u64(kind, value))
    }

    #[test]
    fn each_counter_has_its_number() {
        let mut nest = Writer::default();
        narrow(7)(&mut nest);
        assert_eq!(Stats::read(Some(nest.as_bytes())).unwrap(), expected(7));
        nest.clear();
        wide(1 << 40)(&mut nest);
        assert_eq!(Stats::read(Some(nest.as_bytes())).unwrap(), expected(1 << 40));
        assert_eq!(Stats::read(None).unwrap(), Stats::default());
    }

    #[test]
    fn the_wide_counters_are_taken_where_both_are_there() {
        const STATS: u16 = 10;
        const STATS64: u16 = 12;
        let (service, server) = ([(1, 2), (2, 6), (4, 0)], [(11, 2), (2, 0)]);
        for narrow_first in [true, false] {
            let entry = |numbers: &[(u16, u16)], address, name: Option<u16>| {
                let mut nest = Writer::default();
                for (kind, value) in numbers {
                    nest.u16(*kind, *value);
                }
                nest.address(address, "192.0.2.1".parse().unwrap());
                if let Some(kind) = name {
                    nest.name(kind, b"rr");
                }
                if narrow_first {
                    nest.nest(STATS, narrow(7));
                }
                nest.nest(STATS64, wide(1 << 40));
                if !narrow_first {
                    nest.nest(STATS, narrow(7));
                }
                nest
            };
            let service = ServiceEntry::read(entry(&service, 3, Some(6)).as_bytes()).unwrap();
            assert_eq!(service.stats, expected(1 << 40));
            let server = DestinationEntry::read(entry(&server, 1, None).as_bytes(), Family::V4).unwrap();
            assert_eq!(server.stats, expected(1 << 40));
        }
    }
}
