//! The numbers that `sh`, `dh` and `mh` make of addresses and ports.

use std::net::IpAddr;

/// An address as one number: of IPv6 the exclusive or of its four words.
pub(super) fn of_address(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => words(address.to_bits()).into_iter().fold(0, |all, word| all ^ word),
    }
}

/// The address of a server as the kernel reads it, which takes it to be of the service's family.
pub(super) fn of_server(address: IpAddr, is_service_ipv4: bool) -> u32 {
    match address {
        IpAddr::V6(address) if is_service_ipv4 => words(address.to_bits())[0],
        address => of_address(address),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "each word is what is cut off")]
fn words(bits: u128) -> [u32; 4] {
    [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
}
