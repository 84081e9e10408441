//! `-L --prometheus`: the table as metrics, in the text format of Prometheus.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::ops::Range;

use ipvs::{
    Client, Counters, Destination, DestinationEntry, DestinationId, Family, Info, ServiceEntry, ServiceId,
    TableLoad, Totals,
};

use super::{Order, destinations, services};
use crate::command::{List, ListTarget};

/// A service, or a real server, and where its own labels are in the text of all labels. A first touch of memory is most of
/// the cost of metrics, so no more is kept than is shown.
struct Labelled<T> {
    labels: Range<usize>,
    counters: Counters,
    more: T,
}

/// The rest of a real server: where its service is among the services, and its gauges.
struct Server {
    service: usize,
    gauges: [u32; GAUGES.len()],
}

/// The name of a metric, what it says, and its value.
type Metric<T, N> = (&'static str, &'static str, fn(&T) -> N);

/// Counters of everything.
const COUNTERS: [Metric<Counters, u64>; 5] = [
    ("connections", "Connections scheduled.", |counters| counters.connections),
    ("in_packets", "Packets from clients.", |counters| counters.in_packets),
    ("out_packets", "Packets to clients that passed the director.", |counters| counters.out_packets),
    ("in_bytes", "Bytes from clients.", |counters| counters.in_bytes),
    ("out_bytes", "Bytes to clients that passed the director.", |counters| counters.out_bytes),
];

/// Gauges of a real server.
const GAUGES: [Metric<DestinationEntry, u32>; 6] = [
    ("weight", "Share of new connections; 0 gets none.", |server| server.destination.weight),
    ("active_connections", "Connections in the state ESTABLISHED.", |server| server.active_connections),
    ("inactive_connections", "Connections in all other states.", |server| server.inactive_connections),
    ("persistent_connections", "Persistence templates.", |server| server.persistent_connections),
    ("upper_threshold", "No new connections from this number on; 0 is no limit.", |server| {
        server.destination.upper_threshold
    }),
    ("lower_threshold", "Once overloaded, new connections again below this number.", |server| {
        server.destination.lower_threshold
    }),
];

/// How full the tables are, where the kernel tells.
const LOAD: [Metric<TableLoad, Option<u64>>; 6] = [
    ("connections", "Connections and persistence templates in the table.", |load| Some(load.connections)),
    ("connections_allowed", "How many there may be (net.ipv4.vs.conn_max).", |load| load.connections_allowed),
    ("connection_buckets_empty", "Buckets of the connection table without an entry.", |load| {
        Some(load.connection_table.empty)
    }),
    (
        "connection_chain_longest",
        "Entries of the longest chain of the connection table; 7 is 7 or more.",
        |load| Some(load.connection_table.longest),
    ),
    ("service_buckets", "Buckets of the table of services.", |load| Some(load.service_table.size)),
    (
        "service_chain_longest",
        "Entries of the longest chain of the table of services; 7 is 7 or more.",
        |load| Some(load.service_table.longest),
    ),
];

/// Writes the metrics of the table, or of one service.
pub(super) fn list(out: &mut impl Write, list: &List, client: &mut Client, info: Info) -> anyhow::Result<()> {
    let is_whole = !matches!(list.what, ListTarget::Service(_));
    let entries = match list.what {
        ListTarget::Service(id) => vec![client.service(&id)?],
        _ => services(client, list.sorted)?,
    };
    let mut text = String::new();
    let mut all_services: Vec<Labelled<()>> = Vec::with_capacity(entries.len());
    let mut all_servers: Vec<Labelled<Server>> = Vec::with_capacity(2 * entries.len());
    let mut unusable = 0;
    for ServiceEntry { service, stats } in entries {
        let servers = destinations(client, &service, Order::of(list.sorted), true)?;
        unusable += u32::from(servers.iter().all(|server| server.destination.weight == 0));
        for server in servers {
            let labels = append(&mut text, &server_labels(&server.destination));
            let entry = server.entry();
            let more =
                Server { service: all_services.len(), gauges: GAUGES.map(|(_, _, value)| value(&entry)) };
            all_servers.push(Labelled { labels, counters: entry.stats.total, more });
        }
        let labels = append(&mut text, &service_labels(&service.id));
        all_services.push(Labelled { labels, counters: stats.total, more: () });
    }
    let labels = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
    let of_server = |server: &Labelled<Server>| {
        let service = all_services.get(server.more.service).map_or("", |service| labels(&service.labels));
        [service, labels(&server.labels)]
    };
    if is_whole {
        director(out, client, info)?;
        one(out, "ipvs_services", "Virtual services.", all_services.len())?;
        let name = "ipvs_services_without_usable_server";
        one(out, name, "Virtual services without a real server of a weight above 0.", unusable)?;
    }
    for (name, help, value) in COUNTERS {
        let name = format!("ipvs_service_{name}_total");
        head(out, &name, "counter", help)?;
        for service in &all_services {
            sample(out, &name, &[labels(&service.labels)], value(&service.counters))?;
        }
    }
    for (name, help, value) in COUNTERS {
        let name = format!("ipvs_server_{name}_total");
        head(out, &name, "counter", help)?;
        for server in &all_servers {
            sample(out, &name, &of_server(server), value(&server.counters))?;
        }
    }
    for (at, (name, help, _)) in GAUGES.into_iter().enumerate() {
        let name = format!("ipvs_server_{name}");
        head(out, &name, "gauge", help)?;
        for server in &all_servers {
            sample(out, &name, &of_server(server), server.more.gauges.get(at).copied().unwrap_or_default())?;
        }
    }
    Ok(())
}

/// Appends labels to the text of all, and returns where they are.
fn append(text: &mut String, labels: &str) -> Range<usize> {
    let start = text.len();
    text.push_str(labels);
    start..text.len()
}

/// The metrics of the director as a whole.
fn director(out: &mut impl Write, client: &mut Client, info: Info) -> anyhow::Result<()> {
    head(out, "ipvs_info", "gauge", "The version of IPVS.")?;
    sample(out, "ipvs_info", &[&format!(r#"version="{}""#, info.version)], 1)?;
    let size = info.connection_table_size;
    one(out, "ipvs_connection_table_size", "Hash buckets of the connection table.", size)?;
    if let Some(load) = TableLoad::read()? {
        for (name, help, value) in LOAD {
            if let Some(value) = value(&load) {
                one(out, &format!("ipvs_table_{name}"), help, value)?;
            }
        }
    }
    let Totals { stats, .. } = Totals::read()?;
    for (name, help, value) in COUNTERS {
        let name = format!("ipvs_{name}_total");
        head(out, &name, "counter", help)?;
        sample(out, &name, &[], value(&stats.total))?;
    }
    let timeouts = client.timeouts()?;
    head(out, "ipvs_timeout_seconds", "gauge", "How long an idle connection is kept.")?;
    for (state, seconds) in [("tcp", timeouts.tcp), ("tcp_fin", timeouts.tcp_fin), ("udp", timeouts.udp)] {
        sample(out, "ipvs_timeout_seconds", &[&format!(r#"state="{state}""#)], seconds)?;
    }
    head(out, "ipvs_sync_daemon_running", "gauge", "The sync daemons that run.")?;
    for daemon in client.daemons()? {
        let interface = String::from_utf8_lossy(daemon.interface.as_bytes());
        let (state, interface, id) = (daemon.state, Escaped(&interface), daemon.sync_id);
        let labels = format!(r#"state="{state}",interface="{interface}",sync_id="{id}""#);
        sample(out, "ipvs_sync_daemon_running", &[&labels], 1)?;
    }
    Ok(())
}

fn service_labels(id: &ServiceId) -> String {
    let family = if id.family() == Family::V4 { "ipv4" } else { "ipv6" };
    match id {
        ServiceId::Address { protocol, address, port } => {
            let protocol = protocol.to_string().to_ascii_lowercase();
            format!(r#"protocol="{protocol}",address="{address}",port="{port}",family="{family}""#)
        }
        ServiceId::Fwmark { mark, family: _ } => format!(r#"fwmark="{mark}",family="{family}""#),
    }
}

fn server_labels(server: &Destination) -> String {
    let DestinationId { address, port } = server.id;
    let forwarding = server.forwarding.to_string();
    let (method, _) = forwarding.split_once(':').unwrap_or((&forwarding, ""));
    format!(r#",server_address="{address}",server_port="{port}",forwarding="{method}""#)
}

/// The value of a label.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '\\' => f.write_str(r"\\"),
            '"' => f.write_str(r#"\""#),
            '\n' => f.write_str(r"\n"),
            other => f.write_char(other),
        })
    }
}

fn head(out: &mut impl Write, name: &str, kind: &str, help: &str) -> io::Result<()> {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn sample(out: &mut impl Write, name: &str, labels: &[&str], value: impl itoa::Integer) -> io::Result<()> {
    out.write_all(name.as_bytes())?;
    if !labels.is_empty() {
        out.write_all(b"{")?;
        labels.iter().try_for_each(|labels| out.write_all(labels.as_bytes()))?;
        out.write_all(b"}")?;
    }
    out.write_all(b" ")?;
    out.write_all(itoa::Buffer::new().format(value).as_bytes())?;
    out.write_all(b"\n")
}

/// A gauge without labels.
fn one(out: &mut impl Write, name: &str, help: &str, value: impl itoa::Integer) -> io::Result<()> {
    head(out, name, "gauge", help)?;
    sample(out, name, &[], value)
}
