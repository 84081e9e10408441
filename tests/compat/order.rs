//! The order of services and servers in lists and saves: by unsigned numbers, in one strict order.

use std::net::IpAddr;

/// Mark, IPv6, protocol, address, port.
type Key = (u32, bool, u8, u128, u16);

/// One service's line with those of its servers.
struct Block<'a> {
    key: Key,
    service: &'a str,
    servers: Vec<(Key, &'a str)>,
}

/// The text with each run of services and servers sorted; all other lines keep their places.
pub fn sorted(text: &str) -> String {
    let mut sorted = String::new();
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.split_inclusive('\n') {
        if let Some(key) = service_key(line) {
            // A listing followed by a save is two lists.
            let is_saved = |line: &str| line.starts_with("-A");
            if blocks.iter().any(|block| block.key == key || is_saved(block.service) != is_saved(line)) {
                flush(&mut blocks, &mut sorted); // a second list begins
            }
            blocks.push(Block { key, service: line, servers: Vec::new() });
        } else if let Some(key) = server_key(line)
            && let Some(block) = blocks.last_mut()
        {
            block.servers.push((key, line));
        } else {
            flush(&mut blocks, &mut sorted);
            sorted += line;
        }
    }
    flush(&mut blocks, &mut sorted);
    sorted
}

fn flush(blocks: &mut Vec<Block>, text: &mut String) {
    blocks.sort_by_key(|block| block.key);
    for mut block in blocks.drain(..) {
        *text += block.service;
        block.servers.sort_by_key(|server| server.0);
        text.extend(block.servers.into_iter().map(|server| server.1));
    }
}

fn service_key(line: &str) -> Option<Key> {
    let mut words = line.split_whitespace();
    let mut kind = words.next()?;
    if kind == "-A" {
        kind = words.next()?;
    }
    let protocol = match kind {
        "TCP" | "-t" => 6,
        "UDP" | "-u" => 17,
        "SCTP" | "--sctp-service" => 132,
        "FWM" | "-f" => {
            // The original prints the upper half as negative numbers.
            let mark = u32::try_from(words.next()?.parse::<i64>().ok()? & i64::from(u32::MAX)).ok()?;
            return Some((mark, matches!(words.next(), Some("IPv6" | "-6")), 0, 0, 0));
        }
        _ => return None,
    };
    let (address, port) = address(words.next()?)?;
    Some((0, address.is_ipv6(), protocol, number(address), port))
}

fn server_key(line: &str) -> Option<Key> {
    let mut words = line.split_whitespace();
    let (address, port) = match words.next()? {
        "->" => address(words.next()?)?,
        "-a" => address(words.skip_while(|word| *word != "-r").nth(1)?)?,
        _ => return None,
    };
    Some((0, address.is_ipv6(), 0, number(address), port))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => four.to_bits().into(),
        IpAddr::V6(six) => six.to_bits(),
    }
}

/// An address and a port as printed, by number or by the names in `etc/`; a name may be cut at its end.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "0"));
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().or_else(|| named_port(port)).unwrap_or_default();
    Some((host.parse().ok().or_else(|| named_host(host))?, port))
}

fn named_host(name: &str) -> Option<IpAddr> {
    let mut hosts = include_str!("etc/hosts").lines().map(str::split_whitespace);
    hosts.find_map(|mut words| {
        let address = words.next()?;
        words.next()?.starts_with(name).then(|| address.parse().ok())?
    })
}

fn named_port(name: &str) -> Option<u16> {
    let mut services = include_str!("etc/services").lines().map(str::split_whitespace);
    services.find_map(|mut words| {
        let same = words.next()? == name;
        let port = words.next()?.split('/').next()?;
        same.then(|| port.parse().ok())?
    })
}
