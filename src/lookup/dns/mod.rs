//! The name servers of `/etc/resolv.conf`, asked for many names at once in the way in which the C library asks for one.

mod flight;
mod message;
mod resolv_conf;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{AT_ONCE, Answer, Asking, Clock, Found, Missing, Question};
use flight::{Flight, State};
use message::{Kind, Reply};
use resolv_conf::Config;

/// A question that got no answer for this long does not keep others from being asked.
const SLOW: Duration = Duration::from_millis(500);

/// The most questions on their way, slow ones included; each has a socket for each server that was asked.
const MOST: usize = 256;

/// How often the progress is renewed.
const TICK: Duration = Duration::from_millis(250);

/// The name servers.
#[derive(Debug)]
pub(super) struct Dns {
    /// None if only the C library understands what the machine says of them.
    config: Option<Config>,
    /// The server that answered last comes first.
    servers: Vec<SocketAddr>,
    random: RandomState,
    asked: u64,
}

/// A question, and the names that may answer it.
struct Lookup {
    question: Question,
    names: VecDeque<String>,
    /// As long as the C library waits for each.
    patience: Duration,
    begin: Instant,
    /// A name was refused by all servers.
    is_refused: bool,
}

impl Lookup {
    fn new(question: Question, config: &Config) -> Self {
        let names = match &question {
            Question::HostName(address) => vec![message::reverse(*address)],
            Question::Address(name) => config.candidates(name),
            Question::ServiceName(..) | Question::Port(..) => Vec::new(),
        };
        Self {
            question,
            names: names.into(),
            patience: config.patience(),
            begin: Instant::now(),
            is_refused: false,
        }
    }
}

impl Dns {
    /// Those of this machine.
    pub(super) fn new() -> Self {
        let config = Config::read();
        let servers = config.as_ref().map_or_else(Vec::new, |config| config.servers.clone());
        Self { config, servers, random: RandomState::new(), asked: 0 }
    }

    /// Answers what was sent on to the name servers.
    pub(super) fn ask<F: FnMut(&Question, Found) -> Option<Question>>(
        &mut self,
        asking: &mut Asking<'_, F>,
        clock: &mut Clock,
    ) {
        let Some(config) = self.config.clone() else {
            asking.others.append(&mut asking.dns);
            return;
        };
        let mut flights: Vec<(Lookup, Flight)> = Vec::new();
        let mut waiting: VecDeque<Lookup> = VecDeque::new();
        loop {
            waiting.extend(asking.dns.drain(..).map(|question| Lookup::new(question, &config)));
            if clock.is_over() || (waiting.is_empty() && flights.is_empty()) {
                break;
            }
            let mut young = flights.iter().filter(|(_, flight)| flight.begin.elapsed() < SLOW).count();
            while young < AT_ONCE && flights.len() < most() {
                let Some(lookup) = waiting.pop_front() else { break };
                match self.send(lookup) {
                    Ok(sent) => flights.push(sent),
                    // The C library has its own ways with such names.
                    Err(lookup) => asking.others.push_back(lookup.question),
                }
                young += 1;
            }
            if young < AT_ONCE && !waiting.is_empty() {
                land_slowest(&mut flights, &mut waiting);
            }
            clock.progress.show(flights.len() + waiting.len() + asking.others.len());
            let ready = wait(&flights, clock.deadline);
            self.hear(&mut flights, &ready, asking, clock);
        }
        for lookup in waiting.into_iter().chain(flights.into_iter().map(|(lookup, _)| lookup)) {
            clock.missed(super::LONG);
            asking.answered(&lookup.question, Err(Missing::NoAnswer));
        }
    }

    /// Asks for the first name of a lookup; gives it back if that cannot be asked for.
    fn send(&mut self, mut lookup: Lookup) -> Result<(Lookup, Flight), Lookup> {
        self.asked += 1;
        let id = u16::try_from(self.random.hash_one(self.asked) >> 48).unwrap_or_default();
        let kind = if matches!(lookup.question, Question::HostName(_)) { Kind::Ptr } else { Kind::A };
        let Some(name) = lookup.names.front() else { return Err(lookup) };
        match Flight::send(name, kind, id, &self.servers, lookup.patience) {
            Some(flight) => {
                lookup.names.pop_front();
                Ok((lookup, flight))
            }
            None => Err(lookup),
        }
    }

    /// Takes in what has arrived, and what did not in time.
    fn hear<F: FnMut(&Question, Found) -> Option<Question>>(
        &mut self,
        flights: &mut Vec<(Lookup, Flight)>,
        ready: &[bool],
        asking: &mut Asking<'_, F>,
        clock: &mut Clock,
    ) {
        let now = Instant::now();
        let mut ready = ready.iter();
        for (mut lookup, mut flight) in std::mem::take(flights) {
            let (mut state, mut server) = (State::Waiting, None);
            if ready.next() == Some(&true) {
                (state, server) = flight.read();
            }
            if matches!(state, State::Waiting) {
                state = flight.proceed(now);
            }
            if let Some(at) = self.servers.iter().position(|known| Some(*known) == server) {
                self.servers.swap(0, at);
                clock.heard();
            }
            let reply = match state {
                State::Waiting => {
                    flights.push((lookup, flight));
                    continue;
                }
                State::Answered(reply) => reply,
                State::Failed => Reply::Refused,
            };
            lookup.is_refused |= reply == Reply::Refused;
            if let Some(again) = self.settle(lookup, reply, asking, clock) {
                flights.push(again);
            }
        }
    }

    /// Answers a lookup, or asks for its next name.
    fn settle<F: FnMut(&Question, Found) -> Option<Question>>(
        &mut self,
        lookup: Lookup,
        reply: Reply,
        asking: &mut Asking<'_, F>,
        clock: &mut Clock,
    ) -> Option<(Lookup, Flight)> {
        let is_last = lookup.names.is_empty();
        let answer = match reply {
            Reply::Name(name) => Answer::Name(name),
            Reply::Addresses(addresses) if addresses.len() == 1 => {
                Answer::Address(addresses.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED))
            }
            // Which of several comes first, and what other letters stand for, is the C library's to say.
            Reply::Addresses(_) | Reply::Odd => {
                asking.others.push_back(lookup.question);
                return None;
            }
            _ if !is_last => {
                let sent = self.send(lookup);
                return sent.map_err(|lookup| asking.others.push_back(lookup.question)).ok();
            }
            _ => {
                clock.progress.step();
                if lookup.is_refused {
                    clock.missed(lookup.begin.elapsed());
                    asking.answered(&lookup.question, Err(Missing::NoAnswer));
                } else {
                    asking.unknown_to_dns(lookup.question);
                }
                return None;
            }
        };
        clock.progress.step();
        asking.answered(&lookup.question, Ok(answer));
        None
    }
}

/// As many flights as descriptors allow.
fn most() -> usize {
    const FOR_EACH: u64 = 4;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit / FOR_EACH).unwrap_or(MOST).clamp(1, MOST)
}

/// Where as many are on their way as may be, the one that waits longest is put behind those that were not asked yet.
fn land_slowest(flights: &mut Vec<(Lookup, Flight)>, waiting: &mut VecDeque<Lookup>) {
    let slowest = flights.iter().enumerate().min_by_key(|(_, (_, flight))| flight.begin).map(|(at, _)| at);
    if let Some(at) = slowest.filter(|_| flights.len() >= most()) {
        let (mut lookup, flight) = flights.swap_remove(at);
        lookup.names.push_front(flight.into_name());
        waiting.push_back(lookup);
    }
}

/// Waits until something arrives or is due, and returns which flights have something to read.
fn wait(flights: &[(Lookup, Flight)], deadline: Instant) -> Vec<bool> {
    let now = Instant::now();
    let due =
        flights.iter().map(|(_, flight)| flight.due()).chain([deadline, now + TICK]).min().unwrap_or(now);
    let timeout = due.saturating_duration_since(now).as_millis() + 1;
    let mut owners = Vec::new();
    let mut descriptors: Vec<PollFd<'_>> = Vec::new();
    for (index, (_, flight)) in flights.iter().enumerate() {
        for descriptor in flight.descriptors() {
            owners.push(index);
            descriptors.push(PollFd::new(descriptor, PollFlags::POLLIN));
        }
    }
    let mut ready = vec![false; flights.len()];
    // Interrupted is as good as nothing.
    let _ = poll(&mut descriptors, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX));
    for (descriptor, index) in descriptors.iter().zip(owners) {
        if descriptor.any() == Some(true) {
            if let Some(flag) = ready.get_mut(index) {
                *flag = true;
            }
        }
    }
    ready
}
