//! Which rows were seen, and in which reading: ten bytes for each. A map of the standard library takes twice as much for a
//! million, for it doubles its room.

/// Parts, which grow one by one, so that little is copied at a time.
const PARTS: usize = 64;

/// The least room of a part.
const LEAST: usize = 16;

/// The bits of an entry that have the number of the reading; the others have the hash.
const READING: u64 = 0xf;

/// Hashes of rows, and for each in which reading it was seen last.
pub(crate) struct Seen {
    parts: Vec<Part>,
}

impl Seen {
    /// For about so many rows; more find room, too.
    pub(crate) fn of(count: usize) -> Self {
        // An eighth of the places stays empty, and parts are not quite alike.
        let room = (count / PARTS * 5 / 4).max(LEAST);
        let part = || Part { places: vec![0; room], count: 0 };
        Self { parts: std::iter::repeat_with(part).take(PARTS).collect() }
    }

    /// Notes a hash as seen in a reading, from 1 to 15. Returns the reading in which it was seen last, or 0.
    pub(crate) fn note(&mut self, hash: u64, reading: u64) -> u64 {
        let part = place(hash.rotate_left(32), PARTS);
        self.parts.get_mut(part).map_or(0, |part| part.note(hash & !READING | reading))
    }
}

/// Entries, each at the first empty place behind its own.
struct Part {
    places: Vec<u64>,
    count: usize,
}

impl Part {
    fn note(&mut self, entry: u64) -> u64 {
        if self.count * 8 >= self.places.len() * 7 {
            let room = (self.places.len() + self.places.len() / 4).max(LEAST);
            let old = std::mem::replace(&mut self.places, vec![0; room]);
            old.into_iter().filter(|entry| *entry != 0).for_each(|entry| {
                self.put(entry);
            });
        }
        let before = self.put(entry);
        self.count += usize::from(before == 0);
        before
    }

    /// Returns the reading of the entry that was there.
    fn put(&mut self, entry: u64) -> u64 {
        let own = place(entry, self.places.len());
        let (front, back) = self.places.split_at_mut(own);
        let of_it = |place: &&mut u64| **place == 0 || **place & !READING == entry & !READING;
        // An eighth of the places is empty.
        let found = back.iter_mut().chain(front).find(of_it);
        found.map_or(0, |place| std::mem::replace(place, entry) & READING)
    }
}

/// One of so many places, by the lower half of a hash.
fn place(hash: u64, of: usize) -> usize {
    (((hash & 0xffff_ffff) * of as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn it_tells_in_which_reading_a_hash_was_seen() {
        let (mut seen, mut known) = (Seen::of(30_000), HashMap::new());
        let mut number = 0_u64;
        for reading in 1..=15 {
            for _ in 0..20_000 {
                number =
                    number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Some are all at one place.
                let small = (number >> 33 & 0x3f) << 4;
                let spread = (number >> 40 & 0xffff).wrapping_mul(0x9e37_79b9_7f4a_7c15) & !READING;
                for hash in [small, spread] {
                    let before = known.insert(hash, reading).unwrap_or(0);
                    assert_eq!(seen.note(hash, reading), before, "{hash}");
                }
            }
        }
        let room: usize = seen.parts.iter().map(|part| part.places.len()).sum();
        assert!(room * 2 <= known.len() * 3, "{room} places for {}", known.len());
    }
}
