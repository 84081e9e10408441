//! Questions to a name server and its replies, as bytes.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, RCODE, TYPE};

use std::net::{IpAddr, Ipv4Addr};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Ptr,
}

impl Kind {
    fn record(self) -> TYPE {
        match self {
            Self::A => TYPE::A,
            Self::Ptr => TYPE::PTR,
        }
    }
}

/// What a datagram says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It answers another question, or none.
    Foreign,
    /// The answer takes TCP.
    Truncated,
    /// This server cannot tell.
    Refused,
    /// There is no such record.
    None,
    /// The name of an address.
    Name(String),
    /// The addresses of a name, in the server's order.
    Addresses(Vec<Ipv4Addr>),
    /// A name with letters that host names do not have: the C library has its own ways with them.
    Odd,
}

/// The name whose record has the name of an address.
pub(super) fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles =
                v6.octets().into_iter().rev().map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

/// The question; none if the name cannot be one of a host.
pub(super) fn query(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).ok().filter(|_| is_host(name))?;
    packet.questions.push(simple_dns::Question::new(name, kind.record().into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

/// Whether a name is of letters, digits, `-` and `_`, in parts that DNS can have.
pub(super) fn is_host(name: &str) -> bool {
    let is_part = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split('.').all(is_part)
}

/// What a datagram says about a question.
pub(super) fn read(bytes: &[u8], id: u16, name: &str, kind: Kind) -> Reply {
    let Ok(packet) = Packet::parse(bytes) else { return unreadable(bytes, id) };
    let is_asked = |question: &simple_dns::Question<'_>| {
        question.qname.to_string().eq_ignore_ascii_case(name)
            && question.qtype == QTYPE::TYPE(kind.record())
            && question.qclass == QCLASS::CLASS(CLASS::IN)
    };
    if packet.id() != id
        || !packet.has_flags(PacketFlag::RESPONSE)
        || packet.questions.len() != 1
        || !packet.questions.iter().all(is_asked)
    {
        return Reply::Foreign;
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Reply::Truncated;
    }
    match packet.rcode() {
        RCODE::NoError => records(&packet, name, kind),
        RCODE::NameError => Reply::None,
        _ => Reply::Refused,
    }
}

/// A truncated reply may end in the middle of a record.
#[expect(clippy::big_endian_bytes, reason = "so the protocol has them")]
fn unreadable(bytes: &[u8], id: u16) -> Reply {
    /// Two bits of the third byte.
    const TRUNCATED_REPLY: u8 = 0x82;
    match bytes {
        [first, second, flags, ..]
            if [*first, *second] == id.to_be_bytes() && flags & TRUNCATED_REPLY == TRUNCATED_REPLY =>
        {
            Reply::Truncated
        }
        _ => Reply::Foreign,
    }
}

/// The records of the asked kind, behind aliases.
fn records(packet: &Packet<'_>, name: &str, kind: Kind) -> Reply {
    let mut name = name.to_owned();
    let mut addresses = Vec::new();
    for record in packet.answers.iter().filter(|record| record.class == CLASS::IN) {
        if !record.name.to_string().eq_ignore_ascii_case(&name) {
            continue;
        }
        match &record.rdata {
            RData::CNAME(alias) => name = alias.0.to_string(),
            RData::A(address) if kind == Kind::A => {
                let address = Ipv4Addr::from_bits(address.address);
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            RData::PTR(found) if kind == Kind::Ptr => {
                let found = found.0.to_string();
                return if is_host(&found) { Reply::Name(found) } else { Reply::Odd };
            }
            _ => {}
        }
    }
    if addresses.is_empty() { Reply::None } else { Reply::Addresses(addresses) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_have_reverse_names() {
        assert_eq!(reverse("10.1.2.3".parse().unwrap()), "3.2.1.10.in-addr.arpa");
        let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(reverse("2001:db8::1".parse().unwrap()), six);
    }

    #[test]
    fn what_cannot_be_a_host_is_not_asked_for() {
        for name in ["", "a..b", "a b", "bücher", "a.", &"a".repeat(64), &"a.".repeat(200)] {
            assert_eq!(query(1, name, Kind::A), None, "{name}");
        }
        assert!(query(1, "_dns.web-1.test", Kind::A).is_some());
    }

    #[test]
    fn a_reply_is_of_its_question() {
        let mut reply = query(7, "web.test", Kind::A).unwrap();
        assert_eq!(read(&reply, 7, "web.test", Kind::A), Reply::Foreign, "a question is no reply");
        reply[2] |= 0x80;
        assert_eq!(read(&reply, 7, "WEB.test", Kind::A), Reply::None);
        assert_eq!(read(&reply, 8, "web.test", Kind::A), Reply::Foreign);
        assert_eq!(read(&reply, 7, "web.test", Kind::Ptr), Reply::Foreign);
        assert_eq!(read(&reply, 7, "other.test", Kind::A), Reply::Foreign);
        reply[3] = 2;
        assert_eq!(read(&reply, 7, "web.test", Kind::A), Reply::Refused);
        reply[2] |= 2;
        assert_eq!(read(&reply, 7, "web.test", Kind::A), Reply::Truncated);
        assert_eq!(read(&reply[..20], 7, "web.test", Kind::A), Reply::Truncated);
    }

    proptest! {
        #[test]
        fn no_reply_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0..40_usize) {
            let mut reply = query(7, "web.test", Kind::Ptr).unwrap();
            reply[2] |= 0x80;
            reply[7] = 3;
            reply.extend_from_slice(&[0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 4]);
            reply.extend_from_slice(&bytes);
            let _ = read(&reply, 7, "web.test", Kind::Ptr);
            let _ = read(&bytes, 7, "web.test", Kind::Ptr);
            if let Some(byte) = reply.get_mut(at) {
                *byte = bytes.first().copied().unwrap_or_default();
            }
            let _ = read(&reply, 7, "web.test", Kind::Ptr);
        }
    }
}
