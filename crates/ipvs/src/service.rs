//! Virtual services: what they are, how they are written to and read from attributes.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZero;
use std::str::FromStr;

use crate::error::InvalidValue;
use crate::family::Family;
use crate::name::{PersistenceEngine, Scheduler};
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::read_error::ReadError;
use crate::netlink::uapi::*;
use crate::service_id::{Protocol, ServiceId};
use crate::stats::Stats;

/// Which clients count as the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Netmask {
    /// The bits of an IPv4 client's address that decide.
    V4(Ipv4Addr),
    /// The number of leading bits of an IPv6 client's address that decide, 1 to 128.
    V6(u8),
}

impl Netmask {
    /// The family of the clients that it is for.
    pub fn family(&self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
        }
    }

    /// The mask that takes each address of the family as a client of its own.
    pub fn single(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4(Ipv4Addr::BROADCAST),
            Family::V6 => Self::V6(128),
        }
    }
}

impl fmt::Display for Netmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(mask) => fmt::Display::fmt(mask, f),
            Self::V6(bits) => f.pad(&bits.to_string()),
        }
    }
}

impl FromStr for Netmask {
    type Err = InvalidValue;

    /// What [`Display`](fmt::Display) writes: `255.255.255.0`, or a number from 1 to 128.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let bits = || text.parse().ok().filter(|bits| (1..=128).contains(bits)).map(Self::V6);
        text.parse().ok().map(Self::V4).or_else(bits).ok_or_else(|| {
            InvalidValue::new("the netmask", text, "such as: 255.255.255.0, or for IPv6 from 1 to 128")
        })
    }
}

/// Clients come back to the server they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Persistence {
    /// For how long after its last connection, in seconds, up to [`Self::LONGEST`] (kernel: `IPVS_SVC_ATTR_TIMEOUT`).
    pub timeout: u32,
    /// Which clients are taken together; it must be of the service's family (kernel: `IPVS_SVC_ATTR_NETMASK`).
    pub netmask: Netmask,
}

impl Persistence {
    /// The longest timeout, in seconds: 31 days. The kernel counts in ticks of 32 bits, up to 1,000 a second: a time soon
    /// above that would wrap, and 49 days become some minutes.
    pub const LONGEST: u32 = 31 * 24 * 3600;

    /// A client keeps its server for `timeout` seconds after its last connection. Clients in one network of the mask
    /// count as one.
    pub fn new(timeout: u32, netmask: Netmask) -> Self {
        Self { timeout, netmask }
    }
}

/// What [`Service::with_persistence`] takes.
pub trait IntoPersistence {
    /// The persistence of a service of this family.
    fn into_persistence(self, family: Family) -> Persistence;
}

impl IntoPersistence for Persistence {
    fn into_persistence(self, _: Family) -> Persistence {
        self
    }
}

impl IntoPersistence for u32 {
    /// So many seconds, each client by itself.
    fn into_persistence(self, family: Family) -> Persistence {
        Persistence::new(self, Netmask::single(family))
    }
}

/// The three switches that a scheduler gives a meaning of its own: `sh` and `mh` read the first as "use another
/// server when the hashed one is unavailable" and the second as "hash the port too".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SchedulerFlags(pub(crate) u8);

impl SchedulerFlags {
    /// `flag-1`, `sh-fallback`, `mh-fallback` (kernel: `IP_VS_SVC_F_SCHED1`)
    pub const FLAG_1: Self = Self(1);
    /// `flag-2`, `sh-port`, `mh-port` (kernel: `IP_VS_SVC_F_SCHED2`)
    pub const FLAG_2: Self = Self(2);
    /// `flag-3` (kernel: `IP_VS_SVC_F_SCHED3`)
    pub const FLAG_3: Self = Self(4);

    /// Whether none is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `flags` are set.
    pub fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl std::ops::BitOr for SchedulerFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A virtual service: which packets, and how they are spread.
///
/// ```
/// use ipvs::{Service, ServiceId};
///
/// let service = Service::new(ServiceId::tcp("192.0.2.1".parse().unwrap(), 80), "wlc".parse()?);
/// assert!(service.persistence.is_none());
/// assert!(service.with_one_packet(true).one_packet);
/// # Ok::<(), ipvs::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Service {
    /// Which packets belong to it.
    pub id: ServiceId,
    /// How a server is chosen for a new connection.
    pub scheduler: Scheduler,
    /// Switches of the scheduler.
    pub scheduler_flags: SchedulerFlags,
    /// Whether clients come back to the server they had.
    pub persistence: Option<Persistence>,
    /// What tells clients apart instead of their address, such as the Call-ID of SIP.
    pub engine: Option<PersistenceEngine>,
    /// Every UDP packet is scheduled by itself (kernel: `IP_VS_SVC_F_ONEPACKET`).
    pub one_packet: bool,
}

impl Service {
    /// A service that is not persistent and has no flags.
    pub fn new(id: ServiceId, scheduler: Scheduler) -> Self {
        Self {
            id,
            scheduler,
            scheduler_flags: SchedulerFlags::default(),
            persistence: None,
            engine: None,
            one_packet: false,
        }
    }

    with_methods! {
        /// This service with another scheduler.
        with_scheduler(scheduler: Scheduler);
        /// This service with other switches of its scheduler.
        with_scheduler_flags(scheduler_flags: SchedulerFlags);
        /// This service, where every UDP packet is scheduled by itself, or not.
        with_one_packet(one_packet: bool);
    }

    /// This service, where clients come back to the server they had: within so many seconds, each client by itself, or as a
    /// [`Persistence`] has it.
    ///
    /// ```
    /// use ipvs::{Netmask, Persistence, Protocol, Scheduler, Service, ServiceId};
    ///
    /// let web = Service::new(ServiceId::new(Protocol::Tcp, ([192, 0, 2, 1], 80)), Scheduler::WLC);
    /// let single = Netmask::V4([255, 255, 255, 255].into());
    /// assert_eq!(web.with_persistence(300).persistence, Some(Persistence::new(300, single)));
    /// let networks = Persistence::new(300, Netmask::V4([255, 255, 255, 0].into()));
    /// assert_eq!(web.with_persistence(networks).persistence, Some(networks));
    /// ```
    #[must_use]
    pub fn with_persistence(self, persistence: impl IntoPersistence) -> Self {
        Self { persistence: Some(persistence.into_persistence(self.id.family())), ..self }
    }

    /// This service, where an engine tells clients apart.
    #[must_use]
    pub fn with_engine(self, engine: PersistenceEngine) -> Self {
        Self { engine: Some(engine), ..self }
    }

    /// Whether the kernel takes it as it is; see [`Change::check`](crate::Change::check).
    pub(crate) fn check(&self) -> Result<(), InvalidValue> {
        let family = self.id.family();
        if let Some(Persistence { timeout, netmask }) = self.persistence {
            if netmask.family() != family {
                let remedy = match family {
                    Family::V4 => "the service is of IPv4; take a mask such as 255.255.255.0",
                    Family::V6 => "the service is of IPv6; take a length from 1 to 128",
                };
                return Err(InvalidValue::new("the netmask", &netmask.to_string(), remedy));
            }
            if timeout > Persistence::LONGEST {
                let remedy = "a number of seconds up to 2678400 (31 days)";
                return Err(InvalidValue::new("the persistence timeout", &timeout.to_string(), remedy));
            }
        }
        if self.engine == Some(PersistenceEngine::default()) {
            return Err(InvalidValue::new("the persistence engine", "", "None stands for no engine"));
        }
        Ok(())
    }

    /// Writes the content of a service nest.
    pub(crate) fn write(&self, nest: &mut Writer) {
        let Self { id, scheduler, scheduler_flags, persistence, engine, one_packet } = self;
        id.write(nest);
        nest.name(IPVS_SVC_ATTR_SCHED_NAME, scheduler.as_bytes());
        if let Some(engine) = engine {
            nest.name(IPVS_SVC_ATTR_PE_NAME, engine.as_bytes());
        }
        let mut flags = u32::from(scheduler_flags.0) * IP_VS_SVC_F_SCHED1;
        if persistence.is_some() {
            flags |= IP_VS_SVC_F_PERSISTENT;
        }
        if *one_packet {
            flags |= IP_VS_SVC_F_ONEPACKET;
        }
        nest.flags(IPVS_SVC_ATTR_FLAGS, flags);
        let Persistence { timeout, netmask } =
            persistence.unwrap_or(Persistence { timeout: 0, netmask: Netmask::single(id.family()) });
        nest.u32(IPVS_SVC_ATTR_TIMEOUT, timeout);
        match netmask {
            Netmask::V4(mask) => nest.bytes(IPVS_SVC_ATTR_NETMASK, &mask.octets()),
            Netmask::V6(bits) => nest.u32(IPVS_SVC_ATTR_NETMASK, u32::from(bits)),
        }
    }
}

/// A virtual service as the kernel has it, with its counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServiceEntry {
    /// Its configuration.
    pub service: Service,
    /// Its counters and rates.
    pub stats: Stats,
}

impl ServiceEntry {
    /// A service that no packet went to yet.
    pub fn new(service: Service) -> Self {
        Self { service, stats: Stats::default() }
    }

    /// Writes the content of a service nest, as the kernel does.
    #[cfg(feature = "fake-kernel")]
    pub(crate) fn write(&self, nest: &mut Writer) {
        let Self { service, stats } = self;
        service.write(nest);
        nest.nest(IPVS_SVC_ATTR_STATS64, |nest| stats.write(nest));
    }

    /// Reads the content of a service nest.
    pub(crate) fn read(nest: &[u8]) -> Result<Self, ReadError> {
        let mut family = None;
        let (mut protocol, mut address, mut port, mut mark) = (0, None, 0, None);
        let (mut scheduler, mut engine, mut flags, mut timeout, mut netmask) = (&b""[..], None, 0, 0, None);
        let (mut stats, mut stats64) = (None, None);
        for attribute in attributes(nest) {
            let attribute = attribute?;
            match attribute.kind {
                IPVS_SVC_ATTR_AF => family = attribute.family()?,
                IPVS_SVC_ATTR_PROTOCOL => protocol = attribute.u16()?,
                IPVS_SVC_ATTR_ADDR => address = Some(attribute.address()?),
                IPVS_SVC_ATTR_PORT => port = attribute.port()?,
                IPVS_SVC_ATTR_FWMARK => mark = NonZero::new(attribute.u32()?),
                IPVS_SVC_ATTR_SCHED_NAME => scheduler = attribute.name(),
                IPVS_SVC_ATTR_PE_NAME => engine = Some(attribute.name()).filter(|name| !name.is_empty()),
                IPVS_SVC_ATTR_FLAGS => flags = attribute.u32()?,
                IPVS_SVC_ATTR_TIMEOUT => timeout = attribute.u32()?,
                IPVS_SVC_ATTR_NETMASK => netmask = Some(attribute),
                IPVS_SVC_ATTR_STATS => stats = Some(attribute.value),
                IPVS_SVC_ATTR_STATS64 => stats64 = Some(attribute.value),
                _ => {} // of a newer kernel
            }
        }
        let family = family.ok_or("service without an address family")?;
        let id = match (mark, address) {
            (Some(mark), _) => ServiceId::Fwmark { mark, family },
            (None, Some(address)) => ServiceId::Address {
                protocol: Protocol::from(protocol),
                address: family.address(address),
                port,
            },
            (None, None) => return Err("service without an address or a firewall mark".into()),
        };
        let netmask = match (netmask, family) {
            (None, _) => Netmask::single(family),
            (Some(bits), Family::V4) => Netmask::V4(Ipv4Addr::from(bits.ipv4()?)),
            (Some(bits), Family::V6) => Netmask::V6(u8::try_from(bits.u32()?).unwrap_or(128)),
        };
        let service = Service {
            id,
            scheduler: Scheduler::new(scheduler)?,
            scheduler_flags: SchedulerFlags(u8::try_from((flags / IP_VS_SVC_F_SCHED1) & 7).unwrap_or(0)),
            persistence: (flags & IP_VS_SVC_F_PERSISTENT != 0).then_some(Persistence { timeout, netmask }),
            engine: engine.map(PersistenceEngine::new).transpose()?,
            one_packet: flags & IP_VS_SVC_F_ONEPACKET != 0,
        };
        Ok(Self { service, stats: Stats::read(stats64.or(stats))? })
    }
}
