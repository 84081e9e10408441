//! Any table leads to any other.

use proptest::prelude::*;

use super::*;
use crate::forwarding::{ForwardingMethod, Tunnel};

/// An empty table that speaks of both sync daemons.
fn none_runs() -> Table {
    let daemons = [DaemonState::Master, DaemonState::Backup].map(|side| (side, None)).into();
    Table { daemons, ..Table::default() }
}

/// Tables of few services and servers, so that two of them have much in common.
fn any_table() -> impl Strategy<Value = Table> {
    let service = (
        0..4_u8,
        prop::sample::select(vec!["rr", "sh"]),
        prop::collection::btree_map(0..4_u8, 0..3_u32, 0..4),
    );
    let daemon = (any::<bool>(), 0..2_u32);
    (prop::collection::vec(service, 0..4), prop::collection::vec(daemon, 0..2), 1..3_u32).prop_map(
        |(services, daemons, timeout)| {
            let mut table = none_runs();
            for (number, scheduler, servers) in services {
                let id = ServiceId::tcp([10, 0, 0, number].into(), 80);
                // A second service of the same address is refused, and its servers join the first.
                let _ = table.change(&Change::AddService(Service::new(id, scheduler.parse().unwrap())));
                for (server, weight) in servers {
                    let mut server =
                        Destination::new([10, 1, 0, server].into(), 80, ForwardingMethod::Masquerade);
                    server.weight = weight;
                    let _ = table.change(&Change::AddDestination { service: id, destination: server });
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
                let _ = table.change(&Change::StartDaemon(daemon));
            }
            let timeouts = Timeouts { tcp: timeout, tcp_fin: 5, udp: 6 };
            table.change(&Change::SetTimeouts(timeouts)).unwrap();
            table
        },
    )
}

/// The services that have no server.
fn without_server(table: &Table) -> Vec<ServiceId> {
    table
        .services
        .iter()
        .filter(|entry| entry.destinations.is_empty())
        .map(|entry| entry.service.id)
        .collect()
}

/// The commands of the steps from one table to another, where lines make both.
fn commands(old: &[Change], new: &[Change]) -> Vec<&'static str> {
    let table = |changes: &[Change]| {
        let mut table = none_runs();
        for change in changes {
            table.change(change).unwrap();
        }
        table
    };
    let name = |change: &Change| match change {
        Change::AddDestination { .. } => "add",
        Change::DeleteDestination { .. } => "delete",
        Change::StartDaemon(_) => "start",
        Change::StopDaemon { .. } => "stop",
        _ => "other",
    };
    table(old).diff(&table(new)).iter().map(name).collect()
}

#[test]
fn a_table_has_what_was_put_in() {
    let web = ServiceId::tcp([10, 0, 0, 1].into(), 80);
    let service = |scheduler: &str| Service::new(web, scheduler.parse().unwrap());
    let server = |number: u8| Destination::new([10, 1, 0, number].into(), 80, ForwardingMethod::Masquerade);
    let mut table = Table::default();
    assert!(table.is_empty());
    assert_eq!((table.entries(), table.timeouts()), (0, None));
    table.put(service("rr"), [server(2), server(1)]);
    assert!(!table.is_empty());
    assert!(table.services().eq(&[service("rr")]));
    assert!(table.destinations(&web).eq(&[server(1), server(2)]));
    assert_eq!(table.entries(), 3);
    table.put(service("wlc"), [server(3)]);
    assert_eq!((table.service(&web), table.entries()), (Some(&service("wlc")), 2));
    assert!(table.destinations(&web).eq(&[server(3)]));
    let timeouts = Timeouts { tcp: 10, tcp_fin: 20, udp: 30 };
    table.change(&Change::SetTimeouts(timeouts)).unwrap();
    assert_eq!(table.timeouts(), Some(timeouts));
}

#[test]
fn daemons_start_before_anything_goes_unless_it_goes_for_them() {
    let web = ServiceId::tcp([10, 0, 0, 1].into(), 80);
    let add = Change::AddService(Service::new(web, "rr".parse().unwrap()));
    let server = |address: &str| {
        let server = Destination::new(address.parse().unwrap(), 80, ForwardingMethod::Tunnel(Tunnel::Ipip));
        Change::AddDestination { service: web, destination: server }
    };
    let daemon = |id| Change::StartDaemon(SyncDaemon::new(DaemonState::Master, "eth0".parse().unwrap(), id));
    let new = [add, server("10.1.0.2"), daemon(2)];
    assert_eq!(commands(&[add, server("10.1.0.1"), daemon(1)], &new), ["add", "stop", "start", "delete"]);
    assert_eq!(commands(&[add, server("2001:db8::1")], &new), ["add", "delete", "start"]);
    // Of those that go, only those that a daemon cannot stand go before it starts.
    let old = [add, server("10.1.0.1"), server("2001:db8::1")];
    assert_eq!(commands(&old, &new), ["add", "delete", "start", "delete"]);
    // And a daemon stops before such a server comes.
    let new = [add, server("10.1.0.1"), server("2001:db8::1")];
    assert_eq!(commands(&[add, server("10.1.0.1"), daemon(1)], &new), ["stop", "add"]);
}

proptest! {
    #[test]
    fn any_table_leads_to_any_other_and_back(old in any_table(), new in any_table(), some in any::<u64>()) {
        let steps = old.diff(&new);
        let mut table = old.clone();
        for step in &steps {
            table.change(step).unwrap();
            // Nobody who had a server, and will have one, is without in between.
            for id in without_server(&table) {
                let has = |table: &Table| table.services.get(&id).is_some_and(|entry| !entry.destinations.is_empty());
                prop_assert!(!(has(&old) && has(&new)), "{:?}", id);
            }
        }
        prop_assert_eq!(&table, &new);
        prop_assert_eq!(new.diff(&table), vec![]);
        // Back from there, and from wherever a part of the steps leads.
        let done = steps.clone();
        let mut part = old.clone();
        for (at, change) in done.iter().enumerate() {
            if some >> (at % 64) & 1 == 1 {
                // What only makes sense behind a step that is left out is refused.
                let _ = part.change(change);
            }
        }
        for mut table in [table, part] {
            for step in &table.diff(&back::back(&table, &done, &old).table) {
                table.change(step).unwrap();
            }
            prop_assert_eq!(&table, &old);
        }
    }

    #[test]
    fn what_others_changed_stays_when_a_change_is_undone(old in any_table(), new in any_table(), other in 9..12_u8) {
        let id = ServiceId::tcp([10, 0, 0, other].into(), 80);
        let theirs = Change::AddService(Service::new(id, "rr".parse().unwrap()));
        let done = old.diff(&new);
        let mut table = old.clone();
        for change in &done {
            table.change(change).unwrap();
        }
        let mut expected = old.clone();
        for table in [&mut table, &mut expected] {
            table.change(&theirs).unwrap();
        }
        for step in &table.diff(&back::back(&table, &done, &old).table) {
            table.change(step).unwrap();
        }
        prop_assert_eq!(&table, &expected);
    }
}

#[test]
fn what_a_table_does_not_speak_of_stays() {
    let id = |port| ServiceId::tcp([10, 0, 0, 1].into(), port);
    let table = |ports: &[u16], scheduler: &str| {
        let mut table = none_runs();
        for port in ports {
            table.change(&Change::AddService(Service::new(id(*port), scheduler.parse().unwrap()))).unwrap();
        }
        table
    };
    let now = table(&[80, 81, 82, 83], "rr");
    let desired = table(&[80, 81, 84, 85], "wlc");
    // 83 is gone and 85 is new, though both differ; 82 and 84 are not spoken of, nor are daemons.
    let some = desired.clone().only([id(80), id(83), id(85)]);
    assert_eq!(some.services().map(|service| service.id).collect::<Vec<_>>(), [id(80), id(85)]);
    let steps: Vec<String> = now.diff(&some).iter().map(|change| format!("{change:?}")).collect();
    let words: Vec<&str> = steps.iter().filter_map(|step| step.split('(').next()).collect();
    assert_eq!(words, ["EditService", "AddService", "DeleteService"]);
    assert!(steps.iter().zip([80, 85, 83]).all(|(step, port)| step.contains(&port.to_string())), "{steps:?}");
    assert_eq!(now.diff(&desired.only([])), []);
}
