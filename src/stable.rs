//! Dumps while the table changes.
//!
//! A dump of more than one datagram is not atomic: the kernel resumes by index, so a concurrent delete can skip an object
//! and a concurrent add can repeat one, without notice.

use std::collections::HashSet;
use std::hash::Hash;

use crate::error::Result;

/// How often a dump is repeated at most.
const AGAIN: usize = 8;

/// Repeats a dump until it is whole or agrees with the one `before`, and takes each object that is not `known` yet.
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
    for _ in 0..AGAIN {
        let mut seen = Vec::with_capacity(before.len());
        let is_whole = dump(&mut |entry| {
            let id = id(&entry);
            seen.push(id);
            if known.insert(id) {
                take(entry);
            }
        })?;
        let is_stable = is_whole || seen == before;
        before = seen;
        if is_stable {
            break;
        }
    }
    Ok(before)
}
