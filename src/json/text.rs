//! Values that are one string, one number, or a list of names.

use std::fmt;
use std::marker::PhantomData;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Version;
use crate::daemon::DaemonState;
use crate::error::InvalidValue;
use crate::family::Family;
use crate::forwarding::{Checksum, ForwardingMethod, TunnelKind};
use crate::name::{InterfaceName, PersistenceEngine, Scheduler};
use crate::service::{Netmask, SchedulerFlags};
use crate::service_id::Protocol;

/// Reads a string by `parse`.
struct Text<F, T> {
    what: &'static str,
    parse: F,
    value: PhantomData<T>,
}

impl<T, F: FnOnce(&str) -> Result<T, InvalidValue>> Visitor<'_> for Text<F, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

pub(super) fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    what: &'static str,
    parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { what, parse, value: PhantomData })
}

/// Types that are written as text, by a function, and read by `FromStr`.
macro_rules! texts {
    ($($type:ty, $what:literal, $write:expr;)+) => {
        $(
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let write: fn(&Self, S) -> Result<S::Ok, S::Error> = $write;
                    write(self, serializer)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    read(deserializer, $what, Self::from_str)
                }
            }
        )+
    };
}

texts! {
    Protocol, "tcp, udp or sctp", |protocol, serializer| match protocol {
        Protocol::Tcp => serializer.serialize_str("tcp"),
        Protocol::Udp => serializer.serialize_str("udp"),
        Protocol::Sctp => serializer.serialize_str("sctp"),
        Protocol::Other(_) => serializer.collect_str(protocol),
    };
    Family, "ipv4 or ipv6", |family, serializer| serializer.serialize_str(match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    });
    DaemonState, "master or backup", |state, serializer| serializer.serialize_str(state.name());
    TunnelKind, "ipip, gue or gre", |kind, serializer| serializer.collect_str(kind);
    ForwardingMethod, "a forwarding method", |method, serializer| serializer.collect_str(method);
    Version, "a version such as 1.2.1", |version, serializer| serializer.collect_str(version);
}

/// The names of [`Checksum`]s; `checksum-3` for flags without one.
const CHECKSUMS: [(&str, Checksum); 3] =
    [("off", Checksum::Off), ("on", Checksum::On), ("remote", Checksum::Remote)];

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match CHECKSUMS.iter().find(|(_, known)| known == self) {
            Some((name, _)) => serializer.serialize_str(name),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, "on, off or remote", |text| {
            match CHECKSUMS.iter().find(|(name, _)| *name == text) {
                Some((_, checksum)) => Ok(*checksum),
                None if text.starts_with("checksum-") => text.parse(),
                None => Err(InvalidValue::new("the checksum", text, "it is on, off or remote")),
            }
        })
    }
}

/// The names of the switches of a scheduler.
const FLAGS: [(&str, SchedulerFlags); 3] = [
    ("flag-1", SchedulerFlags::FLAG_1),
    ("flag-2", SchedulerFlags::FLAG_2),
    ("flag-3", SchedulerFlags::FLAG_3),
];

impl Serialize for SchedulerFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let set = FLAGS.iter().filter(|(_, flag)| self.contains(*flag));
        serializer.collect_seq(set.map(|(name, _)| name))
    }
}

impl<'de> Deserialize<'de> for SchedulerFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let flags = Vec::<Flag>::deserialize(deserializer)?;
        Ok(flags.into_iter().fold(Self::default(), |all, Flag(flag)| all | flag))
    }
}

/// One switch.
struct Flag(SchedulerFlags);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, "flag-1, flag-2 or flag-3", |text| {
            let known = FLAGS.iter().find(|(name, _)| *name == text);
            known.map(|(_, flag)| Self(*flag)).ok_or_else(|| {
                InvalidValue::new("the scheduler flag", text, "it is flag-1, flag-2 or flag-3")
            })
        })
    }
}

impl Serialize for Netmask {
    /// An IPv4 mask is text, and the length of an IPv6 prefix a number.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::V4(mask) => mask.serialize(serializer),
            Self::V6(bits) => serializer.serialize_u8(*bits),
        }
    }
}

impl<'de> Deserialize<'de> for Netmask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mask;

        impl Visitor<'_> for Mask {
            type Value = Netmask;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an IPv4 mask such as \"255.255.255.0\", or the length of an IPv6 prefix from 1 to 128",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Netmask, E> {
                let mask = text.parse::<Ipv4Addr>().map(Netmask::V4);
                mask.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_u64<E: Error>(self, bits: u64) -> Result<Netmask, E> {
                let known = u8::try_from(bits).ok().filter(|bits| (1..=128).contains(bits));
                known.map(Netmask::V6).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(bits), &self))
            }
        }

        deserializer.deserialize_any(Mask)
    }
}

/// Names are text, or bytes as numbers where they are no UTF-8.
macro_rules! names {
    ($($name:ident, $what:literal;)+) => {
        $(
            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match std::str::from_utf8(self.as_bytes()) {
                        Ok(text) => serializer.serialize_str(text),
                        Err(_) => serializer.collect_seq(self.as_bytes()),
                    }
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_any(Name { what: $what, new: Self::new })
                }
            }
        )+
    };
}

names! {
    Scheduler, "the name of a scheduler";
    PersistenceEngine, "the name of a persistence engine";
    InterfaceName, "the name of an interface";
}

struct Name<T> {
    what: &'static str,
    new: fn(&[u8]) -> Result<T, InvalidValue>,
}

impl<'de, T> Visitor<'de> for Name<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.new)(text.as_bytes()).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<T, A::Error> {
        let mut name = Vec::new();
        while let Some(byte) = bytes.next_element()? {
            name.push(byte);
        }
        (self.new)(&name).map_err(A::Error::custom)
    }
}
