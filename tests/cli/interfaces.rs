//! Interface names: almost any bytes, so that some look like a comment, an option, or no text at all.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};

use ipvs::{Client, DaemonState, InterfaceName, SyncDaemon};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, Prop};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{OURS, answer, run};

/// Names that were lost, or that a parser of lines might lose.
const ODD: [&[u8]; 10] = [
    b"ipvsadm",
    b"#x",
    b"--syncid",
    b"=x",
    b"x\xff",
    b"\xef\xbb\xbfx",
    b"\x85\x1b[31m",
    b"\x01",
    b"'x;id'",
    b"123456789012345",
];

/// Any interface name that the kernel accepts. (With `%` it would choose its own.)
fn names() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("forbidden", |byte| !b"\0\t\n\x0b\x0c\r /:%\xa0".contains(byte));
    let any_name =
        prop::collection::vec(byte, 1..=15).prop_filter("dots", |name| name.iter().any(|byte| *byte != b'.'));
    let near = prop::collection::vec(
        prop::sample::select(&b"#ipvsadm-=!+.\"'\\\xff\xef\xbb\xbf\xc3\x80"[..]),
        1..=8,
    );
    prop_oneof![any_name, near.prop_filter("dots", |name| name.iter().any(|byte| *byte != b'.'))]
}

fn call<'a>(tool: &str, words: impl IntoIterator<Item = &'a [u8]>, input: &[u8]) -> Output {
    let mut command = Command::new(tool);
    command.args(words.into_iter().map(OsStr::from_bytes));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// The output of a call that must succeed.
fn printed(tool: &str, words: &str, input: &[u8]) -> Vec<u8> {
    let output = call(tool, words.split(' ').map(str::as_bytes), input);
    assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
    output.stdout
}

fn ip<'a>(words: impl IntoIterator<Item = &'a [u8]>) {
    let output = call("ip", words, b"");
    assert!(output.status.success(), "{output:?}");
}

fn add_dummy(name: &[u8]) {
    ip([&b"link"[..], b"add", b"name", name, b"up", b"type", b"dummy"]);
}

/// Every way to write a name and read it back preserves it.
fn comes_back(name: &[u8]) {
    let mut client = Client::open().unwrap();
    let daemon = SyncDaemon::new(DaemonState::Master, InterfaceName::new(name).unwrap(), 7);
    client.start_daemon(&daemon).unwrap();
    let running = client.daemons().unwrap();
    assert_eq!(running[0].interface.as_bytes(), name);
    let listed = printed(OURS, "-L --daemon", b"");
    assert_eq!(listed, printed(lab::ORIGINAL, "-L --daemon", b""));
    assert_eq!(listed.strip_prefix(b"master sync daemon (mcast=").unwrap().get(..name.len()), Some(name));

    let saved = printed(OURS, "-S --full", b"");
    assert_eq!(printed(OURS, "-R --diff", &saved), b"");
    let head = saved.iter().position(|byte| *byte == b'\n').unwrap();
    for (tool, lines) in [(OURS, &saved[..]), (lab::ORIGINAL, &saved[head + 1..])] {
        client.stop_daemon(DaemonState::Master, 7).unwrap();
        assert_eq!(printed(tool, "-R", lines), b"");
        assert_eq!(client.daemons().unwrap(), running, "{tool}");
    }
    client.stop_daemon(DaemonState::Master, 7).unwrap();
    let lines = &saved[head + 1..];
    assert_eq!(printed(OURS, "-R --dry-run", &saved), lines);
    let line = lines.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
    let shown = call(OURS, [&b"-R"[..], b"--diff"], &saved);
    assert_eq!((shown.status.code(), &shown.stdout[..]), (Some(1), line));
    let start = [&b"--start-daemon"[..], b"master", b"--dry-run", b"--mcast-interface", name];
    let shown = call(OURS, start, b"");
    assert_eq!(printed(OURS, "-R --dry-run", &shown.stdout), shown.stdout);
}

#[test]
fn every_name_comes_back() {
    lab::isolate();
    for name in ODD {
        add_dummy(name);
        comes_back(name);
    }
    let config = Config { cases: 8, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&names(), |name| {
            if !ODD.contains(&&name[..]) {
                add_dummy(&name);
                comes_back(&name);
            }
            Ok(())
        })
        .unwrap();
}

/// An alternative name of an interface may contain blanks, and the kernel accepts it for a daemon.
fn add_other_name(interface: u32, name: &str) {
    let mut link = LinkMessage::default();
    link.header.index = interface;
    link.attributes.push(LinkAttribute::PropList(vec![Prop::AltIfName(name.to_owned())]));
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewLinkProp(link));
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.send(&bytes, 0).unwrap();
    let mut reply = Vec::with_capacity(4096);
    socket.recv(&mut reply, 0).unwrap();
    let reply = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&reply).unwrap();
    assert!(matches!(&reply.payload, NetlinkPayload::Error(error) if error.code.is_none()), "{reply:?}");
}

#[test]
fn a_name_that_no_line_can_hold_is_refused() {
    lab::isolate();
    let mut client = Client::open().unwrap();
    add_dummy(b"dum0");
    let file = format!("/run/unwritten-{:?}", std::thread::current().id());
    for name in ["x\n-C", "a b", "a\tb"] {
        fs::write(&file, "before\n").unwrap();
        add_other_name(2, name);
        let daemon = SyncDaemon::new(DaemonState::Master, name.parse().unwrap(), 0);
        client.start_daemon(&daemon).unwrap();
        let shown = name.escape_debug().to_string().replace("\\n", "\\u{a}").replace("\\t", "\\u{9}");
        let why =
            format!("no line can hold the name: '{shown}'; take one without blanks, see ip link show\n");
        let refused = |what: &str| (1, String::new(), format!("{what}: {why}"));
        let (status, _, said) = run(OURS, "-S --full");
        assert_eq!((status, said), (1, format!("cannot write the output: {why}")));
        let saved = run(OURS, &format!("-S --full --file {file}"));
        assert_eq!(saved, refused(&format!("cannot write '{file}'")));
        assert_eq!(fs::read_to_string(&file).unwrap(), "before\n");
        let start = [&b"--start-daemon"[..], b"master", b"--dry-run", b"--mcast-interface", name.as_bytes()];
        assert_eq!(answer(call(OURS, start, b"")), refused("cannot write the output"));
        assert_eq!(run(OURS, "-S -n"), (0, String::new(), String::new()));
        // The command in the message is run.
        client.stop_daemon(DaemonState::Master, 0).unwrap();
        client.start_daemon(&SyncDaemon { interface: "dum0".parse().unwrap(), ..daemon }).unwrap();
        assert_eq!(run(OURS, &format!("-S --full --file {file}")), (0, String::new(), String::new()));
        client.stop_daemon(DaemonState::Master, 0).unwrap();
    }
}
