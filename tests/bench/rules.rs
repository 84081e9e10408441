//! Tables of any size, as lines of a save file and as changes.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipvs::{Change, Destination, ForwardingMethod, Service, ServiceId};

/// Services with so many servers each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) services: u32,
    pub(crate) servers: u32,
}

impl Table {
    pub(crate) fn lines(self) -> usize {
        usize::try_from(self.services * (1 + self.servers)).unwrap()
    }

    /// Of the services.
    pub(crate) fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (0..self.services).map(|service| Ipv4Addr::from_bits(0x0a00_0001 + service))
    }

    /// As changes, in the order of a save file.
    pub(crate) fn changes(self) -> Vec<Change> {
        let mut changes = Vec::with_capacity(self.lines());
        for (service, vip) in (0..).zip(self.addresses()) {
            let id = ServiceId::tcp(vip.into(), 80);
            changes.push(Change::AddService(Service::new(id, "rr".parse().unwrap())));
            for server in 0..self.servers {
                let address = 0x0a80_0001 + service * 2 + server;
                let server =
                    Destination::new(address.to_be_bytes().into(), 8080, ForwardingMethod::Masquerade);
                changes.push(Change::AddDestination { service: id, destination: server });
            }
        }
        changes
    }

    /// As a file, in which the first `different` servers have another weight.
    pub(crate) fn file(self, name: &str, different: usize) -> PathBuf {
        let mut lines = String::new();
        let mut left = different;
        for change in self.changes() {
            match change {
                Change::AddService(service) => {
                    writeln!(lines, "-A -t {} -s rr", endpoint(&service.id)).unwrap();
                }
                Change::AddDestination { service: id, destination: server } => {
                    let weight = if left > 0 { 2 } else { 1 };
                    left = left.saturating_sub(1);
                    writeln!(lines, "-a -t {} -r {} -m -w {weight}", endpoint(&id), server.id).unwrap();
                }
                _ => unreachable!(),
            }
        }
        let path = Path::new("/run").join(name);
        std::fs::write(&path, lines).unwrap();
        path
    }
}

fn endpoint(id: &ServiceId) -> String {
    id.to_string().split(' ').nth(1).unwrap().to_owned()
}
