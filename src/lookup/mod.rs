//! Lookups of names as `nsswitch.conf` of the machine says: `/etc/hosts` and `/etc/services` and the name servers are read
//! and asked here, many names at once; what else it names, by the C library, or where the program has a C library of its own
//! (linked statically), by the machine's `getent`.

mod dns;
mod files;
#[cfg(any(target_feature = "crt-static", test))]
mod getent;
#[cfg(not(target_feature = "crt-static"))]
mod library;
mod nsswitch;
mod pool;
mod progress;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use dns::Dns;
use files::Files;
pub(crate) use files::services_over;
#[cfg(target_feature = "crt-static")]
use getent as system;
#[cfg(not(target_feature = "crt-static"))]
use library as system;
use progress::Progress;

/// As many names are asked for at once. Some more may be in flight: those that got no answer for a while.
pub(crate) const AT_ONCE: usize = 64;

/// As long as one run of the program waits for names, in which nobody answers.
pub(crate) const PATIENCE: Duration = Duration::from_secs(11);

/// A failure that took this long was a name server that did not answer, not one that is known to be away.
const LONG: Duration = Duration::from_secs(1);

/// The protocols whose ports have names in the C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

#[cfg(any(target_feature = "crt-static", test))]
impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    HostName(IpAddr),
    /// The IPv4 address of a host.
    Address(String),
    ServiceName(u16, Transport),
    Port(String, Transport),
}

impl Question {
    /// The name in it; empty if it has a number.
    pub(crate) fn into_name(self) -> String {
        match self {
            Self::Address(name) | Self::Port(name, _) => name,
            Self::HostName(_) | Self::ServiceName(..) => String::new(),
        }
    }
}

/// The answer to a [`Question`], of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Name(String),
    Address(Ipv4Addr),
    /// Two or more, of which the first counts.
    Addresses(Vec<Ipv4Addr>),
    Port(u16),
}

impl Answer {
    /// The addresses of a host; none without one.
    fn of_host(addresses: impl Iterator<Item = Ipv4Addr>) -> Option<Self> {
        let mut all: Vec<Ipv4Addr> = Vec::new();
        for address in addresses {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        match all.as_slice() {
            [] => None,
            [one] => Some(Self::Address(*one)),
            _ => Some(Self::Addresses(all)),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nobody knows it.
    Unknown,
    /// Who may know it did not answer.
    NoAnswer,
    /// `nsswitch.conf` names more than this program reads, and there is no `getent`, which would ask for it.
    #[cfg_attr(
        not(target_feature = "crt-static"),
        allow(dead_code, reason = "the C library is in the program")
    )]
    NoGetent,
}

pub(crate) type Found = Result<Answer, Missing>;

/// How long to wait where nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// All lookups together, at most [`PATIENCE`]: what a listing can do without.
    InAll,
    /// At most [`PATIENCE`] since the last answer: what a change needs.
    SinceAnAnswer,
}

/// What the machine has to look names up, read when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    files: Option<Files>,
    dns: Option<Dns>,
    waited: Duration,
    /// How many lookups nobody answered in time.
    pub(crate) unanswered: usize,
}

impl Lookups {
    /// Answers questions, in any order. The answer to one may lead to another, which `then` returns.
    pub(crate) fn ask(
        &mut self,
        questions: impl IntoIterator<Item = Question>,
        wait: Wait,
        then: impl FnMut(&Question, Found) -> Option<Question>,
    ) {
        let files = self.files.get_or_insert_with(Files::new);
        let mut asking = Asking { files, then, dns: VecDeque::new(), others: VecDeque::new() };
        questions.into_iter().for_each(|question| asking.put(question));
        if asking.dns.is_empty() && asking.others.is_empty() {
            return;
        }
        let begin = Instant::now();
        let mut clock = Clock::new(begin, PATIENCE.saturating_sub(self.waited), wait);
        // What the name servers do not know may be known to others, and the other way round by `then`.
        while !(asking.dns.is_empty() && asking.others.is_empty()) {
            if !asking.dns.is_empty() {
                self.dns.get_or_insert_with(Dns::new).ask(&mut asking, &mut clock);
            }
            pool::ask(&mut asking, &mut clock);
        }
        self.unanswered += clock.unanswered;
        if wait == Wait::InAll {
            self.waited += begin.elapsed();
        }
        clock.progress.clear();
    }
}

/// Questions on their way to who answers them.
struct Asking<'a, F> {
    files: &'a mut Files,
    then: F,
    /// For the name servers.
    dns: VecDeque<Question>,
    /// For the C library or `getent`.
    others: VecDeque<Question>,
}

impl<F: FnMut(&Question, Found) -> Option<Question>> Asking<'_, F> {
    /// Answers a question from the files, or sends it on.
    fn put(&mut self, question: Question) {
        let mut next = Some(question);
        while let Some(question) = next.take() {
            match self.files.answer(&question) {
                files::Verdict::Found(found) => next = (self.then)(&question, found),
                files::Verdict::AskDns => self.dns.push_back(question),
                files::Verdict::AskOthers => self.others.push_back(question),
            }
        }
    }

    /// An answer came.
    fn answered(&mut self, question: &Question, found: Found) {
        if let Some(next) = (self.then)(question, found) {
            self.put(next);
        }
    }

    /// The name servers do not know it.
    fn unknown_to_dns(&mut self, question: Question) {
        if self.files.others_follow_dns() {
            self.others.push_back(question);
        } else {
            self.answered(&question, Err(Missing::Unknown));
        }
    }
}

/// How long there is to wait, what did not come until then, and the progress that is shown meanwhile.
struct Clock {
    deadline: Instant,
    wait: Wait,
    unanswered: usize,
    progress: Progress,
}

impl Clock {
    fn new(begin: Instant, patience: Duration, wait: Wait) -> Self {
        Self { deadline: begin + patience, wait, unanswered: 0, progress: Progress::new(begin) }
    }

    /// Something answered.
    fn heard(&mut self) {
        if self.wait == Wait::SinceAnAnswer {
            self.deadline = Instant::now() + PATIENCE;
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Counts a question without an answer, asked for so long.
    fn missed(&mut self, asked_for: Duration) {
        self.unanswered += usize::from(asked_for >= LONG);
    }
}
