//! What `--undrain` brings back: drained servers as they were, as a table in JSON. The kernel forgets its table when it
//! restarts or the network namespace goes, and `/run` and the number of the namespace do, too.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ipvs::{Change, Destination, DestinationId, Service, ServiceId, Table};

use super::with;
use crate::json;
use crate::messages;
use crate::rules::{atomic_file, document, replace};

const FOLDER: &str = "/run/ipvsadm";

/// The drained servers of this network namespace, with the weights that they had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    table: Table,
    path: PathBuf,
}

impl Notes {
    /// Reads the notes; there are none if there is no file.
    pub(super) fn read() -> io::Result<Self> {
        let number = fs::metadata("/proc/self/ns/net")?.ino();
        Self::read_from(&Path::new(FOLDER).join(format!("drained-{number}")))
    }

    fn read_from(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { table: Table::default(), path })
            }
            Ok(text) => match document::read(&text) {
                Ok(table) => Ok(Self { table, path }),
                Err(failure) => Err(io::Error::other(failure.message)),
            },
            Err(error) => Err(error),
        }
    }

    /// Writes the notes whole, or none of them.
    pub(super) fn write(&self) -> Result<(), String> {
        let folder = self.path.parent().unwrap_or(Path::new(FOLDER));
        fs::create_dir_all(folder).map_err(|error| messages::reason(&error))?;
        let fill = |out: &mut dyn io::Write| {
            json::write(&mut *out, &self.table)?;
            Ok(writeln!(out)?)
        };
        atomic_file::write_whole(&self.path, fill)
            .map_err(|error| atomic_file::failure(error, &self.path).message)
    }

    /// Notes a server again, which others have changed. Where that cannot be written, the first note stays.
    pub(super) fn renew(service: &Service, destination: Destination) {
        let Ok(_lock) = replace::lock() else { return };
        if let Ok(mut notes) = Self::read() {
            notes.add(service, destination);
            let _ = notes.write();
        }
    }

    /// Where they are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes a server as it is to come back.
    pub(super) fn add(&mut self, service: &Service, destination: Destination) {
        let servers = with(&self.table, &service.id, destination);
        self.table.put(*service, servers);
    }

    /// Forgets a server.
    pub(super) fn remove(&mut self, id: &ServiceId, server: &DestinationId) {
        // What is not there is forgotten already.
        let _ = self.table.change(&Change::DeleteDestination { service: *id, destination: *server });
        if self.table.destinations(id).next().is_none() {
            let _ = self.table.change(&Change::DeleteService(*id));
        }
    }

    pub(super) fn find(&self, id: &ServiceId, server: &DestinationId) -> Option<Destination> {
        self.table.destination(id, server).copied()
    }

    /// All of them, by service and address.
    pub(super) fn all(&self) -> Vec<(ServiceId, Destination)> {
        let of = |service: &Service| {
            let id = service.id;
            self.table.destinations(&id).map(move |server| (id, *server)).collect::<Vec<_>>()
        };
        self.table.services().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/drained-7");
        let mut notes = Notes::read_from(&path).unwrap();
        assert_eq!(notes.all(), vec![]);
        let web = Service::new(ServiceId::tcp([10, 0, 0, 1].into(), 80), "wrr".parse().unwrap());
        let dns = Service::new(ServiceId::udp([10, 0, 0, 1].into(), 53), "rr".parse().unwrap());
        let server = |last, weight| {
            let method = ipvs::ForwardingMethod::Masquerade;
            Destination::new([10, 1, 0, last].into(), 8080, method).with_weight(weight)
        };
        notes.add(&web, server(1, 3));
        notes.add(&web, server(2, 5));
        notes.add(&dns, server(1, 7));
        notes.add(&web, server(1, 4)); // in place of the first
        notes.write().unwrap();
        let again = Notes::read_from(&path).unwrap();
        assert_eq!(again, notes);
        assert_eq!(again.all(), vec![(web.id, server(1, 4)), (web.id, server(2, 5)), (dns.id, server(1, 7))]);
        notes.remove(&web.id, &server(1, 0).id);
        notes.remove(&dns.id, &server(1, 0).id);
        notes.remove(&dns.id, &server(9, 0).id);
        assert_eq!(notes.all(), vec![(web.id, server(2, 5))]);
        notes.write().unwrap();
        assert_eq!(Notes::read_from(&path).unwrap(), notes);
    }

    #[test]
    fn a_file_that_holds_no_notes_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drained-7");
        fs::write(&path, "{\"services\": [").unwrap();
        assert!(
            Notes::read_from(&path).unwrap_err().to_string().starts_with("the input is no table in JSON: ")
        );
    }
}
