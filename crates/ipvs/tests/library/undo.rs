//! The undo of a refused `Table::apply` while another program changes the same table: what that program has changed
//! since stays, whatever it is.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex};

use ipvs::{
    ApplyError, Change, Client, DaemonState, Destination, DestinationId, ForwardingMethod, Service,
    ServiceId, SyncDaemon, Table, Timeouts, Transport,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_GENERIC;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// The kernel, with another program that does something after each datagram with changes.
struct Beside<F> {
    socket: Socket,
    /// How many such datagrams there were.
    sent: usize,
    other: Client,
    act: F,
}

impl<F: FnMut(usize, &mut Client) + Send + 'static> Beside<F> {
    fn client(act: F) -> Client {
        let socket = Socket::new(NETLINK_GENERIC).unwrap();
        Client::with_transport(Self { socket, sent: 0, other: Client::open().unwrap(), act }).unwrap()
    }
}

/// Whether a datagram has requests that change the table.
fn is_change(datagram: &[u8]) -> bool {
    const CONTROL: [u8; 2] = [0x10, 0];
    const CHANGES: [u8; 9] = [1, 2, 3, 5, 6, 7, 9, 10, 12];
    datagram.get(4..6) != Some(&CONTROL[..])
        && datagram.get(16).is_some_and(|command| CHANGES.contains(command))
}

impl<F: FnMut(usize, &mut Client) + Send> Transport for Beside<F> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram, 0)?;
        if is_change(datagram) {
            self.sent += 1;
            (self.act)(self.sent, &mut self.other);
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.socket.recv(buffer, MSG_DONTWAIT).map(|_| ())
    }
}

fn id(number: u8) -> ServiceId {
    ServiceId::tcp([10, 0, 0, number].into(), 80)
}

fn service(number: u8, scheduler: &str) -> Service {
    Service::new(id(number), scheduler.parse().unwrap())
}

fn server(number: u8, weight: u32) -> Destination {
    Destination::new([10, 1, 0, number].into(), 80, ForwardingMethod::Masquerade).with_weight(weight)
}

fn server_id(number: u8) -> DestinationId {
    DestinationId::new([10, 1, 0, number].into(), 80)
}

fn edit(service: u8, number: u8, weight: u32) -> Change {
    Change::EditDestination { service: id(service), destination: server(number, weight) }
}

fn add(service: u8, number: u8, weight: u32) -> Change {
    Change::AddDestination { service: id(service), destination: server(number, weight) }
}

fn delete(service: u8, number: u8) -> Change {
    Change::DeleteDestination { service: id(service), destination: server_id(number) }
}

fn table(changes: &[Change]) -> Table {
    let mut table = Table::default();
    for change in changes {
        table.change(change).unwrap();
    }
    table
}

/// A service whose scheduler no kernel has, behind all others: it is refused when they are in effect.
fn refused() -> Change {
    Change::AddService(service(250, "nosuch"))
}

/// The undo of a file that is refused, while another program makes `theirs` after the first datagram: what the table is
/// then, and what is said of it.
fn undone(before: &[Change], file: &[Change], theirs: Vec<Change>) -> (Table, ApplyError) {
    lab::isolate();
    let mut plain = Client::open().unwrap();
    assert!(plain.apply_all(before).unwrap().is_empty());
    let mut client = Beside::client(move |sent, other| {
        if sent == 1 {
            assert!(other.apply_all(&theirs).unwrap().is_empty());
        }
    });
    let error = table(&[file, &[refused()]].concat()).apply(&mut client).unwrap_err();
    (Table::read(&mut plain).unwrap(), error)
}

/// Expects that a table is one with these services and servers, and that nothing is left to be done, and returns of which
/// changes it is said that they were not undone.
fn assert_left(before: &[Change], file: &[Change], theirs: &[Change], expected: &[Change]) -> Vec<Change> {
    let (left, error) = undone(before, file, theirs.to_vec());
    let expected = table(expected);
    assert_eq!(left.diff(&expected), [], "{error}");
    let ApplyError::Undone { is_as_before, kept, failed, .. } = error else { panic!("{error}") };
    assert!(!failed.is_empty());
    assert_eq!(is_as_before, kept.is_empty(), "{kept:?}");
    kept
}

#[test]
fn what_another_program_has_changed_since_is_not_undone() {
    let before = [
        Change::AddService(service(1, "rr")),
        add(1, 1, 5),
        add(1, 2, 5),
        add(1, 3, 5),
        Change::AddService(service(2, "rr")),
        add(2, 1, 5),
    ];
    // The file gives the first server another weight, and adds another service with one.
    let file = [
        Change::AddService(service(1, "rr")),
        add(1, 1, 9),
        add(1, 2, 5),
        add(1, 3, 5),
        Change::AddService(service(2, "wrr")),
        add(2, 1, 9),
        Change::AddService(service(3, "rr")),
        add(3, 1, 5),
    ];
    let with = |changes: &[Change]| {
        let mut after = table(&before);
        for change in changes {
            after.change(change).unwrap();
        }
        Table::default().diff(&after)
    };
    // Nobody beside it.
    assert_eq!(assert_left(&before, &file, &[], &before), []);
    // A drain, a deletion, another service's scheduler, and a server of theirs in the new service.
    let drained = [edit(1, 1, 0)];
    assert_eq!(assert_left(&before, &file, &drained, &with(&drained)), [edit(1, 1, 9)]);
    let gone = [delete(1, 1)];
    assert_eq!(assert_left(&before, &file, &gone, &with(&gone)), [edit(1, 1, 9)]);
    let scheduler = [Change::EditService(service(2, "wlc"))];
    assert_eq!(
        assert_left(&before, &file, &scheduler, &with(&scheduler)),
        [Change::EditService(service(2, "wrr"))]
    );
    let deleted = [Change::DeleteService(id(2))];
    assert_eq!(
        assert_left(&before, &file, &deleted, &with(&deleted)),
        [Change::EditService(service(2, "wrr")), edit(2, 1, 9)]
    );
    let joined = [Change::AddService(service(3, "rr")), add(3, 7, 1)];
    assert_eq!(
        assert_left(&before, &file, &joined[1..], &with(&joined)),
        [Change::AddService(service(3, "rr"))]
    );
    // What they did elsewhere stays, too.
    let elsewhere = [edit(1, 2, 0), delete(1, 3)];
    assert_eq!(assert_left(&before, &file, &elsewhere, &with(&elsewhere)), []);
}

#[test]
fn timeouts_of_another_program_are_not_undone() {
    lab::isolate();
    let mut now = Client::open().unwrap();
    now.set_timeouts(&Timeouts { tcp: 10, tcp_fin: 11, udp: 12 }).unwrap();
    let file = [
        Change::AddService(service(1, "rr")),
        Change::SetTimeouts(Timeouts { tcp: 90, tcp_fin: 91, udp: 92 }),
        Change::StartDaemon(SyncDaemon::new(DaemonState::Backup, "nosuch".parse().unwrap(), 0)),
    ];
    // Those before the daemon are one datagram.
    let mut client = Beside::client(|sent, other| {
        if sent == 1 {
            other.set_timeouts(&Timeouts { tcp: 0, tcp_fin: 55, udp: 0 }).unwrap();
        }
    });
    let error = table(&file).apply(&mut client).unwrap_err();
    assert_eq!(now.timeouts().unwrap(), Timeouts { tcp: 10, tcp_fin: 55, udp: 12 }, "{error}");
    assert!(now.services().unwrap().is_empty());
    assert!(error.to_string().contains("not undone, as it has changed this since: set timeouts"), "{error}");
}

#[test]
fn a_daemon_of_another_program_is_not_undone() {
    lab::isolate();
    let mut now = Client::open().unwrap();
    let daemon = |id, interface: &str| SyncDaemon::new(DaemonState::Backup, interface.parse().unwrap(), id);
    for theirs in [None, Some(7)] {
        now.start_daemon(&daemon(1, "lo")).unwrap();
        // Ours is stopped for one that cannot start; meanwhile another program may start one.
        let mut theirs_to_start = theirs;
        let mut client = Beside::client(move |_, other| {
            if other.daemons().unwrap().is_empty() {
                if let Some(id) = theirs_to_start.take() {
                    other.start_daemon(&daemon(id, "lo")).unwrap();
                }
            }
        });
        let file = [Change::AddService(service(1, "rr")), Change::StartDaemon(daemon(2, "nosuch"))];
        let error = table(&file).apply(&mut client).unwrap_err();
        let running: Vec<u32> = now.daemons().unwrap().iter().map(|daemon| daemon.sync_id).collect();
        assert_eq!(running, [theirs.unwrap_or(1)], "{error}");
        now.stop_daemon(DaemonState::Backup, running[0]).unwrap();
    }
}

#[test]
fn with_a_writer_that_never_rests_the_way_back_has_nothing_of_its_own() {
    lab::isolate();
    let mut plain = Client::open().unwrap();
    let before: Vec<Change> = [Change::AddService(service(1, "rr"))]
        .into_iter()
        .chain((1..=20).map(|number| add(1, number, 5)))
        .collect();
    assert!(plain.apply_all(&before).unwrap().is_empty());
    let file: Vec<Change> = [Change::AddService(service(1, "wrr"))]
        .into_iter()
        .chain((1..=20).map(|number| add(1, number, 9)))
        .chain([refused()])
        .collect();
    // It gives half of the servers another weight each time, that of the file too.
    let mut client = Beside::client(|sent, other| {
        let weight = [7, 9, 3, 9, 0, 9][sent % 6];
        let changes: Vec<Change> = (1..=10).map(|number| edit(1, number, weight)).collect();
        assert!(other.apply_all(&changes).unwrap().is_empty());
    });
    let error = table(&file).apply(&mut client).unwrap_err();
    let ApplyError::Undone { .. } = error else { panic!("{error}") };
    let left = Table::read(&mut plain).unwrap();
    assert_eq!(left.service(&id(1)), Some(&service(1, "rr")), "{error}");
    for number in 11..=20 {
        assert_eq!(left.destination(&id(1), &server_id(number)), Some(&server(number, 5)), "{error}");
    }
}

/// A step of another program's: a weight, a server that comes or goes, a service that goes or is changed.
fn step() -> impl Strategy<Value = Change> {
    (1..4_u8, 1..4_u8, 0..4_u32).prop_flat_map(|(at, number, weight)| {
        prop_oneof![
            3 => Just(edit(at, number, weight)),
            2 => Just(add(at, number, weight)),
            2 => Just(delete(at, number)),
            1 => Just(Change::DeleteService(id(at))),
            1 => Just(Change::AddService(service(at, "lc"))),
            1 => Just(Change::EditService(service(at, "lc"))),
        ]
    })
}

/// A table of few services with few servers.
fn few(scheduler: &'static str) -> impl Strategy<Value = Vec<Change>> {
    let servers = prop::collection::btree_map(1..4_u8, 1..4_u32, 0..3);
    prop::collection::btree_map(1..4_u8, servers, 1..3).prop_map(move |services| {
        let mut changes = Vec::new();
        for (at, servers) in services {
            changes.push(Change::AddService(service(at, scheduler)));
            changes.extend(servers.into_iter().map(|(number, weight)| add(at, number, weight)));
        }
        changes
    })
}

#[test]
fn whatever_another_program_does_is_there_after_the_undo() {
    lab::isolate();
    let plain = RefCell::new(Client::open().unwrap());
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 0..5);
    TestRunner::new(config)
        .run(&(few("rr"), few("wrr"), steps), |(before, file, theirs)| {
            let mut plain = plain.borrow_mut();
            plain.flush().unwrap();
            assert!(plain.apply_all(&before).unwrap().is_empty());
            let seen = Arc::new(Mutex::new(None));
            let told = Arc::clone(&seen);
            let mut client = Beside::client(move |sent, other| {
                if sent == 1 {
                    let between = Table::read(other).unwrap();
                    other.apply_all(&theirs).unwrap(); // some of them are refused
                    *told.lock().unwrap() = Some((between, Table::read(other).unwrap()));
                }
            });
            let error = table(&[&file[..], &[refused()]].concat()).apply(&mut client).unwrap_err();
            let after = Table::read(&mut plain).unwrap();
            let (between, theirs) = seen.lock().unwrap().take().unwrap();
            let before = table(&before);
            for at in 1..4 {
                let of = |table: &Table| table.service(&id(at)).copied();
                let expected = if of(&theirs) == of(&between) { of(&before) } else { of(&theirs) };
                let has_theirs = |server: u8| {
                    let of = |table: &Table| table.destination(&id(at), &server_id(server)).copied();
                    of(&theirs).is_some() && of(&theirs) != of(&between)
                };
                let is_kept = of(&before).is_none() && (1..4).any(has_theirs);
                let expected = if is_kept { of(&theirs) } else { expected };
                prop_assert_eq!(of(&after), expected, "service {}: {}", at, error);
                for number in (1..4).filter(|_| expected.is_some()) {
                    let of = |table: &Table| table.destination(&id(at), &server_id(number)).copied();
                    let expected = if of(&theirs) == of(&between) { of(&before) } else { of(&theirs) };
                    prop_assert_eq!(of(&after), expected, "server {} of {}: {}", number, at, error);
                }
            }
            Ok(())
        })
        .unwrap();
}
