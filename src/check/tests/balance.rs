//! What a scheduler does not see, to the letter.

use ipvs::{ForwardingMethod, ServiceId};

use super::super::director::Director;
use super::gallery::{SERVICE, assert_healthy, assert_one, first, service, with};
use super::ip;

/// What a scheduler does not see, and twins that it does.
#[test]
fn services_that_their_scheduler_cannot_balance() {
    let udp = |director: &mut Director, scheduler: &str, one_packet| {
        let service = service(director);
        (service.id, service.one_packet) = (ServiceId::udp(ip("192.168.1.100"), 53), one_packet);
        service.scheduler = scheduler.parse().unwrap();
    };
    let weights = |director: &mut Director, scheduler: &str, weights: [u32; 2]| {
        service(director).scheduler = scheduler.parse().unwrap();
        for (entry, weight) in director.table[0].1.iter_mut().zip(weights) {
            entry.destination.weight = weight;
        }
    };
    let masquerade = |director: &mut Director| first(director).forwarding = ForwardingMethod::Masquerade;
    assert_one(
        &with(|director| udp(director, "wlc", true)),
        [
            "all-to-one",
            "UDP 192.168.1.100:53",
            "scheduler wlc counts connections, and with -o there are none: every packet goes to one server",
            "ipvsadm -E -u 192.168.1.100:53 -s wrr -o",
        ],
    );
    assert_one(
        &with(|director| weights(director, "dh", [3, 1])),
        [
            "all-to-one",
            SERVICE,
            "scheduler dh chooses by the destination, and the service has one address: every client goes to one server",
            "ipvsadm -E -t 192.168.1.100:80 -s wrr",
        ],
    );
    assert_one(
        &with(|director| weights(director, "sh", [300, 100])),
        [
            "hash-weights",
            SERVICE,
            "the weights 300, 100 take 400 places, and the table of scheduler sh has 256: servers get another share than their \
             weights, or nothing",
            "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11:80 -g -w 3 && \
             ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.12:80 -g -w 1",
        ],
    );
    let astray = with(|director| {
        udp(director, "rr", true);
        masquerade(director);
    });
    let found: Vec<_> = astray.findings().into_iter().map(|it| (it.id, it.what, it.fix.command())).collect();
    let what = "the service schedules each packet by itself (-o), and has masqueraded servers (-m)";
    let fix = "ipvsadm -E -u 192.168.1.100:53 -s rr".to_owned();
    assert!(found.contains(&("one-packet-masqueraded", what.to_owned(), fix)), "{found:?}");
    let engine = with(|director| {
        udp(director, "rr", true);
        masquerade(director);
        service(director).engine = Some("sip".parse().unwrap());
    });
    assert!(engine.findings().iter().all(|finding| finding.id != "one-packet-masqueraded"));
    for (twin, scheduler, one_packet) in [("rr", "rr", true), ("wlc by connections", "wlc", false)] {
        assert_healthy(&with(|director| udp(director, scheduler, one_packet)), twin);
    }
    let drained = with(|director| weights(director, "dh", [1, 0]));
    assert!(drained.findings().iter().all(|finding| finding.id != "all-to-one"), "one server is used");
    assert_healthy(&with(|director| weights(director, "sh", [3, 1])), "small weights");
    assert_healthy(&with(|director| weights(director, "mh", [300, 100])), "a table that divides");
}
