//! What the kernel would take as something else is refused, and a table that is empty by accident deletes nothing.

use ipvs::{
    ApplyError, Change, DaemonState, Destination, Error, ErrorKind, Family, ForwardingMethod, Netmask,
    Persistence, PersistenceEngine, Scheduler, Service, ServiceId, SyncDaemon, Table,
};

use crate::{client, web};

fn persistent(id: ServiceId, timeout: u32, netmask: Netmask) -> Service {
    Service::new(id, Scheduler::WLC).with_persistence(Persistence::new(timeout, netmask))
}

/// Changes that a kernel takes without a word, and has something else afterwards.
fn misunderstood() -> Vec<(Change, &'static str)> {
    let v6 = ServiceId::tcp("2001:db8::1".parse().unwrap(), 80);
    let mark = ServiceId::fwmark(7, Family::V4).unwrap();
    let server = |method: u32| {
        let method = ForwardingMethod::from(method);
        let destination = Destination::new("192.0.2.11".parse().unwrap(), 80, method);
        Change::AddDestination { service: web(), destination }
    };
    let plain = Service::new(web(), Scheduler::WLC);
    let daemon = SyncDaemon::new(DaemonState::Master, "lo".parse().unwrap(), 256);
    vec![
        (Change::AddService(persistent(web(), 300, Netmask::single(Family::V6))), "255.255.255.0"),
        (Change::AddService(persistent(mark, 300, Netmask::V6(64))), "255.255.255.0"),
        (Change::AddService(persistent(v6, 300, Netmask::V4([1, 0, 0, 0].into()))), "from 1 to 128"),
        (Change::AddService(persistent(web(), 42_949_673, Netmask::single(Family::V4))), "2678400"),
        (Change::AddService(persistent(web(), u32::MAX, Netmask::single(Family::V4))), "2678400"),
        (Change::AddService(plain.with_engine(PersistenceEngine::default())), "no engine"),
        (server(8), "up to 7"),
        (server(u32::MAX), "up to 7"),
        (Change::StartDaemon(daemon), "from 0 to 255"),
    ]
}

#[test]
fn what_the_kernel_would_misunderstand_is_refused_everywhere() {
    let mut client = client();
    client
        .add_service(&Service::new(ServiceId::udp("192.0.2.9".parse().unwrap(), 53), Scheduler::RR))
        .unwrap();
    let before = Table::read(&mut client).unwrap();
    for (change, remedy) in misunderstood() {
        let error = change.check().unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.kind() == ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(remedy), "{error}");
        assert!(matches!(client.apply(&change), Err(Error::Invalid { .. })), "{change}");
        let mut table = before.clone();
        let _ = table.change(&Change::AddService(Service::new(web(), Scheduler::WLC)));
        assert!(matches!(table.change(&change), Err(Error::Invalid { .. })), "{change}");
        // Put in as it is, it is refused when it is applied.
        if let Change::AddService(service) = change {
            let mut table = before.clone();
            table.put(service, []);
            let error = table.apply(&mut client).unwrap_err();
            assert!(matches!(error, ApplyError::Invalid { .. }), "{error}");
            assert!(error.to_string().contains(remedy), "{error}");
        }
    }
    assert_eq!(Table::read(&mut client).unwrap(), before);
}

#[test]
fn the_others_of_many_changes_are_carried_out() {
    let mut client = client();
    let service = |port| Service::new(ServiceId::tcp("192.0.2.1".parse().unwrap(), port), Scheduler::RR);
    let bad = Change::AddService(persistent(web(), 300, Netmask::V6(64)));
    let add = |port| Change::AddService(service(port));
    let refused = client.apply_all(&[bad, add(1), add(1), bad, add(2)]).unwrap();
    let told: Vec<(usize, Option<i32>)> = refused.iter().map(|(at, error)| (*at, error.errno())).collect();
    assert_eq!(told, [(0, None), (2, Some(17)), (3, None)]);
    assert_eq!(client.services().unwrap().len(), 2);
}

#[test]
fn a_table_that_is_empty_by_accident_deletes_nothing() {
    let mut client = client();
    let service = Service::new(web(), Scheduler::RR);
    let emptied: [fn() -> Table; 3] = [
        Table::emptied,
        || {
            let mut table = Table::default();
            table.change(&Change::Flush).unwrap();
            table
        },
        || serde_json::from_str(r#"{"services":[]}"#).unwrap(),
    ];
    // An empty table is reached from an empty one.
    Table::default().apply(&mut client).unwrap();
    for empty in emptied {
        client.add_service(&service).unwrap();
        let mut gone = Table::default();
        gone.change(&Change::AddService(service)).unwrap();
        gone.change(&Change::DeleteService(service.id)).unwrap();
        for accident in [Table::default(), gone] {
            let error = accident.apply(&mut client).unwrap_err();
            assert!(matches!(error, ApplyError::Empty), "{error}");
            assert_eq!(client.services().unwrap().len(), 1);
        }
        empty().apply(&mut client).unwrap();
        assert!(client.services().unwrap().is_empty());
    }
    // One that speaks of some services says itself what is to go.
    client.add_service(&service).unwrap();
    Table::default().only([]).apply(&mut client).unwrap();
    assert_eq!(client.services().unwrap().len(), 1);
    Table::default().only([web()]).apply(&mut client).unwrap();
    assert!(client.services().unwrap().is_empty());
}
