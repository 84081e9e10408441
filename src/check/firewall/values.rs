//! Values as the tools of packet filters write them.

use std::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};

/// A protocol by name or number.
pub(super) fn protocol_number(word: &str) -> Option<u8> {
    Some(match word {
        "icmp" => 1,
        "ipencap" | "ipip" | "ipv4" => 4,
        "tcp" => 6,
        "udp" => 17,
        "ipv6" => 41,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "ipv6-icmp" | "icmpv6" => 58,
        "vrrp" => 112,
        "sctp" => 132,
        other => other.parse().ok()?,
    })
}

/// Networks `ADDRESS[/PREFIX],...`.
pub(super) fn networks(list: &str) -> Option<Vec<IpNet>> {
    list.split(',').map(network).collect()
}

/// A range `FIRST-LAST` of addresses, as networks.
pub(super) fn range(word: &str) -> Option<Vec<IpNet>> {
    let (first, last) = word.split_once('-')?;
    let networks = match (first.parse().ok()?, last.parse().ok()?) {
        (IpAddr::V4(first), IpAddr::V4(last)) => IpSubnets::V4(Ipv4Subnets::new(first, last, 0)),
        (IpAddr::V6(first), IpAddr::V6(last)) => IpSubnets::V6(Ipv6Subnets::new(first, last, 0)),
        _ => return None,
    };
    Some(networks.collect())
}

/// Flags of TCP, `NAME,...`.
pub(super) fn flags(list: &str) -> Option<u8> {
    list.split(',').try_fold(0, |all, name| Some(all | flag(name)?))
}

/// A network `ADDRESS[/PREFIX]`, or with a netmask that is a prefix.
pub(super) fn network(word: &str) -> Option<IpNet> {
    let Some((address, length)) = word.split_once('/') else {
        return word.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let address: IpAddr = address.parse().ok()?;
    let length = match length.parse() {
        Ok(mask) => ipnet::ip_mask_to_prefix(mask).ok()?,
        Err(_) => length.parse().ok()?,
    };
    IpNet::new(address, length).ok()
}

/// The address of a network that is a single one.
pub(super) fn single(network: &IpNet) -> Option<IpAddr> {
    (network.prefix_len() == network.max_prefix_len()).then_some(network.addr())
}

/// Flags of TCP, by name.
fn flag(name: &str) -> Option<u8> {
    const NAMES: [&str; 6] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
    match name.to_ascii_uppercase().as_str() {
        "ALL" => Some((1 << NAMES.len()) - 1),
        "NONE" => Some(0),
        name => NAMES.iter().position(|other| *other == name).map(|bit| 1 << bit),
    }
}

/// A type of ICMP, as nftables names it.
pub(super) fn icmp_number(word: &str) -> Option<u8> {
    Some(match word {
        "echo-reply" => 0,
        "destination-unreachable" => 3,
        "redirect" => 5,
        "echo-request" => 8,
        "time-exceeded" => 11,
        other => other.parse().ok()?,
    })
}

/// A type of `ICMPv6`, as nftables names it.
pub(super) fn icmp6_number(word: &str) -> Option<u8> {
    Some(match word {
        "destination-unreachable" => 1,
        "packet-too-big" => 2,
        "time-exceeded" => 3,
        "parameter-problem" => 4,
        "echo-request" => 128,
        "echo-reply" => 129,
        "nd-router-solicit" => 133,
        "nd-router-advert" => 134,
        "nd-neighbor-solicit" => 135,
        "nd-neighbor-advert" => 136,
        "nd-redirect" => 137,
        other => other.parse().ok()?,
    })
}

/// `VALUE` or `VALUE/MASK`.
pub(super) fn value(word: &str) -> Option<(u32, u32)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    match word.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(word)?, u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_its_networks() {
        for (word, expected) in [
            ("192.168.1.99-192.168.1.103", "192.168.1.99/32 192.168.1.100/30"),
            ("10.0.0.1-10.0.0.1", "10.0.0.1/32"),
            ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
            ("2001:db8::2-2001:db8::5", "2001:db8::2/127 2001:db8::4/127"),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
            ("10.0.0.2-10.0.0.1", ""),
        ] {
            let networks = range(word).unwrap();
            let words: Vec<String> = networks.iter().map(IpNet::to_string).collect();
            assert_eq!(words.join(" "), expected, "{word}");
        }
        for word in ["10.0.0.1", "10.0.0.1-::1", "a-b"] {
            assert_eq!(range(word), None);
        }
    }
}
