//! Any table leads to any other.

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
                    let mut server = Destination::new([10, 1, 0, server].into(), 80, Forwarding::Masquerade);
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
        entry.destinations.iter_mut().for_each(|(_, line)| *line = 0);
    }
    bare.daemons.iter_mut().flatten().for_each(|(_, (_, line))| *line = 0);
    format!("{:?} {:?} {:?}", bare.services, bare.timeouts.map(|(timeouts, _)| timeouts), bare.daemons)
}

/// The services that have no server.
fn without_server(state: &State) -> Vec<ServiceId> {
    state.services.iter().filter(|(_, entry)| entry.destinations.is_empty()).map(|(id, _)| *id).collect()
}

/// The commands of the steps from one table to another, where lines make both.
fn commands(old: &[Change], new: &[Change]) -> Vec<&'static str> {
    let state = |changes: &[Change]| {
        let mut state = State { daemons: Some(BTreeMap::new()), ..State::default() };
        for change in changes {
            state.apply(change, 1).unwrap();
        }
        state
    };
    let name = |step: &Step| match step.change {
        Change::AddDestination(..) => "add",
        Change::DeleteDestination(..) => "delete",
        Change::StartDaemon(_) => "start",
        Change::StopDaemon(..) => "stop",
        _ => "other",
    };
    state(old).steps_to(&state(new)).iter().map(name).collect()
}

#[test]
fn daemons_start_before_anything_goes_unless_it_goes_for_them() {
    let web = ServiceId::tcp([10, 0, 0, 1].into(), 80);
    let add = Change::AddService(Service::new(web, "rr".parse().unwrap()));
    let server = |address: &str| {
        let server = Destination::new(address.parse().unwrap(), 80, Forwarding::Tunnel(ipvs::Tunnel::Ipip));
        Change::AddDestination(web, server)
    };
    let daemon = |id| Change::StartDaemon(SyncDaemon::new(DaemonState::Master, "eth0".parse().unwrap(), id));
    let new = [add, server("10.1.0.2"), daemon(2)];
    assert_eq!(commands(&[add, server("10.1.0.1"), daemon(1)], &new), ["stop", "add", "start", "delete"]);
    assert_eq!(commands(&[add, server("2001:db8::1")], &new), ["add", "delete", "start"]);
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
