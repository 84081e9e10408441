//! The example programs do what they say, on the kernel.

#[path = "../../examples/async_handle.rs"]
#[expect(dead_code, reason = "its main function is for cargo run --example")]
mod async_handle;
#[path = "../../examples/async_listing.rs"]
#[expect(dead_code, reason = "its main function is for cargo run --example")]
mod async_listing;
#[path = "../../examples/drain.rs"]
#[expect(dead_code, reason = "its main function is for cargo run --example")]
mod drain;
#[path = "../../examples/exporter.rs"]
#[expect(dead_code, reason = "its main function is for cargo run --example")]
mod exporter;
#[path = "../../examples/rates.rs"]
#[expect(dead_code, reason = "its main function is for cargo run --example")]
mod rates;
#[path = "../../examples/reconcile.rs"]
#[expect(dead_code, reason = "its main function is for cargo run --example")]
mod reconcile;

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use ipvs::{
    Change, Client, Counters, Destination, DestinationId, FakeKernel, ForwardingMethod, Message, Operation,
    Scheduler, Service, Stats, Table,
};

use crate::{client, web};

/// The only server of [`connected`].
fn server() -> Destination {
    Destination::new("192.0.2.0".parse().unwrap(), 8080, ForwardingMethod::Masquerade)
}

/// A service of this machine with one server on it, and a connection to it: both ends.
fn connected(client: &mut Client) -> (TcpStream, TcpStream) {
    for address in ["192.0.2.1/32", "192.0.2.0/32"] {
        let ip = Command::new("ip").args(["addr", "add", address, "dev", "lo"]).status();
        assert!(ip.unwrap().success());
    }
    let listener = TcpListener::bind("192.0.2.0:8080").unwrap();
    client.add_service(&Service::new(web(), Scheduler::WLC)).unwrap();
    client.add_destination(&web(), &server().with_weight(5)).unwrap();
    let near = TcpStream::connect("192.0.2.1:80").unwrap();
    let (far, _) = listener.accept().unwrap();
    // The last packet of the handshake may still be in transit.
    wait(|| client.destinations(&web()).unwrap().iter().any(|entry| entry.active_connections == 1));
    (near, far)
}

/// Waits for a condition; fails if it does not become true.
fn wait(mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_true() {
        assert!(Instant::now() < end, "it did not come true");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_reconciler_lets_connections_end() {
    let mut watcher = client();
    let (near, far) = connected(&mut watcher);
    let new = Destination::new("192.0.2.12".parse().unwrap(), 80, ForwardingMethod::DirectRouting);
    let desired = "
services:
  - {protocol: tcp, address: 192.0.2.1, port: 80, scheduler: rr, servers: [
      {address: 192.0.2.12, port: 80, forwarding: direct_routing}]}
";
    let desired: Table = serde_yaml_ng::from_str(desired).unwrap();
    let weights = |client: &mut Client| {
        let mut servers = client.destinations(&web()).unwrap();
        servers.sort_by_key(|entry| entry.destination.id);
        let weights = servers.iter().map(|entry| (entry.destination.id, entry.destination.weight));
        weights.collect::<Vec<_>>()
    };
    // The client moves to the reconciling thread.
    let mut client = Client::open().unwrap();
    let keeper = std::thread::spawn({
        let desired = desired.clone();
        move || {
            while !reconcile::reconcile(&mut client, &desired).unwrap() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    });
    wait(|| weights(&mut watcher).len() == 2);
    assert_eq!(weights(&mut watcher), [(server().id, 0), (new.id, 1)]);
    assert_eq!(watcher.service(&web()).unwrap().service.scheduler, Scheduler::RR);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!keeper.is_finished() && weights(&mut watcher).len() == 2, "it has a connection");
    drop((near, far));
    keeper.join().unwrap();
    assert_eq!(weights(&mut watcher), [(new.id, 1)]);
    assert_eq!(Table::read_for(&mut watcher, &desired).unwrap(), desired);
}

#[test]
fn a_drained_server_goes_with_its_last_connection() {
    let mut client = client();
    assert!(drain::drain(&mut client, &web(), &server().id, Duration::ZERO).unwrap_err().is_not_found());
    let (near, far) = connected(&mut client);
    assert!(!drain::drain(&mut client, &web(), &server().id, Duration::ZERO).unwrap());
    assert_eq!(client.destinations(&web()).unwrap()[0].destination, server().with_weight(0));
    drop((near, far));
    assert!(drain::drain(&mut client, &web(), &server().id, Duration::from_secs(20)).unwrap());
    assert_eq!(client.destinations_or_none(&web()).unwrap(), []);
    let nobody = DestinationId::new("192.0.2.99".parse().unwrap(), 80);
    assert!(drain::drain(&mut client, &web(), &nobody, Duration::ZERO).unwrap());
}

#[test]
fn rates_are_right_across_a_reset() {
    // On the real kernel, where a connection is counted within two seconds.
    let mut client = client();
    let mut poller = rates::Poller::new(&mut client).unwrap();
    let _ends = connected(&mut client);
    let mut seen = Counters::default();
    wait(|| {
        let traffic = poller.poll(&mut client).unwrap();
        seen.connections += traffic.iter().map(|row| row.counters.connections).sum::<u64>();
        seen.connections > 0
    });
    assert_eq!(seen.connections, 1);
    client.zero(None).unwrap();
    assert_eq!(poller.poll(&mut client).unwrap()[0].counters.connections, 0);
    // On the fake kernel, where counters are set explicitly.
    let kernel = FakeKernel::new();
    let mut client = Client::with_transport(kernel.clone()).unwrap();
    client.add_service(&Service::new(web(), Scheduler::RR)).unwrap();
    client.add_destination(&web(), &server()).unwrap();
    let mut poller = rates::Poller::new(&mut client).unwrap();
    for (total, expected) in [(100, 100), (150, 50), (150, 0), (30, 30)] {
        let stats = Stats::default().with_total(Counters::default().with_connections(total));
        assert!(kernel.set_traffic(&web(), &server().id, 0, 0, stats));
        std::thread::sleep(Duration::from_millis(10));
        let traffic = poller.poll(&mut client).unwrap();
        let [row] = &traffic[..] else { panic!("{} rows", traffic.len()) };
        assert_eq!((row.service, row.server, row.counters.connections), (web(), server().id, expected));
        assert!((row.per_second > 0.0) == (expected > 0));
    }
}

#[test]
fn an_asynchronous_program_lists_the_table() {
    let mut blocking = client();
    blocking.add_service(&Service::new(web(), Scheduler::RR)).unwrap();
    blocking.add_destination(&web(), &server()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let (connection, mut handle, _) = genetlink::new_connection().unwrap();
        tokio::spawn(connection);
        assert_eq!(async_handle::services(&mut handle).await.unwrap(), blocking.services().unwrap());
        let servers = async_handle::destinations(&mut handle, &web()).await.unwrap();
        assert_eq!(servers, blocking.destinations(&web()).unwrap());
        let add = Change::AddService(Service::new(web(), Scheduler::RR));
        let refused = async_handle::request(&mut handle, Operation::AddService, Message::change(&add))
            .await
            .unwrap_err();
        assert!(refused.downcast_ref::<ipvs::Error>().unwrap().is_exists());
    });
}

#[test]
fn an_exporter_and_an_asynchronous_program_see_the_table() {
    let mut client = client();
    client.add_service(&Service::new(web(), Scheduler::WLC)).unwrap();
    client.add_destination(&web(), &server()).unwrap();
    let page = exporter::metrics(&mut client).unwrap();
    let line = "ipvs_active_connections{service=\"TCP 192.0.2.1:80\",server=\"192.0.2.0:8080\"} 0";
    assert!(page.lines().any(|other| other == line), "{page}");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (_, table) = runtime.block_on(async_listing::list(client)).unwrap();
    assert_eq!(table[0].1[0].destination, server());
}

#[test]
fn a_watcher_is_told_what_others_change() {
    let mut client = client();
    let mut other = Client::open().unwrap();
    other.add_service(&Service::new(web(), Scheduler::WLC)).unwrap();
    let mut changes = client.watch(Duration::from_millis(20));
    let first = changes.next().unwrap().unwrap();
    assert!(first.contains(&Change::AddService(Service::new(web(), Scheduler::WLC))), "{first:?}");
    other.add_destination(&web(), &server()).unwrap();
    let added = Change::AddDestination { service: web(), destination: server() };
    assert_eq!(changes.next().unwrap().unwrap(), [added]);
    other.delete_service(&web()).unwrap();
    assert_eq!(changes.next().unwrap().unwrap(), [Change::DeleteService(web())]);
    assert_eq!(changes.table().services().count(), 0);
}
