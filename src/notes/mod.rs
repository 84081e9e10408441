//! Notes of drained servers, by which `--undrain` brings them back as they were: in a file below `/run`, for the kernel forgets
//! its table when it restarts, too. The file is in a `folder` that is root's, and about a namespace of an `identity`; each
//! `note` lives as long as what it is about. What is `saved` with the table comes back with it.

mod folder;
mod identity;
mod note;
pub(crate) mod saved;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ipvs::{Change, Destination, DestinationId, Error, ServiceId, Table};
use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use crate::files::atomic_file;
use crate::json;
use crate::messages;
use identity::{Identity, number};

pub(crate) use note::{Note, Now, State};

const FOLDER: &str = "/run/ipvsadm";

/// The drained servers of this network namespace, with the weights that they had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notes {
    notes: BTreeMap<(ServiceId, DestinationId), Note>,
    place: Place,
}

/// Where notes are, and which namespace they are about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    namespace: Identity,
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    namespace: Identity,
    drained: Vec<Note>,
}

impl Place {
    /// That of the calling thread's namespace.
    fn of_thread() -> io::Result<Self> {
        let path = Path::new(FOLDER).join(format!("drained-{}", number()?));
        Ok(Self { path, namespace: Identity::read()? })
    }
}

impl Notes {
    /// Reads the notes; there are none if there is no file, or if it is about a namespace that is gone.
    pub(crate) fn read() -> io::Result<Self> {
        Self::read_at(Place::of_thread()?)
    }

    fn read_at(place: Place) -> io::Result<Self> {
        let Some(mut file) = folder::open(&place.path)? else { return Ok(Self::none(place)) };
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let Content { namespace, drained } = serde_json::from_slice(&text)
            .map_err(|error| io::Error::other(messages::no_notes(&place.path, &error.to_string())))?;
        let drained = if namespace == place.namespace { drained } else { Vec::new() };
        let key = |note: Note| ((note.service, note.server.id), note);
        Ok(Self { notes: drained.into_iter().map(key).collect(), place })
    }

    fn none(place: Place) -> Self {
        Self { notes: BTreeMap::new(), place }
    }

    /// Those that cannot be read.
    pub(crate) fn unknown() -> Self {
        Self::none(Place { path: PathBuf::new(), namespace: Identity::unknown() })
    }

    /// Reads the notes, changes them, and writes them whole, or none of them. Others wait meanwhile.
    pub(crate) fn update(change: impl FnOnce(&mut Self)) -> Result<(), String> {
        Place::of_thread()
            .map_err(|error| messages::reason(&error))
            .and_then(|place| Self::update_at(place, change))
    }

    fn update_at(place: Place, change: impl FnOnce(&mut Self)) -> Result<(), String> {
        let path = place.path.clone();
        let failed = |error: io::Error| atomic_file::failure(error.into(), &path).message;
        let _lock = folder::lock(path.parent().unwrap_or(Path::new(FOLDER))).map_err(failed)?;
        let old = Self::read_at(place).map_err(|error| messages::reason(&error))?;
        let mut new = old.clone();
        change(&mut new);
        if new == old { Ok(()) } else { new.write().map_err(failed) }
    }

    fn write(&self) -> io::Result<()> {
        let Self { notes, place: Place { path, namespace } } = self;
        if notes.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let content = Content { namespace: namespace.clone(), drained: notes.values().copied().collect() };
        let mut text = Vec::new();
        json::write(&mut text, &content)?;
        text.push(b'\n');
        atomic_file::write_private(path, &text)
    }

    /// Where they are.
    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }

    /// Notes a server as it is to come back.
    pub(crate) fn add(&mut self, service: &ServiceId, server: Destination, state: State) {
        self.notes.insert((*service, server.id), Note { service: *service, server, state });
    }

    /// Forgets a server.
    pub(crate) fn remove(&mut self, service: &ServiceId, server: &DestinationId) {
        self.notes.remove(&(*service, *server));
    }

    pub(crate) fn find(&self, service: &ServiceId, server: &DestinationId) -> Option<&Note> {
        self.notes.get(&(*service, *server))
    }

    /// All of them, by service and address.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Note> {
        self.notes.values()
    }

    /// Puts others in place of some, or nothing; not of those that were changed meanwhile.
    pub(crate) fn replace_all(&mut self, notes: &[(Note, Option<Note>)]) {
        for (old, new) in notes {
            let key = (old.service, old.server.id);
            if self.notes.get(&key) == Some(old) {
                self.notes.remove(&key);
                self.notes.extend(new.map(|new| (key, new)));
            }
        }
    }

    /// Follows changes that another command has made, in their order.
    fn follow(&mut self, changes: &[Change]) {
        let made = |(at, change): (usize, &Change)| match change {
            Change::AddService(service) => Some((service.id, at)),
            _ => None,
        };
        let made: BTreeMap<ServiceId, usize> = changes.iter().enumerate().filter_map(made).collect();
        for (at, change) in changes.iter().enumerate() {
            match change {
                // One that is made again was not taken out for good.
                Change::DeleteService(id) if made.get(id).is_some_and(|later| *later > at) => {}
                Change::DeleteService(_) => self.replace(|note| note.after(change)),
                Change::AddDestination { service, destination: Destination { id, .. } }
                | Change::EditDestination { service, destination: Destination { id, .. } }
                | Change::DeleteDestination { service, destination: id } => {
                    let key = (*service, *id);
                    if let Some(note) = self.notes.remove(&key).and_then(|note| note.after(change)) {
                        self.notes.insert(key, note);
                    }
                }
                _ => {}
            }
        }
    }

    fn replace(&mut self, left: impl FnMut(Note) -> Option<Note>) {
        let notes = std::mem::take(&mut self.notes).into_values().filter_map(left);
        self.notes = notes.map(|note| ((note.service, note.server.id), note)).collect();
    }
}

/// Ends the notes of servers that changes have brought back, or taken out for good; for commands that are not of drains. Those
/// that were `refused` have changed nothing.
pub(crate) fn follow(changes: &[Change], refused: &[(usize, Error)]) {
    use Change::{AddDestination, DeleteDestination, DeleteService, EditDestination};
    let is_about_servers = |change: &Change| {
        matches!(
            change,
            AddDestination { .. } | EditDestination { .. } | DeleteDestination { .. } | DeleteService(_)
        )
    };
    // Nearly always nothing was ever drained.
    if !changes.iter().any(is_about_servers) || !is_there() {
        return;
    }
    let refused: BTreeSet<usize> = refused.iter().map(|(at, _)| *at).collect();
    let made = changes.iter().enumerate().filter(|(at, _)| !refused.contains(at));
    let made: Vec<Change> = made.map(|(_, change)| *change).collect();
    update_if_needed(|notes| notes.follow(&made));
}

/// Ends the notes of servers that an applied table has brought back, or taken out for good. It is the `whole` table, or that of
/// its services alone.
pub(crate) fn follow_table(applied: &Table, whole: bool) {
    if is_there() {
        update_if_needed(|notes| {
            notes.replace(|note| {
                let is_there = applied.service(&note.service).is_some();
                let server = applied.destination(&note.service, &note.server.id);
                match (is_there, server) {
                    (false, _) => Some(note).filter(|_| !whole),
                    (_, None) => note.by_table(Now::Gone),
                    (_, Some(server)) => note.made(server.weight),
                }
            });
        });
    }
}

/// Whether there ever were notes, by one call of the kernel.
fn is_there() -> bool {
    access(FOLDER, Access::EXISTS).is_ok()
}

/// Changes the notes, if that is a change.
fn update_if_needed(change: impl Fn(&mut Notes)) {
    let Ok(before) = Notes::read() else { return };
    let mut after = before.clone();
    change(&mut after);
    if after != before {
        if let Err(why) = Notes::update(change) {
            messages::report(&messages::warning::still_noted(&why));
        }
    }
}

/// The servers that drains have taken out, as they are to come back; none if the notes cannot be read.
pub(crate) fn out() -> HashMap<(ServiceId, DestinationId), Destination> {
    let Ok(notes) = Notes::read() else { return HashMap::new() };
    let out = notes.all().filter(|note| note.state != State::Back);
    out.map(|note| ((note.service, note.server.id), note.server)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use ipvs::{ForwardingMethod, Service};

    use super::*;

    fn place(folder: &Path) -> Place {
        Place { path: folder.join("deep/drained-7"), namespace: Identity::read().unwrap() }
    }

    fn server(last: u8, weight: u32) -> Destination {
        Destination::new([10, 1, 0, last].into(), 8080, ForwardingMethod::Masquerade).with_weight(weight)
    }

    fn web() -> ServiceId {
        ServiceId::tcp([10, 0, 0, 1].into(), 80)
    }

    fn dns() -> ServiceId {
        ServiceId::udp([10, 0, 0, 1].into(), 53)
    }

    fn all(notes: &Notes) -> Vec<(ServiceId, Destination)> {
        notes.all().map(|note| (note.service, note.server)).collect()
    }

    #[test]
    fn notes_are_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let read = || Notes::read_at(place.clone()).unwrap();
        assert_eq!(all(&read()), vec![]);
        Notes::update_at(place.clone(), |notes| {
            notes.add(&web(), server(1, 3), State::Waiting);
            notes.add(&web(), server(2, 5), State::Deleted);
            notes.add(&dns(), server(1, 7), State::Deleting);
            notes.add(&web(), server(1, 4), State::Back); // in place of the first
        })
        .unwrap();
        assert_eq!(all(&read()), vec![(web(), server(1, 4)), (web(), server(2, 5)), (dns(), server(1, 7))]);
        let states: Vec<_> = read().all().map(|note| note.state).collect();
        assert_eq!(states, [State::Back, State::Deleted, State::Deleting]);
        Notes::update_at(place.clone(), |notes| {
            notes.remove(&web(), &server(1, 0).id);
            notes.remove(&dns(), &server(1, 0).id);
            notes.remove(&dns(), &server(9, 0).id);
        })
        .unwrap();
        assert_eq!(all(&read()), vec![(web(), server(2, 5))]);
        Notes::update_at(place.clone(), |notes| notes.remove(&web(), &server(2, 0).id)).unwrap();
        assert!(!place.path.exists(), "no notes are no file");
        Notes::update_at(place.clone(), |_| {}).unwrap();
    }

    #[test]
    fn a_file_that_holds_no_notes_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drained-7");
        fs::write(&path, "{\"drained\": [").unwrap();
        let error = Notes::read_at(Place { path, ..place(folder.path()) }).unwrap_err().to_string();
        assert!(error.contains("drained-7' holds no notes of drained servers: EOF "), "{error}");
    }

    #[test]
    fn notes_of_a_namespace_that_is_gone_are_none_of_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        Notes::update_at(place.clone(), |notes| notes.add(&web(), server(1, 3), State::Deleted)).unwrap();
        let text = fs::read_to_string(&place.path).unwrap();
        let (before, behind) = text.split_once("\"cookie\":").unwrap();
        let (cookie, rest) = behind.split_at(behind.find('}').unwrap());
        let earlier = cookie.parse::<u64>().unwrap() - 1;
        fs::write(&place.path, format!("{before}\"cookie\":{earlier}{rest}")).unwrap();
        assert_eq!(all(&Notes::read_at(place.clone()).unwrap()), vec![]);
        Notes::update_at(place.clone(), |notes| notes.add(&dns(), server(2, 1), State::Waiting)).unwrap();
        assert_eq!(all(&Notes::read_at(place).unwrap()), vec![(dns(), server(2, 1))]);
    }

    #[test]
    fn a_folder_or_a_file_of_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let add = || Notes::update_at(place.clone(), |notes| notes.add(&web(), server(1, 3), State::Waiting));
        let refused = |why: &str| {
            let read = Notes::read_at(place.clone()).unwrap_err().to_string();
            assert!(read.contains(why), "{read}");
            let written = add().unwrap_err();
            assert!(written.contains(why), "{written}");
        };
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        add().unwrap();
        let deep = place.path.parent().unwrap().to_owned();
        let modes = [&deep, &place.path].map(|path| fs::metadata(path).unwrap().mode() & 0o7777);
        assert_eq!(modes, [0o700, 0o600]);
        for (path, bad, good) in [(&deep, 0o1777, 0o755), (&deep, 0o770, 0o700), (&place.path, 0o620, 0o644)]
        {
            mode(path, bad);
            refused("can be written by others");
            mode(path, good);
            assert_eq!(all(&Notes::read_at(place.clone()).unwrap()), vec![(web(), server(1, 3))]);
        }
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&place.path, &elsewhere).unwrap();
        symlink(&elsewhere, &place.path).unwrap();
        refused("symbolic link");
    }

    #[test]
    fn changes_of_other_commands_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let mut notes = Notes::none(place(folder.path()));
        notes.add(&web(), server(1, 3), State::Deleted);
        notes.add(&web(), server(2, 5), State::Waiting);
        notes.add(&dns(), server(1, 7), State::Deleted);
        let service = |id| Change::AddService(Service::new(id, "rr".parse().unwrap()));
        let add = Change::AddDestination { service: web(), destination: server(1, 3) };
        let delete = Change::DeleteDestination { service: web(), destination: server(1, 3).id };
        // What is cleared, or made again, was not taken out for good.
        let before = notes.clone();
        notes.follow(&[Change::Flush, Change::DeleteService(dns()), service(dns())]);
        assert_eq!(notes, before);
        notes.follow(&[service(dns()), Change::DeleteService(dns()), add]);
        let states = |notes: &Notes| notes.all().map(|note| note.state).collect::<Vec<_>>();
        assert_eq!(states(&notes), [State::Back, State::Waiting]);
        notes.follow(&[delete]);
        assert_eq!(states(&notes), [State::Waiting]);
        let waiting = *notes.all().next().unwrap();
        let other = Note { state: State::Deleting, ..waiting };
        notes.replace_all(&[(other, None)]);
        assert_eq!(states(&notes), [State::Waiting], "it was changed meanwhile");
        notes.replace_all(&[(waiting, Some(other))]);
        assert_eq!(states(&notes), [State::Deleting]);
        notes.replace_all(&[(other, None)]);
        assert_eq!(states(&notes), []);
    }
}
