//! What `/proc` tells of this machine: settings, listeners, counters.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::machine::{Listener, Sysctls};

/// The settings as they are when they are asked for.
pub(crate) fn sysctls() -> Sysctls {
    Box::new(|path| fs::read_to_string(format!("/proc/sys/{path}")).ok()?.trim().parse().ok())
}

/// Who waits for TCP connections or UDP packets.
pub(crate) fn listeners() -> Vec<Listener> {
    const TCP_LISTEN: &str = "0A";
    const UDP_UNCONNECTED: &str = "07";
    let files =
        [("tcp", TCP_LISTEN), ("tcp6", TCP_LISTEN), ("udp", UDP_UNCONNECTED), ("udp6", UDP_UNCONNECTED)];
    let mut listeners = Vec::new();
    for (file, state) in files {
        let rows = fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
        let is_tcp = file.starts_with("tcp");
        listeners.extend(rows.lines().skip(1).filter_map(|row| listener(row, state, is_tcp)));
    }
    listeners
}

/// A row `SL: LOCAL:PORT REMOTE:PORT STATE ...`, whose addresses are words of the machine's byte order.
#[expect(clippy::host_endian_bytes, reason = "the kernel prints addresses as numbers")]
fn listener(row: &str, wanted: &str, is_tcp: bool) -> Option<Listener> {
    let mut words = row.split_whitespace().skip(1);
    let (local, _, state) = (words.next()?, words.next()?, words.next()?);
    let (address, port) = local.split_once(':').filter(|_| state == wanted)?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            Ipv6Addr::from_bits(words.iter().flatten().fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
                .to_canonical()
        }
        _ => return None,
    };
    Some(Listener { address, port: u16::from_str_radix(port, 16).ok()?, is_tcp })
}

/// How many packets `rp_filter` has dropped in this network namespace.
pub(crate) fn filtered() -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let mut pairs = names.split(' ').zip(values.split(' '));
    let value = pairs.find(|(name, _)| *name == "IPReversePathFilter");
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_of_sockets_are_read() {
        let row =
            |local: &str, state: &str| format!("   0: {local} 00000000:0000 {state} 00000000:00000000 00:0");
        let read = |local: &str, state: &str| {
            listener(&row(local, state), "0A", true).map(|found| (found.address, found.port))
        };
        if cfg!(target_endian = "little") {
            assert_eq!(read("0100007F:0050", "0A"), Some(("127.0.0.1".parse().unwrap(), 80)));
            let documentation = "B80D0120000000000000000001000000:01BB";
            assert_eq!(read(documentation, "0A"), Some(("2001:db8::1".parse().unwrap(), 443)));
        }
        assert_eq!(read("00000000:1F90", "0A"), Some(("0.0.0.0".parse().unwrap(), 8080)));
        assert_eq!(read("00000000:1F90", "01"), None);
        assert_eq!(listener("", "0A", true), None);
    }

    proptest! {
        #[test]
        fn no_row_makes_the_reader_panic(row in "[0-9A-F: é]{0,80}") {
            let _ = listener(&row, "0A", true);
        }
    }
}
