//! The kernel's connections, each of them once. Since Linux 7.1 the kernel resizes their table while it is read: some rows
//! come again, others are missed.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};

use foldhash::quality::RandomState;
use ipvs::{Client, Connection, Connections, TableLoad};

use crate::progress::Progress;
use crate::seen::Seen;

/// How often the connections are read at most: [`Seen`] knows no more readings.
const READINGS: usize = 15;

/// Where a connection begins or ends, a row may come again behind so many others, or be missed.
const NEAR: usize = 128;

/// The table was resized in each of the readings: connections may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection table was resized in each of {READINGS} readings")]
pub(crate) struct Unsettled;

/// A reading of the connections that has begun.
pub(crate) struct Reading {
    rows: Connections,
    /// The table as it was before; none on kernels that do not resize it.
    before: Option<State>,
}

impl Reading {
    pub(crate) fn begin(client: &mut Client) -> ipvs::Result<Self> {
        let before = State::now(client)?;
        Ok(Self { rows: Connections::open()?, before })
    }

    /// Hands each connection that `keep` keeps to `work`. They are read again until the table was not resized meanwhile; if it
    /// always was, whatever was seen has been handed out, and the answer is [`Unsettled`].
    pub(crate) fn for_each<E: From<ipvs::Error>>(
        self,
        client: &mut Client,
        keep: impl Fn(&Connection<'_>) -> bool,
        mut work: impl FnMut(&Connection<'_>) -> Result<(), E>,
    ) -> Result<Result<(), Unsettled>, E> {
        let progress = Progress::of("reading connections", self.before.map(|before| before.connections));
        let mut count = 0;
        self.for_some(client, usize::MAX, |connection| {
            count += 1;
            progress.done(count);
            if keep(connection) { work(connection) } else { Ok(()) }
        })
    }

    /// Hands out so many connections at most, and shows no progress.
    pub(crate) fn for_some<E: From<ipvs::Error>>(
        self,
        client: &mut Client,
        most: usize,
        mut work: impl FnMut(&Connection<'_>) -> Result<(), E>,
    ) -> Result<Result<(), Unsettled>, E> {
        let Self { rows: mut connections, before } = self;
        let Some(mut before) = before else {
            for _ in 0..most {
                let Some(connection) = connections.next_row()? else { break };
                work(&connection)?;
            }
            return Ok(Ok(()));
        };
        let mut rows = Rows::new(before.connections.min(most));
        for reading in 1..=READINGS {
            rows.begin();
            while rows.seen_count < most {
                let Some(connection) = connections.next_row()? else { break };
                if rows.is_new(&connection) {
                    work(&connection)?;
                }
            }
            let behind = State::now(client)?.unwrap_or(before);
            if rows.seen_count >= most || rows.are_whole(before, behind) {
                return Ok(Ok(()));
            }
            if reading < READINGS {
                before = State::now(client)?.unwrap_or(behind);
                connections = Connections::open()?;
            }
        }
        Ok(Err(Unsettled))
    }
}

/// What the kernel says of its table.
#[derive(Debug, Clone, Copy)]
struct State {
    size: u32,
    connections: usize,
}

impl State {
    /// None where the kernel does not say how many connections there are: such a one does not resize the table.
    fn now(client: &mut Client) -> ipvs::Result<Option<Self>> {
        let Some(load) = TableLoad::read()? else { return Ok(None) };
        let connections = usize::try_from(load.connections).unwrap_or(usize::MAX);
        Ok(Some(Self { size: client.info()?.connection_table_size, connections }))
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
    /// For about so many.
    fn new(count: usize) -> Self {
        let (hasher, seen, near) = (RandomState::default(), Seen::of(count), VecDeque::with_capacity(NEAR));
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
