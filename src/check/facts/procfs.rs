//! State of this machine from `/proc`: listeners, connections, counters.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ipvs::{Client, Family, ServiceId};

use super::machine::{Connection, Listener, Scheduled, TcpState};
use super::table::address;
use super::v6only;

/// Whether the module `ip_vs_ftp` is there; none if `/sys` is not.
pub(crate) fn has_ftp_helper() -> Option<bool> {
    let modules = Path::new("/sys/module");
    modules.join("ip_vs").exists().then(|| modules.join("ip_vs_ftp").exists())
}

/// Listening TCP and UDP sockets, and TCP connections. What cannot be read is not absent.
pub(crate) fn sockets() -> io::Result<(Vec<Listener>, Vec<Connection>)> {
    let (mut listeners, mut inodes, mut connections) = (Vec::new(), Vec::new(), Vec::new());
    for file in ["tcp", "tcp6", "udp", "udp6"] {
        let rows = match fs::read_to_string(format!("/proc/net/{file}")) {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.ends_with('6') => continue,
            rows => rows?,
        };
        for row in rows.lines().skip(1) {
            match socket(row, file.starts_with("tcp")) {
                Some(Socket::Listener(listener)) => {
                    listeners.push(listener);
                    inodes.push(inode(row));
                }
                Some(Socket::Connection(connection)) => connections.push(connection),
                None => {}
            }
        }
    }
    mark_v6only(&mut listeners, &inodes);
    Ok((listeners, connections))
}

/// The TCP connections from other machines that the connection tracking knows, as far as it has shown so many; none if it shows
/// none.
pub(crate) fn tracked() -> Option<Vec<Connection>> {
    const ROWS: usize = 20_000;
    let text = fs::read_to_string("/proc/net/nf_conntrack").ok()?;
    Some(text.lines().take(ROWS).filter_map(tracked_row).collect())
}

/// A row `ipv4 2 tcp 6 117 STATE src=CLIENT dst=LOCAL sport=PORT dport=PORT ...`.
fn tracked_row(row: &str) -> Option<Connection> {
    let mut words = row.split_whitespace().skip(2);
    let state = match (words.next()?, words.nth(2)?) {
        ("tcp", "SYN_SENT" | "SYN_RECV") => TcpState::Opening,
        ("tcp", "ESTABLISHED" | "CLOSE_WAIT") => TcpState::Established,
        ("tcp", _) => TcpState::Closed,
        _ => return None,
    };
    let value =
        |name: &str| row.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let end =
        |address, port| Some(SocketAddr::new(value(address)?.parse().ok()?, value(port)?.parse().ok()?));
    Some(Connection { local: end("dst", "dport")?, remote: end("src", "sport")?, state })
}

/// Finds out which sockets on `::` take no IPv4, where it matters: where none listens on all IPv4 addresses. `/proc/net` does
/// not show it.
fn mark_v6only(listeners: &mut [Listener], inodes: &[u64]) {
    let kinds: HashSet<(IpAddr, u16, bool)> =
        listeners.iter().map(|it| (it.address, it.port, it.is_tcp)).collect();
    let matters = |it: &Listener| {
        it.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            && !kinds.contains(&(Ipv4Addr::UNSPECIFIED.into(), it.port, it.is_tcp))
    };
    let asked = listeners.iter().zip(inodes).filter(|(it, _)| matters(it)).map(|(_, inode)| *inode).collect();
    let v6only = v6only::of(&asked);
    for (listener, inode) in listeners.iter_mut().zip(inodes) {
        listener.is_v6only = v6only.contains(inode);
    }
}

/// The inode of a socket's row: the tenth word.
fn inode(row: &str) -> u64 {
    row.split_whitespace().nth(9).and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Socket {
    Listener(Listener),
    Connection(Connection),
}

fn socket(row: &str, is_tcp: bool) -> Option<Socket> {
    let (local, remote, state) = row_of_socket(row)?;
    let listener = Listener { address: local.ip(), port: local.port(), is_tcp, is_v6only: false };
    let connection = |state| Some(Socket::Connection(Connection { local, remote, state }));
    match state {
        TCP_LISTEN if is_tcp => Some(Socket::Listener(listener)),
        UDP_UNCONNECTED if !is_tcp => Some(Socket::Listener(listener)),
        _ if !is_tcp => None,
        TCP_ESTABLISHED | TCP_CLOSE_WAIT => connection(TcpState::Established),
        TCP_SYN_SENT | TCP_SYN_RECV | TCP_CLOSE => connection(TcpState::Opening),
        _ => connection(TcpState::Closed),
    }
}

const TCP_ESTABLISHED: u8 = 1;
const TCP_SYN_SENT: u8 = 2;
const TCP_SYN_RECV: u8 = 3;
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;
const TCP_LISTEN: u8 = 10;
const UDP_UNCONNECTED: u8 = 7;

/// Both ends and the state of a row `SL: LOCAL:PORT REMOTE:PORT STATE ...`.
fn row_of_socket(row: &str) -> Option<(SocketAddr, SocketAddr, u8)> {
    let mut words = row.split_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    Some((end(local)?, end(remote)?, u8::from_str_radix(state, 16).ok()?))
}

/// `ADDRESS:PORT`, with the address as words in the machine's byte order.
#[expect(clippy::host_endian_bytes, reason = "the kernel prints addresses as numbers")]
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
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
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// The addresses of this machine's own virtual services of a family. The kernel is asked for them where this may be done: its
/// file lacks services before 7.2 if other network namespaces have many.
pub(crate) fn scheduled(is_ipv4: bool) -> Scheduled {
    const FILE: &str = "/proc/net/ip_vs";
    // A question to a kernel without IPVS would load it.
    if Path::new("/proc/net").exists() && !Path::new(FILE).exists() {
        return Scheduled::default();
    }
    let Ok(services) = Client::open().and_then(|mut client| client.services()) else {
        let text = fs::read_to_string(FILE).unwrap_or_default();
        let addresses = text.lines().filter_map(scheduled_row).collect();
        return Scheduled { addresses, unknown: Some("its table cannot be read: try as root") };
    };
    let of_mark = services.iter().any(|entry| match entry.service.id {
        ServiceId::Fwmark { family, .. } => (family == Family::V4) == is_ipv4,
        ServiceId::Address { .. } => false,
    });
    let addresses = services.iter().filter_map(|entry| address(&entry.service.id)).collect();
    Scheduled { addresses, unknown: of_mark.then_some("it has a service by firewall mark") }
}

/// The address of a row `TCP  C0A80164:0050 wlc` or `TCP  [2001:...]:0050 wlc`.
fn scheduled_row(row: &str) -> Option<IpAddr> {
    let mut words = row.split_whitespace();
    let word =
        words.next().filter(|word| matches!(*word, "TCP" | "UDP" | "SCTP")).and_then(|_| words.next())?;
    match word.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?.parse().ok().map(IpAddr::V6),
        None => u32::from_str_radix(word.split(':').next()?, 16).ok().map(|bits| Ipv4Addr::from(bits).into()),
    }
}

/// How many packets `rp_filter` has dropped in this network namespace.
pub(crate) fn rp_filter_drops() -> u64 {
    counter(&read("netstat"), "TcpExt:", "IPReversePathFilter")
}

/// How many connections of clients listeners here have dropped because no route leads back: fewer than they have dropped
/// for other reasons than too many clients, and than there were packets of the family without a route.
pub(crate) fn connections_without_route(is_ipv4: bool) -> u64 {
    let tcp = read("netstat");
    let of = |name| counter(&tcp, "TcpExt:", name);
    let crowded = of("ListenOverflows").saturating_add(of("TCPReqQFullDrop"));
    let without_route = if is_ipv4 {
        counter(&read("snmp"), "Ip:", "OutNoRoutes")
    } else {
        let six = read("snmp6");
        let mut values = six.lines().filter_map(|line| line.strip_prefix("Ip6OutNoRoutes"));
        values.next().and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    of("ListenDrops").saturating_sub(crowded).min(without_route)
}

/// How many times this machine wanted to say that a packet cannot go on; they are counted before a packet filter drops them.
pub(crate) fn complaints() -> u64 {
    counter(&read("snmp"), "Icmp:", "OutDestUnreachs")
}

/// How many packets of this machine others have refused, because nobody waits for them there.
pub(crate) fn refused_packets(is_ipv4: bool) -> u64 {
    if is_ipv4 {
        return counter(&read("snmp"), "Icmp:", "InDestUnreachs");
    }
    let six = read("snmp6");
    let mut values = six.lines().filter_map(|line| line.strip_prefix("Icmp6InDestUnreachs"));
    values.next().and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default()
}

/// A counter of a group, which has a line of names and one of values.
fn counter(text: &str, group: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let mut pairs = names.split(' ').zip(values.split(' '));
    let value = pairs.find(|(other, _)| *other == name);
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_of_sockets_are_read() {
        let read = |local: &str, remote: &str, state: &str| {
            row_of_socket(&format!("   0: {local} {remote} {state} 00000000:00000000 00:0"))
        };
        let some =
            |local: &str, remote: &str, state| Some((local.parse().unwrap(), remote.parse().unwrap(), state));
        if cfg!(target_endian = "little") {
            let found = read("0100007F:0050", "0B01A8C0:8000", "01");
            assert_eq!(found, some("127.0.0.1:80", "192.168.1.11:32768", 1));
            let (documentation, mapped) =
                ("B80D0120000000000000000001000000:01BB", "0000000000000000FFFF00000B01A8C0:8000");
            assert_eq!(read(documentation, mapped, "03"), some("[2001:db8::1]:443", "192.168.1.11:32768", 3));
        }
        assert_eq!(
            read("00000000:1F90", "00000000:0000", "0A"),
            some("0.0.0.0:8080", "0.0.0.0:0", TCP_LISTEN)
        );
        assert_eq!(read("00000000:1F90", "0000000:0000", "0A"), None);
        assert_eq!(row_of_socket(""), None);
    }

    #[test]
    fn tracked_connections_are_read() {
        let row = |protocol: &str, state: &str| {
            tracked_row(&format!(
                "ipv4     2 {protocol}      6 117 {state} src=192.168.1.1 dst=192.168.1.11 sport=40000 dport=80 \
                 src=172.17.0.2 dst=192.168.1.1 sport=8080 dport=40000 mark=0 use=1"
            ))
        };
        let (local, remote) = ("192.168.1.11:80".parse().unwrap(), "192.168.1.1:40000".parse().unwrap());
        let some = |state| Some(Connection { local, remote, state });
        assert_eq!(row("tcp", "TIME_WAIT"), some(TcpState::Closed));
        assert_eq!(row("tcp", "SYN_RECV"), some(TcpState::Opening));
        assert_eq!(row("tcp", "ESTABLISHED"), some(TcpState::Established));
        assert_eq!((row("udp", "x"), tracked_row("")), (None, None));
    }

    #[test]
    fn services_of_the_table_are_read() {
        for (row, expected) in [
            ("TCP  C0A80164:0050 wlc  ", Some("192.168.1.100")),
            ("UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 rr ", Some("2001:db8::1")),
            ("FWM  00000007 wlc ", None),
            ("  -> C0A8010B:0050      Route   1      0          0", None),
            ("Prot LocalAddress:Port Scheduler Flags", None),
        ] {
            assert_eq!(scheduled_row(row), expected.map(|address| address.parse().unwrap()), "{row}");
        }
    }

    #[test]
    fn counters_are_found_by_their_names() {
        let text =
            "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 5 17\nIpExt: InNoRoutes ListenDrops\nIpExt: 3 4\n";
        assert_eq!([counter(text, "TcpExt:", "ListenDrops"), counter(text, "IpExt:", "InNoRoutes")], [17, 3]);
        assert_eq!([counter(text, "TcpExt:", "InNoRoutes"), counter("TcpExt: a\n", "TcpExt:", "a")], [0, 0]);
    }

    #[test]
    fn sockets_are_told_apart_by_their_states() {
        let of = |state: u8, is_tcp| {
            let found = socket(&format!("0: 00000000:0050 00000000:1F90 {state:02X} 0:0"), is_tcp);
            match found {
                Some(Socket::Listener(listener)) => {
                    assert_eq!((listener.port, listener.is_tcp), (80, is_tcp));
                    "listener"
                }
                Some(Socket::Connection(connection)) => {
                    assert_eq!((connection.local.port(), connection.remote.port()), (80, 8080));
                    match connection.state {
                        TcpState::Opening => "opening",
                        TcpState::Established => "established",
                        TcpState::Closed => "closed",
                    }
                }
                None => "-",
            }
        };
        // As in include/net/tcp_states.h, from 1.
        let tcp =
            "established opening opening closed closed closed opening established closed listener closed";
        assert_eq!((1..=11).map(|state| of(state, true)).collect::<Vec<_>>().join(" "), tcp);
        let udp = "- - - - - - listener - - - -";
        assert_eq!((1..=11).map(|state| of(state, false)).collect::<Vec<_>>().join(" "), udp);
    }

    proptest! {
        #[test]
        fn no_row_makes_the_reader_panic(row in "[0-9A-F: é]{0,80}") {
            let _ = row_of_socket(&row);
        }
    }
}
