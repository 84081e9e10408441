//! The numbers of protocols.

use ipvs::Protocol;

pub(crate) const ICMP: u8 = 1;
pub(crate) const IPIP: u8 = 4;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const IPV6: u8 = 41;
pub(crate) const GRE: u8 = 47;
pub(crate) const ICMP6: u8 = 58;
pub(crate) const SCTP: u8 = 132;

/// The number of a protocol; none for one that IPVS does not schedule.
pub(crate) fn number(protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::Tcp => Some(TCP),
        Protocol::Udp => Some(UDP),
        Protocol::Sctp => Some(SCTP),
        Protocol::Other(_) => None,
    }
}

/// The only protocol that is usual on a port.
pub(crate) fn usual(port: u16) -> Option<Protocol> {
    const OF_TCP: [u16; 15] = [21, 22, 23, 25, 80, 110, 143, 465, 587, 993, 995, 3306, 5432, 8080, 8443];
    const OF_UDP: [u16; 5] = [69, 123, 514, 1812, 1813];
    match port {
        port if OF_TCP.contains(&port) => Some(Protocol::Tcp),
        port if OF_UDP.contains(&port) => Some(Protocol::Udp),
        _ => None,
    }
}
