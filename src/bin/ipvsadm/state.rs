//! A table as a value: the kernel's, or what lines make of an empty one; and the changes that lead from one to another.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipvs::{
    Change, Client, DaemonState, Destination, DestinationEntry, DestinationId, Family, Service, ServiceEntry,
    ServiceId, SyncDaemon, Timeouts,
};

use crate::before::Before;
use crate::servers::Servers;

/// What lines can say, and what the kernel has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    services: BTreeMap<ServiceId, Entry>,
    /// None where lines do not speak of them: then they stay as they are.
    timeouts: Option<(Timeouts, usize)>,
    /// Whether one runs on a side; a side that lines do not speak of is not in it, and stays as it is.
    daemons: BTreeMap<DaemonState, Option<(SyncDaemon, usize)>>,
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
        if !wanted.daemons.is_empty() {
            let running = client.daemons()?;
            let on = |side| running.iter().find(|daemon| daemon.state == side).map(|daemon| (*daemon, 0));
            self.daemons = wanted.daemons.keys().map(|side| (*side, on(*side))).collect();
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
                let side = self.daemons.entry(daemon.state).or_default();
                if side.is_some() {
                    return Err(libc::EEXIST);
                }
                *side = Some((daemon, line));
            }
            // Where no line has spoken of the side, whatever runs there is meant.
            Change::StopDaemon(state, _) => {
                if self.daemons.insert(state, None) == Some(None) {
                    return Err(libc::ESRCH);
                }
            }
        }
        Ok(())
    }

    /// The changes that lead from this table to `wanted`: those that take nothing away come first, so that no service
    /// is without a server in between, and then those that do.
    ///
    /// A sync daemon is stopped just before another is started in its place, and both before anything is deleted: what
    /// is refused until then is undone without a loss. Servers of another family than their service's and a daemon
    /// exclude each other, so a daemon stops before such a server is added, and starts when the last of them is gone.
    pub(crate) fn steps_to(&self, wanted: &Self) -> Vec<Step> {
        let put = self.steps_that_put(wanted);
        let (stop, start) = self.daemon_steps(wanted);
        let is_mixed = |step: &Step| match step.change {
            Change::AddDestination(id, server) | Change::EditDestination(id, server) => {
                is_mixed(&id, &server.id)
            }
            _ => false,
        };
        let (early, late) = if put.iter().any(is_mixed) { (stop, vec![]) } else { (vec![], stop) };
        let (mixed, gone) = self.steps_away(wanted);
        let (before, after) = if start.is_empty() { (vec![], mixed) } else { (mixed, vec![]) };
        early.into_iter().chain(put).chain(late).chain(before).chain(start).chain(gone).chain(after).collect()
    }

    /// The changes that add and edit.
    fn steps_that_put(&self, wanted: &Self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (id, new) in &wanted.services {
            let old = self.services.get(id);
            match old {
                None => steps.push(Step { change: Change::AddService(new.service), line: Some(new.line) }),
                Some(old) if old.service != new.service => {
                    steps.push(Step { change: Change::EditService(new.service), line: Some(new.line) });
                }
                Some(_) => {}
            }
            for (destination, line) in new.destinations.iter() {
                let change = match old.and_then(|old| old.destinations.get(&destination.id)) {
                    None => Change::AddDestination(*id, *destination),
                    Some((old, _)) if old != destination => Change::EditDestination(*id, *destination),
                    Some(_) => continue,
                };
                steps.push(Step { change, line: Some(*line) });
            }
        }
        if let (Some((old, _)), Some((new, line))) = (self.timeouts, wanted.timeouts)
            && replaced(old, new) != old
        {
            steps.push(Step { change: Change::SetTimeouts(new), line: Some(line) });
        }
        steps
    }

    /// The changes that delete what `wanted` does not have: those by which a server of another family than its
    /// service's goes, and the others.
    fn steps_away(&self, wanted: &Self) -> (Vec<Step>, Vec<Step>) {
        let (mut mixed, mut others) = (Vec::new(), Vec::new());
        for (id, old) in &self.services {
            let servers = || old.destinations.iter().map(|(destination, _)| destination.id);
            let mut push = |change, is_mixed| {
                if is_mixed { &mut mixed } else { &mut others }.push(Step { change, line: None });
            };
            match wanted.services.get(id) {
                None => push(Change::DeleteService(*id), servers().any(|server| is_mixed(id, &server))),
                Some(new) => {
                    for server in servers().filter(|server| !new.destinations.contains_key(server)) {
                        push(Change::DeleteDestination(*id, server), is_mixed(id, &server));
                    }
                }
            }
        }
        (mixed, others)
    }

    /// The changes that stop sync daemons, and those that start some.
    fn daemon_steps(&self, wanted: &Self) -> (Vec<Step>, Vec<Step>) {
        let (mut stop, mut start) = (Vec::new(), Vec::new());
        for (side, new) in &wanted.daemons {
            let running = self.daemons.get(side).copied().flatten().map(|(daemon, _)| daemon);
            if let (Some((new, _)), Some(running)) = (new, &running)
                && is_satisfied(new, running)
            {
                continue;
            }
            if let Some(running) = running {
                stop.push(Step { change: Change::StopDaemon(*side, running.sync_id), line: None });
            }
            if let Some((new, line)) = new {
                start.push(Step { change: Change::StartDaemon(*new), line: Some(*line) });
            }
        }
        (stop, start)
    }

    /// This table, but what `changes` are about is as it was `before`. What others have changed stays.
    pub(crate) fn without(&self, changes: &[Change], before: &Self) -> Self {
        let mut table = self.clone();
        for change in changes {
            match change {
                Change::AddService(Service { id, .. }) | Change::DeleteService(id) => {
                    match before.services.get(id) {
                        Some(old) => drop(table.services.insert(*id, old.clone())),
                        None => drop(table.services.remove(id)),
                    }
                }
                Change::EditService(Service { id, .. }) => {
                    if let (Some(entry), Some(old)) = (table.services.get_mut(id), before.services.get(id)) {
                        entry.service = old.service;
                    }
                }
                Change::AddDestination(id, Destination { id: server, .. })
                | Change::EditDestination(id, Destination { id: server, .. })
                | Change::DeleteDestination(id, server) => {
                    let Some(entry) = table.services.get_mut(id) else { continue };
                    let old = before.services.get(id).and_then(|old| old.destinations.get(server));
                    match old {
                        Some(old) => entry.destinations.insert(*old),
                        None => drop(entry.destinations.remove(server)),
                    }
                }
                Change::SetTimeouts(_) => table.timeouts = before.timeouts,
                Change::StartDaemon(SyncDaemon { state: side, .. }) | Change::StopDaemon(side, _) => {
                    table.daemons.insert(*side, before.daemons.get(side).copied().flatten());
                }
                Change::Flush | Change::Zero(_) => {} // never on the way from one table to another
            }
        }
        table
    }
}

/// Whether a server is of another family than its service, which only tunnels can be.
fn is_mixed(id: &ServiceId, server: &DestinationId) -> bool {
    Family::from(server.address) != id.family()
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
