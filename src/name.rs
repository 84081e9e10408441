//! Names that the kernel keeps in fields of fixed length.

use std::fmt;
use std::str::FromStr;

use crate::error::InvalidValue;

/// A name of at most `MAX` bytes without a NUL, as the kernel keeps it. The set of names is open: which exist
/// depends on the kernel and its modules.
///
/// ```
/// use ipvs::Scheduler;
///
/// let scheduler: Scheduler = "wrr".parse()?;
/// assert_eq!(scheduler.to_string(), "wrr");
/// assert!("a-name-too-long-to-keep".parse::<Scheduler>().is_err());
/// # Ok::<(), ipvs::InvalidValue>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name<const MAX: usize> {
    length: u8,
    bytes: [u8; MAX],
}

/// The name of a scheduling method such as `wlc` (kernel: `IPVS_SVC_ATTR_SCHED_NAME`); `none` is a service that
/// schedules nothing. The kernel loads the module `ip_vs_NAME` when it is first used.
pub type Scheduler = Name<15>;

/// The name of a persistence engine such as `sip` (kernel: `IPVS_SVC_ATTR_PE_NAME`).
pub type Engine = Name<16>;

/// The name of a network interface (kernel: `IPVS_DAEMON_ATTR_MCAST_IFN`).
pub type Interface = Name<15>;

impl<const MAX: usize> Name<MAX> {
    /// The name with these bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if it is longer than `MAX` bytes or holds a NUL.
    pub fn new(name: &[u8]) -> Result<Self, InvalidValue> {
        let mut bytes = [0; MAX];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(room), Ok(length)) if !name.contains(&0) => {
                room.copy_from_slice(name);
                Ok(Self { length, bytes })
            }
            _ => Err(InvalidValue {
                what: "the name",
                value: String::from_utf8_lossy(name).into_owned(),
                remedy: "the kernel keeps 15 bytes (16 of a persistence engine)",
            }),
        }
    }

    /// The bytes of the name, which need not be UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl<const MAX: usize> Default for Name<MAX> {
    /// The empty name.
    fn default() -> Self {
        Self { length: 0, bytes: [0; MAX] }
    }
}

impl<const MAX: usize> FromStr for Name<MAX> {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        Self::new(name.as_bytes())
    }
}

impl<const MAX: usize> fmt::Display for Name<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl<const MAX: usize> fmt::Debug for Name<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl<const MAX: usize> PartialEq<str> for Name<MAX> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
