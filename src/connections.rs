//! The kernel's connections, each of them once. Since Linux 7.1 the kernel resizes their table while it is read: some rows
//! come again, others are missed.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use ipvs::{Client, Connection, Connections};

use crate::progress::Progress;
use crate::seen::Seen;

/// Only kernels that resize the table have this file. It begins with the number of connections.
const STATUS: &str = "/proc/thread-self/net/ip_vs_status";

/// How often the connections are read at most.
const READINGS: usize = 12;

/// Where a connection begins or ends, a row may come again behind so many others, or be missed.
const NEAR: usize = 128;

/// The table was resized in each of the readings: connections may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection table was resized in each of {READINGS} readings")]
pub(crate) struct Unsettled;

/// Hands each connection that `keep` keeps to `work`. They are read again until the table was not resized meanwhile; if it
/// always was, whatever was seen has been handed out, and the answer is [`Unsettled`].
pub(crate) fn for_each(
    client: &mut Client,
    keep: impl Fn(&Connection<'_>) -> bool,
    mut work: impl FnMut(&Connection<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Result<(), Unsettled>> {
    if !Path::new(STATUS).exists() {
        let (progress, mut count) = (Progress::of("reading connections", None), 0);
        let mut connections = Connections::open()?;
        while let Some(connection) = connections.next_row()? {
            if keep(&connection) {
                work(&connection)?;
            }
            count += 1;
            progress.done(count);
        }
        return Ok(Ok(()));
    }
    let mut rows = Rows::new();
    for _ in 0..READINGS {
        let before = State::now(client)?;
        let progress = Progress::of("reading connections", Some(before.connections));
        let mut connections = Connections::open()?;
        rows.begin();
        while let Some(connection) = connections.next_row()? {
            if rows.is_new(&connection) && keep(&connection) {
                work(&connection)?;
            }
            progress.done(rows.count);
        }
        if rows.are_whole(before, State::now(client)?) {
            return Ok(Ok(()));
        }
    }
    Ok(Err(Unsettled))
}

/// What the kernel says of its table.
#[derive(Debug, Clone, Copy)]
struct State {
    size: u32,
    connections: usize,
}

impl State {
    fn now(client: &mut Client) -> anyhow::Result<Self> {
        let size = client.info()?.connection_table_size;
        let status = std::fs::read_to_string(STATUS)?;
        let connections = status.lines().find_map(|line| line.strip_prefix("Conns:")?.trim().parse().ok());
        Ok(Self { size, connections: connections.unwrap_or(0) })
    }
}

/// The rows of one reading after another.
struct Rows {
    hasher: RandomState,
    /// Those of all readings.
    seen: Seen,
    seen_count: usize,
    /// Of the reading: its number, its rows, those of them that no reading had before, the last ones, and whether one came
    /// again far behind.
    reading: u64,
    count: usize,
    new_count: usize,
    near: VecDeque<u64>,
    is_repeated: bool,
}

impl Rows {
    fn new() -> Self {
        let (hasher, seen, near) = (RandomState::new(), Seen::new(), VecDeque::with_capacity(NEAR));
        Self { hasher, seen, seen_count: 0, reading: 0, count: 0, new_count: 0, near, is_repeated: false }
    }

    /// The next reading.
    fn begin(&mut self) {
        self.reading += 1;
        (self.count, self.new_count, self.is_repeated) = (0, 0, false);
        self.near.clear();
    }

    /// Whether a row is seen for the first time.
    fn is_new(&mut self, connection: &Connection<'_>) -> bool {
        let hash = self.hash(connection);
        let before = self.seen.note(hash, self.reading);
        if before == self.reading {
            self.is_repeated |= !self.near.contains(&hash);
            return false;
        }
        self.count += 1;
        if self.near.len() == NEAR {
            self.near.pop_front();
        }
        self.near.push_back(hash);
        let is_new = before == 0;
        self.new_count += usize::from(is_new);
        self.seen_count += usize::from(is_new);
        is_new
    }

    /// What makes a connection this one: all but its state and its time.
    fn hash(&self, connection: &Connection<'_>) -> u64 {
        let Connection { protocol, client, service, destination, state: _, expires: _, engine } = connection;
        // IPv4 as few numbers, for there may be millions.
        let end = |end: &SocketAddr| match end.ip() {
            IpAddr::V4(address) => Some(u64::from(address.to_bits()) << 16 | u64::from(end.port())),
            IpAddr::V6(_) => None,
        };
        match (end(client), end(service), end(destination), engine) {
            (Some(client), Some(service), Some(destination), None) => {
                self.hasher.hash_one((protocol, client, service, destination))
            }
            _ => self.hasher.hash_one((protocol, client, service, destination, engine)),
        }
    }

    /// Whether every connection was seen that was there from the beginning of the reading to its end.
    fn are_whole(&self, before: State, behind: State) -> bool {
        let least = before.connections.min(behind.connections);
        // Those of one packet are counted and not shown; others begin and end meanwhile.
        let is_enough = self.count + self.count / 16 + 8 >= least;
        let is_undisturbed = !self.is_repeated && before.size == behind.size && is_enough;
        let is_all =
            self.new_count == 0 && [before, behind].iter().all(|it| it.connections == self.seen_count);
        is_undisturbed || is_all
    }
}
