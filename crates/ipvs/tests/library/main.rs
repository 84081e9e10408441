//! Tests that the library sends the kernel what its types mean, and reads back the kernel's state.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test ends where it fails")]

mod answers;
mod as_meant;
mod concurrent;
mod examples;
mod fake_kernel;
mod garbled;
mod json;
mod message;
mod namespaces;
mod schema;
mod text;
mod traffic;
mod undo;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipvs::{
    Change, Checksum, Client, DaemonState, Destination, DestinationId, Error, ErrorKind, Family,
    ForwardingMethod, Netmask, Operation, Persistence, Protocol, Scheduler, SchedulerFlags, Service,
    ServiceId, SyncDaemon, Timeouts, Tunnel, TunnelKind, Version,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;

/// A client in a network of this test.
fn client() -> Client {
    lab::isolate();
    Client::open().unwrap()
}

fn web() -> ServiceId {
    ServiceId::tcp("192.0.2.1".parse().unwrap(), 80)
}

fn errno(result: ipvs::Result<()>) -> Option<i32> {
    result.unwrap_err().errno()
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

fn service_id() -> impl Strategy<Value = ServiceId> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    prop_oneof![
        (protocol, address(), any::<u16>()).prop_map(|(protocol, address, port)| ServiceId::Address {
            protocol,
            address,
            port
        }),
        (1..=u32::MAX, family).prop_map(|(mark, family)| ServiceId::fwmark(mark, family).unwrap()),
    ]
}

fn service() -> impl Strategy<Value = Service> {
    let scheduler =
        prop::sample::select(vec!["rr", "wrr", "lc", "wlc", "lblc", "dh", "sh", "mh", "sed", "nq", "fo"]);
    let flags = prop::sample::subsequence(
        vec![SchedulerFlags::FLAG_1, SchedulerFlags::FLAG_2, SchedulerFlags::FLAG_3],
        0..=3,
    );
    // No kernel can count more than 1000 ticks a second in 32 bits.
    let persistence = prop::option::of((1..=2_147_483_u32, any::<u32>(), 1..=128_u8));
    (service_id(), scheduler, flags, persistence, any::<bool>(), any::<bool>()).prop_map(
        |(id, scheduler, flags, persistence, engine, one_packet)| Service {
            scheduler_flags: flags.into_iter().fold(SchedulerFlags::default(), |all, flag| all | flag),
            persistence: persistence.map(|(timeout, mask, bits)| Persistence {
                timeout,
                netmask: match id.family() {
                    Family::V4 => Netmask::V4(Ipv4Addr::from_bits(mask)),
                    Family::V6 => Netmask::V6(bits),
                },
            }),
            engine: engine.then(|| "sip".parse().unwrap()),
            one_packet,
            ..Service::new(id, scheduler.parse().unwrap())
        },
    )
}

fn destination() -> impl Strategy<Value = Destination> {
    let checksum = || prop_oneof![Just(Checksum::Off), Just(Checksum::On), Just(Checksum::Remote)];
    let forwarding = prop_oneof![
        Just(ForwardingMethod::DirectRouting),
        Just(ForwardingMethod::Masquerade),
        Just(ForwardingMethod::Tunnel(Tunnel::Ipip)),
        (1..=u16::MAX, checksum())
            .prop_map(|(port, checksum)| ForwardingMethod::Tunnel(Tunnel::Gue { port, checksum })),
        checksum().prop_map(|checksum| ForwardingMethod::Tunnel(Tunnel::Gre { checksum })),
        // Unknown kinds are preserved completely.
        (3..=u8::MAX, any::<u16>(), any::<u16>()).prop_map(|(kind, port, flags)| {
            ForwardingMethod::Tunnel(Tunnel::new(TunnelKind::from(kind), port, Checksum::from(flags)))
        }),
    ];
    // Addresses of single hosts, which the kernel requires.
    let address = prop_oneof![
        (1..=250_u8, 1..=250_u8).prop_map(|(net, host)| IpAddr::from([10, 9, net, host])),
        any::<u16>().prop_map(|host| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 1, host])),
    ];
    (address, any::<u16>(), forwarding, 0..=0x7fff_ffff_u32, 0..=0x7fff_ffff_u32, any::<u32>()).prop_map(
        |(address, port, forwarding, weight, upper, lower)| {
            let mut destination = Destination::new(address, port, forwarding);
            destination.weight = weight;
            destination.upper_threshold = upper;
            destination.lower_threshold = lower % (upper + 1);
            destination
        },
    )
}

fn runner() -> TestRunner {
    // Writes in the lab are lost: a failing case is printed, and must become a test.
    TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() })
}

#[test]
fn a_service_comes_back_as_it_was_written() {
    let client = RefCell::new(client());
    runner()
        .run(&(service(), service()), |(first, second)| {
            let mut client = client.borrow_mut();
            client.add_service(&first).unwrap();
            assert_eq!(client.service(&first.id).unwrap().service, first);
            assert_eq!(errno(client.add_service(&first)), Some(EEXIST));
            let second = Service { id: first.id, persistence: None, ..second };
            client.edit_service(&second).unwrap();
            let all = client.services().unwrap();
            assert_eq!(all.iter().map(|entry| entry.service).collect::<Vec<_>>(), [second]);
            client.delete_service(&first.id).unwrap();
            assert_eq!(errno(client.edit_service(&second)), Some(ESRCH));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_destination_comes_back_as_it_was_written() {
    let mut client = client();
    let of = |address: IpAddr| ServiceId::tcp(address, 80);
    let (v4, v6) = (of("192.0.2.1".parse().unwrap()), of("2001:db8::1".parse().unwrap()));
    client.add_service(&Service::new(v4, "wlc".parse().unwrap())).unwrap();
    client.add_service(&Service::new(v6, "wlc".parse().unwrap())).unwrap();
    let client = RefCell::new(client);
    runner()
        .run(&(destination(), destination(), any::<bool>()), |(first, second, other_family)| {
            let mut client = client.borrow_mut();
            // With a tunnel, a server may be of another family than its service.
            let crosses = other_family && matches!(first.forwarding, ForwardingMethod::Tunnel(_));
            let service = if first.id.address.is_ipv4() == crosses { v6 } else { v4 };
            client.add_destination(&service, &first).unwrap();
            let all = client.destinations(&service).unwrap();
            assert_eq!(all.iter().map(|entry| entry.destination).collect::<Vec<_>>(), [first]);
            let second = Destination { id: first.id, ..second };
            if !crosses || matches!(second.forwarding, ForwardingMethod::Tunnel(_)) {
                client.edit_destination(&service, &second).unwrap();
                assert_eq!(client.destinations(&service).unwrap()[0].destination, second);
            }
            client.delete_destination(&service, &first.id).unwrap();
            assert_eq!(errno(client.delete_destination(&service, &first.id)), Some(ENOENT));
            Ok(())
        })
        .unwrap();
}

#[test]
fn refusals_of_many_changes_are_told_by_position() {
    let mut client = client();
    let service = |number: u16| {
        Service::new(ServiceId::tcp("192.0.2.1".parse().unwrap(), number), "rr".parse().unwrap())
    };
    // Far more than fit into one datagram, with refusals at the boundaries.
    let changes: Vec<Change> = (1..=1000)
        .map(|number| match number {
            1 | 128 | 129 | 1000 => Change::DeleteService(service(60000).id),
            number if number % 100 == 50 => Change::AddService(service(number - 1)),
            number => Change::AddService(service(number)),
        })
        .collect();
    let refused = client.apply_all(&changes).unwrap();
    let told: Vec<(usize, Option<i32>)> = refused.iter().map(|(at, error)| (at + 1, error.errno())).collect();
    let mut expected = vec![(1, Some(ESRCH)), (128, Some(ESRCH)), (129, Some(ESRCH)), (1000, Some(ESRCH))];
    expected.extend((0..10).map(|hundred| (hundred * 100 + 50, Some(EEXIST))));
    expected.sort_unstable();
    assert_eq!(told, expected);
    assert_eq!(client.services().unwrap().len(), 1000 - expected.len());
}

#[test]
fn no_refusal_is_lost_however_many_there_are() {
    let mut client = client();
    let mut server =
        Destination::new("2001:db8::11".parse().unwrap(), 80, ForwardingMethod::Tunnel(Tunnel::default()));
    server.upper_threshold = 9;
    // The largest possible requests; their errors contain a copy of each.
    let nowhere = ServiceId::tcp("2001:db8::1".parse().unwrap(), 80);
    let refused = client
        .apply_all(&vec![Change::AddDestination { service: nowhere, destination: server }; 2000])
        .unwrap();
    assert_eq!(refused.len(), 2000);
    assert!(
        refused.iter().enumerate().all(|(at, (told, error))| at == *told && error.errno() == Some(ESRCH))
    );
}

#[test]
fn a_refusal_keeps_the_operation_and_the_reason() {
    let mut client = client();
    let nobody = Destination::new(Ipv4Addr::UNSPECIFIED.into(), 80, ForwardingMethod::DirectRouting);
    assert_eq!(errno(client.add_destination(&web(), &nobody)), Some(ESRCH));
    client.add_service(&Service::new(web(), "rr".parse().unwrap())).unwrap();
    assert_eq!(errno(client.add_destination(&web(), &nobody)), Some(EINVAL));
    let mut server = Destination::new("192.0.2.11".parse().unwrap(), 80, ForwardingMethod::DirectRouting);
    server.lower_threshold = 1;
    assert_eq!(errno(client.add_destination(&web(), &server)), Some(ERANGE));
    let other = ServiceId::tcp("192.0.2.1".parse().unwrap(), 81);
    let error = client.add_service(&Service::new(other, "nosuch".parse().unwrap())).unwrap_err();
    assert!(matches!(error, Error::Kernel { operation: Operation::AddService, errno: ENOENT }), "{error:?}");
    assert_eq!(error.to_string(), "add service: no such scheduler or persistence engine");
}

#[test]
fn what_is_not_there_or_there_already_is_told_without_an_errno() {
    let mut client = client();
    let server = Destination::new("192.0.2.11".parse().unwrap(), 80, ForwardingMethod::DirectRouting);
    let service = Service::new(web(), "rr".parse().unwrap());
    let daemon = SyncDaemon::new(DaemonState::Master, "nosuch".parse().unwrap(), 0);
    assert!(client.delete_service(&web()).unwrap_err().is_not_found());
    assert!(client.service(&web()).unwrap_err().is_not_found());
    assert!(client.add_destination(&web(), &server).unwrap_err().is_not_found());
    client.add_service(&service).unwrap();
    assert!(client.add_service(&service).unwrap_err().is_exists());
    assert!(client.edit_destination(&web(), &server).unwrap_err().is_not_found());
    assert!(client.delete_destination(&web(), &server.id).unwrap_err().is_not_found());
    client.add_destination(&web(), &server).unwrap();
    assert!(client.add_destination(&web(), &server).unwrap_err().is_exists());
    assert!(client.stop_daemon(DaemonState::Master, 0).unwrap_err().is_not_found());
    assert_eq!(client.start_daemon(&daemon).unwrap_err().kind(), ErrorKind::NoSuchInterface);
    let unknown = Service { scheduler: "nosuch".parse().unwrap(), ..service };
    let error = client.edit_service(&unknown).unwrap_err();
    assert!(!error.is_not_found() && error.kind() == ErrorKind::NoSuchScheduler);
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    let error = client.delete_destination(&web(), &DestinationId { port: 81, ..server.id }).unwrap_err();
    assert_eq!(error.to_string(), "delete real server: no such real server");
}

#[test]
fn a_service_without_servers_is_told_from_one_that_is_gone() {
    let mut real = client();
    let mut fake = Client::with_transport(ipvs::FakeKernel::new()).unwrap();
    let server = Destination::new("192.0.2.11".parse().unwrap(), 80, ForwardingMethod::DirectRouting);
    for client in [&mut real, &mut fake] {
        let gone = |error: Error| {
            assert!(error.is_not_found(), "{error:?}");
            assert_eq!(error.to_string(), "read service: no such service");
        };
        gone(client.destinations(&web()).unwrap_err());
        client.add_service(&Service::new(web(), Scheduler::RR)).unwrap();
        assert_eq!(client.destinations(&web()).unwrap(), []);
        client.add_destination(&web(), &server).unwrap();
        assert_eq!(client.destinations(&web()).unwrap(), client.destinations_or_none(&web()).unwrap());
        assert_eq!(client.destinations(&web()).unwrap().len(), 1);
        client.delete_service(&web()).unwrap();
        assert_eq!(client.destinations_or_none(&web()).unwrap(), []);
        gone(client.destinations(&web()).unwrap_err());
    }
}

#[test]
fn a_flush_and_a_new_namespace_are_empty() {
    let mut client = client();
    assert_eq!(client.services().unwrap(), []);
    client.add_service(&Service::new(web(), "rr".parse().unwrap())).unwrap();
    client.zero(Some(&web())).unwrap();
    client.zero(None).unwrap();
    std::thread::spawn(|| assert_eq!(self::client().services().unwrap(), [])).join().unwrap();
    assert_eq!(client.destinations_or_none(&web()).unwrap(), []);
    client.flush().unwrap();
    assert_eq!(client.services().unwrap(), []);
    assert_eq!(client.service(&web()).unwrap_err().errno(), Some(ESRCH));
}

#[test]
fn timeouts_change_where_they_are_named() {
    let mut client = client();
    assert_eq!(client.timeouts().unwrap(), Timeouts { tcp: 900, tcp_fin: 120, udp: 300 });
    client.set_timeouts(&Timeouts { tcp: 0, tcp_fin: 60, udp: 0 }).unwrap();
    assert_eq!(client.timeouts().unwrap(), Timeouts { tcp: 900, tcp_fin: 60, udp: 300 });
}

#[test]
fn the_version_is_the_kernels() {
    let info = client().info().unwrap();
    assert_eq!(info.version, Version { major: 1, minor: 2, patch: 1 });
    assert_eq!(info.connection_table_size, lab::kernel::connection_table_size());
}

#[test]
fn daemons_start_show_and_stop() {
    let mut client = client();
    let master = SyncDaemon::new(DaemonState::Master, "lo".parse().unwrap(), 7);
    let backup = SyncDaemon {
        state: DaemonState::Backup,
        max_length: 2000,
        group: Some("ff02::52".parse().unwrap()),
        port: 9000,
        ttl: 5,
        ..master
    };
    client.start_daemon(&master).unwrap();
    client.start_daemon(&backup).unwrap();
    assert_eq!(errno(client.start_daemon(&master)), Some(EEXIST));
    let running = client.daemons().unwrap();
    let defaults =
        SyncDaemon { port: 8848, ttl: 1, group: Some("224.0.0.81".parse().unwrap()), ..running[0] };
    assert_eq!(running, [SyncDaemon { ..defaults }, backup]);
    // The kernel does not answer a stop before the daemon's thread has run.
    for state in [DaemonState::Master, DaemonState::Backup] {
        client.stop_daemon(state, 7).unwrap();
        assert_eq!(errno(client.stop_daemon(state, 7)), Some(ESRCH));
    }
    assert_eq!(client.daemons().unwrap(), []);
}
