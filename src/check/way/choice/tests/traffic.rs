//! Real connections from many clients: the kernel's server of each is the one that was foretold. All is in one network
//! namespace: every address is its own, and servers are behind an interface that swallows their packets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;

use ipvs::{Change, Client, Connections, Destination, Family, Service, ServiceId};
use nix::sched::{CloneFlags, unshare};

use super::{Choices, Flow, Unknown, Verdict, choose, flags, servers};

/// How many clients each table is tried with: as many as `IPVS_CLIENTS` says.
fn clients() -> usize {
    std::env::var("IPVS_CLIENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// A network of the calling thread, in which each address can be a client's.
fn network() -> Client {
    assert!(std::env::var_os("IPVS_LAB_INSIDE").is_some(), "this takes IPVS: tests/lab/run");
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let set_up = "
        ip link set lo up
        ip link add wire type dummy && ip link set wire up
        ip addr add 192.0.2.1/24 dev wire && ip addr add 2001:db8:f::1/64 dev wire nodad
        ip addr add 192.0.2.100/32 dev lo && ip addr add 2001:db8:f::100/128 dev lo nodad
        ip route add local 10.0.0.0/8 dev lo && ip -6 route add local 2001:db8:c::/48 dev lo
        ip route add local 172.16.0.0/12 dev lo
        for host in 11 12 13 14 15; do
            ip neigh add 192.0.2.$host lladdr 02:00:00:00:00:$host dev wire
            ip neigh add 2001:db8:f::$host lladdr 02:00:00:00:00:$host dev wire
        done
        echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind && echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind";
    let done = Command::new("sh").args(["-ec", set_up]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Client::open().unwrap()
}

/// A sequence of numbers that looks like chance and is always the same.
struct Numbers(u64);

impl Numbers {
    #[allow(clippy::cast_possible_truncation, reason = "the higher half is what is wanted")]
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn port(&mut self) -> u16 {
        u16::try_from(self.next() % 60_000 + 1024).unwrap()
    }

    fn client(&mut self, family: Family) -> SocketAddr {
        let address: IpAddr = match family {
            Family::V4 => Ipv4Addr::from_bits(0x0a00_0000 | self.next() >> 8).into(),
            Family::V6 => {
                let low = u128::from(self.next()) << 32 | u128::from(self.next());
                Ipv6Addr::from_bits(0x2001_0db8_000c_0000_u128 << 64 | low).into()
            }
        };
        SocketAddr::new(address, self.port())
    }
}

/// A table to try: scheduler, flags, family or mark, history of its servers.
const TABLES: &[(&str, &str, &str, &str)] = &[
    ("sh", "", "4", "+11=1 +12=1 +13=1"),
    ("sh", "", "4", "+11=300 +12=200 +13=100"),
    ("sh", "port", "4", "+11=3 +12=1 +13=2 +14=7 +15=1"),
    ("sh", "fallback", "4", "+11=3 +12=1 +13=2 ~12=0"),
    ("sh", "fallback,port", "6", "+11=3 +12=1 +13=2 ~11=0 +14=0"),
    ("sh", "", "4", "+11=10 +12=10 +13=10 -11 +11=10"),
    ("sh", "", "mark", "+11=3 +12=0 +13=2"),
    ("mh", "", "4", "+11=1 +12=1 +13=1"),
    ("mh", "", "4", "+11=2147 +12=1000 +13=64 +14=63 +15=7"),
    ("mh", "port", "4", "+11=3 +12=1 +13=2 ~13=5"),
    ("mh", "fallback", "4", "+11=3 +12=1 +13=2 ~11=0"),
    ("mh", "fallback,port", "6", "+11=6 +12=4 +13=2 ~12=0 +14=0"),
    ("mh", "", "4", "+11=1 +12=1 +13=1 ~11=0 -12 +12=1"),
    ("mh", "", "6", "+11=1 +12=2 +13=1"),
    ("mh", "", "mark", "+11=3 +12=1 +13=2"),
    ("dh", "", "mark", "+11=3 +12=1 +13=2 ~12=0"),
    ("dh", "", "4", "+11=3 +12=1 +13=2"),
];

fn every_choice_is_foretold(tables: &[(&str, &str, &str, &str)]) {
    let mut kernel = network();
    for (number, (scheduler, words, kind, history)) in tables.iter().enumerate() {
        let what = format!("{scheduler} {words} {kind} {history}");
        kernel.flush().unwrap();
        let family = if *kind == "6" { Family::V6 } else { Family::V4 };
        let port = 8000 + u16::try_from(number).unwrap();
        let address = |host: u8| -> IpAddr {
            match family {
                Family::V4 => format!("192.0.2.{host}"),
                Family::V6 => format!("2001:db8:f::{host}"),
            }
            .parse()
            .unwrap()
        };
        let id = match *kind {
            "mark" => ServiceId::fwmark(7, family).unwrap(),
            _ => ServiceId::udp(address(100), port),
        };
        let service = Service::new(id, scheduler.parse().unwrap()).with_scheduler_flags(flags(words));
        kernel.add_service(&service).unwrap();
        carry_out(&mut kernel, &id, history, &address);
        let known = servers(history, id.port(), address);
        let listed: Vec<Destination> =
            kernel.destinations(&id).unwrap().into_iter().map(|entry| entry.destination).collect();
        assert_eq!(listed, known.iter().map(|(entry, _)| entry.destination).collect::<Vec<_>>(), "{what}");
        let mut numbers = Numbers(number as u64);
        let flows: Vec<Flow> = (0..clients())
            .map(|_| {
                let client = numbers.client(family);
                let to = match *kind {
                    "mark" => Ipv4Addr::from_bits(0xac10_0000 | numbers.next() >> 12).into(),
                    _ => address(100),
                };
                Flow { client: client.ip(), port: Some(client.port()), to: Some(to) }
            })
            .collect();
        let seen = connect(&flows, port, *kind == "mark");
        let verdicts = choose(&service, &known, &flows);
        let foretold = verdicts.iter().map(|verdict| match verdict {
            Verdict::Server(at) => Some(known[*at].0.destination.id.address),
            Verdict::Refused(_) => None,
            Verdict::Unknown(why) => panic!("{what}: {why:?}"),
        });
        let misses: Vec<_> =
            foretold.zip(&seen).zip(&flows).filter(|((one, other), _)| one != *other).collect();
        let first = misses.first();
        assert!(
            misses.is_empty(),
            "{what}: {} of {} are wrong, such as {first:?}",
            misses.len(),
            flows.len()
        );
        assert!(seen.iter().any(Option::is_some), "{what}: nobody was served");
    }
}

/// Adds, edits and deletes servers one after another.
fn carry_out(kernel: &mut Client, id: &ServiceId, history: &str, address: &impl Fn(u8) -> IpAddr) {
    for word in history.split_whitespace() {
        let (sign, own) = word.split_at(1);
        let (number, weight) = own.split_once('=').unwrap_or((own, "0"));
        let address = address(number.parse().unwrap());
        let destination = Destination::new(address, id.port(), ipvs::ForwardingMethod::Masquerade)
            .with_weight(weight.parse().unwrap());
        let service = *id;
        let change = match sign {
            "+" => Change::AddDestination { service, destination },
            "~" => Change::EditDestination { service, destination },
            _ => Change::DeleteDestination { service, destination: destination.id },
        };
        kernel.apply(&change).unwrap();
    }
}

/// Sends a packet for each flow, and returns the server that the kernel gave it.
fn connect(flows: &[Flow], port: u16, with_mark: bool) -> Vec<Option<IpAddr>> {
    for flow in flows {
        let Ok(socket) = UdpSocket::bind((flow.client, flow.port.unwrap())) else { continue };
        if with_mark {
            socket2::SockRef::from(&socket).set_mark(7).unwrap();
        }
        let _ = socket.send_to(b"?", (flow.to.unwrap(), port)); // one that is refused gets an error
    }
    let mut found: HashMap<(SocketAddr, IpAddr), IpAddr> = HashMap::new();
    // Since Linux 7.2 rows are missing while the table grows.
    let mut quiet = 0;
    while quiet < 3 {
        let before = found.len();
        let mut connections = Connections::open().unwrap();
        while let Some(row) = connections.next_row().unwrap() {
            found.insert((row.client, row.service.ip()), row.destination.ip());
        }
        quiet = if found.len() == before { quiet + 1 } else { 0 };
    }
    let key = |flow: &Flow| (SocketAddr::new(flow.client, flow.port.unwrap()), flow.to.unwrap());
    flows.iter().map(|flow| found.get(&key(flow)).copied()).collect()
}

#[test]
fn every_choice_of_sh_is_foretold() {
    every_choice_is_foretold(&TABLES[..7]);
}

#[test]
fn every_choice_of_mh_is_foretold() {
    every_choice_is_foretold(&TABLES[7..15]);
}

#[test]
fn every_choice_of_dh_is_foretold() {
    every_choice_is_foretold(&TABLES[15..]);
}

/// The next server follows from the connections of that moment, and from the thresholds.
#[test]
fn every_next_server_is_foretold() {
    let mut kernel = network();
    let address = |host: u8| -> IpAddr { [192, 0, 2, host].into() };
    let mut numbers = Numbers(5);
    for (number, (scheduler, words)) in [
        ("lc", ""),
        ("wlc", ""),
        ("sed", ""),
        ("nq", ""),
        ("fo", ""),
        ("ovf", ""),
        ("sh", "fallback"),
        ("mh", ""),
    ]
    .into_iter()
    .enumerate()
    {
        kernel.flush().unwrap();
        let port = 9000 + u16::try_from(number).unwrap();
        let id = ServiceId::udp(address(100), port);
        let service = Service::new(id, scheduler.parse().unwrap()).with_scheduler_flags(flags(words));
        kernel.add_service(&service).unwrap();
        for (host, weight, limit) in [(11, 3, 30), (12, 1, 5), (13, 2, 20), (14, 2, 0)] {
            let server = Destination::new(address(host), port, ipvs::ForwardingMethod::Masquerade);
            kernel.add_destination(&id, &server.with_weight(weight).with_upper_threshold(limit)).unwrap();
        }
        let mut of_each: HashMap<Verdict, usize> = HashMap::new();
        for _ in 0..60 {
            let client = numbers.client(Family::V4);
            let flow = Flow { client: client.ip(), port: Some(client.port()), to: Some(address(100)) };
            let servers = kernel.destinations(&id).unwrap();
            let verdict = Choices::new(&service, &servers, &|_| None).of(&flow);
            *of_each.entry(verdict).or_default() += 1;
            let seen = connect(&[flow], port, false);
            let expected = match verdict {
                // It was never full.
                Verdict::Server(at) | Verdict::Unknown(Unknown::BetweenThresholds(at)) => {
                    Some(servers[at].destination.id.address)
                }
                Verdict::Refused(_) => None,
                Verdict::Unknown(what) => panic!("{scheduler}: {what:?}"),
            };
            assert_eq!(seen, [expected], "{scheduler} {words}: {flow:?}");
        }
        assert!(of_each.len() > 1 || matches!(scheduler, "fo" | "nq"), "{scheduler}: {of_each:?}");
    }
}
