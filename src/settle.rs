//! Listings while the table changes.
//!
//! The kernel takes no snapshot of what it lists in more than one piece. It goes on by position: where an object is
//! deleted before that, it passes over another, and where one is added it tells another twice; and it does not say so.

use std::collections::HashSet;
use std::hash::Hash;

use crate::error::Result;

/// So many times at most.
const AGAIN: usize = 8;

/// Asks again until an answer is whole or like the one `before`, and takes each object that is not `known` yet. Returns
/// the ids in the last answer.
///
/// `ask` hands over the objects in an answer one by one, and returns whether the answer is whole.
pub(crate) fn settle<Entry, Id: Copy + Eq + Hash>(
    mut before: Vec<Id>,
    mut known: HashSet<Id>,
    id: impl Fn(&Entry) -> Id,
    mut ask: impl FnMut(&mut dyn FnMut(Entry)) -> Result<bool>,
    mut take: impl FnMut(Entry),
) -> Result<Vec<Id>> {
    for _ in 0..AGAIN {
        let mut told = Vec::with_capacity(before.len());
        let is_whole = ask(&mut |entry| {
            let id = id(&entry);
            told.push(id);
            if known.insert(id) {
                take(entry);
            }
        })?;
        let is_settled = is_whole || told == before;
        before = told;
        if is_settled {
            break;
        }
    }
    Ok(before)
}
