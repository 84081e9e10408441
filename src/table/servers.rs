//! The real servers of a service, in order of their ids.

use crate::destination::{Destination, DestinationId};

/// A sorted list with the methods of a map. Most services have few servers, and a tree keeps room for eleven in each:
/// with tables of a hundred thousand rules that is most of the memory, and of the time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Servers(Vec<Destination>);

impl Servers {
    fn find(&self, id: &DestinationId) -> Result<usize, usize> {
        // The lines of a save are in this order: the place is nearly always behind the last.
        match self.0.last() {
            Some(last) if last.id < *id => Err(self.0.len()),
            _ => self.0.binary_search_by_key(id, |destination| destination.id),
        }
    }

    pub(crate) fn get(&self, id: &DestinationId) -> Option<&Destination> {
        self.0.get(self.find(id).ok()?)
    }

    pub(crate) fn get_mut(&mut self, id: &DestinationId) -> Option<&mut Destination> {
        let at = self.find(id).ok()?;
        self.0.get_mut(at)
    }

    pub(crate) fn contains_key(&self, id: &DestinationId) -> bool {
        self.find(id).is_ok()
    }

    /// Puts a server in; in place of the one with the same id, if there is one.
    pub(crate) fn insert(&mut self, server: Destination) {
        match self.find(&server.id) {
            Ok(at) => self.0.splice(at..=at, [server]).for_each(drop),
            Err(at) => self.0.insert(at, server),
        }
    }

    pub(crate) fn remove(&mut self, id: &DestinationId) -> Option<Destination> {
        self.find(id).ok().map(|at| self.0.remove(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Destination> for Servers {
    /// Those that come later count, as with maps.
    fn from_iter<I: IntoIterator<Item = Destination>>(servers: I) -> Self {
        let mut servers: Vec<_> = servers.into_iter().collect();
        servers.reverse();
        servers.sort_by_key(|destination| destination.id);
        servers.dedup_by_key(|destination| destination.id);
        Self(servers)
    }
}
