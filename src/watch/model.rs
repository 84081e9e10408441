//! The table as it was read last, with what the readings before tell of it: rates and changes.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ipvs::{Counters, Destination, DestinationEntry, DestinationId, ServiceEntry, ServiceId};

use super::rate::{Meter, Moment, Rate};
use crate::messages::Result;

/// How many rates of all services together are kept.
const HISTORY: usize = 240;

/// For how many readings servers that are not on the screen are kept, so that their rates are known when they return.
const KEPT: u64 = 30;

/// How long a change is marked, unless readings are further apart.
const MARKED: Duration = Duration::from_secs(10);

/// What a reading shows that the one before did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    New,
    Gone,
    /// From the weight it had.
    Weight(u32),
    /// Something else of its configuration.
    Edited,
}

/// What is kept of services and of servers alike: all but their counters, which are in a meter.
pub(super) trait Kept: Copy {
    type Entry;
    type Id: Ord + Copy;
    fn of(entry: &Self::Entry) -> (Self, Counters);
    fn id(&self) -> Self::Id;
    fn id_of(entry: &Self::Entry) -> Self::Id;
    /// How it differs from an earlier reading of the same object.
    fn change_from(&self, earlier: &Self) -> Option<Change>;
}

#[derive(Debug, Clone, Copy)]
pub(super) struct KeptService {
    pub(super) service: ipvs::Service,
}

impl Kept for KeptService {
    type Entry = ServiceEntry;
    type Id = ServiceId;

    fn of(entry: &ServiceEntry) -> (Self, Counters) {
        (Self { service: entry.service }, entry.stats.total)
    }

    fn id(&self) -> ServiceId {
        self.service.id
    }

    fn id_of(entry: &ServiceEntry) -> ServiceId {
        entry.service.id
    }

    fn change_from(&self, earlier: &Self) -> Option<Change> {
        (self.service != earlier.service).then_some(Change::Edited)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct KeptServer {
    pub(super) destination: Destination,
    pub(super) active_connections: u32,
    pub(super) inactive_connections: u32,
    pub(super) persistent_connections: u32,
}

impl Kept for KeptServer {
    type Entry = DestinationEntry;
    type Id = DestinationId;

    fn of(entry: &DestinationEntry) -> (Self, Counters) {
        let DestinationEntry {
            destination,
            active_connections,
            inactive_connections,
            persistent_connections,
            stats,
        } = *entry;
        let kept = Self { destination, active_connections, inactive_connections, persistent_connections };
        (kept, stats.total)
    }

    fn id(&self) -> DestinationId {
        self.destination.id
    }

    fn id_of(entry: &DestinationEntry) -> DestinationId {
        entry.destination.id
    }

    fn change_from(&self, earlier: &Self) -> Option<Change> {
        let (is, was) = (&self.destination, &earlier.destination);
        if is.weight != was.weight {
            return Some(Change::Weight(was.weight));
        }
        (is != was).then_some(Change::Edited)
    }
}

/// A service or a server.
#[derive(Debug, Clone)]
pub(super) struct Followed<E> {
    pub(super) entry: E,
    pub(super) meter: Meter,
    /// The last change, and when it was seen.
    changed: Option<(Change, Moment)>,
}

impl<E: Kept> Followed<E> {
    fn new(entry: &E::Entry, change: Option<Change>, now: Moment) -> Self {
        let changed = change.map(|change| (change, now));
        let (entry, total) = E::of(entry);
        Self { entry, meter: Meter::new(total, now), changed }
    }

    pub(super) fn change(&self) -> Option<Change> {
        self.changed.map(|(change, _)| change)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.change() == Some(Change::Gone)
    }

    /// None until a second reading tells it.
    pub(super) fn rate(&self) -> Option<&Rate> {
        self.meter.rate()
    }

    fn update(&mut self, entry: &E::Entry, now: Moment) {
        let (entry, total) = E::of(entry);
        self.meter.update(total, now);
        let change = if self.is_gone() { Some(Change::New) } else { entry.change_from(&self.entry) };
        if let Some(change) = change {
            self.changed = Some((change, now));
        }
        self.entry = entry;
    }

    /// Forgets a change that was marked for longer. False for what is gone by then.
    fn is_left(&mut self, now: Moment, marked: Duration) -> bool {
        match self.changed {
            Some((change, seen)) if now.since(seen) > marked => {
                self.changed = None;
                change != Change::Gone
            }
            _ => true,
        }
    }
}

/// Follows entries, sorted by id, from the reading before, if there was one, to this.
fn follow<E: Kept>(
    before: Option<Vec<Followed<E>>>,
    entries: &[E::Entry],
    now: Moment,
    marked: Duration,
) -> Vec<Followed<E>> {
    let change = before.is_some().then_some(Change::New);
    let mut all = before.unwrap_or_default();
    // Nearly always they are the same, and no more memory is taken.
    if all.iter().map(|old| old.entry.id()).eq(entries.iter().map(E::id_of)) {
        all.iter_mut().zip(entries).for_each(|(old, entry)| old.update(entry, now));
    } else {
        all = merged(all, entries, change, now);
    }
    all.retain_mut(|one| one.is_left(now, marked));
    all
}

/// Those of before and those of now; what is new has this change.
fn merged<E: Kept>(
    before: Vec<Followed<E>>,
    entries: &[E::Entry],
    change: Option<Change>,
    now: Moment,
) -> Vec<Followed<E>> {
    let mut all = Vec::with_capacity(entries.len());
    let mut before = before.into_iter().peekable();
    let gone = |mut old: Followed<E>| {
        if !old.is_gone() {
            old.changed = Some((Change::Gone, now));
        }
        old
    };
    for entry in entries {
        let id = E::id_of(entry);
        while let Some(old) = before.next_if(|old| old.entry.id() < id) {
            all.push(gone(old));
        }
        match before.next_if(|old| old.entry.id() == id) {
            Some(mut old) => {
                old.update(entry, now);
                all.push(old);
            }
            None => all.push(Followed::new(entry, change, now)),
        }
    }
    all.extend(before.map(gone));
    all
}

pub(super) type Service = Followed<KeptService>;
pub(super) type Server = Followed<KeptServer>;

/// The servers of a service, and the number of the reading that they are of.
#[derive(Debug)]
struct Servers {
    reading: u64,
    all: Vec<Server>,
}

/// The table.
#[derive(Debug)]
pub(super) struct Model {
    /// In the order of their ids; none before the first reading.
    services: Option<Vec<Service>>,
    servers: HashMap<ServiceId, Servers>,
    totals: Option<Meter>,
    history: VecDeque<Rate>,
    reading: u64,
    marked: Duration,
    first: Option<Instant>,
    /// Why the table could not be read.
    pub(super) failure: Option<String>,
}

impl Model {
    /// An empty one, which is to be read at this interval.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            services: None,
            servers: HashMap::new(),
            totals: None,
            history: VecDeque::new(),
            reading: 0,
            marked: MARKED.max(interval.saturating_mul(2)),
            first: None,
            failure: None,
        }
    }

    /// Takes a reading of all services, in the order of their ids, and of the counters of all together.
    pub(super) fn update(&mut self, services: &[ServiceEntry], totals: Counters, now: Instant) {
        let now = self.moment(now);
        self.services = Some(follow(self.services.take(), services, now, self.marked));
        self.update_totals(totals, now);
    }

    /// Takes a reading, or why there is none.
    pub(super) fn take(&mut self, read: Result<(Vec<ServiceEntry>, Counters)>) {
        match read {
            Ok((services, totals)) => self.update(&services, totals, Instant::now()),
            Err(failure) => self.failure = Some(failure.message),
        }
    }

    /// Takes a reading of one service among the others.
    pub(super) fn update_one(&mut self, entry: &ServiceEntry, now: Instant) {
        let now = self.moment(now);
        let services = self.services.get_or_insert_default();
        match services.binary_search_by_key(&entry.service.id, |known| known.entry.id()) {
            Ok(at) => services.iter_mut().skip(at).take(1).for_each(|known| known.update(entry, now)),
            Err(at) => services.insert(at, Followed::new(entry, None, now)),
        }
        self.begin_reading();
    }

    /// A time, from the first that the table knows.
    fn moment(&mut self, now: Instant) -> Moment {
        Moment::after(now.saturating_duration_since(*self.first.get_or_insert(now)))
    }

    fn update_totals(&mut self, totals: Counters, now: Moment) {
        let meter = self.totals.get_or_insert_with(|| Meter::new(totals, now));
        meter.update(totals, now);
        if let Some(rate) = meter.rate() {
            self.history.push_front(*rate);
            self.history.truncate(HISTORY);
        }
        self.begin_reading();
    }

    /// From now on servers have to be read again. Those that were not shown for long are forgotten.
    fn begin_reading(&mut self) {
        let last = self.reading;
        self.servers.retain(|_, servers| servers.reading + KEPT > last);
        self.reading += 1;
        self.failure = None;
    }

    /// Whether the servers of a service have not been read since the service was.
    pub(super) fn lacks_servers(&self, id: &ServiceId) -> bool {
        self.servers.get(id).is_none_or(|servers| servers.reading != self.reading)
    }

    /// Takes a reading of the servers of a service, in the order of their ids.
    pub(super) fn update_servers(&mut self, id: ServiceId, entries: &[DestinationEntry], now: Instant) {
        let now = self.moment(now);
        let before = self.servers.remove(&id).map(|servers| servers.all);
        let all = follow(before, entries, now, self.marked);
        self.servers.insert(id, Servers { reading: self.reading, all });
    }

    pub(super) fn services(&self) -> &[Service] {
        self.services.as_deref().unwrap_or_default()
    }

    pub(super) fn service(&self, id: &ServiceId) -> Option<&Service> {
        let at = self.services().binary_search_by_key(id, |service| service.entry.id()).ok()?;
        self.services().get(at)
    }

    pub(super) fn servers(&self, id: &ServiceId) -> &[Server] {
        self.servers.get(id).map_or(&[], |servers| &servers.all)
    }

    pub(super) fn server(&self, id: &ServiceId, server: &DestinationId) -> Option<&Server> {
        self.servers(id).iter().find(|known| known.entry.id() == *server)
    }

    /// Whether a service has no server of a weight above 0; unknown where they were not read.
    pub(super) fn is_unusable(&self, id: &ServiceId) -> bool {
        let has_weight = |server: &Server| server.entry.destination.weight > 0 && !server.is_gone();
        self.servers.get(id).is_some_and(|servers| !servers.all.iter().any(has_weight))
    }

    /// Rates of everything, the latest first.
    pub(super) fn history(&self) -> &VecDeque<Rate> {
        &self.history
    }

    pub(super) fn total_rate(&self) -> Option<&Rate> {
        self.totals.as_ref().and_then(Meter::rate)
    }

    /// How many services there are.
    pub(super) fn count(&self) -> usize {
        self.services().iter().filter(|service| !service.is_gone()).count()
    }
}
