//! Fuzzing: no input makes the program panic or hang, and what it has read it writes so that it reads the same again.
//! `tests/fuzz/run` builds it with libFuzzer, and the variable `FUZZ_TARGET` says what the input is; the unit test has the
//! inputs that were of interest before.

use std::collections::VecDeque;
use std::io;
use std::sync::OnceLock;

use crate::cli::parse;
use crate::command::Command;
use crate::resolver::Resolver;
use crate::rules::{document, lines};
use crate::session::Session;
use crate::text::AddressFormatter;
use crate::{format, json, run};
use ipvs::{Change, Client, Connections, FakeKernel, Table, Transport};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    static TARGET: OnceLock<String> = OnceLock::new();
    try_input(TARGET.get_or_init(|| std::env::var("FUZZ_TARGET").unwrap_or_default()), input);
});

fn try_input(target: &str, input: &[u8]) {
    match target {
        "argv" => argv(input),
        "lines" => restore_lines(input),
        "json" => json_document(input),
        "proc" => connections(input),
        "netlink" => netlink(input),
        other => panic!("the target is '{other}'; it is argv, lines, json, proc or netlink"),
    }
}

/// The inputs of the corpus, each with its target: a tar archive has a block before each file, with its path and size.
#[cfg(test)]
#[test]
fn what_was_of_interest_before_is_no_defect() {
    use std::process::Command as Program;
    const BLOCK: usize = 512;
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus.tar.xz");
    let output = Program::new("busybox").args(["xzcat", corpus]).output().expect("busybox starts");
    let mut left = output.stdout.as_slice();
    let mut inputs = std::collections::BTreeMap::<&str, usize>::new();
    while let Some((head, behind)) = left.split_at_checked(BLOCK).filter(|(head, _)| head[0] != 0) {
        let text = |range| str::from_utf8(&head[range]).expect("text").trim_end_matches('\0');
        let size = usize::from_str_radix(text(124..136), 8).expect("a size");
        if let [_, target, _] = text(0..100).split('/').collect::<Vec<_>>()[..] {
            if size > 0 {
                try_input(target, &behind[..size]);
                *inputs.entry(target).or_default() += 1;
            }
        }
        left = &behind[size.next_multiple_of(BLOCK)..];
    }
    assert!(inputs.len() == 5 && inputs.values().all(|count| *count > 100), "{inputs:?}");
}

/// Words, each ended by a NUL, as those of a program.
fn argv(input: &[u8]) {
    let words: Vec<&[u8]> = input.split(|byte| *byte == 0).collect();
    match parse::parse("ipvsadm", &words, &mut Resolver::numbers_only()) {
        Ok(command) => comes_back(&command),
        Err(failure) => assert!([2, 255].contains(&failure.status)),
    }
}

/// The lines of a restore.
fn restore_lines(input: &[u8]) {
    let mut resolver = Resolver::numbers_only();
    for (_, words) in lines::lines(input) {
        if let Some(Ok(command)) = lines::parse("ipvsadm", &mut resolver, &words) {
            comes_back(&command);
        }
    }
}

/// A change is written as a line that makes it, unless it has a name that no line can hold.
fn comes_back(command: &Command) {
    if let Command::Change(request) | Command::Show(request) = command {
        let line = format::change(&mut io::sink(), &request.change, &mut AddressFormatter::numeric());
        if request.keep.is_none() && line.is_ok() {
            assert!(lines::comes_back(&request.change), "{:?}", request.change);
        }
    }
}

/// A table in JSON.
fn json_document(input: &[u8]) {
    let Ok(changes) = document::changes(input) else { return };
    let mut table = Table::default();
    for change in &changes {
        table.change(change).expect("what makes a table from nothing can be done to nothing");
    }
    let mut written = Vec::new();
    json::write(&mut written, &table).expect("memory takes everything");
    let again = document::changes(&written).expect("what was written can be read");
    assert_eq!(again, changes);
}

/// The rows of `/proc/net/ip_vs_conn`.
fn connections(input: &[u8]) {
    let Ok(mut connections) = Connections::from_reader(input) else { return };
    while let Ok(Some(connection)) = connections.next_row() {
        json::write(io::sink(), &connection).expect("nowhere takes everything");
    }
}

/// A kernel whose replies are changed: bytes set, datagrams cut, lost, repeated.
struct Changed {
    kernel: FakeKernel,
    /// What is left of the input: five bytes for each change.
    changes: VecDeque<[u8; 5]>,
    again: Option<Vec<u8>>,
}

impl Transport for Changed {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.kernel.send(datagram)
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        if let Some(datagram) = self.again.take() {
            buffer.extend(datagram);
            return Ok(());
        }
        self.kernel.receive(buffer)?;
        // The first byte of a change says how many datagrams are left as they are before it.
        match self.changes.front_mut() {
            None => return Ok(()),
            Some([0, ..]) => {}
            Some([wait, ..]) => {
                *wait -= 1;
                return Ok(());
            }
        }
        while let Some([0, kind, high, low, value]) = self.changes.front().copied() {
            self.changes.pop_front();
            let at = usize::from(u16::from_be_bytes([high, low])) % buffer.len().max(1);
            match kind % 5 {
                0 | 1 => {
                    if let Some(byte) = buffer.get_mut(at) {
                        *byte = value;
                    }
                }
                2 => buffer.truncate(at),
                3 => self.again = Some(buffer.clone()),
                _ => {
                    buffer.clear();
                    return self.kernel.receive(buffer);
                }
            }
        }
        Ok(())
    }
}

/// Replies of the kernel to what commands ask.
fn netlink(input: &[u8]) {
    const COMMANDS: [&str; 12] = [
        "-Ln",
        "-Ln --stats --exact",
        "-L --json",
        "-L -n -t 192.0.2.1:80 --tun-info",
        "-Ln --daemon",
        "-Ln --timeout",
        "-S --full",
        "-S --json --full",
        "-A -t 192.0.2.9:80 -s wrr",
        "-e -t 192.0.2.1:80 -r 192.0.2.11 -w 3 --keep",
        "-D -t 192.0.2.1:80",
        "-C",
    ];
    let Some((which, changes)) = input.split_first() else { return };
    let words = COMMANDS[usize::from(*which) % COMMANDS.len()];
    let changes = changes.chunks_exact(5).filter_map(|chunk| chunk.try_into().ok()).collect();
    let kernel = Changed { kernel: filled(), changes, again: None };
    let Ok(client) = Client::with_transport(kernel) else { return };
    let mut resolver = Resolver::numbers_only();
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let command = parse::parse("ipvsadm", &words, &mut resolver).expect("a command");
    let mut session = Session::with_client(client, ipvs::Info::default(), "ipvsadm".into(), resolver);
    let mut out = Vec::new();
    if let Err(failure) = run::run(&mut session, &command, &mut out) {
        assert!(failure.status != 0);
    }
}

/// A table with one object of each kind.
fn filled() -> FakeKernel {
    static FILLED: OnceLock<Vec<Change>> = OnceLock::new();
    let changes = FILLED.get_or_init(|| {
        const LINES: &[u8] = b"-A -t 192.0.2.1:80 -s wrr -p 300\n-a -t 192.0.2.1:80 -r 192.0.2.11 -g -w 5\n\
            -a -t 192.0.2.1:80 -r 192.0.2.12 -i --tun-type gue --tun-port 6080\n-A -f 7 -6 -s mh -b mh-port\n\
            -a -f 7 -6 -r [2001:db8::1]:0 -m -x 9 -y 3\n--set 100 20 30\n\
            --start-daemon master --mcast-interface eth0 --syncid 3\n";
        let mut resolver = Resolver::numbers_only();
        lines::lines(LINES)
            .filter_map(|(_, words)| match lines::parse("ipvsadm", &mut resolver, &words) {
                Some(Ok(Command::Change(request))) => Some(request.change),
                _ => None,
            })
            .collect()
    });
    let kernel = FakeKernel::new();
    let mut client = Client::with_transport(kernel.clone()).expect("a kernel");
    let refused = client.apply_all(changes).expect("replies");
    assert!(refused.is_empty(), "{refused:?}");
    kernel
}
