//! A table as a value: the kernel's, or what lines make of an empty one; and the changes that lead from one to another.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipvs::{
    Change, Client, DaemonState, DestinationEntry, DestinationId, Family, Service, ServiceEntry, ServiceId,
    SyncDaemon, Timeouts,
};

use crate::before::Before;
use crate::servers::Servers;

/// What lines can say, and what the kernel has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    services: BTreeMap<ServiceId, Entry>,
    /// None where lines do not speak of them: then they stay as they are.
    timeouts: Option<(Timeouts, usize)>,
    daemons: Option<BTreeMap<DaemonState, (SyncDaemon, usize)>>,
}

/// A service with its servers, and the lines that say so (0 in the kernel's).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    service: Service,
    line: usize,
    destinations: Servers,
}

/// A change on the way from one table to another, and the line that wants it; none where a thing is in no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) change: Change,
    pub(crate) line: Option<usize>,
}

/// Why a line makes no sense where it stands, in the words of the kernel's refusal: an errno.
pub(crate) type Refusal = i32;

impl State {
    /// The kernel's table, with what `wanted` speaks of beyond services.
    pub(crate) fn live(client: &mut Client, wanted: &Self) -> ipvs::Result<Self> {
        let mut state = Self::default();
        for entry in client.services()? {
            let mut destinations = Vec::new();
            client.each_destination(&entry.service.id, |entry| destinations.push((entry.destination, 0)))?;
            state.put(entry.service, destinations.into_iter().collect());
        }
        state.read_settings(client, wanted)?;
        Ok(state)
    }

    /// The same, where the services have been read before.
    pub(crate) fn with_settings(
        table: &[(ServiceEntry, Vec<DestinationEntry>)],
        client: &mut Client,
        wanted: &Self,
    ) -> ipvs::Result<Self> {
        let mut state = Self::default();
        for (entry, destinations) in table {
            state.put(entry.service, destinations.iter().map(|entry| (entry.destination, 0)).collect());
        }
        state.read_settings(client, wanted)?;
        Ok(state)
    }

    /// How many services and servers there are.
    pub(crate) fn entries(&self) -> usize {
        self.services.values().map(|entry| 1 + entry.destinations.iter().count()).sum()
    }

    fn put(&mut self, service: Service, destinations: Servers) {
        self.services.insert(service.id, Entry { service, line: 0, destinations });
    }

    fn read_settings(&mut self, client: &mut Client, wanted: &Self) -> ipvs::Result<()> {
        if wanted.timeouts.is_some() {
            self.timeouts = Some((client.timeouts()?, 0));
        }
        if wanted.daemons.is_some() {
            let daemons = client.daemons()?;
            self.daemons = Some(daemons.into_iter().map(|daemon| (daemon.state, (daemon, 0))).collect());
        }
        Ok(())
    }

    /// What is there of that which a change is about.
    pub(crate) fn before(&self, change: &Change) -> Before {
        let (id, server) = match change {
            Change::EditService(service) => (&service.id, None),
            Change::EditDestination(id, server) => (id, Some(&server.id)),
            _ => return Before::default(),
        };
        let entry = self.services.get(id);
        let server = entry.zip(server).and_then(|(entry, server)| entry.destinations.get(server));
        Before { service: entry.map(|entry| entry.service), server: server.map(|(server, _)| *server) }
    }

    /// Does to this table what the kernel would do to its own.
    pub(crate) fn apply(&mut self, change: &Change, line: usize) -> Result<(), Refusal> {
        match *change {
            Change::AddService(service) => {
                let entry = Entry { service, line, destinations: Servers::default() };
                if self.services.contains_key(&service.id) {
                    return Err(libc::EEXIST);
                }
                self.services.insert(service.id, entry);
            }
            Change::EditService(service) => {
                let entry = self.services.get_mut(&service.id).ok_or(libc::ESRCH)?;
                (entry.service, entry.line) = (service, line);
            }
            Change::DeleteService(id) => drop(self.services.remove(&id).ok_or(libc::ESRCH)?),
            Change::AddDestination(id, destination) => {
                let entry = self.services.get_mut(&id).ok_or(libc::ESRCH)?;
                if entry.destinations.contains_key(&destination.id) {
                    return Err(libc::EEXIST);
                }
                entry.destinations.insert((destination, line));
            }
            Change::EditDestination(id, destination) => {
                let entry = self.services.get_mut(&id).ok_or(libc::ESRCH)?;
                *entry.destinations.get_mut(&destination.id).ok_or(libc::ENOENT)? = (destination, line);
            }
            Change::DeleteDestination(id, server) => {
                let entry = self.services.get_mut(&id).ok_or(libc::ESRCH)?;
                entry.destinations.remove(&server).ok_or(libc::ENOENT)?;
            }
            Change::Flush => self.services.clear(),
            Change::Zero(_) => {} // counters are no part of a table
            Change::SetTimeouts(new) => {
                let old = self.timeouts.map_or(Timeouts::default(), |(timeouts, _)| timeouts);
                self.timeouts = Some((replaced(old, new), line));
            }
            Change::StartDaemon(daemon) => {
                let daemons = self.daemons.get_or_insert_default();
                if daemons.contains_key(&daemon.state) {
                    return Err(libc::EEXIST);
                }
                daemons.insert(daemon.state, (daemon, line));
            }
            Change::StopDaemon(state, _) => {
                self.daemons.get_or_insert_default().remove(&state).ok_or(libc::ESRCH)?;
            }
        }
        Ok(())
    }

    /// The changes that lead from this table to `wanted`: those that take nothing away come first, so that no
    /// service is without a server in between, and then those that do.
    pub(crate) fn steps_to(&self, wanted: &Self) -> Vec<Step> {
        let (mut first, mut then, mut started) = (Vec::new(), Vec::new(), Vec::new());
        self.daemon_steps(wanted, &mut first, &mut started);
        for (id, new) in &wanted.services {
            let old = self.services.get(id);
            match old {
                None => then.push(Step { change: Change::AddService(new.service), line: Some(new.line) }),
                Some(old) if old.service != new.service => {
                    then.push(Step { change: Change::EditService(new.service), line: Some(new.line) });
                }
                Some(_) => {}
            }
            for (destination, line) in new.destinations.iter() {
                let change = match old.and_then(|old| old.destinations.get(&destination.id)) {
                    None => Change::AddDestination(*id, *destination),
                    Some((old, _)) if old != destination => Change::EditDestination(*id, *destination),
                    Some(_) => continue,
                };
                then.push(Step { change, line: Some(*line) });
            }
        }
        if let (Some((old, _)), Some((new, line))) = (self.timeouts, wanted.timeouts)
            && replaced(old, new) != old
        {
            then.push(Step { change: Change::SetTimeouts(new), line: Some(line) });
        }
        let (gone, any_of_other_family) = self.steps_away(wanted);
        let (before, after) = if any_of_other_family { (vec![], started) } else { (started, vec![]) };
        first.into_iter().chain(then).chain(before).chain(gone).chain(after).collect()
    }

    /// The changes that take away what `wanted` does not have, and whether a server of another family than its
    /// service's is among it.
    fn steps_away(&self, wanted: &Self) -> (Vec<Step>, bool) {
        let (mut gone, mut any_of_other_family) = (Vec::new(), false);
        for (id, old) in &self.services {
            let new = wanted.services.get(id);
            if new.is_none() {
                gone.push(Step { change: Change::DeleteService(*id), line: None });
            }
            let is_kept =
                |server: &&DestinationId| new.is_some_and(|new| new.destinations.contains_key(server));
            let servers = old.destinations.iter().map(|(destination, _)| &destination.id);
            for server in servers.filter(|server| !is_kept(server)) {
                any_of_other_family |= server.address.is_ipv6() != (id.family() == Family::V6);
                if new.is_some() {
                    gone.push(Step { change: Change::DeleteDestination(*id, *server), line: None });
                }
            }
        }
        (gone, any_of_other_family)
    }

    /// Daemons stop before all else, and start when the rest is there but nothing is gone yet: a start that is refused
    /// is undone without a loss. Only where servers of another family than their service's go, it waits for that: they
    /// and a daemon do not go together.
    fn daemon_steps(&self, wanted: &Self, first: &mut Vec<Step>, started: &mut Vec<Step>) {
        let (Some(old), Some(new)) = (&self.daemons, &wanted.daemons) else { return };
        for (state, (daemon, _)) in old {
            if !new.get(state).is_some_and(|(wanted, _)| is_satisfied(wanted, daemon)) {
                first.push(Step { change: Change::StopDaemon(*state, daemon.sync_id), line: None });
            }
        }
        for (state, (daemon, line)) in new {
            if !old.get(state).is_some_and(|(running, _)| is_satisfied(daemon, running)) {
                started.push(Step { change: Change::StartDaemon(*daemon), line: Some(*line) });
            }
        }
    }

    /// The changes that take `done` back, in their order, where this was the table before.
    pub(crate) fn undo(&self, done: &[Change]) -> Vec<Change> {
        done.iter().rev().flat_map(|change| self.inverse(change)).collect()
    }

    fn inverse(&self, change: &Change) -> Vec<Change> {
        let old_service = |id: &ServiceId| self.services.get(id);
        let old_server = |id: &ServiceId, server: &DestinationId| {
            old_service(id)
                .and_then(|entry| entry.destinations.get(server))
                .map(|(destination, _)| *destination)
        };
        match change {
            Change::AddService(service) => vec![Change::DeleteService(service.id)],
            Change::EditService(service) => {
                old_service(&service.id).map(|entry| Change::EditService(entry.service)).into_iter().collect()
            }
            Change::DeleteService(id) => old_service(id).map_or(Vec::new(), |entry| {
                let servers = entry.destinations.iter();
                let servers = servers.map(|(destination, _)| Change::AddDestination(*id, *destination));
                std::iter::once(Change::AddService(entry.service)).chain(servers).collect()
            }),
            Change::AddDestination(id, destination) => vec![Change::DeleteDestination(*id, destination.id)],
            Change::EditDestination(id, destination) => {
                let old = old_server(id, &destination.id);
                old.map(|destination| Change::EditDestination(*id, destination)).into_iter().collect()
            }
            Change::DeleteDestination(id, server) => {
                let old = old_server(id, server);
                old.map(|destination| Change::AddDestination(*id, destination)).into_iter().collect()
            }
            Change::SetTimeouts(_) => {
                self.timeouts.map(|(timeouts, _)| Change::SetTimeouts(timeouts)).into_iter().collect()
            }
            Change::StartDaemon(daemon) => vec![Change::StopDaemon(daemon.state, daemon.sync_id)],
            Change::StopDaemon(state, _) => {
                let old = self.daemons.as_ref().and_then(|daemons| daemons.get(state));
                old.map(|(daemon, _)| Change::StartDaemon(*daemon)).into_iter().collect()
            }
            Change::Flush | Change::Zero(_) => Vec::new(), // never on the way from one table to another
        }
    }
}

/// Timeouts after a change, where 0 leaves one as it is.
fn replaced(old: Timeouts, new: Timeouts) -> Timeouts {
    let pick = |old, new| if new == 0 { old } else { new };
    Timeouts {
        tcp: pick(old.tcp, new.tcp),
        tcp_fin: pick(old.tcp_fin, new.tcp_fin),
        udp: pick(old.udp, new.udp),
    }
}

/// Whether a daemon that runs is the one that is wanted, where what is not said is the kernel's choice.
fn is_satisfied(wanted: &SyncDaemon, running: &SyncDaemon) -> bool {
    let group = wanted.group.unwrap_or(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81)));
    let chosen = SyncDaemon {
        max_length: if wanted.max_length == 0 { running.max_length } else { held(wanted, group) },
        group: Some(group),
        port: if wanted.port == 0 { 8848 } else { wanted.port },
        ttl: if wanted.ttl == 0 { 1 } else { wanted.ttl },
        ..*wanted
    };
    chosen == *running
}

/// What the kernel makes of a longest message that is asked for: no backup has room for less than 1024 bytes, and no
/// more goes into a packet than 65535 less the headers of UDP and IP, whatever the interface carries.
fn held(wanted: &SyncDaemon, group: IpAddr) -> u16 {
    let least = if wanted.state == DaemonState::Backup { 1024 } else { 1 };
    let headers = if group.is_ipv6() { 8 + 40 } else { 8 + 20 };
    wanted.max_length.clamp(least, u16::MAX - headers)
}

#[cfg(test)]
mod tests;
