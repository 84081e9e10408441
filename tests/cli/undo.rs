//! `--apply` that does not come to its end: the table is the old one, byte by byte, or what is in effect is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use ipvs::{Change, Checksum, Client, Destination, ForwardingMethod, Protocol, Service, ServiceId, Tunnel};

use crate::apply::{AFTER, BEFORE, full};
use crate::drain::own_notes;
use crate::{Answer, OURS, answer, feed, run, set_up, table, until};

const REFUSED: &str = "-A -t 10.0.0.4:80 -s nosuch\n";
const NOTHING: &str = "nothing was applied: the table is as before\n";

/// Which calls the tool has made so far.
pub(crate) const TRACE: &str = "/run/trace";

/// A file that a refusal in its last line keeps from being applied.
fn refused() -> String {
    AFTER.to_owned() + REFUSED
}

/// Runs the tool under `strace`, which does to the calls that are `injected` what is said there.
pub(crate) fn injected(inject: &str, words: &str, input: &str) -> Answer {
    let path = "/run/injected";
    std::fs::write(path, input).unwrap();
    let _ = std::fs::remove_file(TRACE);
    let (call, _) = inject.split_once(':').unwrap();
    let mut strace = Command::new("strace");
    strace.args([
        "-o",
        "/run/trace",
        "-e",
        &format!("trace={call}"),
        "-e",
        &format!("inject={inject}"),
        OURS,
    ]);
    answer(strace.args(words.split(' ')).args(["--file", path]).output().unwrap())
}

/// The calls that a conversation with the kernel is made of, and how they fail.
const CALLS: [(&str, [&str; 2]); 3] =
    [("socket", ["EMFILE", "EPERM"]), ("sendto", ["ENOBUFS", "EPERM"]), ("recvfrom", ["ENOBUFS", "EAGAIN"])];

/// How often the tool makes each of them.
fn calls(words: &str, input: &str) -> [usize; 3] {
    injected("socket,sendto,recvfrom:delay_exit=0", words, input);
    let trace = std::fs::read_to_string(TRACE).unwrap();
    CALLS.map(|(call, _)| trace.lines().filter(|line| line.starts_with(call)).count())
}

#[test]
fn a_refusal_costs_no_connection_and_no_counter() {
    lab::isolate();
    for address in ["10.0.0.1", "10.1.0.1"] {
        assert_eq!(run("ip", &format!("addr add {address}/32 dev lo")).0, 0);
    }
    // Both the service with the connection and a server of another are in no line of the file.
    set_up(
        "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m\n\
         -A -t 10.0.0.2:80 -s rr\n-a -t 10.0.0.2:80 -r 10.1.0.1:80 -m\n-a -t 10.0.0.2:80 -r 10.1.0.2:80 -m\n",
    );
    let server = TcpListener::bind("10.1.0.1:80").unwrap();
    let mut client = TcpStream::connect("10.0.0.1:80").unwrap();
    let (mut taken, _) = server.accept().unwrap();
    // In the kernel's own order, which a server that goes and comes back does not keep.
    let listing = || run(OURS, "-L -n --nosort").1 + &run(OURS, "-L -n --nosort --stats --exact").1;
    until("the connection counts", || listing().contains("TCP  10.0.0.1:80                         1"));
    let before = listing();
    let file = "-A -t 10.0.0.2:80 -s rr\n-a -t 10.0.0.2:80 -r 10.1.0.2:80 -m\n".to_owned() + REFUSED;
    let (status, _, said) = feed(OURS, "-R --apply", &file);
    assert_eq!((status, said.lines().last()), (255, NOTHING.lines().next()), "{said}");
    assert_eq!(listing(), before);
    client.write_all(b"still there?").unwrap();
    let mut heard = [0; 12];
    taken.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still there?");
}

#[test]
fn a_refusal_behind_a_deletion_is_undone() {
    lab::isolate();
    // A daemon starts only when the server of the other family is gone, and this one cannot.
    let before = format!("{BEFORE}-a -t 10.0.0.2:80 -r [2001:db8::1]:80 -i\n");
    assert_eq!(feed(OURS, "-R", &before).0, 0);
    let (before, order) = (full(), run(OURS, "-Ln --nosort").1);
    let file = format!("{AFTER}--start-daemon master --mcast-interface nosuch0\n");
    let said =
        "line 6: No such device: 'nosuch0'; name an interface with --mcast-interface\n".to_owned() + NOTHING;
    assert_eq!(feed(OURS, "-R --apply", &file), (255, String::new(), said.clone()));
    assert_eq!(full(), before);
    // Without such a server nothing goes before the daemon is there.
    run(OURS, "-d -t 10.0.0.2:80 -r [2001:db8::1]:80");
    let order = order.replace("  -> [2001:db8::1]:80             Tunnel  1      0          0         \n", "");
    assert_eq!(feed(OURS, "-R --apply", &file), (255, String::new(), said));
    assert_eq!(run(OURS, "-Ln --nosort").1, order);
}

#[test]
fn what_no_line_can_say_comes_back() {
    lab::isolate();
    let mut kernel = Kernel(Client::open().unwrap());
    let id =
        ServiceId::Address { protocol: Protocol::from(50), address: "10.0.0.9".parse().unwrap(), port: 0 };
    let server = |address: &str, forwarding| {
        let server = Destination::new(address.parse().unwrap(), 80, forwarding);
        Change::AddDestination { service: id, destination: Destination { weight: 3, ..server } }
    };
    kernel.put(&[
        Change::AddService(Service::new(id, "none".parse().unwrap())),
        server("10.1.0.1", ForwardingMethod::Local),
        server("10.1.0.2", "method-5".parse().unwrap()),
        server("10.1.0.3", ForwardingMethod::Tunnel(Tunnel::Gre { checksum: Checksum::from(3) })),
        server("2001:db8::1", "tunnel:tunnel-9".parse().unwrap()),
    ]);
    let before = kernel.table();
    let file = format!("{AFTER}--start-daemon master --mcast-interface nosuch0\n");
    let (status, _, said) = feed(OURS, "-R --apply", &file);
    assert_eq!((status, said.lines().last()), (255, NOTHING.lines().next()), "{said}");
    assert_eq!(kernel.table(), before);
    assert_eq!(feed(OURS, "-R --apply", AFTER), (0, String::new(), String::new()));
    assert_eq!(feed(OURS, "-R --diff", AFTER), (0, String::new(), String::new()));
}

#[test]
fn a_refused_line_does_not_stop_a_daemon() {
    lab::isolate();
    assert_eq!(run("ip", "link add d0 up type dummy").0, 0);
    run(OURS, "--start-daemon master --mcast-interface d0 --syncid 3");
    // It could not start again.
    assert_eq!(run("ip", "link set d0 down").0, 0);
    let before = run(OURS, "-L --daemon");
    let file = format!("{}--start-daemon master --mcast-interface lo\n", refused());
    let (status, _, said) = feed(OURS, "-R --apply", &file);
    assert_eq!((status, said.lines().last()), (255, NOTHING.lines().next()), "{said}");
    assert_eq!(run(OURS, "-L --daemon"), before);
}

#[test]
fn what_cannot_be_undone_is_told_with_the_command() {
    lab::isolate();
    set_up(BEFORE);
    assert_eq!(run("ip", "link add d0 up type dummy").0, 0);
    run(OURS, "--start-daemon master --mcast-interface d0 --syncid 3");
    let before = full();
    // The daemon that is stopped for another cannot start again.
    assert_eq!(run("ip", "link set d0 down").0, 0);
    let file = format!("{AFTER}--start-daemon master --mcast-interface nosuch0\n");
    let (status, shown, said) = feed(OURS, "-R --apply", &file);
    let undo = "ipvsadm --start-daemon master --mcast-interface d0 --syncid 3 --sync-maxlen 1472 \
        --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1";
    let told = format!(
        "line 6: No such device: 'nosuch0'; name an interface with --mcast-interface\n\
         could not be undone: Network is unreachable: 'd0'; bring the interface up: ip link set dev d0 up; \
         this undoes it: {undo}\n\
         the table is neither the old one nor that of the input; \
         with the same input ipvsadm -R --apply continues instead\n"
    );
    assert_eq!((status, shown.as_str(), said), (3, "", told));
    assert_eq!(table(), BEFORE);
    assert_eq!(run("ip", "link set d0 up").0, 0);
    assert_eq!(run(OURS, undo.strip_prefix("ipvsadm ").unwrap()).0, 0);
    assert_eq!(full(), before);
}

#[test]
fn thousands_of_changes_are_undone() {
    lab::isolate();
    let lines = |scheduler: &str, from: u32| {
        let one = |number: u32| {
            let service = format!("-t 10.0.{}.{}:80", number / 250, number % 250 + 1);
            format!("-A {service} -s {scheduler}\n-a {service} -r 10.1.0.1:80 -m -w {number}\n")
        };
        (from..from + 1000).map(one).collect::<String>()
    };
    assert_eq!(feed(OURS, "-R", &lines("rr", 0)).0, 0);
    let before = full();
    let (status, _, said) = feed(OURS, "-R --apply", &(lines("wrr", 500) + REFUSED));
    assert_eq!(
        (status, said.lines().count(), said.lines().last()),
        (255, 2, NOTHING.lines().next()),
        "{said}"
    );
    assert!(full() == before, "{} lines instead of {}", full().lines().count(), before.lines().count());
}

#[test]
fn another_program_meanwhile_is_no_refusal_and_loses_nothing() {
    lab::isolate();
    set_up(BEFORE);
    // A dry run asks the same; the first call after that carries something out.
    let [_, asks, _] = calls("-R --apply --dry-run", AFTER);
    let asked = || std::fs::read_to_string(TRACE).is_ok_and(|trace| trace.lines().count() >= asks);
    let delayed = |input: &str, theirs: &[Change]| {
        let inject = format!("sendto:delay_enter=1500000:when={}", asks + 1);
        let _ = std::fs::remove_file(TRACE);
        std::thread::scope(|scope| {
            let theirs = scope.spawn(|| {
                let mut client = Client::open().unwrap();
                until("the table has been read", asked);
                assert!(client.apply_all(theirs).unwrap().is_empty());
            });
            let told = injected(&inject, "-R --apply", input);
            theirs.join().unwrap();
            told
        })
    };
    let service = |id, scheduler: &str| Service::new(id, scheduler.parse().unwrap());
    let [dns, other] = ["10.0.0.3", "10.0.0.9"].map(|address| ServiceId::udp(address.parse().unwrap(), 53));
    let theirs = [Change::AddService(service(dns, "wlc")), Change::AddService(service(other, "rr"))];
    // What they did in the way of a file that is refused anyway is not undone.
    let (status, _, said) = delayed(&refused(), &theirs);
    assert_eq!((status, said.lines().last()), (255, NOTHING.lines().next()), "{said}");
    assert_eq!(table(), format!("{BEFORE}-A -u 10.0.0.3:53 -s wlc\n-A -u 10.0.0.9:53 -s rr\n"));
    // A file that is not leads on from there, and is asked again.
    let nothing = (0, String::new(), String::new());
    run(OURS, "-C");
    set_up(BEFORE);
    assert_eq!(delayed(AFTER, &theirs), nothing);
    assert_eq!(feed(OURS, "-R --diff", AFTER), nothing);
    // Who did the same has done nothing wrong.
    run(OURS, "-C");
    set_up(BEFORE);
    let theirs = [Change::DeleteService(ServiceId::tcp("10.0.0.2".parse().unwrap(), 80))];
    let file = BEFORE.split_inclusive('\n').take(3).collect::<String>();
    assert_eq!(delayed(&file, &theirs), nothing);
    assert_eq!(table(), file);
}

/// What the kernel has, as what makes it, without a program in between.
struct Kernel(Client);

impl Kernel {
    fn table(&mut self) -> Vec<Change> {
        let mut table = vec![Change::SetTimeouts(self.0.timeouts().unwrap())];
        for entry in self.0.services().unwrap() {
            table.push(Change::AddService(entry.service));
            for server in self.0.destinations(&entry.service.id).unwrap() {
                table.push(Change::AddDestination {
                    service: entry.service.id,
                    destination: server.destination,
                });
            }
        }
        let is_server = |change: &Change| matches!(change, Change::AddDestination { .. });
        table.sort_by_key(|change| (is_server(change), format!("{change:?}")));
        table
    }

    fn put(&mut self, table: &[Change]) {
        self.0.flush().unwrap();
        assert!(self.0.apply_all(table).unwrap().is_empty());
    }
}

/// Faults at a call behind the first so many: at this one alone, or at it and all that follow.
fn faults((call, errors): (&str, [&str; 2]), from: usize, to: usize) -> Vec<(String, bool)> {
    assert!(to > from + 1, "{call}: {from} {to}");
    let at_one = |at: usize| {
        let error = errors[at % 2];
        [
            (format!("{call}:error={error}:when={at}"), false),
            (format!("{call}:error={error}:when={at}+"), true),
        ]
    };
    (from + 1..=to).flat_map(at_one).collect()
}

/// A fault at any of the calls of one name leaves the old table or the new one, or what is in effect is told. Returns
/// the statuses that were met, of faults at one call and of those that last.
fn a_fault_leaves_the_old_table_or_the_new_one_or_is_told(index: usize) -> Vec<(i32, bool)> {
    lab::isolate();
    own_notes(); // so there is a folder, and one more socket asks whose the notes in it are
    let mut kernel = Kernel(Client::open().unwrap());
    let timeouts = |lines: &str, timeout: u32| format!("{lines}--set {timeout} 20 30\n");
    let [before, after, refused] = [timeouts(BEFORE, 10), timeouts(AFTER, 90), timeouts(&refused(), 90)];
    let [new, old] = [&after, &before].map(|lines| {
        assert_eq!(feed(OURS, "-R --replace", lines).0, 0);
        kernel.table()
    });
    let mut statuses = std::collections::BTreeSet::new();
    let reading = calls("-R --apply --dry-run", &after)[index];
    for (input, from) in [(&after, 0), (&refused, reading)] {
        let all = calls("-R --apply", input)[index];
        for (fault, is_lasting) in faults(CALLS[index], from, all) {
            if kernel.table() != old {
                kernel.put(&old);
            }
            let (status, shown, said) = injected(&fault, "-R --apply", input);
            let context = format!("{fault}: {said}");
            statuses.insert((status, is_lasting));
            let left = kernel.table();
            match status {
                0 => assert!(left == new && said.is_empty(), "{context}"),
                2 => assert!(left == old && said.lines().count() == 1, "{context}"),
                255 => assert!(left == old && said.ends_with(NOTHING), "{context}"),
                3 => {
                    assert!(is_lasting && !said.contains(NOTHING) && said.lines().count() >= 2, "{context}");
                    let undo =
                        said.lines().filter_map(|line| line.split("; this undoes it: ipvsadm ").nth(1));
                    let told: Vec<&str> = undo.collect();
                    if told.is_empty() {
                        assert!(said.contains(" cannot be read: "), "{context}");
                    } else {
                        assert!(told.iter().all(|line| run(OURS, line).0 == 0), "{context}");
                        assert_eq!(kernel.table(), old, "{context}");
                    }
                }
                _ => panic!("{context}"),
            }
            assert_eq!(shown, "");
        }
    }
    statuses.into_iter().collect()
}

mod a_fault_leaves_the_old_table_or_the_new_one_or_is_told_of {
    use super::{CALLS, a_fault_leaves_the_old_table_or_the_new_one_or_is_told as met};

    const _: () = assert!(CALLS.len() == 3, "a test for each");

    #[test]
    fn sockets() {
        // That one more cannot be had is no obstacle to the way back; without the last, that of the notes, all is applied.
        assert_eq!(met(0), [(0, false), (0, true), (2, false), (2, true), (255, false), (255, true)]);
    }

    #[test]
    fn requests() {
        // A question is asked twice, if memory was short.
        assert_eq!(met(1), [(0, false), (2, false), (2, true), (3, true), (255, false)]);
    }

    #[test]
    fn answers() {
        assert_eq!(met(2), [(0, false), (2, true), (3, true), (255, false)]);
    }
}

#[test]
fn a_fault_is_no_difference() {
    lab::isolate();
    set_up(BEFORE);
    for input in [AFTER, BEFORE] {
        let input = format!("{input}--set 10 20 30\n--start-daemon master\n");
        let all = calls("-R --diff", &input);
        let faults = CALLS.into_iter().zip(all).flat_map(|(call, to)| faults(call, 0, to));
        let good = feed(OURS, "-R --diff", &input);
        assert_eq!(good.0, 1);
        for (fault, is_lasting) in faults {
            let (status, shown, said) = injected(&fault, "-R --diff", &input);
            // What passes is survived: the tool asks again.
            if !is_lasting && ["ENOBUFS", "EAGAIN"].iter().any(|errno| fault.contains(errno)) {
                assert_eq!((status, shown, said), good, "{fault}");
                continue;
            }
            assert_eq!((status, shown.as_str(), said.lines().count()), (2, "", 1), "{fault}: {said}");
            assert_ne!(said, "\n", "{fault}");
        }
    }
    assert_eq!(table(), BEFORE);
}
