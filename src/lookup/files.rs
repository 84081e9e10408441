//! `/etc/hosts` and `/etc/services`, as the C library reads them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::nsswitch::{self, Order};
use super::{Answer, Found, Missing, Question, Transport};

/// What the files say about a question.
pub(super) enum Verdict {
    Found(Found),
    /// The name servers come next.
    AskDns,
    /// Somebody else comes next, or the files say something that only the C library can interpret.
    AskOthers,
}

/// The files, read when they are first needed.
#[derive(Debug)]
pub(super) struct Files {
    hosts_order: Order,
    services_order: Order,
    hosts: Option<Hosts>,
    services: Option<Services>,
}

impl Files {
    pub(super) fn new() -> Self {
        let text = std::fs::read("/etc/nsswitch.conf").unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let hosts = nsswitch::line_of(&text, "hosts").unwrap_or(nsswitch::DEFAULT_HOSTS);
        let services = nsswitch::line_of(&text, "services").unwrap_or(nsswitch::DEFAULT_SERVICES);
        let has_db =
            || ["/var/lib/misc", "/var/db"].iter().any(|folder| is_file(&format!("{folder}/services.db")));
        Self {
            hosts_order: nsswitch::order(hosts, || true),
            services_order: nsswitch::order(services, has_db),
            hosts: None,
            services: None,
        }
    }

    /// Whether somebody else may know a host that the name servers do not know.
    pub(super) fn others_follow_dns(&self) -> bool {
        self.hosts_order.others
    }

    pub(super) fn answer(&mut self, question: &Question) -> Verdict {
        let (order, entry) = match question {
            Question::HostName(_) | Question::Address(_) if self.hosts_order.files => {
                let hosts = self.hosts.get_or_insert_with(|| Hosts::of(&read("/etc/hosts")));
                (self.hosts_order, hosts.answer(question))
            }
            Question::HostName(_) | Question::Address(_) => (self.hosts_order, Entry::None),
            Question::ServiceName(..) | Question::Port(..) if self.services_order.files => {
                let services = self.services.get_or_insert_with(|| Services::of(&read("/etc/services")));
                (self.services_order, services.answer(question))
            }
            Question::ServiceName(..) | Question::Port(..) => (self.services_order, Entry::None),
        };
        match entry {
            Entry::One(answer) => Verdict::Found(Ok(answer)),
            Entry::Ambiguous => Verdict::AskOthers,
            Entry::None if order.dns => Verdict::AskDns,
            Entry::None if order.others => Verdict::AskOthers,
            Entry::None => Verdict::Found(Err(Missing::Unknown)),
        }
    }
}

fn is_file(path: &str) -> bool {
    std::fs::exists(path).unwrap_or(false)
}

fn read(path: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// What a file has about a question.
enum Entry {
    None,
    One(Answer),
    /// Something whose order or form only the C library knows.
    Ambiguous,
}

impl Entry {
    fn of(answer: Option<Answer>) -> Self {
        answer.map_or(Self::None, Self::One)
    }
}

/// The words of a line before its comment.
fn words(line: &str) -> std::str::SplitWhitespace<'_> {
    line.split('#').next().unwrap_or_default().split_whitespace()
}

/// The hosts of `/etc/hosts`.
#[derive(Debug, Default)]
struct Hosts {
    /// The first name of each address; none where that is for the C library to say.
    names: BTreeMap<IpAddr, Option<String>>,
    /// The IPv4 address of each name, in small letters; none if there are several, whose order is the C library's.
    addresses: BTreeMap<String, Option<Ipv4Addr>>,
}

impl Hosts {
    fn of(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let mut words = words(line);
            if let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) {
                hosts.add(address, words);
            }
        }
        hosts
    }

    fn add<'a>(&mut self, address: IpAddr, names: impl Iterator<Item = &'a str>) {
        // The C library reads these IPv6 addresses as IPv4 ones, too.
        let as_v4 = match address {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(v6) if v6.is_loopback() => Some(Ipv4Addr::LOCALHOST),
            IpAddr::V6(v6) => v6.to_ipv4_mapped(),
        };
        let mut names = names.peekable();
        self.names.entry(address).or_insert_with(|| names.peek().map(|name| (*name).to_owned()));
        if let (IpAddr::V6(_), Some(v4)) = (address, as_v4) {
            self.names.entry(v4.into()).or_insert(None);
        }
        let Some(v4) = as_v4 else { return };
        for name in names {
            let known = self.addresses.entry(name.to_ascii_lowercase()).or_insert(Some(v4));
            if *known != Some(v4) {
                *known = None;
            }
        }
    }

    fn answer(&self, question: &Question) -> Entry {
        match question {
            Question::HostName(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => Entry::Ambiguous,
            Question::HostName(address) => match self.names.get(address) {
                None => Entry::None,
                Some(name) => name.clone().map_or(Entry::Ambiguous, |name| Entry::One(Answer::Name(name))),
            },
            Question::Address(name) => match self.addresses.get(&name.to_ascii_lowercase()) {
                None => Entry::None,
                Some(address) => {
                    address.map_or(Entry::Ambiguous, |address| Entry::One(Answer::Address(address)))
                }
            },
            Question::ServiceName(..) | Question::Port(..) => Entry::None,
        }
    }
}

/// The services of `/etc/services` over TCP and UDP.
#[derive(Debug, Default)]
struct Services {
    names: BTreeMap<(u16, Transport), String>,
    ports: BTreeMap<(String, Transport), u16>,
}

impl Services {
    fn of(text: &str) -> Self {
        let mut services = Self::default();
        for line in text.lines() {
            let Some((port, protocol, names)) = service(line) else { continue };
            let transport = match protocol {
                "tcp" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => continue,
            };
            for (index, name) in names.enumerate() {
                if index == 0 {
                    services.names.entry((port, transport)).or_insert_with(|| name.to_owned());
                }
                services.ports.entry((name.to_owned(), transport)).or_insert(port);
            }
        }
        services
    }

    fn answer(&self, question: &Question) -> Entry {
        Entry::of(match question {
            Question::ServiceName(port, transport) => {
                self.names.get(&(*port, *transport)).cloned().map(Answer::Name)
            }
            Question::Port(name, transport) => {
                self.ports.get(&(name.clone(), *transport)).copied().map(Answer::Port)
            }
            Question::HostName(_) | Question::Address(_) => None,
        })
    }
}

/// Port, protocol and names, the main one first, of a line of `/etc/services`: `NAME PORT/PROTOCOL [ALIAS...] [# ...]`.
fn service(line: &str) -> Option<(u16, &str, impl Iterator<Item = &str>)> {
    let mut words = words(line);
    let (name, entry) = (words.next()?, words.next()?);
    let (port, protocol) = entry.split_once('/')?;
    Some((port.parse().ok()?, protocol, std::iter::once(name).chain(words)))
}

/// The services over a protocol, each of their names with its port.
pub(crate) fn services_over(protocol: &str) -> Vec<(String, u16)> {
    let text = read("/etc/services");
    let over_it = |line| service(line).filter(|(_, of_line, _)| *of_line == protocol);
    text.lines()
        .filter_map(over_it)
        .flat_map(|(port, _, names)| names.map(move |name| (name.to_owned(), port)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, question: &Question) -> String {
        match Hosts::of(text).answer(question) {
            Entry::None => "nothing".to_owned(),
            Entry::One(Answer::Name(name)) => name,
            Entry::One(Answer::Address(address)) => address.to_string(),
            Entry::One(Answer::Port(port)) => port.to_string(),
            Entry::One(Answer::Addresses(_)) => "several".to_owned(),
            Entry::Ambiguous => "ambiguous".to_owned(),
        }
    }

    #[test]
    fn hosts_are_read_as_the_c_library_reads_them() {
        let text = "10.0.0.1\tWeb.test web # 10.0.0.9 no\n\n10.0.0.1 second\n10.0.0.2 web2 two\n10.0.0.3 two\n\
            ::1 six localhost\n127.0.0.1 localhost\n2001:db8::1 v6 web2\nbogus name\n10.0.0.4\n";
        let name = |address: &str| asked(text, &Question::HostName(address.parse().unwrap()));
        let address = |name: &str| asked(text, &Question::Address(name.to_owned()));
        assert_eq!(name("10.0.0.1"), "Web.test");
        assert_eq!(name("2001:db8::1"), "v6");
        assert_eq!(name("10.0.0.9"), "nothing");
        assert_eq!((name("127.0.0.1"), name("10.0.0.4")), ("ambiguous".into(), "ambiguous".into()));
        assert_eq!(address("WEB"), "10.0.0.1");
        assert_eq!(address("web2"), "10.0.0.2", "an IPv6 address beside it does not count");
        assert_eq!((address("localhost"), address("six")), ("127.0.0.1".into(), "127.0.0.1".into()));
        assert_eq!(address("two"), "ambiguous", "which of two comes first is the C library's to say");
        assert_eq!((address("v6"), address("no")), ("nothing".into(), "nothing".into()));
    }

    #[test]
    fn services_are_read_as_the_c_library_reads_them() {
        let services =
            Services::of("http 80/tcp www # web\nwww2 80/tcp\ndomain 53/udp\nhttp 8080/tcp\nbad x/tcp\n");
        let name = |port, transport| services.names.get(&(port, transport)).map(String::as_str);
        let port = |name: &str, transport| services.ports.get(&(name.to_owned(), transport)).copied();
        assert_eq!((name(80, Transport::Tcp), name(80, Transport::Udp)), (Some("http"), None));
        assert_eq!((port("www", Transport::Tcp), port("http", Transport::Tcp)), (Some(80), Some(80)));
        assert_eq!((port("domain", Transport::Udp), port("domain", Transport::Tcp)), (Some(53), None));
    }
}
