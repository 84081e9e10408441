//! Dumps while the table changes.
//!
//! A dump of more than one datagram is not atomic: the kernel resumes by index, so a concurrent delete can skip an object
//! and a concurrent add can repeat one, without notice.

use std::collections::HashSet;
use std::hash::Hash;

use crate::error::Result;

/// How often a dump is repeated at most, if the last two had no object that was missing from those before.
const AGAIN: usize = 8;
/// How often a dump is repeated at most.
const MOST: usize = 64;

/// Repeats a dump until it is whole or agrees with the one `before`, and takes each object that is not `known` yet. Where
/// others change the table faster than it can be read, it is repeated until nothing new appears.
/// Returns the ids in the last dump.
///
/// `dump` hands over the objects one by one, and returns whether the dump is whole.
pub(crate) fn dump_until_stable<Entry, Id: Copy + Eq + Hash>(
    mut before: Vec<Id>,
    mut known: HashSet<Id>,
    id: impl Fn(&Entry) -> Id,
    mut dump: impl FnMut(&mut dyn FnMut(Entry)) -> Result<bool>,
    mut take: impl FnMut(Entry),
) -> Result<Vec<Id>> {
    let mut without_news = 0;
    for times in 1..=MOST {
        let mut seen = Vec::with_capacity(before.len());
        without_news += 1;
        let is_whole = dump(&mut |entry| {
            let id = id(&entry);
            seen.push(id);
            if known.insert(id) {
                without_news = 0;
                take(entry);
            }
        })?;
        let is_stable = is_whole || seen == before;
        before = seen;
        if is_stable || (times >= AGAIN && without_news >= 2) {
            break;
        }
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_changes_faster_than_it_is_read_is_read_until_nothing_new_appears() {
        let (mut dumps, mut taken) = (0, Vec::new());
        let dump = |hand_over: &mut dyn FnMut(u32)| {
            dumps += 1;
            // Each dump misses most objects, and some are missing from the first eleven.
            (0..1200).filter(|number| number % 12 == dumps % 12).for_each(hand_over);
            Ok(false)
        };
        let ids = dump_until_stable(
            Vec::new(),
            HashSet::new(),
            |number| *number,
            dump,
            |number| taken.push(number),
        );
        assert_eq!((ids.unwrap().len(), dumps), (100, 14));
        taken.sort_unstable();
        assert_eq!(taken, (0..1200).collect::<Vec<u32>>());
    }

    #[test]
    fn a_table_that_grows_without_end_is_read_for_a_while() {
        let mut dumps = 0;
        let dump = |hand_over: &mut dyn FnMut(usize)| {
            dumps += 1;
            (0..dumps).for_each(hand_over);
            Ok(false)
        };
        let ids = dump_until_stable(Vec::new(), HashSet::new(), |number| *number, dump, |_| ());
        assert_eq!((ids.unwrap().len(), dumps), (MOST, MOST));
    }
}
