//! The services of a table, with their servers, in the order of their ids.

use crate::service_id::ServiceId;

use super::Entry;

/// As many are in a part.
const FULL: usize = 64;

/// A sorted list in parts, with the methods of a map. What comes in order fills them; a tree would be half empty, and has the
/// ids twice: with tables of a hundred thousand rules that was a third of the memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services {
    /// None is empty.
    parts: Vec<Vec<Entry>>,
}

/// A part, and a place in it.
type Place = (usize, usize);

impl Services {
    /// Where a service is, or where it would be.
    fn find(&self, id: &ServiceId) -> Result<Place, Place> {
        let is_before = |part: &Vec<Entry>| part.last().is_some_and(|last| last.service.id < *id);
        // Behind all others it is still in the last part.
        let part = self.parts.partition_point(is_before).min(self.parts.len().saturating_sub(1));
        let found = self.parts.get(part).map(|part| part.binary_search_by_key(id, |entry| entry.service.id));
        match found.unwrap_or(Err(0)) {
            Ok(at) => Ok((part, at)),
            Err(at) => Err((part, at)),
        }
    }

    pub(crate) fn get(&self, id: &ServiceId) -> Option<&Entry> {
        let (part, at) = self.find(id).ok()?;
        self.parts.get(part)?.get(at)
    }

    pub(crate) fn get_mut(&mut self, id: &ServiceId) -> Option<&mut Entry> {
        let (part, at) = self.find(id).ok()?;
        self.parts.get_mut(part)?.get_mut(at)
    }

    pub(crate) fn contains(&self, id: &ServiceId) -> bool {
        self.find(id).is_ok()
    }

    /// Puts a service in, in the place of the one with the same id, if there is one.
    pub(crate) fn insert(&mut self, entry: Entry) {
        let (mut part, mut at) = match self.find(&entry.service.id) {
            Ok((part, at)) => {
                let place = self.parts.get_mut(part).and_then(|part| part.get_mut(at));
                return place.into_iter().for_each(|place| *place = entry.clone());
            }
            Err(place) => place,
        };
        if self.parts.is_empty() {
            self.parts.push(Vec::with_capacity(FULL));
        }
        let full = self.parts.get_mut(part).filter(|part| part.len() == FULL);
        if let Some(full) = full {
            // What comes in order leaves full parts behind it.
            let left = if at == FULL { FULL } else { FULL / 2 };
            let mut behind = Vec::with_capacity(FULL);
            behind.extend(full.drain(left..));
            self.parts.insert(part + 1, behind);
            if at >= left {
                (part, at) = (part + 1, at - left);
            }
        }
        if let Some(part) = self.parts.get_mut(part) {
            part.insert(at, entry);
        }
    }

    pub(crate) fn remove(&mut self, id: &ServiceId) -> Option<Entry> {
        let (part, at) = self.find(id).ok()?;
        let list = self.parts.get_mut(part)?;
        let entry = list.remove(at);
        if list.is_empty() {
            self.parts.remove(part);
        }
        Some(entry)
    }

    pub(crate) fn retain(&mut self, is_kept: impl Fn(&ServiceId) -> bool) {
        self.parts.retain_mut(|part| {
            part.retain(|entry| is_kept(&entry.service.id));
            !part.is_empty()
        });
    }

    pub(crate) fn clear(&mut self) {
        self.parts.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().flatten()
    }
}

impl PartialEq for Services {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Services {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::name::Scheduler;
    use crate::service::Service;
    use crate::table::servers::Servers;

    fn entry(number: u16, timeout: bool) -> Entry {
        let id = ServiceId::tcp([10, 0, 0, 1].into(), number);
        let service = Service::new(id, Scheduler::RR).with_one_packet(timeout);
        Entry { service, destinations: Servers::default() }
    }

    proptest! {
        #[test]
        fn they_are_a_map(steps in prop::collection::vec((0..400_u16, 0..5), 0..2000)) {
            let (mut services, mut map) = (Services::default(), BTreeMap::new());
            for (number, kind) in steps {
                let id = entry(number, false).service.id;
                match kind {
                    0 => prop_assert_eq!(services.remove(&id), map.remove(&id)),
                    1 => {
                        services.retain(|known| known.port() % 7 != number % 7);
                        map.retain(|known: &ServiceId, _| known.port() % 7 != number % 7);
                    }
                    _ => {
                        let entry = entry(number, kind == 2);
                        map.insert(id, entry.clone());
                        services.insert(entry);
                    }
                }
                prop_assert_eq!(services.get(&id), map.get(&id));
                prop_assert_eq!(services.contains(&id), map.contains_key(&id));
            }
            prop_assert!(services.iter().eq(map.values()));
            prop_assert_eq!(services.is_empty(), map.is_empty());
        }
    }

    #[test]
    fn what_comes_in_order_leaves_no_room() {
        let mut services = Services::default();
        (0..1000).for_each(|number| services.insert(entry(number, false)));
        assert_eq!(services.parts.len(), 1000_usize.div_ceil(FULL));
    }
}
