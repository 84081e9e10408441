//! The fake kernel behaves like the real one: the same changes, the same refusals, the same table.

use std::cell::RefCell;

use ipvs::{
    Change, Client, Counters, DaemonState, Destination, DestinationEntry, FakeKernel, Family, ServiceId,
    Stats, SyncDaemon, Timeouts,
};
use proptest::prelude::*;

use crate::{client, destination, runner, service, web};

/// Changes of a few services and servers, so that they meet existing and missing objects.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    let id = prop::sample::select(vec![
        web(),
        ServiceId::udp("192.0.2.1".parse().unwrap(), 53),
        ServiceId::tcp("2001:db8::1".parse().unwrap(), 80),
        ServiceId::fwmark(7, Family::V4).unwrap(),
        ServiceId::fwmark(7, Family::V6).unwrap(),
    ]);
    let whole = (id.clone(), service(), prop::sample::select(vec!["", "nosuch"]), 0..8_u8);
    let whole = whole.prop_filter_map("of its own family", |(id, mut service, bad, one_in_eight)| {
        (service.id.family() == id.family()).then(|| {
            service.id = id;
            if one_in_eight == 0 {
                service.scheduler = bad.parse().unwrap();
            }
            service
        })
    });
    let whole = whole.boxed();
    let address = prop::sample::select(vec![
        "10.9.0.1",
        "10.9.0.2",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "127.0.0.1",
        "2001:db8::9",
        "::",
        "ff02::1",
        "fe80::9",
        "::ffff:10.9.0.1",
    ]);
    let server = (destination(), address, 0..2_u16, 0..8_u8).prop_map(|(mut server, address, port, odd)| {
        server.id = ipvs::DestinationId { address: address.parse().unwrap(), port };
        match odd {
            0 => server.weight = 1 << 31,
            1 => server.lower_threshold = server.upper_threshold.saturating_add(1),
            _ => {}
        }
        server
    });
    let server = server.boxed();
    let state = prop::sample::select(vec![DaemonState::Master, DaemonState::Backup]);
    let daemon = (state.clone(), prop::sample::select(vec!["lo", "nosuch"]), 1000..1500_u16).prop_map(
        |(state, interface, max_length)| SyncDaemon {
            max_length,
            ..SyncDaemon::new(state, interface.parse().unwrap(), 7)
        },
    );
    let seconds = || prop::sample::select(vec![0, 1, 900, u32::MAX]);
    let timeouts =
        (seconds(), seconds(), seconds()).prop_map(|(tcp, tcp_fin, udp)| Timeouts { tcp, tcp_fin, udp });
    prop_oneof![
        4 => whole.clone().prop_map(Change::AddService),
        2 => whole.prop_map(Change::EditService),
        1 => id.clone().prop_map(Change::DeleteService),
        8 => (id.clone(), server.clone()).prop_map(|(id, server)| Change::AddDestination { service: id, destination: server }),
        4 => (id.clone(), server.clone()).prop_map(|(id, server)| Change::EditDestination { service: id, destination: server }),
        2 => (id.clone(), server).prop_map(|(id, server)| Change::DeleteDestination { service: id, destination: server.id }),
        1 => Just(Change::Flush),
        1 => prop::option::of(id).prop_map(Change::Zero),
        1 => timeouts.prop_map(Change::SetTimeouts),
        1 => daemon.prop_map(Change::StartDaemon),
        1 => state.prop_map(|state| Change::StopDaemon { state, sync_id: 7 }),
    ]
}

/// Everything that a client can read, except what only traffic changes.
fn read(client: &mut Client) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut services = client.services().unwrap();
    services.sort_by_key(|entry| entry.service.id);
    let servers: Vec<Vec<DestinationEntry>> =
        services.iter().map(|entry| client.destinations(&entry.service.id).unwrap()).collect();
    (services, servers, client.timeouts().unwrap(), client.daemons().unwrap())
}

#[test]
fn it_answers_as_the_real_one() {
    let real = RefCell::new(client());
    runner()
        .run(&prop::collection::vec(change(), 1..40), |changes| {
            let mut real = real.borrow_mut();
            let stop = [DaemonState::Master, DaemonState::Backup]
                .map(|state| Change::StopDaemon { state, sync_id: 7 });
            real.apply_all(&stop).unwrap();
            real.apply_all(&[
                Change::Flush,
                Change::SetTimeouts(Timeouts { tcp: 900, tcp_fin: 120, udp: 300 }),
            ])
            .unwrap();
            let mut fake = Client::with_transport(FakeKernel::new()).unwrap();
            for change in &changes {
                let errno = |result: ipvs::Result<()>| result.map_err(|error| error.errno());
                prop_assert_eq!(errno(fake.apply(change)), errno(real.apply(change)), "{:?}", change);
            }
            prop_assert_eq!(read(&mut fake), read(&mut real));
            prop_assert_eq!(fake.info().unwrap().version, real.info().unwrap().version);
            Ok(())
        })
        .unwrap();
}

#[test]
fn many_changes_and_their_refusals_keep_their_order() {
    let mut fake = Client::with_transport(FakeKernel::new()).unwrap();
    let changes: Vec<Change> = (0..1000).map(|_| Change::DeleteService(web())).collect();
    let refused = fake.apply_all(&changes).unwrap();
    assert!(refused.iter().map(|(at, _)| *at).eq(0..1000));
}

#[test]
fn traffic_can_be_played() {
    let kernel = FakeKernel::new();
    let mut client = Client::with_transport(kernel.clone()).unwrap();
    let server = Destination::new("10.9.0.1".parse().unwrap(), 80, ipvs::ForwardingMethod::DirectRouting);
    let total = Counters { connections: 5, in_bytes: 1 << 40, ..Counters::default() };
    let stats = Stats { total, ..Stats::default() };
    assert!(!kernel.set_traffic(&web(), &server.id, 3, 2, stats));
    client.add_service(&ipvs::Service::new(web(), "rr".parse().unwrap())).unwrap();
    client.add_destination(&web(), &server).unwrap();
    assert!(kernel.set_traffic(&web(), &server.id, 3, 2, stats));
    let entry = client.destinations(&web()).unwrap()[0];
    assert_eq!((entry.active_connections, entry.inactive_connections, entry.stats), (3, 2, stats));
    client.zero(None).unwrap();
    let entry = client.destinations(&web()).unwrap()[0];
    assert_eq!((entry.active_connections, entry.stats), (3, Stats::default()));
}
