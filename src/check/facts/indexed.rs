//! A list whose entries are found by a key: a director may have thousands of addresses and neighbours.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};

/// What an entry is found by.
pub(crate) trait Keyed {
    type Key: Copy + Eq + Hash;
    fn key(&self) -> Self::Key;

    /// Whether it is one of the few that are looked through.
    fn is_rare(&self) -> bool {
        false
    }
}

/// A list with an index, which is made when it is first used.
#[derive(Debug, Clone)]
pub(crate) struct Indexed<T: Keyed> {
    all: Vec<T>,
    index: OnceCell<Index<T::Key>>,
}

/// Places in a list.
#[derive(Debug, Clone)]
struct Index<Key> {
    by_key: HashMap<Key, Vec<usize>>,
    rare: Vec<usize>,
}

impl<T: Keyed> Indexed<T> {
    /// The entries with a key, in their order.
    pub(crate) fn of(&self, key: T::Key) -> impl Iterator<Item = &T> {
        self.index().by_key.get(&key).into_iter().flatten().filter_map(|at| self.all.get(*at))
    }

    /// The rare ones.
    pub(crate) fn rare(&self) -> impl Iterator<Item = &T> {
        self.index().rare.iter().filter_map(|at| self.all.get(*at))
    }

    fn index(&self) -> &Index<T::Key> {
        self.index.get_or_init(|| {
            let mut by_key: HashMap<T::Key, Vec<usize>> = HashMap::new();
            for (at, entry) in self.all.iter().enumerate() {
                by_key.entry(entry.key()).or_default().push(at);
            }
            let rare = self.all.iter().enumerate().filter(|(_, entry)| entry.is_rare());
            Index { by_key, rare: rare.map(|(at, _)| at).collect() }
        })
    }
}

impl<T: Keyed> From<Vec<T>> for Indexed<T> {
    fn from(all: Vec<T>) -> Self {
        Self { all, index: OnceCell::new() }
    }
}

impl<T: Keyed> Deref for Indexed<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.all
    }
}

impl<T: Keyed> DerefMut for Indexed<T> {
    /// The list may be changed, so the index is made anew.
    fn deref_mut(&mut self) -> &mut Vec<T> {
        self.index = OnceCell::new();
        &mut self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for (u8, char) {
        type Key = u8;

        fn key(&self) -> u8 {
            self.0
        }

        fn is_rare(&self) -> bool {
            self.1 > 'b'
        }
    }

    #[test]
    fn entries_are_found_after_each_change() {
        let mut list = Indexed::from(vec![(1, 'a'), (2, 'b'), (1, 'c')]);
        let found =
            |list: &Indexed<(u8, char)>, key| list.of(key).map(|(_, value)| *value).collect::<String>();
        assert_eq!([1, 2, 3].map(|key| found(&list, key)), ["ac", "b", ""]);
        list.push((3, 'd'));
        list.retain(|(key, _)| *key != 1);
        assert_eq!([1, 2, 3].map(|key| found(&list, key)), ["", "b", "d"]);
        assert_eq!(list.rare().collect::<Vec<_>>(), [&(3, 'd')]);
    }
}
