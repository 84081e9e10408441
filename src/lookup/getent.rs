//! Lookups by the machine's `getent`. That of musl stops at the first key that it does not know, and takes `--` for one.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{AT_ONCE, Answer, Found, Missing, Question};

/// The most keys of one call. It prints what it found when it ends, and nothing if one of them takes too long.
const KEYS: usize = 16;

/// A call that found nothing and took this long was not answered.
const UNANSWERED: Duration = Duration::from_secs(4);

/// Where it is: never a folder that somebody else may write.
const PLACES: [&str; 3] = ["/usr/bin/getent", "/bin/getent", "/run/current-system/sw/bin/getent"];

fn program() -> Option<&'static str> {
    PLACES.into_iter().find(|place| Path::new(place).exists())
}

/// The parts that threads take: several questions for one call, where those are many and `getent` is the GNU one.
pub(super) fn jobs(questions: Vec<Question>) -> Vec<Vec<Question>> {
    let many = questions.len().div_ceil(AT_ONCE).min(KEYS);
    let keys = if many > 1 && is_gnu() { many } else { 1 };
    let (together, alone): (Vec<Question>, Vec<Question>) =
        questions.into_iter().partition(|question| keys > 1 && table(question).is_some());
    let (hosts, services): (Vec<Question>, Vec<Question>) =
        together.into_iter().partition(|question| matches!(question, Question::HostName(_)));
    let parts = hosts.chunks(keys).chain(services.chunks(keys)).map(<[Question]>::to_vec);
    parts.chain(alone.into_iter().map(|question| vec![question])).collect()
}

/// Whether it takes many keys, as the GNU C library's does.
fn is_gnu() -> bool {
    static IS_GNU: OnceLock<bool> = OnceLock::new();
    *IS_GNU.get_or_init(|| {
        let told = program().and_then(|program| run(program, &["--version"], Instant::now() + UNANSWERED));
        told.is_some_and(|text| ["GNU", "GLIBC"].iter().any(|name| text.contains(name)))
    })
}

/// The database of a question whose answer names its key, and the key.
fn table(question: &Question) -> Option<(&'static str, String)> {
    match question {
        Question::HostName(address) => Some(("hosts", address.to_string())),
        Question::ServiceName(port, transport) => Some(("services", format!("{port}/{}", transport.name()))),
        Question::Address(_) | Question::Port(..) => None,
    }
}

/// Answers questions, of one database if they are several; those that are not answered at the deadline are not known.
pub(super) fn ask(questions: Vec<Question>, deadline: Instant) -> Vec<(Question, Found)> {
    let begin = Instant::now();
    let Some(program) = program() else {
        return questions.into_iter().map(|question| (question, Err(Missing::NoGetent))).collect();
    };
    let call = |database: &str, keys: &[String]| {
        let words: Vec<&str> = std::iter::once(database).chain(keys.iter().map(String::as_str)).collect();
        run(program, &words, deadline).unwrap_or_default()
    };
    let mut names = BTreeMap::new();
    let tables: Vec<(&str, String)> = questions.iter().filter_map(table).collect();
    if let Some((database, _)) = tables.first() {
        let keys: Vec<String> = tables.iter().map(|(_, key)| key.clone()).collect();
        for line in call(database, &keys).lines() {
            let mut words = line.split_whitespace();
            let (Some(first), Some(second)) = (words.next(), words.next()) else { continue };
            let (key, name) = if *database == "hosts" { (first, second) } else { (second, first) };
            names.entry(canonical(key)).or_insert_with(|| name.to_owned());
        }
    }
    let answer = |question: &Question| match question {
        Question::HostName(_) | Question::ServiceName(..) => {
            table(question).and_then(|(_, key)| names.get(&canonical(&key)).cloned()).map(Answer::Name)
        }
        _ if !is_key(question) => None,
        Question::Address(name) => addresses(&call, name),
        Question::Port(name, transport) => {
            let found = call("services", &[format!("{name}/{}", transport.name())]);
            let (port, _) = found.split_whitespace().nth(1).and_then(|entry| entry.split_once('/')).unzip();
            port.and_then(|port| port.parse().ok()).map(Answer::Port)
        }
    };
    let answers: Vec<(Question, Option<Answer>)> = questions
        .into_iter()
        .map(|question| {
            let answer = answer(&question);
            (question, answer)
        })
        .collect();
    let missing = if begin.elapsed() >= UNANSWERED { Missing::NoAnswer } else { Missing::Unknown };
    answers.into_iter().map(|(question, answer)| (question, answer.ok_or(missing))).collect()
}

/// A key as it is compared: addresses may be written in several ways.
fn canonical(key: &str) -> String {
    key.parse::<IpAddr>().map_or_else(|_| key.to_owned(), |address| address.to_string())
}

/// Whether `getent` takes the name for a key: not one that begins as an option.
fn is_key(question: &Question) -> bool {
    !matches!(question, Question::Address(name) | Question::Port(name, _) if name.starts_with('-'))
}

/// The IPv4 addresses of a host.
fn addresses(call: &impl Fn(&str, &[String]) -> String, name: &str) -> Option<Answer> {
    // The first finds nothing while no interface but lo has an address, the second no IPv4 address beside an IPv6 one.
    ["ahostsv4", "hosts"].into_iter().find_map(|database| {
        let found = call(database, &[name.to_owned()]);
        let address = |line: &str| line.split_whitespace().next()?.parse::<Ipv4Addr>().ok();
        Answer::of_host(found.lines().filter_map(address))
    })
}

/// What a call prints; none if it does not end in time.
fn run(program: &str, words: &[&str], deadline: Instant) -> Option<String> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let printed = printed(&mut child, deadline);
    if printed.is_none() {
        let _ = child.kill();
    }
    let _ = child.wait();
    printed
}

fn printed(child: &mut Child, deadline: Instant) -> Option<String> {
    let mut pipe = child.stdout.take()?;
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return None,
            Err(nix::errno::Errno::EINTR) => continue,
            _ => {}
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return Some(String::from_utf8_lossy(&text).into_owned()),
            Ok(length) => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Transport::{Tcp, Udp};
    #[cfg(not(target_feature = "crt-static"))]
    use crate::lookup::library;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[cfg(not(target_feature = "crt-static"))]
    #[test]
    fn getent_finds_what_the_library_finds() {
        let mut questions: Vec<Question> = ["127.0.0.1", "::1", "203.0.113.77"]
            .map(|address| Question::HostName(address.parse().unwrap()))
            .into();
        questions.extend(
            ["localhost", "no-such-host.invalid", "-s"].map(|name| Question::Address(name.to_owned())),
        );
        for transport in [Tcp, Udp] {
            let names = ["http", "domain", "www", "bootps", "no-such-service", "-s"];
            questions.extend(names.map(|name| Question::Port(name.to_owned(), transport)));
            questions.extend([22, 53, 67, 80, 81, 65535].map(|port| Question::ServiceName(port, transport)));
        }
        for question in questions {
            let (_, found) = ask(vec![question.clone()], soon()).pop().unwrap();
            assert_eq!(found.ok(), library::answer(&question).ok(), "{question:?}");
        }
        let http = Question::Port("http".to_owned(), Tcp);
        assert_eq!(ask(vec![http.clone()], soon()), [(http, Ok(Answer::Port(80)))]);
    }

    #[test]
    fn many_keys_are_asked_for_together() {
        let local = || Question::HostName(IpAddr::from(Ipv4Addr::LOCALHOST));
        let ports = (1..=200).map(|port| Question::ServiceName(port, Tcp));
        let questions: Vec<Question> =
            std::iter::repeat_with(local).take(10 * AT_ONCE).chain(ports).collect();
        let count = questions.len();
        let jobs = jobs(questions);
        assert!(jobs.iter().all(|job| job.len() <= KEYS) && jobs.len() < count / 10, "{}", jobs.len());
        let answers: Vec<(Question, Found)> = jobs.into_iter().flat_map(|job| ask(job, soon())).collect();
        assert_eq!(answers.len(), count);
        let found =
            |question: &Question| answers.iter().find(|(asked, _)| asked == question).unwrap().1.clone();
        assert!(found(&local()).is_ok());
        assert_eq!(found(&Question::ServiceName(80, Tcp)), Ok(Answer::Name("http".to_owned())));
        assert_eq!(found(&Question::ServiceName(200, Tcp)).ok(), None);
    }

    #[test]
    fn a_call_that_does_not_end_is_ended() {
        let begin = Instant::now();
        assert_eq!(run("/bin/sleep", &["30"], begin + Duration::from_millis(100)), None);
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
