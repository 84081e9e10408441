//! The model in JSON: its form, that it is read back unchanged, and what is refused.

use std::fmt::Debug;

use ipvs::{
    Change, Checksum, Client, Connections, Counters, DaemonState, Destination, DestinationEntry, Error,
    FakeKernel, Family, ForwardingMethod, Info, InterfaceName, Netmask, Persistence, Protocol, Scheduler,
    SchedulerFlags, Service, ServiceEntry, ServiceId, Stats, SyncDaemon, Table, Timeouts, Totals, Tunnel,
    TunnelKind, Version,
};
use proptest::prelude::*;
use serde_json::{Value, from_str, json, to_string, to_value};

use crate::fake_kernel::change;
use crate::{client, destination, service, web};

fn comes_back<T>(value: &T) -> Result<(), TestCaseError>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let text = to_string(value).unwrap();
    let read: T = from_str(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
    prop_assert_eq!(&read, value, "{}", text);
    prop_assert_eq!(to_value(value).unwrap(), from_str::<Value>(&text).unwrap());
    Ok(())
}

fn stats() -> impl Strategy<Value = Stats> {
    any::<[u64; 10]>().prop_map(|[a, b, c, d, e, f, g, h, i, j]| {
        let five = |connections, in_packets, out_packets, in_bytes, out_bytes| Counters {
            connections,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        };
        Stats { total: five(a, b, c, d, e), rate: five(f, g, h, i, j) }
    })
}

/// Any change, except with weights and timeouts that no line has: documents with those are refused.
fn fitting_change() -> impl Strategy<Value = Change> {
    change().prop_map(|mut change| {
        if let Change::AddDestination { destination, .. } | Change::EditDestination { destination, .. } =
            &mut change
        {
            destination.weight &= Destination::HIGHEST;
            destination.lower_threshold &= Destination::HIGHEST;
        }
        if let Change::SetTimeouts(timeouts) = &mut change {
            for seconds in [&mut timeouts.tcp, &mut timeouts.tcp_fin, &mut timeouts.udp] {
                *seconds = (*seconds).min(Timeouts::LONGEST);
            }
        }
        change
    })
}

/// Any bytes that form an interface name.
fn interface() -> impl Strategy<Value = InterfaceName> {
    prop::collection::vec(1..=u8::MAX, 0..=15).prop_map(|bytes| InterfaceName::new(&bytes).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        mut service in service(), mut server in destination(), stats in stats(), interface in interface(),
        change in fitting_change(), number: u16, long: u32, byte: u8, other in 0..4_u8
    ) {
        if other == 0 {
            // Attributes of other kernels, and useless ones.
            let tunnel = Tunnel::new(TunnelKind::from(byte), number.max(1), Checksum::from(number));
            server.forwarding = ForwardingMethod::Tunnel(tunnel);
            service.id = ServiceId::Address { protocol: Protocol::from(number), address: server.id.address, port: 0 };
            service.persistence = None;
        } else if other == 1 {
            server.forwarding = ForwardingMethod::from(long);
        }
        comes_back(&service.id)?;
        comes_back(&service)?;
        comes_back(&ServiceEntry { service, stats })?;
        comes_back(&server.id)?;
        comes_back(&server)?;
        comes_back(&server.forwarding)?;
        if let ForwardingMethod::Tunnel(tunnel) = server.forwarding {
            comes_back(&tunnel)?;
        }
        let entry = DestinationEntry::new(server);
        comes_back(&DestinationEntry { active_connections: long, inactive_connections: long / 2, stats, ..entry })?;
        comes_back(&stats)?;
        comes_back(&change)?;
        let timeouts = Timeouts { tcp: long % (Timeouts::LONGEST + 1), tcp_fin: 0, udp: u32::from(byte) };
        comes_back(&timeouts)?;
        comes_back(&Info { version: Version { major: byte, minor: 2, patch: 1 }, connection_table_size: long })?;
        let daemon = SyncDaemon { port: number, ttl: byte, max_length: number.min(65507), ..SyncDaemon::new(DaemonState::Backup, interface, u32::from(byte)) };
        comes_back(&daemon)?;
    }

    #[test]
    fn no_document_makes_the_reader_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"services\"", "\"servers\"", "\"fwmark\"", "\"weight\"", "\"netmask\"",
            "\"tunnel\"", "\"scheduler\"", "\"scheduler_flags\"", "\"flag-1\"", "\"interface\"", "7", "-1", "1e99",
            "4294967296", "null", "true", "\"\"", "\"é\"", "[1,0]",
        ]), 0..40)
    ) {
        let text = words.concat();
        let _ = (from_str::<Table>(&text), from_str::<Change>(&text), from_str::<SyncDaemon>(&text));
        let _ = (from_str::<ServiceEntry>(&text), from_str::<DestinationEntry>(&text), from_str::<Totals>(&text));
    }

    #[test]
    fn any_table_comes_back(changes in prop::collection::vec(fitting_change(), 0..40)) {
        let mut table = Table::default();
        for change in &changes {
            let _ = table.change(change); // a refused change has no effect
        }
        comes_back(&table)?;
    }
}

#[test]
fn services_and_servers_look_like_this() {
    let v6 = |mark| ServiceId::fwmark(mark, Family::V6).unwrap();
    let persistence = Persistence::new(300, Netmask::V4([255, 255, 255, 0].into()));
    let service = Service::new(web(), Scheduler::WRR)
        .with_scheduler_flags(SchedulerFlags::FLAG_1 | SchedulerFlags::FLAG_3)
        .with_persistence(persistence)
        .with_engine("sip".parse().unwrap());
    let plain = json!({
        "protocol": "tcp", "address": "192.0.2.1", "port": 80, "scheduler": "wrr",
        "scheduler_flags": ["flag-1", "flag-3"],
        "persistence": {"timeout": 300, "netmask": "255.255.255.0", "engine": "sip"},
    });
    assert_eq!(to_value(service).unwrap(), plain);
    let dns = Service::new(ServiceId::udp("2001:db8::1".parse().unwrap(), 53), Scheduler::RR)
        .with_one_packet(true)
        .with_persistence(Persistence::new(1, Netmask::V6(64)));
    let expected = json!({
        "protocol": "udp", "address": "2001:db8::1", "port": 53, "scheduler": "rr", "one_packet": true,
        "persistence": {"timeout": 1, "netmask": 64},
    });
    assert_eq!(to_value(dns).unwrap(), expected);
    let entry = ServiceEntry::new(Service::new(v6(7), Scheduler::RR));
    let five = json!({"connections": 0, "in_packets": 0, "out_packets": 0, "in_bytes": 0, "out_bytes": 0});
    let expected = json!({"fwmark": 7, "family": "ipv6", "scheduler": "rr", "stats": five.clone(), "rates": five.clone()});
    assert_eq!(to_value(entry).unwrap(), expected);
    let gue = ForwardingMethod::Tunnel(Tunnel::gue(6080).with_checksum(Checksum::On));
    let server = Destination::new("2001:db8::11".parse().unwrap(), 80, gue).with_weight(3);
    let expected = json!({
        "address": "2001:db8::11", "port": 80, "forwarding": "tunnel",
        "tunnel": {"type": "gue", "port": 6080, "checksum": "on"},
        "weight": 3, "upper_threshold": 0, "lower_threshold": 0,
    });
    assert_eq!(to_value(server).unwrap(), expected);
    let server = Destination::new("192.0.2.11".parse().unwrap(), 80, ForwardingMethod::DirectRouting);
    let expected = json!({
        "address": "192.0.2.11", "port": 80, "forwarding": "direct_routing",
        "weight": 1, "upper_threshold": 0, "lower_threshold": 0,
        "active_connections": 0, "inactive_connections": 0, "persistent_connections": 0,
        "stats": five.clone(), "rates": five,
    });
    assert_eq!(to_value(DestinationEntry::new(server)).unwrap(), expected);
    let methods = ["masquerade", "local"].map(|name| name.parse::<ForwardingMethod>().unwrap());
    assert_eq!(to_string(&methods).unwrap(), r#"["masquerade","local"]"#);
}

#[test]
fn a_table_and_the_rest_look_like_this() {
    let daemon = SyncDaemon::new(DaemonState::Master, "eth0".parse().unwrap(), 7).with_ttl(2);
    let add = Change::AddService(Service::new(web(), Scheduler::RR));
    let server = Destination::new("192.0.2.11".parse().unwrap(), 80, ForwardingMethod::Masquerade);
    let changes = [
        add,
        Change::AddDestination { service: web(), destination: server },
        Change::SetTimeouts(Timeouts::KERNEL),
        Change::StartDaemon(daemon),
        Change::StopDaemon { state: DaemonState::Backup, sync_id: 0 },
    ];
    let mut table = Table::default();
    assert_eq!(to_string(&table).unwrap(), r#"{"schema":1,"services":[]}"#);
    for change in &changes {
        table.change(change).unwrap();
    }
    let (id, daemon) =
        (json!({"protocol": "tcp", "address": "192.0.2.1", "port": 80}), to_value(daemon).unwrap());
    assert_eq!(daemon, json!({"state": "master", "interface": "eth0", "sync_id": 7, "ttl": 2}));
    let timeouts = json!({"tcp": 900, "tcp_fin": 120, "udp": 300});
    let server = json!({
        "address": "192.0.2.11", "port": 80, "forwarding": "masquerade", "weight": 1, "upper_threshold": 0,
        "lower_threshold": 0,
    });
    let expected = json!({
        "schema": 1,
        "services": [{
            "protocol": "tcp", "address": "192.0.2.1", "port": 80, "scheduler": "rr", "servers": [server.clone()],
        }],
        "timeouts": timeouts.clone(),
        "daemons": [daemon.clone()],
        "stopped_daemons": ["backup"],
    });
    assert_eq!(to_value(&table).unwrap(), expected);
    let expected = json!([
        {"change": "add_service", "service":
            {"protocol": "tcp", "address": "192.0.2.1", "port": 80, "scheduler": "rr"}},
        {"change": "add_server", "service": id, "server": server},
        {"change": "set_timeouts", "timeouts": timeouts},
        {"change": "start_daemon", "daemon": daemon},
        {"change": "stop_daemon", "state": "backup", "sync_id": 0},
    ]);
    assert_eq!(to_value(changes).unwrap(), expected);
    assert_eq!(
        to_string(&[Change::Flush, Change::Zero(None)]).unwrap(),
        r#"[{"change":"flush"},{"change":"zero"}]"#
    );
    let info = Info { version: Version { major: 1, minor: 2, patch: 1 }, connection_table_size: 4096 };
    assert_eq!(to_string(&info).unwrap(), r#"{"ipvs":"1.2.1","connection_table_size":4096}"#);
    let rows = b"Pro FromIP ...\nUDP 0A010002 0000 0A010001 13C4 0A020002 13C4 ASSURED 55 sip abc\n\
        TCP 0A010002 A016 0A010001 0050 0A020002 1F90 ESTABLISHED 894\n";
    let mut connections = Connections::from_reader(&rows[..]).unwrap();
    let row = to_value(connections.next_row().unwrap()).unwrap();
    let expected = json!({
        "protocol": "udp", "client": {"address": "10.1.0.2", "port": 0},
        "service": {"address": "10.1.0.1", "port": 5060}, "server": {"address": "10.2.0.2", "port": 5060},
        "state": "ASSURED", "expires": 55, "engine": {"name": "sip", "data": "abc"},
    });
    assert_eq!(row, expected);
    let row = to_string(&connections.next_row().unwrap()).unwrap();
    assert!(row.ends_with(r#""state":"ESTABLISHED","expires":894}"#), "{row}");
}

#[test]
fn a_listing_of_the_kernels_is_read_as_a_table() {
    let mut client = client();
    let service = Service::new(web(), Scheduler::WLC);
    client.add_service(&service).unwrap();
    let server = Destination::new("192.0.2.11".parse().unwrap(), 80, ForwardingMethod::DirectRouting);
    client.add_destination(&web(), &server).unwrap();
    comes_back(&client.service(&web()).unwrap()).unwrap();
    comes_back(&Totals::read().unwrap()).unwrap();
    let mut listed = to_value(client.service(&web()).unwrap()).unwrap();
    listed["servers"] = to_value(client.destinations(&web()).unwrap()).unwrap();
    let mut document = to_value(client.info().unwrap()).unwrap();
    document["services"] = json!([listed]);
    let table: Table = serde_json::from_value(document).unwrap();
    assert_eq!(table.diff(&Table::read_for(&mut client, &table).unwrap()), []);
    let mut fake = Client::with_transport(FakeKernel::new()).unwrap();
    table.apply(&mut fake).unwrap();
    assert_eq!(fake.destinations(&web()).unwrap(), client.destinations(&web()).unwrap());
    assert!(matches!(fake.add_service(&service), Err(Error::Kernel { .. })));
}

/// Expects that a document of a type is refused, with a message that contains some words.
fn refused<T: serde::de::DeserializeOwned + Debug>(document: &str, words: &[&str]) {
    let error = from_str::<T>(document).expect_err(document).to_string();
    for word in words {
        assert!(error.contains(word), "{document}: {error}");
    }
}

#[test]
fn what_is_unknown_or_cannot_be_is_refused_by_name() {
    let service = |more: &str| {
        format!(r#"{{"protocol": "tcp", "address": "192.0.2.1", "port": 80, "scheduler": "rr"{more}}}"#)
    };
    assert!(from_str::<Service>(&service("")).is_ok());
    let stats = format!(r#", "stats": {}"#, to_string(&Counters::default()).unwrap());
    for (more, words) in [
        (r#", "colour": 1"#, &["unknown field `colour`"][..]),
        (&stats, &["unknown field `stats`"]),
        (r#", "servers": []"#, &["unknown field `servers`"]),
        (r#", "port": 81"#, &["duplicate field `port`"]),
        (r#", "fwmark": 7"#, &["`fwmark`", "`protocol`"]),
        (r#", "fwmark": 0"#, &["`0`", "nonzero"]),
        (r#", "family": "ipv4""#, &["`family`", "`fwmark`"]),
        (r#", "one_packet": "yes""#, &["\"yes\"", "boolean"]),
        (r#", "scheduler_flags": ["flag-4"]"#, &["'flag-4'", "flag-1, flag-2 or flag-3"]),
        (r#", "persistence": {}"#, &["missing field `timeout`"]),
        (r#", "persistence": {"netmask": "255.0.0.0"}"#, &["missing field `timeout`"]),
        (r#", "persistence": {"timeout": 1, "netmask": 64}"#, &["'64'", "TCP 192.0.2.1:80", "family"]),
        (r#", "persistence": {"timeout": 1, "netmask": 129}"#, &["`129`", "from 1 to 128"]),
        (r#", "persistence": {"timeout": 1, "netmask": "24"}"#, &["\"24\"", "255.255.255.0"]),
        (r#", "persistence": {"timeout": -1}"#, &["`-1`", "u32"]),
        (
            r#", "persistence": {"timeout": 1, "engine": "a-name-too-long-to-keep"}"#,
            &["a-name-too-long-to-keep"],
        ),
    ] {
        refused::<Service>(&service(more), words);
    }
    refused::<Service>("{}", &["`protocol`", "`fwmark`"]);
    refused::<Service>(r#"{"fwmark": 7}"#, &["missing field `scheduler`"]);
    refused::<ServiceId>(&service(""), &["unknown field `scheduler`"]);
    refused::<ServiceId>(
        r#"{"protocol": "igmp", "address": "::1", "port": 1}"#,
        &["'igmp'", "TCP, UDP or SCTP"],
    );
    refused::<ServiceId>(r#"{"protocol": "tcp", "address": "1.2.3", "port": 1}"#, &["address"]);
    refused::<ServiceId>(r#"{"protocol": "tcp", "address": "::1", "port": 65536}"#, &["`65536`"]);
    let server =
        |forwarding: &str| format!(r#"{{"address": "192.0.2.11", "port": 80, "forwarding": {forwarding}}}"#);
    assert_eq!(from_str::<Destination>(&server(r#""tunnel""#)).unwrap().weight, 1);
    for (forwarding, words) in [
        (r#""natting""#, &["'natting'", "direct_routing, tunnel, masquerade or local"][..]),
        (r#""tunnel", "tunnel": {"type": "vxlan"}"#, &["'vxlan'", "ipip, gue or gre"]),
        (r#""tunnel", "tunnel": {"type": "gue"}"#, &["missing field `port`"]),
        (r#""tunnel", "tunnel": {"type": "gue", "port": 0}"#, &["'0'", "from 1 to 65535"]),
        (r#""tunnel", "tunnel": {"type": "ipip", "checksum": "on"}"#, &["ipip", "`checksum`"]),
        (r#""tunnel", "tunnel": {"type": "gre", "port": 5}"#, &["gre", "`port`"]),
        (r#""tunnel", "tunnel": {"type": "gre", "checksum": "+c"}"#, &["'+c'", "on, off or remote"]),
        (r#""local", "tunnel": {"type": "ipip"}"#, &["`tunnel`", "`forwarding`"]),
        (r#""local", "weight": 2147483648"#, &["'2147483648'", "from 0 to 2147483647"]),
        (r#""local", "weight": -1"#, &["`-1`", "u32"]),
        (r#""local", "weight": "1""#, &["\"1\"", "u32"]),
        (r#""local", "active_connections": 1"#, &["unknown field `active_connections`"]),
    ] {
        refused::<Destination>(&server(forwarding), words);
    }
    refused::<Destination>(r#"{"address": "192.0.2.11", "port": 80}"#, &["missing field `forwarding`"]);
    let daemon = |more: &str| format!(r#"{{"state": "master", "interface": "eth0"{more}}}"#);
    assert_eq!(from_str::<SyncDaemon>(&daemon("")).unwrap().sync_id, 0);
    refused::<SyncDaemon>(&daemon(r#", "sync_id": 256"#), &["'256'", "from 0 to 255"]);
    refused::<SyncDaemon>(&daemon(r#", "group": "192.0.2.1""#), &["'192.0.2.1'", "multicast"]);
    refused::<SyncDaemon>(r#"{"state": "slave", "interface": "eth0"}"#, &["'slave'", "master or backup"]);
    refused::<Change>(r#"{"change": "flush", "service": 1}"#, &["unknown field `service`"]);
    refused::<Change>(r#"{"change": "shuffle"}"#, &["`shuffle`", "`add_service`"]);
    refused::<Timeouts>(r#"{"tcp": 1, "tcpfin": 2}"#, &["unknown field `tcpfin`"]);
}

#[test]
fn a_table_is_refused_where_it_is_wrong() {
    let service = r#"{"fwmark": 7, "scheduler": "rr", "servers": [
        {"address": "192.0.2.11", "port": 80, "forwarding": "masquerade", "active_connections": 1}]}"#;
    let table = |more: &str| format!(r#"{{"services": [{service}]{more}}}"#);
    assert_eq!(from_str::<Table>(&table("")).unwrap().entries(), 2);
    refused::<Table>("{}", &["missing field `services`"]);
    refused::<Table>(&table(r#", "schema": 2"#), &["schema 2", "it is 1"]);
    refused::<Table>(&table(r#", "service": []"#), &["unknown field `service`"]);
    refused::<Table>(&format!(r#"{{"services": [{service}, {service}]}}"#), &["FWM 7", "twice"]);
    let daemon = r#"{"state": "master", "interface": "eth0"}"#;
    refused::<Table>(&table(&format!(r#", "daemons": [{daemon}, {daemon}]"#)), &["master", "twice"]);
    let running = format!(r#", "daemons": [{daemon}], "stopped_daemons": ["master"]"#);
    refused::<Table>(&table(&running), &["master", "twice"]);
    let server = r#"{"address": "192.0.2.11", "port": 80, "forwarding": "masquerade"}"#;
    let twice =
        format!(r#"{{"services": [{{"fwmark": 7, "scheduler": "rr", "servers": [{server}, {server}]}}]}}"#);
    refused::<Table>(&twice, &["a server of FWM 7", "twice"]);
    // The line is that of the wrong object.
    let lines = "{\"services\": [\n{\"fwmark\": 7, \"scheduler\": \"rr\", \"servers\": [\n{\"address\": \"::1\", \"port\": 1, \"forwarding\": \"x\"}\n]}]}";
    refused::<Table>(lines, &["'x'", "line 3"]);
}
