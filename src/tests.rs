//! Replies that no real kernel gives: every errno of every command, and counters of any size. The expected texts are
//! the original's, recorded with the same replies. Also: which requests the tool sends, and that no words make it
//! panic.

#![expect(clippy::host_endian_bytes, clippy::big_endian_bytes, reason = "replies are made by hand here")]

mod architecture;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use ipvs::{Change, Client, Error, Info, Operation, Transport};
use proptest::prelude::*;

use crate::cli::parse;
use crate::messages::{self, Failure};
use crate::option_table::OPTIONS;
use crate::resolver::Resolver;
use crate::run as dispatch;
use crate::session::Session;

const FAMILY: u16 = 0x22;
const GET_SERVICE: u8 = 4;
const GET_DEST: u8 = 8;

/// A kernel that knows the family and then replies as scripted.
struct Scripted<F> {
    answer: F,
    replies: VecDeque<Vec<u8>>,
}

impl<F: FnMut(u8, u32) -> Vec<Vec<u8>> + Send> Transport for Scripted<F> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let kind = u16::from_ne_bytes([datagram[4], datagram[5]]);
        let sequence = u32::from_ne_bytes(datagram[8..12].try_into().unwrap());
        match kind {
            FAMILY => self.replies.extend((self.answer)(datagram[16], sequence)),
            _ => self.replies.push_back(data(1, sequence, &attribute(1, &FAMILY.to_ne_bytes()))),
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.extend(self.replies.pop_front().ok_or(io::ErrorKind::WouldBlock)?);
        Ok(())
    }
}

fn message(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0, 0]);
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

fn data(command: u8, sequence: u32, attributes: &[u8]) -> Vec<u8> {
    let kind = if command == 1 && attributes.len() == 8 { 0x10 } else { FAMILY };
    message(kind, sequence, &[&[command, 1, 0, 0], attributes].concat())
}

/// An ack or an error (`NLMSG_ERROR`), or the end of a dump (`NLMSG_DONE`).
fn status(kind: u16, sequence: u32, errno: i32) -> Vec<u8> {
    message(kind, sequence, &[&(-errno).to_ne_bytes()[..], &[0; 16]].concat())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn attributes(list: &[(u16, &[u8])]) -> Vec<u8> {
    list.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect()
}

/// Runs a command line against a scripted kernel.
fn run(
    line: &str,
    answer: impl FnMut(u8, u32) -> Vec<Vec<u8>> + Send + 'static,
) -> (Result<(), Failure>, String) {
    let client = Client::with_transport(Scripted { answer, replies: VecDeque::new() }).unwrap();
    let mut info = Info::default();
    info.version.major = 1;
    info.version.minor = 2;
    info.version.patch = 1;
    info.connection_table_size = 4096;
    let mut resolver = Resolver::default();
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let command = parse::parse("ipvsadm", &words, &mut resolver).unwrap();
    let mut out = Vec::new();
    let mut session = Session::with_client(client, info, "ipvsadm".into(), resolver);
    let result = dispatch::command_line(&mut session, &command, &mut out);
    (result, String::from_utf8(out).unwrap())
}

/// The rows of a table of cases, unescaped.
fn cases(table: &str) -> impl Iterator<Item = Vec<String>> {
    let unescaped = |column: &str| column.replace("\\n", "\n").replace("\\\\", "\\");
    table.lines().skip(1).map(move |line| line.split('\t').map(unescaped).collect())
}

#[test]
fn every_errno_is_told_as_the_original_tells_it() {
    let mut differences = Vec::new();
    for case in cases(include_str!("../tests/compat/errno-map.tsv")) {
        let [line, errno, _, status_expected, stdout, stderr] = &case[..] else { panic!("{case:?}") };
        let errno: i32 = errno.parse().unwrap();
        let refuse = move |_, sequence| vec![status(2, sequence, errno)];
        let (result, out) = run(line, refuse);
        let failure = result.unwrap_err();
        let sentence = stderr.trim_end();
        // This tool may append the word at fault to the sentence.
        let same = failure.message == sentence || failure.message.starts_with(&format!("{sentence}: '"));
        if !same || failure.status.to_string() != *status_expected || out != *stdout {
            differences
                .push(format!("{line} errno {errno}: {failure:?} {out:?}, expected {sentence:?} {stdout:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Causes that need a kernel without IPv6, or one with a thousand ticks a second.
#[test]
fn a_kernel_that_gives_no_answer_may_have_done_a_change() {
    let refused = |change: Option<&Change>| {
        let failure = messages::refused(&Error::NoReply { operation: Operation::Flush }, change);
        (failure.status, failure.message.contains("may have done it"))
    };
    assert_eq!(refused(Some(&Change::Flush)), (255, true));
    assert_eq!(refused(None), (1, false));
}

#[test]
fn a_refusal_names_its_word_and_its_cause() {
    let off = "the kernel runs without IPv6: see ipv6.disable in /proc/cmdline";
    let family = "Operation not supported with specified address family";
    let invalid = "Invalid operation.  Possibly wrong module version, address not unicast, ...";
    for (line, errno, message) in [
        ("-A -t [fd00::1]:80", 97, format!("{family}: 'TCP [fd00::1]:80'; {off}")),
        ("-a -f 1 -6 -r fd00::2", 97, format!("{family}: 'FWM 1 IPv6'; {off}")),
        ("-d -t 10.0.0.1:80 -r fd00::2", 97, format!("{family}: 'fd00::2'; {off}")),
        ("--start-daemon master --mcast-group ff02::5", 97, format!("{family}: 'ff02::5'; {off}")),
        ("-A -t 10.0.0.1:80", 97, family.to_owned()),
        ("--set 0 0 2147484", 22, format!("{invalid}: '2147484'; this kernel takes at most 2147483 seconds")),
        ("--set 0 2147483 0", 22, invalid.to_owned()),
    ] {
        let (result, _) = run(line, move |_, sequence| vec![status(2, sequence, errno)]);
        assert_eq!(result.unwrap_err().message, message, "{line}");
    }
}

/// A service or a server with every counter of its `STATS64` set to `value`.
fn stats64(value: u64) -> Vec<u8> {
    (1..=10).flat_map(|kind| attribute(kind, &value.to_ne_bytes())).collect()
}

fn one_service(value: u64) -> Vec<u8> {
    let nest = attributes(&[
        (1, &2_u16.to_ne_bytes()),
        (2, &6_u16.to_ne_bytes()),
        (3, &[10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (4, &80_u16.to_be_bytes()),
        (6, b"wlc\0"),
        (7, &[0; 8]),
        (8, &[0; 4]),
        (9, &[255; 4]),
        (12, &stats64(value)),
    ]);
    attribute(1, &nest)
}

fn one_server(value: u64) -> Vec<u8> {
    let nest = attributes(&[
        (1, &[10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (2, &80_u16.to_be_bytes()),
        (3, &0_u32.to_ne_bytes()),
        (4, &1_u32.to_ne_bytes()),
        (12, &stats64(value)),
    ]);
    attribute(2, &nest)
}

#[test]
fn counters_of_any_size_are_shown_as_the_original_shows_them() {
    let mut differences = Vec::new();
    for case in cases(include_str!("../tests/compat/bignum.tsv")) {
        let [value, line, _, stdout] = &case[..] else { panic!("{case:?}") };
        let value: u64 = value.parse().unwrap();
        let answer = move |command, sequence| match command {
            GET_SERVICE => vec![data(1, sequence, &one_service(value)), status(3, sequence, 0)],
            GET_DEST => vec![data(5, sequence, &one_server(value)), status(3, sequence, 0)],
            other => panic!("command {other}"),
        };
        let (result, out) = run(line, answer);
        result.unwrap();
        // The original reads 32 bits of a server's counters: docs/compatibility.md, "Counters of real servers".
        let wraps = value > u64::from(u32::MAX);
        let shown: Vec<&str> = out.lines().collect();
        let expected: Vec<&str> = stdout.lines().collect();
        let (shown, expected) =
            if wraps { (&shown[..4], &expected[..4]) } else { (&shown[..], &expected[..]) };
        if shown != expected {
            differences.push(format!("{line} {value}:\n{out}expected\n{stdout}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn counters_of_servers_are_64_bits_wide() {
    let answer = |command, sequence| match command {
        GET_SERVICE => vec![data(1, sequence, &one_service(1 << 33)), status(3, sequence, 0)],
        _ => vec![data(5, sequence, &one_server(1 << 33)), status(3, sequence, 0)],
    };
    let (result, out) = run("-Ln --stats --exact", answer);
    result.unwrap();
    let counters = " 8589934592".repeat(5);
    assert_eq!(out.lines().last().unwrap(), format!("  -> 10.1.0.1:80                 {counters}"));
}

/// The kernel commands sent for a line, as hexadecimal digits.
fn requests_of(line: &str) -> String {
    let commands = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&commands);
    let answer = move |command, sequence| {
        let _ = write!(seen.lock().unwrap(), "{command:x}");
        match command {
            GET_SERVICE => vec![data(1, sequence, &one_service(0))],
            GET_DEST => vec![data(5, sequence, &one_server(0)), status(3, sequence, 0)],
            _ => vec![status(2, sequence, 0)],
        }
    };
    let (result, _) = run(line, answer);
    result.unwrap();
    std::mem::take(&mut *commands.lock().unwrap())
}

#[test]
fn the_kernel_is_asked_only_for_possible_warnings() {
    for (line, commands) in [
        ("-A -t 10.0.0.1:80 -s rr", "1"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -g", "5"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -w 1", "5"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -w 0", "5"),
        ("-a -f 7 -r 10.1.0.1:8080 -i", "5"),
        ("-d -t 10.0.0.1:80 -r 10.1.0.1", "7"),
        ("-D -t 10.0.0.1:80", "3"),
        ("-C", "11"),
        // With a warning in question: one request more.
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -w 5", "45"),
        ("-E -t 10.0.0.1:80 -s rr", "42"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1", "86"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1 -w 5", "846"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1 -w 5 --keep", "846"),
        // Without warnings, only `--keep` sends requests.
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -w 5 --quiet", "5"),
        ("-E -t 10.0.0.1:80 -s rr --quiet", "2"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1 -w 5 --quiet", "6"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1 -w 5 --keep --quiet", "86"),
        ("-E -t 10.0.0.1:80 --keep --quiet", "42"),
    ] {
        assert_eq!(requests_of(line), commands, "{line}");
    }
}

/// Meaningful words, and meaningless bytes.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let known = OPTIONS.iter().flat_map(|spec| {
        let letters = spec.letters.chars().map(|letter| format!("-{letter}"));
        letters.chain([format!("--{}", spec.name)])
    });
    let values =
        ["10.0.0.1:80", "[2001:db8::1]:443", "master", "600", "-1", "", "-", "--", "=", "rr", "24", "gue"];
    let known: Vec<String> = known.chain(values.map(str::to_owned)).collect();
    prop_oneof![
        4 => prop::sample::select(known.clone()).prop_map(String::into_bytes),
        1 => (prop::sample::select(known), "[0-9=:.,\\[\\]-]{0,6}").prop_map(|(word, tail)| (word + &tail).into_bytes()),
        // No letters: names would be looked up.
        1 => "[0-9=:.,\\[\\] \t\u{0}\u{b}\u{ff}-]{0,12}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_words_make_the_parser_panic(line in prop::collection::vec(word(), 1..10)) {
        let words: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
        if let Err(failure) = parse::parse("ipvsadm", &words, &mut Resolver::default()) {
            prop_assert!(!failure.message.is_empty() && [2, 255].contains(&failure.status));
            prop_assert!(failure.message.trim_end().lines().count() == 1, "{}", failure.message);
        }
        // A line of a file has the same words, except for blanks and NULs.
        let joined = words.join(&b' ');
        let _ = crate::format::words(&joined);
    }
}
