//! The state of a network's IPVS, read and made in this process: starting the original takes 20 ms, and most cases
//! change nothing.

use std::time::Duration;

use ipvs::{Change, Client, Timeouts};

/// The kernel's defaults.
const TIMEOUTS: Timeouts = Timeouts { tcp: 900, tcp_fin: 120, udp: 300 };
/// A daemon cannot be stopped immediately after its start.
const TRIES: usize = 100;

/// The state of IPVS except counters and connections, as changes from an empty table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Services in the order of their ids, each followed by its servers in order.
    pub table: Vec<Change>,
    pub timeouts: Timeouts,
    pub daemons: Vec<Change>,
}

impl Scene {
    pub fn text(&self) -> String {
        format!("{self:?}")
    }
}

/// The IPVS of the network in which a thread was.
pub struct Kernel(Client);

impl Kernel {
    /// That of the calling thread's current network.
    pub fn open() -> Self {
        Self(Client::open().expect("a kernel with IPVS"))
    }

    pub fn read(&mut self) -> Scene {
        let mut services = self.0.services().expect("services");
        services.sort_by_key(|entry| format!("{:?}", entry.service.id));
        let mut table = Vec::new();
        for service in services.iter().map(|entry| entry.service) {
            table.push(Change::AddService(service));
            let mut servers = self.0.destinations(&service.id).expect("servers");
            servers.sort_by_key(|entry| entry.destination.id);
            table.extend(
                servers
                    .iter()
                    .map(|entry| entry.destination)
                    .map(|destination| Change::AddDestination { service: service.id, destination }),
            );
        }
        let mut daemons = self.0.daemons().expect("daemons");
        daemons.sort_by_key(|daemon| daemon.state);
        let timeouts = self.0.timeouts().expect("timeouts");
        Scene { table, timeouts, daemons: daemons.into_iter().map(Change::StartDaemon).collect() }
    }

    /// Clears everything, as in a new network.
    pub fn clear(&mut self) {
        self.0.flush().expect("an empty table");
        self.0.set_timeouts(&TIMEOUTS).expect("timeouts");
        for _ in 0..TRIES {
            let daemons = self.0.daemons().expect("daemons");
            for daemon in &daemons {
                let _ = self.0.stop_daemon(daemon.state, daemon.sync_id);
            }
            if daemons.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("a daemon that does not stop");
    }

    /// Restores the state in which the scene was read.
    pub fn make(&mut self, scene: &Scene) {
        self.clear();
        self.0.set_timeouts(&scene.timeouts).expect("timeouts");
        let changes = [&scene.table[..], &scene.daemons[..]].concat();
        let refused = self.0.apply_all(&changes).expect("changes");
        assert!(refused.is_empty(), "{refused:?} of {changes:?}");
        assert_eq!(self.read(), *scene);
    }
}
