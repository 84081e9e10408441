//! Which server a scheduler chooses for a new connection, as the kernel chooses it: with `sh`, `dh` and `mh` a function of the
//! list of servers and of the packet, with others of the connections that each server has. The rules are told in
//! `docs/schedulers.md`.

mod counted;
mod mh;
mod numbers;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipvs::{DestinationEntry, Family, Scheduler, SchedulerFlags, Service};

use crate::places;

/// What schedulers look at in the first packet of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) client: IpAddr,
    /// The client's port; none if it is not known.
    pub(crate) port: Option<u16>,
    /// The address that it is sent to; none if it is not known.
    pub(crate) to: Option<IpAddr>,
}

/// What the scheduler does with a connection; servers are named by their places in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Server(usize),
    /// It takes none: the client is refused. With the server that is not available, if the scheduler insists on one.
    Refused(Option<usize>),
    Unknown(Unknown),
}

/// What would have to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unknown {
    /// The last weight of a server of weight 0, which `mh` remembers and no listing has.
    LastWeight(usize),
    /// Whether a server was full since it had as few connections as its lower threshold.
    BetweenThresholds(usize),
    /// The client's port.
    Port,
    /// The address that the packet is sent to.
    Destination,
    /// What the scheduler did before: where its pointer stands, which addresses it remembers.
    Past,
    /// What it draws.
    Chance,
    /// The rules of a scheduler that this program does not know.
    Scheduler,
}

/// Whether a server takes new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    Available,
    /// Its weight is 0.
    Drained,
    /// It has as many connections as its upper threshold.
    Full,
    /// Its connections are between the thresholds: full if it was full before.
    Between,
}

impl Availability {
    pub(crate) fn of(server: &DestinationEntry) -> Self {
        let (upper, lower) = (server.destination.upper_threshold, server.destination.lower_threshold);
        let connections =
            [server.active_connections, server.inactive_connections, server.persistent_connections];
        let connections: u64 = connections.into_iter().map(u64::from).sum();
        let (upper, lower) = (u64::from(upper), u64::from(lower));
        match lower {
            _ if server.destination.weight == 0 => Self::Drained,
            _ if upper == 0 => Self::Available,
            _ if connections >= upper => Self::Full,
            0 if connections * 4 < upper * 3 => Self::Available,
            lower if connections < lower => Self::Available,
            _ => Self::Between,
        }
    }
}

/// A service's servers in the kernel's order, which is that of a dump, and the table that the scheduler makes of them.
pub(crate) struct Choices<'a> {
    service: &'a Service,
    servers: &'a [DestinationEntry],
    available: Vec<Availability>,
    table: Table,
}

/// How a scheduler chooses.
enum Table {
    /// By the client: the server of each place.
    Source(Vec<usize>),
    /// By the address of the service.
    Destination(Vec<usize>),
    /// By the client, with the table of `mh`.
    Maglev(Vec<usize>),
    /// As `Maglev`, but a server of weight 0 had another weight, or not.
    MaglevUnknown(usize),
    Counted(counted::Order),
    Unknown(Unknown),
}

impl<'a> Choices<'a> {
    /// The choices of a service. `last_weight` tells the weight that a server of weight 0 had last (0 if it was added so), if
    /// that is known.
    pub(crate) fn new(
        service: &'a Service,
        servers: &'a [DestinationEntry],
        last_weight: &dyn Fn(&DestinationEntry) -> Option<u32>,
    ) -> Self {
        let weights: Vec<u32> = servers.iter().map(|server| server.destination.weight).collect();
        let table = match service.scheduler {
            Scheduler::SH => Table::Source(places::by_weight(&weights)),
            Scheduler::DH => Table::Destination(places::one_each(servers.len())),
            Scheduler::MH => maglev(service, servers, last_weight),
            Scheduler::RR | Scheduler::WRR | Scheduler::LBLC | Scheduler::LBLCR => {
                Table::Unknown(Unknown::Past)
            }
            Scheduler::TWOS => Table::Unknown(Unknown::Chance),
            other => counted::Order::of(other).map_or(Table::Unknown(Unknown::Scheduler), Table::Counted),
        };
        let available = servers.iter().map(Availability::of).collect();
        Self { service, servers, available, table }
    }

    /// What the scheduler does with a new connection.
    pub(crate) fn of(&self, flow: &Flow) -> Verdict {
        if self.available.iter().all(|it| matches!(it, Availability::Drained | Availability::Full)) {
            return self.nobody(flow);
        }
        match &self.table {
            Table::Source(places) => self.number(flow).map_or_else(Verdict::Unknown, |number| {
                let place = places::place(number);
                self.at(places, place, &mut places::fallback(place))
            }),
            Table::Maglev(places) => self.number(flow).map_or_else(Verdict::Unknown, |number| {
                self.at(places, mh::place(number), &mut mh::fallback(number))
            }),
            Table::Destination(places) => match flow.to {
                Some(to) => self.at(places, places::place(numbers::of_address(to)), &mut std::iter::empty()),
                None => Verdict::Unknown(Unknown::Destination),
            },
            Table::MaglevUnknown(drained) => match self.only_available() {
                Some(only) if self.falls_back() => Verdict::Server(only),
                _ => Verdict::Unknown(Unknown::LastWeight(*drained)),
            },
            Table::Counted(order) => order.next(self.servers, &self.available),
            Table::Unknown(what) => match self.only_available() {
                Some(only) => Verdict::Server(only),
                None => Verdict::Unknown(*what),
            },
        }
    }

    /// The place of a client in the scheduler's table; none if the scheduler has no such table.
    pub(crate) fn place(&self, flow: &Flow) -> Option<usize> {
        match &self.table {
            Table::Source(_) => self.number(flow).ok().map(places::place),
            Table::Maglev(_) => self.number(flow).ok().map(mh::place),
            Table::Destination(_) => flow.to.map(|to| places::place(numbers::of_address(to))),
            Table::MaglevUnknown(_) | Table::Counted(_) | Table::Unknown(_) => None,
        }
    }

    /// Whether a server takes new connections.
    pub(crate) fn availability(&self, server: usize) -> Option<Availability> {
        self.available.get(server).copied()
    }

    /// Whether a client of a server that is not available gets another one.
    fn falls_back(&self) -> bool {
        self.service.scheduler_flags.contains(SchedulerFlags::FLAG_1)
    }

    /// The number of a client: its address, and its port if the flags say so.
    fn number(&self, flow: &Flow) -> Result<u32, Unknown> {
        let port = match flow.port {
            _ if !self.service.scheduler_flags.contains(SchedulerFlags::FLAG_2) => 0,
            Some(port) => port,
            None => return Err(Unknown::Port),
        };
        Ok(numbers::of_address(flow.client).wrapping_add(port.into()))
    }

    /// The server of a place, or that of the first place of the fallback that is available.
    fn at(&self, places: &[usize], place: usize, fallback: &mut dyn Iterator<Item = usize>) -> Verdict {
        let server = |place: usize| {
            let server = *places.get(place)?;
            Some((server, self.availability(server)?))
        };
        let first = match server(place) {
            None => return Verdict::Refused(None),
            Some((server, Availability::Available)) => return Verdict::Server(server),
            Some((server, Availability::Between)) => {
                return Verdict::Unknown(Unknown::BetweenThresholds(server));
            }
            Some((server, _)) => server,
        };
        if !self.falls_back() || matches!(self.table, Table::Destination(_)) {
            return Verdict::Refused(Some(first));
        }
        let others = fallback.filter_map(server);
        let mut usable = others.filter_map(|(server, it)| match it {
            Availability::Available => Some(Verdict::Server(server)),
            Availability::Between => Some(Verdict::Unknown(Unknown::BetweenThresholds(server))),
            Availability::Drained | Availability::Full => None,
        });
        usable.next().unwrap_or(Verdict::Refused(Some(first)))
    }

    /// When no server is available.
    fn nobody(&self, flow: &Flow) -> Verdict {
        let (Table::Source(places) | Table::Maglev(places) | Table::Destination(places)) = &self.table else {
            return Verdict::Refused(None);
        };
        Verdict::Refused(self.place(flow).and_then(|place| places.get(place).copied()))
    }

    /// The only server that takes new connections.
    fn only_available(&self) -> Option<usize> {
        let mut open = (0..self.servers.len()).filter(|at| {
            matches!(self.availability(*at), Some(Availability::Available | Availability::Between))
        });
        let first = open.next()?;
        (open.next().is_none() && self.availability(first) == Some(Availability::Available)).then_some(first)
    }
}

fn maglev(
    service: &Service,
    servers: &[DestinationEntry],
    last_weight: &dyn Fn(&DestinationEntry) -> Option<u32>,
) -> Table {
    let is_ipv4 = service.id.family() == Family::V4;
    let candidate = |(at, server): (usize, &DestinationEntry)| {
        let id = server.destination.id;
        let number = numbers::of_server(id.address, is_ipv4).wrapping_add(id.port.into());
        let weight = match server.destination.weight {
            0 => last_weight(server).ok_or(at)?,
            weight => weight,
        };
        Ok(mh::Candidate { number, weight })
    };
    match servers.iter().enumerate().map(candidate).collect::<Result<Vec<_>, usize>>() {
        Ok(candidates) => Table::Maglev(mh::places(&candidates)),
        Err(drained) => Table::MaglevUnknown(drained),
    }
}
