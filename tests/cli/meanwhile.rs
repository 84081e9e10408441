//! `--apply` that is refused while another program changes the same table.

use ipvs::{Change, Client, Destination, ForwardingMethod, ServiceId};

use crate::undo::{TRACE, injected};
use crate::{OURS, feed, set_up, table, until};

#[test]
fn a_drain_by_another_program_outlives_the_undo_and_is_told() {
    lab::isolate();
    let before = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 5\n\
        -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 5\n";
    set_up(before);
    let file = before.replace("-w 5", "-w 9") + "-A -t 10.0.0.4:80 -s nosuch\n";
    let sent = || std::fs::read_to_string(TRACE).map_or(0, |trace| trace.lines().count());
    injected("sendto:delay_exit=0", "-R --apply --dry-run", &file);
    let asks = sent();
    let _ = std::fs::remove_file(TRACE);
    // The changes are in effect when the next request waits.
    let inject = format!("sendto:delay_enter=1500000:when={}", asks + 2);
    let (status, _, said) = std::thread::scope(|scope| {
        let drain = scope.spawn(|| {
            let mut client = Client::open().unwrap();
            until("the changes have been made", || sent() > asks);
            let web = ServiceId::tcp("10.0.0.1".parse().unwrap(), 80);
            let server = |number: u8| {
                Destination::new([10, 1, 0, number].into(), 80, ForwardingMethod::Masquerade).with_weight(0)
            };
            client.apply(&Change::EditDestination { service: web, destination: server(1) }).unwrap();
        });
        let told = injected(&inject, "-R --apply", &file);
        drain.join().unwrap();
        told
    });
    assert_eq!(table(), before.replacen("-w 5", "-w 0", 1), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let [line, kept, last] = lines[..] else { panic!("{said}") };
    assert!(line.starts_with("line 4: Scheduler or persistence engine not found: 'nosuch'"), "{said}");
    let expected = "not undone, as another program has changed the same since: \
        edit real server 10.1.0.1:80 of TCP 10.0.0.1:80";
    assert_eq!(kept, expected);
    let expected = "nothing was applied: another program has changed the table meanwhile; apply it again";
    assert_eq!((status, last), (255, expected));
    // Without the other program nothing of it is said.
    assert_eq!(feed(OURS, "-R --apply", &file).2.lines().count(), 2);
}
