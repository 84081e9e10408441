//! `/etc/resolv.conf`: the name servers and how to ask them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What the C library takes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    /// One to three.
    pub(super) servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
    timeout: u32,
    attempts: u32,
}

/// The C library's limits.
const SERVERS: usize = 3;
const MOST_DOTS: usize = 15;
const LONGEST_TIMEOUT: u32 = 30;
const MOST_ATTEMPTS: u32 = 5;

impl Config {
    /// That of this machine; none where it, or the environment, has what only the C library understands.
    pub(super) fn read() -> Option<Self> {
        if ["RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES"].iter().any(|name| std::env::var_os(name).is_some()) {
            return None;
        }
        let text = std::fs::read("/etc/resolv.conf").unwrap_or_default();
        let uname = rustix::system::uname();
        Self::parse(&String::from_utf8_lossy(&text), &uname.nodename().to_string_lossy())
    }

    fn parse(text: &str, own_name: &str) -> Option<Self> {
        let own_domain = own_name.split_once('.').map(|(_, domain)| domain.to_owned());
        let search = own_domain.into_iter().collect();
        let mut config = Self { servers: Vec::new(), search, dots: 1, timeout: 5, attempts: 2 };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if config.servers.len() < SERVERS => {
                    let address: IpAddr = words.next()?.parse().ok()?;
                    config.servers.push(SocketAddr::new(address, 53));
                }
                Some("search" | "domain") => config.search = words.map(str::to_owned).collect(),
                Some("options") => words.try_for_each(|word| config.option(word))?,
                _ => {}
            }
        }
        if config.servers.is_empty() {
            config.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        Some(config)
    }

    /// Reads an option; none if it changes what is asked or how answers are read.
    fn option(&mut self, word: &str) -> Option<()> {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        match name {
            "ndots" => self.dots = value.parse().unwrap_or(0).min(MOST_DOTS),
            "timeout" => self.timeout = value.parse().unwrap_or(0).clamp(1, LONGEST_TIMEOUT),
            "attempts" => self.attempts = value.parse().unwrap_or(0).clamp(1, MOST_ATTEMPTS),
            "use-vc" | "inet6" | "no-check-names" | "no-tld-query" => return None,
            _ => {}
        }
        Some(())
    }

    /// The names to ask for, in their order, for a name of a command line.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let searched = self.search.iter().map(|domain| match domain.trim_end_matches('.') {
            "" => name.to_owned(),
            domain => format!("{name}.{domain}"),
        });
        let whole = name.to_owned();
        if name.matches('.').count() >= self.dots {
            std::iter::once(whole).chain(searched).collect()
        } else {
            searched.chain([whole]).collect()
        }
    }

    /// As long as the C library waits for an answer, from all servers together.
    pub(super) fn patience(&self) -> Duration {
        let servers = u32::try_from(self.servers.len()).unwrap_or(1);
        let rounds = (0..self.attempts).map(|round| match round {
            0 => servers * self.timeout,
            _ => servers * ((self.timeout << round) / servers).max(1),
        });
        Duration::from_secs(rounds.sum::<u32>().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_the_c_library_reads_it() {
        let text = "# nameserver 192.0.2.9\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver 192.0.2.2\n\
            nameserver 192.0.2.3\nsearch a.test b.test\noptions ndots:2 timeout:1 attempts:1 edns0 rotate\n";
        let config = Config::parse(text, "host.own.test").unwrap();
        let servers = ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"].map(|text| text.parse().unwrap());
        assert_eq!(config.servers, servers);
        assert_eq!(config.candidates("web"), ["web.a.test", "web.b.test", "web"]);
        assert_eq!(config.candidates("web.x.y"), ["web.x.y", "web.x.y.a.test", "web.x.y.b.test"]);
        assert_eq!(config.candidates("web."), ["web"]);
        assert_eq!(config.patience(), Duration::from_secs(3));
        let none = Config::parse("", "host.own.test").unwrap();
        assert_eq!(none.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(none.candidates("web"), ["web.own.test", "web"]);
        assert_eq!(none.patience(), Duration::from_secs(15));
        for text in ["options use-vc", "nameserver fe80::1%eth0", "nameserver"] {
            assert_eq!(Config::parse(text, "host"), None, "{text}");
        }
    }
}
