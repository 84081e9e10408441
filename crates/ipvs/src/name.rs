//! Names that the kernel keeps in fields of fixed length. The set of each is open: which names exist depends on the
//! kernel and its modules.

use std::fmt;
use std::str::FromStr;

use crate::error::InvalidValue;

/// At most `MAX` bytes without a NUL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Bytes<const MAX: usize> {
    /// The bytes of the name, then zeros.
    bytes: [u8; MAX],
    length: u8,
}

impl<const MAX: usize> Bytes<MAX> {
    fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX];
        bytes.get_mut(..name.len()).filter(|_| !name.contains(&0))?.copy_from_slice(name);
        Some(Self { bytes, length: u8::try_from(name.len()).ok()? })
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// A type of names: what it is for, the longest one in bytes, and what an error says of an invalid one.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident, $max:literal, $what:literal, $remedy:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Bytes<$max>);

        impl $name {
            /// The length of the longest name, in bytes.
            pub const MAX_BYTES: usize = $max;

            /// The name with these bytes, which need not be UTF-8.
            ///
            /// # Errors
            ///
            /// [`InvalidValue`] if it is longer than [`Self::MAX_BYTES`] or holds a NUL.
            pub fn new(name: &[u8]) -> Result<Self, InvalidValue> {
                Bytes::new(name)
                    .map(Self)
                    .ok_or_else(|| InvalidValue::new($what, &String::from_utf8_lossy(name), $remedy))
            }

            /// The bytes of the name.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.get()
            }
        }

        impl Default for $name {
            /// The empty name, which the kernel has for none.
            fn default() -> Self {
                Self(Bytes { bytes: [0; $max], length: 0 })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&String::from_utf8_lossy(self.as_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{}\"", self.as_bytes().escape_ascii())
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }
    };
}

names! {
    /// The name of a scheduling method (kernel: `IPVS_SVC_ATTR_SCHED_NAME`). The kernel loads the module `ip_vs_NAME`
    /// when one is first used.
    ///
    /// ```
    /// use ipvs::Scheduler;
    ///
    /// let scheduler: Scheduler = "wrr".parse()?;
    /// assert_eq!(scheduler, Scheduler::WRR);
    /// assert_eq!(scheduler.to_string(), "wrr");
    /// for name in ["a-name-too-long-to-keep", "wlc ", "WLC"] {
    ///     assert!(name.parse::<Scheduler>().is_err());
    /// }
    /// # Ok::<(), ipvs::InvalidValue>(())
    /// ```
    Scheduler, 15, "the scheduler", "a name of at most 15 bytes without a NUL"
}

names! {
    /// The name of a persistence engine, which tells clients apart by what is in their packets, such as `sip` (kernel:
    /// `IPVS_SVC_ATTR_PE_NAME`). The kernel loads the module `ip_vs_pe_NAME` when one is first used.
    PersistenceEngine, 16, "the persistence engine", "a name of at most 16 bytes without a NUL"
}

names! {
    /// The name of a network interface (kernel: `IPVS_DAEMON_ATTR_MCAST_IFN`), which may be any bytes but `/`, blanks
    /// and NUL.
    InterfaceName, 15, "the interface", "a name of at most 15 bytes without a NUL"
}

/// A name that is known to be short enough.
const fn constant<const MAX: usize>(name: &str) -> Bytes<MAX> {
    let (mut bytes, mut rest, mut length) = ([0; MAX], name.as_bytes(), 0);
    while let [first, others @ ..] = rest {
        let (_, end) = bytes.split_at_mut(length as usize);
        if let Some(place) = end.first_mut() {
            *place = *first;
        }
        (rest, length) = (others, length + 1);
    }
    Bytes { bytes, length }
}

impl FromStr for PersistenceEngine {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        Self::new(name.as_bytes())
    }
}

impl FromStr for InterfaceName {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        Self::new(name.as_bytes())
    }
}

impl FromStr for Scheduler {
    type Err = InvalidValue;

    /// A name in the form that all have: without blanks and capital letters. [`Scheduler::new`] takes any bytes.
    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        if name
            .contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter.is_uppercase())
        {
            let remedy = "a name in small letters without blanks, such as wlc";
            return Err(InvalidValue::new("the scheduler", name, remedy));
        }
        Self::new(name.as_bytes())
    }
}

impl Scheduler {
    /// Whether the order in which the servers of a service were added decides which client goes to which: with `sh` and
    /// `dh`, whose tables the kernel fills from the newest server to the oldest. (With `mh` it moves few clients.)
    pub fn depends_on_order(&self) -> bool {
        [Self::SH, Self::DH].contains(self)
    }

    /// Round robin: each server in turn, whatever its weight.
    pub const RR: Self = Self(constant("rr"));
    /// Weighted round robin.
    pub const WRR: Self = Self(constant("wrr"));
    /// Least connections, whatever the weights.
    pub const LC: Self = Self(constant("lc"));
    /// Weighted least connections.
    pub const WLC: Self = Self(constant("wlc"));
    /// Locality-based least connections: a destination address keeps its server, for caches.
    pub const LBLC: Self = Self(constant("lblc"));
    /// The same with a set of servers for each address.
    pub const LBLCR: Self = Self(constant("lblcr"));
    /// A hash of the destination address.
    pub const DH: Self = Self(constant("dh"));
    /// A hash of the client's address.
    pub const SH: Self = Self(constant("sh"));
    /// Maglev hashing: as `SH`, and few clients change their server when servers come and go (since Linux 4.18).
    pub const MH: Self = Self(constant("mh"));
    /// Shortest expected delay.
    pub const SED: Self = Self(constant("sed"));
    /// Never queue: a server without connections, else the shortest expected delay.
    pub const NQ: Self = Self(constant("nq"));
    /// Failover: the server with the highest weight.
    pub const FO: Self = Self(constant("fo"));
    /// Overflow: the server with the highest weight until it has as many connections as that.
    pub const OVF: Self = Self(constant("ovf"));
    /// The better of two servers picked by chance (since Linux 5.13).
    pub const TWOS: Self = Self(constant("twos"));
    /// None: the service schedules nothing.
    pub const NONE: Self = Self(constant("none"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bytes_and_fit_the_kernels_fields() {
        assert_eq!(Scheduler::NONE, "none".parse::<Scheduler>().unwrap());
        assert_eq!(Scheduler::NONE.as_bytes(), b"none");
        assert!(Scheduler::new(&[b'x'; 15]).is_ok() && Scheduler::new(&[b'x'; 16]).is_err());
        assert!(PersistenceEngine::new(&[b'x'; 16]).is_ok() && PersistenceEngine::new(&[b'x'; 17]).is_err());
        assert!(InterfaceName::new(b"a\0b").is_err());
        assert_eq!(format!("{:?}", InterfaceName::new(b"a\xff").unwrap()), "\"a\\xff\"");
        assert_eq!(format!("[{:<5}]", Scheduler::RR), "[rr   ]");
        // By the letters, as text is ordered.
        assert!(
            Scheduler::LBLC < Scheduler::LC
                && Scheduler::LC < Scheduler::WLC
                && Scheduler::WLC < Scheduler::WRR
        );
    }
}
