//! The tables of `sh` and `dh`: 256 places, which the servers take in turn.

/// `CONFIG_IP_VS_SH_TAB_BITS` and `CONFIG_IP_VS_DH_TAB_BITS` are 8 wherever the kernel is built with their defaults.
pub(super) const PLACES: usize = 256;

/// The places of `sh`: as many for a server as its weight, and one with weight 0, over and over until all are given. A weight
/// is not divided, so a heavy server may leave none for the others.
pub(super) fn by_weight(weights: &[u32]) -> Vec<usize> {
    let turns = weights.iter().enumerate();
    turns
        .cycle()
        .flat_map(|(server, weight)| {
            let places = usize::try_from(*weight).unwrap_or(usize::MAX).clamp(1, PLACES);
            std::iter::repeat_n(server, places)
        })
        .take(PLACES)
        .collect()
}

/// The places of `dh`: one for each server, over and over.
pub(super) fn one_each(servers: usize) -> Vec<usize> {
    (0..servers).cycle().take(PLACES).collect()
}

/// The place of a number.
#[allow(clippy::cast_possible_truncation, reason = "8 bits are left")]
pub(super) fn place(number: u32) -> usize {
    const GOLDEN_RATIO: u32 = 0x61C8_8647;
    usize::from((number.wrapping_mul(GOLDEN_RATIO) >> 24) as u8)
}

/// The places where `sh-fallback` looks, one after another, when the server of a place is not available.
pub(super) fn fallback(place: usize) -> impl Iterator<Item = usize> {
    (0..PLACES).map(move |step| (2 * place + step) % PLACES)
}
