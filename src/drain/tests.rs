//! Drains on a kernel in memory.

use ipvs::{
    Client, Destination, DestinationEntry, DestinationId, FakeKernel, ForwardingMethod, Persistence, Service,
    ServiceId, Stats,
};

use super::obstacles;
use super::progress::{Awaits, Connections, Progress};
use super::targets::{self, Listing, Target};
use super::undrain::{End, bring_back};
use super::wait::{Seen, Wait, see};
use crate::command::{Drain, Which};
use crate::notes::{Note, Notes, State};
use crate::supervisors::Supervisors;

fn web() -> ServiceId {
    ServiceId::tcp([10, 0, 0, 1].into(), 80)
}

fn server(last: u8) -> Destination {
    Destination::new([10, 1, 0, last].into(), 80, ForwardingMethod::DirectRouting).with_weight(last.into())
}

/// A service with the servers 1 and 2, whose weights are 1 and 2, and another with server 1 alone.
fn kernel() -> (FakeKernel, Client) {
    let kernel = FakeKernel::new();
    let mut client = Client::with_transport(kernel.clone()).unwrap();
    for (id, servers) in [(web(), &[1, 2][..]), (ServiceId::tcp([10, 0, 0, 1].into(), 443), &[1])] {
        client.add_service(&Service::new(id, "wrr".parse().unwrap())).unwrap();
        for last in servers {
            let destination = server(*last);
            let id_of_server = DestinationId { port: id.port(), ..destination.id };
            client.add_destination(&id, &Destination { id: id_of_server, ..destination }).unwrap();
        }
    }
    (kernel, client)
}

fn which(service: Option<ServiceId>, last: u8, port: Option<u16>) -> Which {
    Which { service, address: Some([10, 1, 0, last].into()), port }
}

fn drain(which: Which) -> Drain {
    Drain { which, wait: None, ignore_inactive: false, force: false, quiet: false }
}

fn listing(client: &mut Client) -> Listing {
    targets::read(client, None).unwrap()
}

fn found(listing: &Listing, which: Which) -> Vec<Target> {
    targets::find(listing, &which, &Notes::unknown()).unwrap()
}

#[test]
fn a_server_is_found_in_one_service_or_in_all() {
    let (_, mut client) = kernel();
    let listing = listing(&mut client);
    let names = |which| found(&listing, which).iter().map(Target::to_string).collect::<Vec<_>>();
    let (http, https) = ("TCP 10.0.0.1:80 -> 10.1.0.1:80", "TCP 10.0.0.1:443 -> 10.1.0.1:443");
    let mut both = names(which(None, 1, None));
    both.sort_unstable();
    assert_eq!(both, [https, http]);
    assert_eq!(names(which(Some(web()), 1, None)), [http]);
    assert_eq!(names(which(None, 1, Some(443))), [https]);
    let none = targets::find(&listing, &which(None, 9, Some(80)), &Notes::unknown()).unwrap_err();
    let said = "No such destination: '10.1.0.9:80'; ipvsadm -L -n lists them";
    assert_eq!((none.status, none.message.as_str()), (255, said));
    let nowhere = ServiceId::tcp([10, 0, 0, 9].into(), 80);
    let none = targets::read(&mut client, Some(&nowhere)).unwrap_err();
    assert_eq!(none.message, "No such service: 'TCP 10.0.0.9:80'; ipvsadm -L -n lists them");
}

#[test]
fn the_last_server_is_refused() {
    let (_, mut client) = kernel();
    let refused = |listing: &Listing, which| {
        targets::refuse_last(listing, &found(listing, which)).err().map(|failure| failure.message)
    };
    let before = listing(&mut client);
    assert_eq!(refused(&before, which(Some(web()), 1, None)), None);
    let said = refused(&before, which(None, 1, None)).unwrap();
    let expected = "TCP 10.0.0.1:443 would have no server for new connections without this one: '10.1.0.1:443'; \
                    add or bring back another first, or add --force";
    assert_eq!(said, expected);
    // A server of weight 0 does not count; one that has weight 0 already takes nothing away.
    client.edit_destination(&web(), &server(2).with_weight(0)).unwrap();
    let after = listing(&mut client);
    assert!(refused(&after, which(Some(web()), 1, None)).is_some());
    assert_eq!(refused(&after, which(Some(web()), 2, None)), None);
}

#[test]
fn a_server_of_weight_0_is_brought_back_as_it_was_noted() {
    let (_, mut client) = kernel();
    client.edit_destination(&web(), &server(2).with_weight(0)).unwrap();
    let listing = listing(&mut client);
    let mut notes = Notes::unknown();
    let weights = |notes: &Notes| {
        [1, 2].map(|last| {
            targets::find(&listing, &which(Some(web()), last, None), notes).unwrap()[0].noted.weight
        })
    };
    assert_eq!(weights(&notes), [1, 0]);
    notes.add(&web(), server(1).with_weight(70), State::Waiting);
    notes.add(&web(), server(2).with_weight(80), State::Waiting);
    assert_eq!(weights(&notes), [1, 80]);
}

#[test]
fn what_is_seen_decides() {
    let entry = |weight, active, inactive| {
        let mut entry = DestinationEntry::new(server(1).with_weight(weight));
        (entry.active_connections, entry.inactive_connections) = (active, inactive);
        entry
    };
    let waiting = |active, inactive| Seen::Waiting(Connections { active, inactive, persistent: 0 });
    for (entry, seen, seen_without_inactive) in [
        (None, Seen::Gone, Seen::Gone),
        (Some(entry(0, 0, 0)), Seen::Free, Seen::Free),
        (Some(entry(0, 0, 2)), waiting(0, 2), Seen::Free),
        (Some(entry(0, 1, 2)), waiting(1, 2), waiting(1, 2)),
        (Some(entry(3, 0, 0)), Seen::BackInUse(3), Seen::BackInUse(3)),
    ] {
        let awaits = |inactive| Awaits { inactive, persistent: true };
        assert_eq!(see(entry.as_ref(), awaits(true)), seen, "{entry:?}");
        assert_eq!(see(entry.as_ref(), awaits(false)), seen_without_inactive, "{entry:?}");
    }
    let mut persistent = entry(0, 0, 0);
    persistent.persistent_connections = 4;
    let awaits = |persistent| Awaits { inactive: true, persistent };
    let four = Seen::Waiting(Connections { active: 0, inactive: 0, persistent: 4 });
    assert_eq!(
        (see(Some(&persistent), awaits(true)), see(Some(&persistent), awaits(false))),
        (four, Seen::Free)
    );
}

/// A wait for both servers of the service after one look at them, and what was written.
fn after_a_step(
    kernel: &FakeKernel,
    client: &mut Client,
    act: impl FnOnce(&mut Client),
) -> (Vec<String>, String) {
    let targets: Vec<Target> =
        [1, 2].iter().flat_map(|last| found(&listing(client), which(Some(web()), *last, None))).collect();
    let mut wait = Wait::new(&drain(which(None, 1, None)), Progress::new(false, false), false);
    for target in &targets {
        client.apply(&target.stop()).unwrap();
    }
    assert!(kernel.set_traffic(&web(), &server(2).id, 5, 7, Stats::default()));
    act(client);
    let mut out = Vec::new();
    wait.begin(targets);
    wait.step(client, &mut out).unwrap();
    let left = wait.left().map(|(target, connections)| format!("{target}: {connections}")).collect();
    (left, String::from_utf8(out).unwrap())
}

#[test]
fn each_server_is_deleted_when_it_is_free() {
    let (kernel, mut client) = kernel();
    let (left, said) = after_a_step(&kernel, &mut client, |_| {});
    let has = "TCP 10.0.0.1:80 -> 10.1.0.2:80: 5 active, 7 inactive and 0 persistent connections";
    assert_eq!(left, [has]);
    let expected = "TCP 10.0.0.1:80 -> 10.1.0.1:80 is drained and deleted; this brings it back: \
                    ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n";
    assert_eq!(said, expected);
    let servers = client.destinations(&web()).unwrap();
    assert_eq!(servers.iter().map(|entry| entry.destination).collect::<Vec<_>>(), [server(2).with_weight(0)]);
}

#[test]
fn what_others_do_meanwhile_is_respected() {
    let (kernel, mut client) = kernel();
    let (left, said) = after_a_step(&kernel, &mut client, |client| {
        client.edit_destination(&web(), &server(1).with_weight(9)).unwrap();
        client.delete_destination(&web(), &server(2).id).unwrap();
    });
    assert_eq!((left, said.as_str()), (vec![], ""));
    let servers = client.destinations(&web()).unwrap();
    assert_eq!(servers.iter().map(|entry| entry.destination).collect::<Vec<_>>(), [server(1).with_weight(9)]);
    // The service is gone.
    let (kernel, mut client) = self::kernel();
    let (left, _) = after_a_step(&kernel, &mut client, |client| client.delete_service(&web()).unwrap());
    assert_eq!(left, [""; 0]);
}

#[test]
fn it_is_brought_back_into_whatever_there_is_now() {
    let (_, mut client) = kernel();
    let weight = |client: &mut Client| {
        let servers = client.destinations(&web()).unwrap();
        servers
            .iter()
            .find(|entry| entry.destination.id == server(2).id)
            .map(|entry| entry.destination.weight)
    };
    let end = |client: &mut Client, state| {
        let note = Note { service: web(), server: server(2).with_weight(8), state };
        bring_back(client, &[note]).unwrap().pop().unwrap().1
    };
    let back = |client: &mut Client| match end(client, State::Deleting) {
        End::Done(line) => Ok(line),
        End::Refused(why) => Err(why),
        End::Over => panic!("it is not over"),
    };
    assert_eq!(
        back(&mut client).unwrap(),
        "TCP 10.0.0.1:80 -> 10.1.0.2:80 has weight 2 already, and is left as it is"
    );
    client.edit_destination(&web(), &server(2).with_weight(0)).unwrap();
    assert_eq!(back(&mut client).unwrap(), "TCP 10.0.0.1:80 -> 10.1.0.2:80 is back with weight 8");
    assert_eq!(weight(&mut client), Some(8));
    client.delete_destination(&web(), &server(2).id).unwrap();
    assert!(back(&mut client).is_ok());
    assert_eq!(weight(&mut client), Some(8));
    // What another hand has taken out stays out.
    client.edit_destination(&web(), &server(2).with_weight(0)).unwrap();
    assert_eq!((end(&mut client, State::Deleted), end(&mut client, State::Back)), (End::Over, End::Over));
    client.delete_destination(&web(), &server(2).id).unwrap();
    assert_eq!((end(&mut client, State::Waiting), end(&mut client, State::Back)), (End::Over, End::Over));
    assert_eq!(weight(&mut client), None);
    client.delete_service(&web()).unwrap();
    assert_eq!(back(&mut client).unwrap_err(), "Service not defined: 'TCP 10.0.0.1:80'; -A adds it");
}

#[test]
fn what_makes_a_wait_vain_is_said_before() {
    let (_, mut client) = kernel();
    let mut targets = found(&listing(&mut client), which(Some(web()), 1, None));
    let listing = listing(&mut client);
    let warnings = |targets: &[Target], wait, off: &str, fill_table| {
        let drain = Drain { wait, ..drain(which(None, 1, None)) };
        let supervisors = Supervisors { fill_table, ..Supervisors::default() };
        let setting = |name: &str| Some(u32::from(!off.split(' ').any(|off| off == name)));
        obstacles::warnings(&listing, targets, &drain, supervisors, setting).join("\n")
    };
    let all_off = "conn_reuse_mode expire_nodest_conn expire_quiescent_template";
    assert_eq!(warnings(&targets, None, "expire_quiescent_template", None), "", "it is not persistent");
    assert_eq!(warnings(&targets, None, "conn_reuse_mode", None), "", "expire_nodest_conn does it, too");
    let reused = warnings(&targets, None, all_off, None);
    assert!(reused.ends_with(": sysctl -w net.ipv4.vs.conn_reuse_mode=1"), "{reused}");
    assert!(
        warnings(&targets, None, "", Some("keepalived")).starts_with("warning: keepalived fills this table")
    );

    targets[0].service.persistence =
        Some(Persistence { timeout: 300, netmask: ipvs::Netmask::single(ipvs::Family::V4) });
    targets[0].server.persistent_connections = 1;
    let persistent = warnings(&targets, None, "expire_quiescent_template", None);
    assert!(
        persistent.contains("300 s; ") && persistent.ends_with("net.ipv4.vs.expire_quiescent_template=1"),
        "{persistent}"
    );
    // Where clients do not come back, nobody waits for them.
    assert_eq!(warnings(&targets, Some(299), "", None), "");
    let off = "expire_quiescent_template";
    assert!(!warnings(&targets, Some(300), off, None).contains("--wait"));
    assert!(
        warnings(&targets, Some(299), off, None)
            .ends_with("longer than the wait of 299 s; --wait 300 or more")
    );
    targets[0].noted.weight = 0;
    assert!(warnings(&targets, None, "", None).contains("had weight 0 before"));
}
