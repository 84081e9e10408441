//! The table as it was read last, with what the readings before tell of it: rates and changes.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ipvs::{Counters, DestinationEntry, DestinationId, ServiceEntry, ServiceId};

use super::rate::{Meter, Rate};
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

/// What readings have of services and of servers alike.
pub(super) trait Entry: Copy {
    type Id: Ord + Copy;
    fn id(&self) -> Self::Id;
    fn total(&self) -> Counters;
    /// How it differs from an earlier reading of the same object, apart from counters.
    fn change_from(&self, earlier: &Self) -> Option<Change>;
}

impl Entry for ServiceEntry {
    type Id = ServiceId;

    fn id(&self) -> ServiceId {
        self.service.id
    }

    fn total(&self) -> Counters {
        self.stats.total
    }

    fn change_from(&self, earlier: &Self) -> Option<Change> {
        (self.service != earlier.service).then_some(Change::Edited)
    }
}

impl Entry for DestinationEntry {
    type Id = DestinationId;

    fn id(&self) -> DestinationId {
        self.destination.id
    }

    fn total(&self) -> Counters {
        self.stats.total
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
#[derive(Debug, Clone, Copy)]
pub(super) struct Followed<E> {
    pub(super) entry: E,
    pub(super) meter: Meter,
    /// The last change, and when it was seen.
    changed: Option<(Change, Instant)>,
}

impl<E: Entry> Followed<E> {
    fn new(entry: E, change: Option<Change>, now: Instant) -> Self {
        let changed = change.map(|change| (change, now));
        Self { entry, meter: Meter::new(entry.total(), now), changed }
    }

    pub(super) fn change(&self) -> Option<Change> {
        self.changed.map(|(change, _)| change)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.change() == Some(Change::Gone)
    }

    pub(super) fn rate(&self) -> Option<&Rate> {
        self.meter.rate()
    }

    /// The same object in another reading.
    fn update(&mut self, entry: E, now: Instant) {
        self.meter.update(entry.total(), now);
        let change = if self.is_gone() { Some(Change::New) } else { entry.change_from(&self.entry) };
        if let Some(change) = change {
            self.changed = Some((change, now));
        }
        self.entry = entry;
    }

    /// Forgets a change that was marked long enough; false if nothing is left to show.
    fn is_left(&mut self, since: Option<Instant>) -> bool {
        let is_over = |seen: Instant| since.is_some_and(|since| seen < since);
        match self.changed {
            Some((Change::Gone, seen)) if is_over(seen) => false,
            Some((_, seen)) if is_over(seen) => {
                self.changed = None;
                true
            }
            _ => true,
        }
    }
}

/// The objects of a reading, in the order of their ids, followed from the reading before if there was one.
fn follow<E: Entry>(
    before: Option<Vec<Followed<E>>>,
    entries: Vec<E>,
    now: Instant,
    marked: Duration,
) -> Vec<Followed<E>> {
    let change = before.is_some().then_some(Change::New);
    let mut before = before.unwrap_or_default().into_iter().peekable();
    let mut all = Vec::with_capacity(entries.len());
    let gone = |mut old: Followed<E>| {
        if !old.is_gone() {
            old.changed = Some((Change::Gone, now));
        }
        old
    };
    for entry in entries {
        while let Some(old) = before.next_if(|old| old.entry.id() < entry.id()) {
            all.push(gone(old));
        }
        match before.next_if(|old| old.entry.id() == entry.id()) {
            Some(mut old) => {
                old.update(entry, now);
                all.push(old);
            }
            None => all.push(Followed::new(entry, change, now)),
        }
    }
    all.extend(before.map(gone));
    let since = now.checked_sub(marked);
    all.retain_mut(|one| one.is_left(since));
    all
}

pub(super) type Service = Followed<ServiceEntry>;
pub(super) type Server = Followed<DestinationEntry>;

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
            failure: None,
        }
    }

    /// Takes a reading of all services, in the order of their ids, and of the counters of all together.
    pub(super) fn update(&mut self, services: Vec<ServiceEntry>, totals: Counters, now: Instant) {
        self.services = Some(follow(self.services.take(), services, now, self.marked));
        self.update_totals(totals, now);
    }

    /// Takes a reading, or why there is none.
    pub(super) fn take(&mut self, read: Result<(Vec<ServiceEntry>, Counters)>) {
        match read {
            Ok((services, totals)) => self.update(services, totals, Instant::now()),
            Err(failure) => self.failure = Some(failure.message),
        }
    }

    /// Takes a reading of one service among the others.
    pub(super) fn update_one(&mut self, entry: ServiceEntry, now: Instant) {
        let services = self.services.get_or_insert_default();
        match services.binary_search_by_key(&entry.id(), |known| known.entry.id()) {
            Ok(at) => services.iter_mut().skip(at).take(1).for_each(|known| known.update(entry, now)),
            Err(at) => services.insert(at, Followed::new(entry, None, now)),
        }
        self.begin_reading();
    }

    fn update_totals(&mut self, totals: Counters, now: Instant) {
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
    pub(super) fn update_servers(&mut self, id: ServiceId, entries: Vec<DestinationEntry>, now: Instant) {
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
