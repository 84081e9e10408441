//! A table as a value: the kernel's, or what lines make of an empty one; and the changes that lead from one to another.

use std::collections::BTreeMap;

use ipvs::{
    Change, Client, DaemonState, Destination, DestinationEntry, DestinationId, Service, ServiceEntry,
    ServiceId, SyncDaemon, Timeouts,
};

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
    destinations: BTreeMap<DestinationId, (Destination, usize)>,
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
        let table = whole_table(client)?;
        Self::with_settings(&table, client, wanted)
    }

    /// The same, where the services have been read before.
    pub(crate) fn with_settings(
        table: &[(ServiceEntry, Vec<DestinationEntry>)],
        client: &mut Client,
        wanted: &Self,
    ) -> ipvs::Result<Self> {
        let mut state = Self::default();
        for (entry, destinations) in table {
            let destinations =
                destinations.iter().map(|entry| (entry.destination.id, (entry.destination, 0)));
            let destinations = destinations.collect();
            state.services.insert(entry.service.id, Entry { service: entry.service, line: 0, destinations });
        }
        if wanted.timeouts.is_some() {
            state.timeouts = Some((client.timeouts()?, 0));
        }
        if wanted.daemons.is_some() {
            let daemons = client.daemons()?;
            state.daemons = Some(daemons.into_iter().map(|daemon| (daemon.state, (daemon, 0))).collect());
        }
        Ok(state)
    }

    /// Does to this table what the kernel would do to its own.
    pub(crate) fn apply(&mut self, change: &Change, line: usize) -> Result<(), Refusal> {
        match *change {
            Change::AddService(service) => {
                let entry = Entry { service, line, destinations: BTreeMap::new() };
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
                entry.destinations.insert(destination.id, (destination, line));
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
        let (mut first, mut then, mut last) = (Vec::new(), Vec::new(), Vec::new());
        self.daemon_steps(wanted, &mut first, &mut last);
        for (id, new) in &wanted.services {
            let old = self.services.get(id);
            match old {
                None => then.push(Step { change: Change::AddService(new.service), line: Some(new.line) }),
                Some(old) if old.service != new.service => {
                    then.push(Step { change: Change::EditService(new.service), line: Some(new.line) });
                }
                Some(_) => {}
            }
            for (server, (destination, line)) in &new.destinations {
                let change = match old.and_then(|old| old.destinations.get(server)) {
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
        for (id, old) in &self.services {
            let Some(new) = wanted.services.get(id) else {
                then.push(Step { change: Change::DeleteService(*id), line: None });
                continue;
            };
            for server in old.destinations.keys().filter(|server| !new.destinations.contains_key(server)) {
                then.push(Step { change: Change::DeleteDestination(*id, *server), line: None });
            }
        }
        first.into_iter().chain(then).chain(last).collect()
    }

    /// Daemons stop before all else and start after it: servers of another family than their service's and a daemon
    /// do not go together.
    fn daemon_steps(&self, wanted: &Self, first: &mut Vec<Step>, last: &mut Vec<Step>) {
        let (Some(old), Some(new)) = (&self.daemons, &wanted.daemons) else { return };
        for (state, (daemon, _)) in old {
            if !new.get(state).is_some_and(|(wanted, _)| is_satisfied(wanted, daemon)) {
                first.push(Step { change: Change::StopDaemon(*state, daemon.sync_id), line: None });
            }
        }
        for (state, (daemon, line)) in new {
            if !old.get(state).is_some_and(|(running, _)| is_satisfied(daemon, running)) {
                last.push(Step { change: Change::StartDaemon(*daemon), line: Some(*line) });
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
                let servers = entry.destinations.values();
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

/// All services with their servers, as the kernel has them.
pub(crate) fn whole_table(client: &mut Client) -> ipvs::Result<Vec<(ServiceEntry, Vec<DestinationEntry>)>> {
    let services = client.services()?;
    let with_servers = |entry: ServiceEntry| Ok((entry, client.destinations(&entry.service.id)?));
    services.into_iter().map(with_servers).collect()
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
    let chosen = SyncDaemon {
        max_length: if wanted.max_length == 0 { running.max_length } else { wanted.max_length },
        group: wanted.group.or_else(|| "224.0.0.81".parse().ok()),
        port: if wanted.port == 0 { 8848 } else { wanted.port },
        ttl: if wanted.ttl == 0 { 1 } else { wanted.ttl },
        ..*wanted
    };
    chosen == *running
}

#[cfg(test)]
mod tests {
    use ipvs::{Destination, Forwarding, Service};
    use proptest::prelude::*;

    use super::*;

    /// Tables of few services and servers, so that two of them have much in common.
    fn state() -> impl Strategy<Value = State> {
        let service = (
            0..4_u8,
            prop::sample::select(vec!["rr", "wlc"]),
            prop::collection::btree_map(0..4_u8, 0..3_u32, 0..4),
        );
        let daemon = (any::<bool>(), 0..2_u32);
        (prop::collection::vec(service, 0..4), prop::collection::vec(daemon, 0..2), 1..3_u32).prop_map(
            |(services, daemons, timeout)| {
                let mut state = State { daemons: Some(BTreeMap::new()), ..State::default() };
                for (number, scheduler, servers) in services {
                    let id = ServiceId::tcp([10, 0, 0, number].into(), 80);
                    // A second service of the same address is refused, and its servers join the first.
                    let _ = state.apply(&Change::AddService(Service::new(id, scheduler.parse().unwrap())), 1);
                    for (server, weight) in servers {
                        let mut server =
                            Destination::new([10, 1, 0, server].into(), 80, Forwarding::Masquerade);
                        server.weight = weight;
                        let _ = state.apply(&Change::AddDestination(id, server), 2);
                    }
                }
                for (is_master, sync_id) in daemons {
                    let side = if is_master { DaemonState::Master } else { DaemonState::Backup };
                    let daemon = SyncDaemon {
                        port: 8848,
                        ttl: 1,
                        group: "224.0.0.81".parse().ok(),
                        ..SyncDaemon::new(side, "eth0".parse().unwrap(), sync_id)
                    };
                    let _ = state.apply(&Change::StartDaemon(daemon), 3);
                }
                let timeouts = Timeouts { tcp: timeout, tcp_fin: 5, udp: 6 };
                state.apply(&Change::SetTimeouts(timeouts), 4).unwrap();
                state
            },
        )
    }

    /// The same table without the lines that say so.
    fn bare(state: &State) -> String {
        let mut bare = state.clone();
        for entry in bare.services.values_mut() {
            entry.line = 0;
            entry.destinations.values_mut().for_each(|(_, line)| *line = 0);
        }
        bare.daemons.iter_mut().flatten().for_each(|(_, (_, line))| *line = 0);
        format!("{:?} {:?} {:?}", bare.services, bare.timeouts.map(|(timeouts, _)| timeouts), bare.daemons)
    }

    /// The services that have no server.
    fn without_server(state: &State) -> Vec<ServiceId> {
        state.services.iter().filter(|(_, entry)| entry.destinations.is_empty()).map(|(id, _)| *id).collect()
    }

    proptest! {
        #[test]
        fn any_table_leads_to_any_other_and_back(old in state(), new in state()) {
            let steps = old.steps_to(&new);
            let mut table = old.clone();
            for step in &steps {
                prop_assert_eq!(table.apply(&step.change, 9), Ok(()));
                // Nobody who had a server, and will have one, is without in between.
                for id in without_server(&table) {
                    let has = |state: &State| state.services.get(&id).is_some_and(|entry| !entry.destinations.is_empty());
                    prop_assert!(!(has(&old) && has(&new)), "{:?}", id);
                }
            }
            prop_assert_eq!(bare(&table), bare(&new));
            prop_assert_eq!(new.steps_to(&table), vec![]);
            let done: Vec<Change> = steps.iter().map(|step| step.change).collect();
            for change in old.undo(&done) {
                prop_assert_eq!(table.apply(&change, 9), Ok(()));
            }
            prop_assert_eq!(bare(&table), bare(&old));
        }
    }
}
