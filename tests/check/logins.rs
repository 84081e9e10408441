//! Logins: connections to the host on which a fix is run, like an administrator's. No fix may cut them, or the routes
//! they use.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::cluster::Cluster;
use lab::network::within;

/// A server that keeps a connection open until it has a whole request, in place of `ssh`.
const PORT: u16 = 22;

/// An open connection.
pub(crate) struct Login {
    from: &'static str,
    to: SocketAddr,
    stream: TcpStream,
}

impl Login {
    fn open(from: &'static str, to: IpAddr) -> Option<Self> {
        let to = SocketAddr::new(to, PORT);
        let mut stream = within(from, || TcpStream::connect_timeout(&to, Duration::from_secs(2))).ok()?;
        stream.write_all(b"GET /").unwrap();
        Some(Self { from, to, stream })
    }

    /// Uses the connection, and opens another.
    fn works(&mut self) -> Result<(), String> {
        let place = format!("from {} to {}", self.from, self.to);
        let answers = |stream: &mut TcpStream| -> std::io::Result<bool> {
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            stream.write_all(b" HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer.starts_with("HTTP/1"))
        };
        match answers(&mut self.stream) {
            Ok(true) => {}
            other => return Err(format!("the login {place} is cut: {other:?}")),
        }
        // A neighbour that was just silent is probed again after a while.
        let mut again = (0..4).filter_map(|_| Self::open(self.from, self.to.ip()));
        again.next().map(drop).ok_or(format!("no new login is possible {place}"))
    }
}

/// Logs in to a host from all others, at each of its own addresses.
pub(crate) fn open(cluster: &mut Cluster, host: &'static str) -> Vec<Login> {
    cluster.accept_logins(host);
    let addresses = cluster.kind.addresses(host);
    let others = cluster.kind.names().filter(|from| *from != host);
    let ways: Vec<_> = others.flat_map(|from| addresses.iter().map(move |to| (from, *to))).collect();
    std::thread::scope(|scope| {
        let all: Vec<_> =
            ways.into_iter().map(|(from, to)| scope.spawn(move || Login::open(from, to))).collect();
        all.into_iter().filter_map(|login| login.join().unwrap()).collect()
    })
}

/// Asserts that logins survived everything since.
pub(crate) fn assert_open(logins: &mut [Login], after: &str) {
    let cut: Vec<String> = logins.iter_mut().filter_map(|login| login.works().err()).collect();
    assert!(cut.is_empty(), "after {after}: {cut:?}");
}
