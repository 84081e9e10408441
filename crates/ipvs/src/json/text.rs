//! Values that are one string, one number, or a list of names.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::strict::Strict;
use crate::config::Version;
use crate::daemon::DaemonState;
use crate::error::InvalidValue;
use crate::family::Family;
use crate::forwarding::{Checksum, ForwardingMethod, TunnelKind};
use crate::name::{InterfaceName, PersistenceEngine, Scheduler};
use crate::service::{Netmask, SchedulerFlags};
use crate::service_id::Protocol;

/// What a value is written as.
type Write<T> = fn(&T) -> Cow<'static, str>;

/// Reads a string by `parse`, if it is the one that the value is written as.
struct Text<F, T> {
    what: &'static str,
    write: Write<T>,
    parse: F,
}

impl<T, F: FnOnce(&str) -> Result<T, InvalidValue>> Visitor<'_> for Text<F, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let value = (self.parse)(text).map_err(E::custom)?;
        if (self.write)(&value) == text {
            return Ok(value);
        }
        Err(E::invalid_value(Unexpected::Str(text), &self.what))
    }
}

pub(super) fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    what: &'static str,
    write: Write<T>,
    parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { what, write, parse })
}

/// Types that are written as text, by a function, and read by another.
macro_rules! texts {
    ($($type:ty, $what:literal, $write:expr, $read:expr;)+) => {
        $(
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let write: Write<Self> = $write;
                    serializer.serialize_str(&write(self))
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    read(deserializer, $what, $write, $read)
                }
            }
        )+
    };
}

texts! {
    Protocol, "tcp, udp or sctp", |protocol| match protocol {
        Protocol::Tcp => "tcp".into(),
        Protocol::Udp => "udp".into(),
        Protocol::Sctp => "sctp".into(),
        Protocol::Other(_) => protocol.to_string().into(),
    }, Self::from_str;
    Family, "ipv4 or ipv6", |family| match family {
        Family::V4 => "ipv4".into(),
        Family::V6 => "ipv6".into(),
    }, Self::from_str;
    DaemonState, "master or backup", |state| state.name().into(), Self::from_str;
    TunnelKind, "ipip, gue or gre", |kind| kind.to_string().into(), Self::from_str;
    ForwardingMethod, "a forwarding method", |method| method.to_string().into(), Self::from_str;
    Version, "a version such as 1.2.1", |version| version.to_string().into(), Self::from_str;
    Checksum, "on, off or remote", |checksum| checksum_name(*checksum), |text| {
        match CHECKSUMS.iter().find(|(name, _)| *name == text) {
            Some((_, checksum)) => Ok(*checksum),
            None if text.starts_with("checksum-") => text.parse(),
            None => Err(InvalidValue::new("the checksum", text, "it is on, off or remote")),
        }
    };
    Flag, "flag-1, flag-2 or flag-3", |Flag(flag)| {
        FLAGS.iter().find(|(_, known)| known == flag).map_or("", |(name, _)| name).into()
    }, |text| {
        let known = FLAGS.iter().find(|(name, _)| *name == text);
        known.map(|(_, flag)| Self(*flag)).ok_or_else(|| {
            InvalidValue::new("the scheduler flag", text, "it is flag-1, flag-2 or flag-3")
        })
    };
}

/// The names of [`Checksum`]s; `checksum-3` for flags without one.
const CHECKSUMS: [(&str, Checksum); 3] =
    [("off", Checksum::Off), ("on", Checksum::On), ("remote", Checksum::Remote)];

fn checksum_name(checksum: Checksum) -> Cow<'static, str> {
    match CHECKSUMS.iter().find(|(_, known)| *known == checksum) {
        Some((name, _)) => Cow::Borrowed(name),
        None => checksum.to_string().into(),
    }
}

/// The names of the switches of a scheduler.
const FLAGS: [(&str, SchedulerFlags); 3] = [
    ("flag-1", SchedulerFlags::FLAG_1),
    ("flag-2", SchedulerFlags::FLAG_2),
    ("flag-3", SchedulerFlags::FLAG_3),
];

/// One switch.
struct Flag(SchedulerFlags);

impl Serialize for SchedulerFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let set = FLAGS.iter().filter(|(_, flag)| self.contains(*flag));
        serializer.collect_seq(set.map(|(name, _)| name))
    }
}

impl<'de> Deserialize<'de> for SchedulerFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Self::default();
        for Flag(flag) in Vec::<Flag>::deserialize(Strict(deserializer))? {
            if all.contains(flag) {
                return Err(D::Error::custom("a scheduler flag is there twice"));
            }
            all = all | flag;
        }
        Ok(all)
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

        Strict(deserializer).deserialize_any(Mask)
    }
}

/// Names are text, or bytes as numbers where they are no UTF-8.
macro_rules! names {
    ($($name:ident, $what:literal, $new:expr;)+) => {
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
                    Strict(deserializer).deserialize_any(Name { what: $what, new: $new })
                }
            }
        )+
    };
}

names! {
    Scheduler, "the name of a scheduler", Self::new;
    PersistenceEngine, "the name of a persistence engine", |name| match name {
        [] => Err(InvalidValue::new("the persistence engine", "", "leave the key out for none")),
        name => Self::new(name),
    };
    InterfaceName, "the name of an interface", Self::new;
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
        if name.is_empty() {
            return Err(A::Error::invalid_length(0, &self));
        }
        (self.new)(&name).map_err(A::Error::custom)
    }
}
