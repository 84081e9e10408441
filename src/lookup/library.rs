//! Lookups by the C library.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, getaddrinfo, getnameinfo};

use super::{Answer, Found, Missing, Question, Transport};

/// The parts that threads take: one question each.
pub(super) fn jobs(questions: Vec<Question>) -> Vec<Vec<Question>> {
    questions.into_iter().map(|question| vec![question]).collect()
}

/// Answers questions. The C library cannot be made to return before it is done.
pub(super) fn ask(questions: Vec<Question>, _deadline: Instant) -> Vec<(Question, Found)> {
    let found = |question: Question| {
        let found = answer(&question);
        (question, found)
    };
    questions.into_iter().map(found).collect()
}

pub(super) fn answer(question: &Question) -> Found {
    match question {
        Question::HostName(address) => {
            let address = SocketAddr::new(*address, 0);
            let (name, _) = getnameinfo(&address, libc::NI_NAMEREQD | libc::NI_NUMERICSERV)
                .map_err(|error| missing(&error))?;
            Ok(Answer::Name(name))
        }
        Question::Address(name) => {
            let found = information(Some(name), None, Transport::Tcp)?;
            let addresses = found.filter_map(|found| match found {
                SocketAddr::V4(address) => Some(*address.ip()),
                SocketAddr::V6(_) => None,
            });
            Answer::of_host(addresses).ok_or(Missing::Unknown)
        }
        Question::ServiceName(port, transport) => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
            let datagram = if *transport == Transport::Udp { libc::NI_DGRAM } else { 0 };
            let (_, name) =
                getnameinfo(&address, libc::NI_NUMERICHOST | datagram).map_err(|error| missing(&error))?;
            // A port without a name is returned as its number.
            if name == port.to_string() { Err(Missing::Unknown) } else { Ok(Answer::Name(name)) }
        }
        Question::Port(name, transport) => {
            let found = information(None, Some(name), *transport)?.next();
            found.map(|found| Answer::Port(found.port())).ok_or(Missing::Unknown)
        }
    }
}

/// The IPv4 addresses and ports of a host and a service.
fn information(
    host: Option<&str>,
    service: Option<&str>,
    transport: Transport,
) -> Result<impl Iterator<Item = SocketAddr>, Missing> {
    let socktype = if transport == Transport::Udp { libc::SOCK_DGRAM } else { libc::SOCK_STREAM };
    let hints = AddrInfoHints { address: libc::AF_INET, socktype, ..AddrInfoHints::default() };
    let found = getaddrinfo(host, service, Some(hints)).map_err(|error| missing(&error))?;
    Ok(found.flatten().map(|found| found.sockaddr))
}

fn missing(error: &LookupError) -> Missing {
    match error.kind() {
        LookupErrorKind::Again | LookupErrorKind::Fail | LookupErrorKind::System => Missing::NoAnswer,
        _ => Missing::Unknown,
    }
}
