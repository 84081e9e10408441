//! The real servers of a service, in order of their ids, and which was added before which.

use crate::destination::{Destination, DestinationId};

/// A sorted list with the methods of a map. Most services have few servers, and a tree keeps room for eleven in each:
/// with tables of a hundred thousand rules that is most of the memory, and of the time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Servers {
    list: Vec<Aged>,
    /// How many there have been.
    next: u32,
}

/// A server, and how many had been added before it.
#[derive(Debug, Clone, Copy)]
struct Aged {
    destination: Destination,
    age: u32,
}

impl Servers {
    fn find(&self, id: &DestinationId) -> Result<usize, usize> {
        // The lines of a save are in this order: the place is nearly always behind the last.
        match self.list.last() {
            Some(last) if last.destination.id < *id => Err(self.list.len()),
            _ => self.list.binary_search_by_key(id, |aged| aged.destination.id),
        }
    }

    pub(crate) fn get(&self, id: &DestinationId) -> Option<&Destination> {
        self.list.get(self.find(id).ok()?).map(|aged| &aged.destination)
    }

    pub(crate) fn get_mut(&mut self, id: &DestinationId) -> Option<&mut Destination> {
        let at = self.find(id).ok()?;
        self.list.get_mut(at).map(|aged| &mut aged.destination)
    }

    pub(crate) fn contains_key(&self, id: &DestinationId) -> bool {
        self.find(id).is_ok()
    }

    /// Puts a server in: in the place of the one with the same id, if there is one, and else as the newest.
    pub(crate) fn insert(&mut self, destination: Destination) {
        match self.find(&destination.id) {
            Ok(at) => {
                if let Some(aged) = self.list.get_mut(at) {
                    aged.destination = destination;
                }
            }
            Err(at) => {
                // Most services have few, and there are many services.
                self.list.reserve_exact(if self.list.len() == self.list.capacity() {
                    self.list.len() / 4 + 1
                } else {
                    0
                });
                self.list.insert(at, Aged { destination, age: self.next });
                self.next += 1;
            }
        }
    }

    pub(crate) fn remove(&mut self, id: &DestinationId) -> Option<Destination> {
        self.find(id).ok().map(|at| self.list.remove(at).destination)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.list.iter().map(|aged| &aged.destination)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The servers in the order in which they were added, the oldest first.
    pub(crate) fn by_age(&self) -> Vec<&Destination> {
        let mut aged: Vec<&Aged> = self.list.iter().collect();
        aged.sort_unstable_by_key(|aged| aged.age);
        aged.into_iter().map(|aged| &aged.destination).collect()
    }

    /// How many of `wanted`, which are in the order of their age there, may stay where they are here: those that follow
    /// them are newer there, and so must be added after them.
    pub(crate) fn kept(&self, wanted: &[&Destination]) -> usize {
        let mut last = None;
        let follows = |server: &&&Destination| {
            let age = self.find(&server.id).ok().and_then(|at| self.list.get(at)).map(|aged| aged.age);
            let follows = age > last;
            last = age;
            follows
        };
        wanted.iter().take_while(follows).count()
    }

    /// Gives the servers that `other` has, too, the order that they have there; the others are newer.
    pub(crate) fn order_as(&mut self, other: &Self) {
        let mut order = self.by_age().into_iter().map(|server| server.id).collect::<Vec<_>>();
        let age = |id: &DestinationId| other.list.get(other.find(id).ok()?).map(|aged| aged.age);
        order.sort_by_key(|id| age(id).unwrap_or(u32::MAX));
        for (age, id) in (0..).zip(&order) {
            let at = self.find(id).ok();
            if let Some(aged) = at.and_then(|at| self.list.get_mut(at)) {
                aged.age = age;
            }
        }
    }
}

impl PartialEq for Servers {
    /// Whatever their order.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Servers {}

impl FromIterator<Destination> for Servers {
    /// The oldest first. Those that come later count, as with maps.
    fn from_iter<I: IntoIterator<Item = Destination>>(servers: I) -> Self {
        let mut list: Vec<Aged> =
            (0..).zip(servers).map(|(age, destination)| Aged { destination, age }).collect();
        let next = u32::try_from(list.len()).unwrap_or(u32::MAX);
        list.reverse();
        list.sort_by_key(|aged| aged.destination.id);
        list.dedup_by_key(|aged| aged.destination.id);
        Self { list, next }
    }
}
