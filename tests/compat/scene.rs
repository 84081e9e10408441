//! What a network's IPVS holds, read and made in this process: a start of the original costs 20 ms, and most cases
//! leave what they found.

use std::time::Duration;

use ipvs::{Change, Client, Timeouts};

/// What a kernel starts with.
const TIMEOUTS: Timeouts = Timeouts { tcp: 900, tcp_fin: 120, udp: 300 };
/// A daemon that has just been started may not be stopped at once.
const TRIES: usize = 100;

/// All that IPVS holds but counters and connections, as what makes it of nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Services in the order of their ids, each followed by its servers in theirs.
    pub table: Vec<Change>,
    pub timeouts: Timeouts,
    pub daemons: Vec<Change>,
}

impl Scene {
    pub fn text(&self) -> String {
        format!("{self:?}")
    }
}

/// The IPVS of the network that a thread was in.
pub struct Kernel(Client);

impl Kernel {
    /// That of the network which the calling thread is in now.
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

    /// Takes all away, as if this network were new.
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

    /// Makes it what it was when the scene was read.
    pub fn make(&mut self, scene: &Scene) {
        self.clear();
        self.0.set_timeouts(&scene.timeouts).expect("timeouts");
        let changes = [&scene.table[..], &scene.daemons[..]].concat();
        let refused = self.0.apply_all(&changes).expect("changes");
        assert!(refused.is_empty(), "{refused:?} of {changes:?}");
        assert_eq!(self.read(), *scene);
    }
}
