//! What the fake kernel keeps, and what it makes of requests.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::Timeouts;
use crate::daemon::{DaemonState, SyncDaemon};
use crate::destination::DestinationEntry;
use crate::family::Family;
use crate::forwarding::ForwardingMethod;
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::uapi::*;
use crate::service::{Netmask, Persistence, ServiceEntry};
use crate::service_id::ServiceId;
use crate::stats::Stats;

pub(super) const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
const EOPNOTSUPP: i32 = 95;

/// What the kernel takes for a multicast message of a master, and of a backup, on an interface of 1,500 bytes.
const SYNC_MAXLEN: u16 = 1472;

/// What the kernel keeps.
#[derive(Debug)]
pub(super) struct State {
    pub(super) services: BTreeMap<ServiceId, (ServiceEntry, Vec<DestinationEntry>)>,
    timeouts: Timeouts,
    daemons: BTreeMap<DaemonState, SyncDaemon>,
}

impl Default for State {
    fn default() -> Self {
        Self { services: BTreeMap::new(), timeouts: Timeouts::KERNEL, daemons: BTreeMap::new() }
    }
}

/// A request as it was read.
pub(super) struct Request<'a> {
    pub(super) command: u8,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) attributes: &'a [u8],
}

/// Attributes of one reply.
pub(super) type Object = Box<dyn FnOnce(&mut Writer)>;

/// Why a request is refused: an errno.
pub(super) type Refusal = i32;

impl State {
    /// The command byte and the objects of the answer.
    pub(super) fn carry_out(
        &mut self,
        request: &Request<'_>,
        is_dump: bool,
    ) -> Result<(u8, Vec<Object>), Refusal> {
        let top = request.attributes;
        let done = |()| (0, Vec::new());
        match (request.command, is_dump) {
            (IPVS_CMD_NEW_SERVICE, false) => self.add_service(top).map(done),
            (IPVS_CMD_SET_SERVICE, false) => self.edit_service(top).map(done),
            (IPVS_CMD_DEL_SERVICE, false) => {
                self.services.remove(&service_id(top)?).map(drop).ok_or(ESRCH).map(done)
            }
            (IPVS_CMD_GET_SERVICE, true) => {
                let entries = self.services.values().map(|(entry, _)| object(*entry));
                Ok((IPVS_CMD_NEW_SERVICE, entries.collect()))
            }
            (IPVS_CMD_GET_SERVICE, false) => {
                let (entry, _) = self.services.get(&service_id(top)?).ok_or(ESRCH)?;
                Ok((IPVS_CMD_NEW_SERVICE, vec![object(*entry)]))
            }
            (IPVS_CMD_NEW_DEST | IPVS_CMD_SET_DEST | IPVS_CMD_DEL_DEST, false) => {
                self.change_server(request.command, top).map(done)
            }
            (IPVS_CMD_GET_DEST, true) => Ok((IPVS_CMD_NEW_DEST, self.servers(top))),
            (IPVS_CMD_NEW_DAEMON, false) => self.start(top).map(done),
            (IPVS_CMD_DEL_DAEMON, false) => self.stop(top).map(done),
            (IPVS_CMD_GET_DAEMON, true) => {
                let daemons = self.daemons.values().copied().map(|daemon| -> Object {
                    Box::new(move |top| top.nest(IPVS_CMD_ATTR_DAEMON, |nest| daemon.write(nest)))
                });
                Ok((IPVS_CMD_NEW_DAEMON, daemons.collect()))
            }
            (IPVS_CMD_SET_CONFIG, false) => self.set_timeouts(top).map(done),
            (IPVS_CMD_GET_CONFIG, false) => {
                let timeouts = self.timeouts;
                Ok((IPVS_CMD_SET_CONFIG, vec![Box::new(move |top: &mut Writer| timeouts.write(top))]))
            }
            (IPVS_CMD_GET_INFO, false) => Ok((
                IPVS_CMD_SET_INFO,
                vec![Box::new(|top: &mut Writer| {
                    top.u32(IPVS_INFO_ATTR_VERSION, 0x0001_0201);
                    top.u32(IPVS_INFO_ATTR_CONN_TAB_SIZE, 4096);
                })],
            )),
            (IPVS_CMD_ZERO, false) => self.zero(top).map(done),
            (IPVS_CMD_FLUSH, false) => {
                self.services.clear();
                Ok(done(()))
            }
            _ => Err(EOPNOTSUPP),
        }
    }

    fn add_service(&mut self, top: &[u8]) -> Result<(), Refusal> {
        let entry = service(top)?;
        if self.services.contains_key(&entry.service.id) {
            return Err(EEXIST);
        }
        is_known(&entry)?;
        self.services.insert(entry.service.id, (entry, Vec::new()));
        Ok(())
    }

    fn edit_service(&mut self, top: &[u8]) -> Result<(), Refusal> {
        let new = service(top)?;
        let (entry, _) = self.services.get_mut(&new.service.id).ok_or(ESRCH)?;
        is_known(&new)?;
        entry.service = new.service;
        Ok(())
    }

    fn servers(&self, top: &[u8]) -> Vec<Object> {
        // A service that is not there has no servers, and nothing is wrong with that.
        let servers =
            service_id(top).ok().and_then(|id| self.services.get(&id)).map(|(_, servers)| &servers[..]);
        let objects = servers.unwrap_or_default().iter().copied().map(|entry| -> Object {
            Box::new(move |top| top.nest(IPVS_CMD_ATTR_DEST, |nest| entry.write(nest)))
        });
        objects.collect()
    }

    fn change_server(&mut self, command: u8, top: &[u8]) -> Result<(), Refusal> {
        let id = service_id(top)?;
        let daemon_runs = !self.daemons.is_empty();
        let (_, servers) = self.services.get_mut(&id).ok_or(ESRCH)?;
        let entry =
            DestinationEntry::read(nest(top, IPVS_CMD_ATTR_DEST)?, id.family()).map_err(|_| EINVAL)?;
        let new = entry.destination;
        let at = servers.iter().position(|known| known.destination.id == new.id);
        if command == IPVS_CMD_DEL_DEST {
            servers.remove(at.ok_or(ENOENT)?);
            return Ok(());
        }
        let is_mixed = Family::from(new.id.address) != id.family();
        if is_mixed && (daemon_runs || !matches!(new.forwarding, ForwardingMethod::Tunnel(_))) {
            return Err(EINVAL);
        }
        if i32::try_from(new.weight).is_err() || new.lower_threshold > new.upper_threshold {
            return Err(ERANGE);
        }
        match (command, at.and_then(|at| servers.get_mut(at))) {
            (IPVS_CMD_SET_DEST, Some(known)) => known.destination = new,
            (IPVS_CMD_SET_DEST, None) => return Err(ENOENT),
            (_, Some(_)) => return Err(EEXIST),
            (_, None) if !is_host(new.id.address) => return Err(EINVAL),
            (_, None) => servers.insert(0, DestinationEntry::new(new)), // a dump has the newest first
        }
        Ok(())
    }

    fn start(&mut self, top: &[u8]) -> Result<(), Refusal> {
        let daemon = SyncDaemon::read(nest(top, IPVS_CMD_ATTR_DAEMON)?).map_err(|_| EINVAL)?;
        let is_mixed = |id: &ServiceId, servers: &[DestinationEntry]| {
            servers.iter().any(|entry| Family::from(entry.destination.id.address) != id.family())
        };
        if self.services.iter().any(|(id, (_, servers))| is_mixed(id, servers)) {
            return Err(EINVAL);
        }
        if !["lo", "eth0"].iter().any(|known| daemon.interface == **known) {
            return Err(ENODEV);
        }
        if self.daemons.contains_key(&daemon.state) {
            return Err(EEXIST);
        }
        let least = if daemon.state == DaemonState::Backup { 1024 } else { 1 };
        let max_length = if daemon.max_length == 0 { SYNC_MAXLEN } else { daemon.max_length };
        self.daemons.insert(daemon.state, daemon.with_defaults().with_max_length(max_length.max(least)));
        Ok(())
    }

    fn stop(&mut self, top: &[u8]) -> Result<(), Refusal> {
        let state = SyncDaemon::read_id(nest(top, IPVS_CMD_ATTR_DAEMON)?).map_err(|_| EINVAL)?;
        self.daemons.remove(&state).map(drop).ok_or(ESRCH)
    }

    fn set_timeouts(&mut self, top: &[u8]) -> Result<(), Refusal> {
        const LONGEST: u32 = i32::MAX.unsigned_abs() / 1000; // of a kernel with 1,000 ticks a second
        let new = Timeouts::read(top).map_err(|_| EINVAL)?;
        if [new.tcp, new.tcp_fin, new.udp].iter().any(|seconds| *seconds > LONGEST) {
            return Err(EINVAL);
        }
        let or = |new, old| if new == 0 { old } else { new };
        let old = self.timeouts;
        self.timeouts = Timeouts {
            tcp: or(new.tcp, old.tcp),
            tcp_fin: or(new.tcp_fin, old.tcp_fin),
            udp: or(new.udp, old.udp),
        };
        Ok(())
    }

    fn zero(&mut self, top: &[u8]) -> Result<(), Refusal> {
        let only = nest(top, IPVS_CMD_ATTR_SERVICE).is_ok().then(|| service_id(top)).transpose()?;
        if only.is_some_and(|id| !self.services.contains_key(&id)) {
            return Err(ESRCH);
        }
        for (_, (entry, servers)) in
            self.services.iter_mut().filter(|(id, _)| only.is_none_or(|only| only == **id))
        {
            entry.stats = Stats::default();
            for server in servers {
                server.stats = Stats::default();
            }
        }
        Ok(())
    }
}

fn object(entry: ServiceEntry) -> Object {
    Box::new(move |top| top.nest(IPVS_CMD_ATTR_SERVICE, |nest| entry.write(nest)))
}

/// The nest of a kind.
fn nest(top: &[u8], kind: u16) -> Result<&[u8], Refusal> {
    attributes(top)
        .flatten()
        .find(|attribute| attribute.kind == kind)
        .map(|attribute| attribute.value)
        .ok_or(EINVAL)
}

fn service(top: &[u8]) -> Result<ServiceEntry, Refusal> {
    let entry = ServiceEntry::read(nest(top, IPVS_CMD_ATTR_SERVICE)?).map_err(|_| EINVAL)?;
    let has_prefix = |persistence: Persistence| match persistence.netmask {
        Netmask::V4(_) => true,
        Netmask::V6(bits) => (1..=128).contains(&bits),
    };
    entry.service.persistence.is_none_or(has_prefix).then_some(entry).ok_or(EINVAL)
}

fn service_id(top: &[u8]) -> Result<ServiceId, Refusal> {
    Ok(service(top)?.service.id)
}

/// Whether there are modules for the scheduler and the engine.
fn is_known(entry: &ServiceEntry) -> Result<(), Refusal> {
    const SCHEDULERS: [&str; 14] =
        ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf", "none"];
    let scheduler = SCHEDULERS.iter().any(|known| entry.service.scheduler == **known);
    let engine = entry.service.engine.is_none_or(|engine| engine == *"sip");
    (scheduler && engine).then_some(()).ok_or(ENOENT)
}

fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast(),
        // A link-local address must be one of the director's own.
        IpAddr::V6(v6) => {
            !v6.is_unspecified()
                && !v6.is_multicast()
                && !v6.is_unicast_link_local()
                && v6.to_ipv4_mapped().is_none()
        }
    }
}
