//! The table of `mh` (Maglev): 4093 places, of which each server takes those of a sequence of its own.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The size of the table with `CONFIG_IP_VS_MH_TAB_INDEX=12`, the default.
pub(super) const PLACES: u32 = 4093;
/// Weights are shortened to as many bits, which follows of the size.
const WEIGHT_BITS: u32 = 6;

/// The two keys.
const FIRST: u64 = 2_654_435_761;
const SECOND: u64 = 2_654_446_892;

/// A server as the table sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Its address and port as one number.
    pub(super) number: u32,
    /// Its weight, and with weight 0 the last other one that it had; 0 if it had none.
    pub(super) weight: u32,
}

/// The server of each place, in the kernel's order of the servers; empty where none of them has a weight.
pub(super) fn places(servers: &[Candidate]) -> Vec<usize> {
    let mut places: Vec<Option<usize>> = vec![None; index(PLACES)];
    let turns = turns(servers);
    if turns.iter().all(|turns| *turns == 0) {
        return Vec::new();
    }
    let mut sequences: Vec<Sequence> = servers.iter().copied().map(Sequence::of).collect();
    let mut left = places.len();
    while left > 0 {
        for (server, (sequence, turns)) in sequences.iter_mut().zip(&turns).enumerate() {
            for _ in 0..(*turns).min(u32::try_from(left).unwrap_or(u32::MAX)) {
                sequence.take_next_free(&mut places, server);
                left -= 1;
            }
        }
    }
    places.into_iter().flatten().collect()
}

/// How many places each server takes in a round.
fn turns(servers: &[Candidate]) -> Vec<u32> {
    let divisor = servers.iter().fold(0, |divisor, server| greatest_common_divisor(divisor, server.weight));
    let shares: Vec<u32> =
        servers.iter().map(|server| server.weight.checked_div(divisor).unwrap_or(0)).collect();
    let bits = u32::BITS - shares.iter().max().map_or(u32::BITS, |largest| largest.leading_zeros());
    let shift = bits.saturating_sub(WEIGHT_BITS);
    shares.iter().map(|share| (share >> shift).max(u32::from(*share > 0))).collect()
}

fn greatest_common_divisor(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

/// The places of a server, in the order in which it wants them.
struct Sequence {
    next: u32,
    step: u32,
}

impl Sequence {
    fn of(server: Candidate) -> Self {
        Self {
            next: hash(FIRST, server.number) % PLACES,
            step: hash(SECOND, server.number) % (PLACES - 1) + 1,
        }
    }

    fn take_next_free(&mut self, places: &mut [Option<usize>], server: usize) {
        for _ in 0..PLACES {
            let place = self.next;
            self.next = (self.next + self.step) % PLACES;
            if let Some(free @ None) = places.get_mut(index(place)) {
                *free = Some(server);
                return;
            }
        }
    }
}

/// The place of a client's number.
pub(super) fn place(number: u32) -> usize {
    index(hash(FIRST, number) % PLACES)
}

/// The places where `mh-fallback` looks, one after another, when the server of a client's place is not available.
pub(super) fn fallback(number: u32) -> impl Iterator<Item = usize> {
    let first = hash(FIRST, number) % PLACES;
    (0..PLACES).map(move |step| place(number.wrapping_add((first + step) % PLACES)))
}

/// `SipHash`-1-3 of a number's bytes, of which the kernel keeps the lower half.
#[allow(clippy::cast_possible_truncation, reason = "so does the kernel")]
fn hash(key: u64, number: u32) -> u32 {
    let mut hasher = SipHasher13::new_with_keys(key, key);
    hasher.write(&number.to_le_bytes());
    hasher.finish() as u32
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_turns_of_at_most_six_bits() {
        let turns = |weights: &[u32]| {
            turns(&weights.iter().map(|weight| Candidate { number: 0, weight: *weight }).collect::<Vec<_>>())
        };
        assert_eq!(turns(&[2147, 1000, 64, 63, 7]), [33, 15, 1, 1, 1]);
        assert_eq!(turns(&[300, 200, 100, 0]), [3, 2, 1, 0]);
        assert_eq!(turns(&[u32::MAX, 1]), [63, 1]);
        assert_eq!(turns(&[0, 0]), [0, 0]);
        assert!(turns(&[]).is_empty());
    }
}
