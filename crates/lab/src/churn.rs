//! Services, or servers of one, of which some are deleted and added again all the time.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use ipvs::{Change, Client, Destination, ForwardingMethod, Service, ServiceId};

/// Of that many services or servers, every tenth is deleted and added again.
pub const COUNT: u32 = 5000;

/// The objects that are deleted and added.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The change that adds the one of a number.
    pub add: fn(u32) -> Change,
    /// The change that deletes it.
    pub delete: fn(u32) -> Change,
}

/// The address of a number.
pub fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0001 + number)
}

/// The service of a number.
pub fn id(number: u32) -> ServiceId {
    ServiceId::tcp(address(number).into(), 80)
}

/// Services without servers.
pub const SERVICES: Kind = Kind {
    add: |number| Change::AddService(Service::new(id(number), "rr".parse().unwrap())),
    delete: |number| Change::DeleteService(id(number)),
};

/// The service of [`SERVERS`].
pub fn web() -> ServiceId {
    ServiceId::tcp("192.0.2.1".parse().unwrap(), 80)
}

/// The real server of a number.
pub fn server(number: u32) -> Destination {
    Destination::new(address(number).into(), 80, ForwardingMethod::DirectRouting)
}

/// The real servers of one service.
pub const SERVERS: Kind = Kind {
    add: |number| Change::AddDestination { service: web(), destination: server(number) },
    delete: |number| Change::DeleteDestination { service: web(), destination: server(number).id },
};

impl Kind {
    /// Adds all, if the service of servers is there.
    pub fn add_all(self) {
        let all: Vec<Change> = (0..COUNT).map(self.add).collect();
        Client::open().unwrap().apply_all(&all).unwrap();
    }

    /// Deletes and adds some until it is stopped.
    fn meddle(self, stop: &AtomicBool) {
        let mut client = Client::open().unwrap();
        let some = |from: u32| (from..from + 1000).step_by(10).map(|number| number % COUNT);
        for from in (0..).step_by(1000).take_while(|_| !stop.load(Ordering::Relaxed)) {
            let gone: Vec<Change> = some(from).map(self.delete).collect();
            let back: Vec<Change> = some(from).map(self.add).collect();
            client.apply_all(&gone).unwrap();
            client.apply_all(&back).unwrap();
        }
    }

    /// Works while some are deleted and added.
    pub fn meanwhile<T>(self, work: impl FnOnce() -> T) -> T {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.meddle(&stop));
            let result = work();
            stop.store(true, Ordering::Relaxed);
            result
        })
    }
}
