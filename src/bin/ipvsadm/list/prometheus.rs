//! `-L --prometheus`: the table as metrics, in the text format of Prometheus.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use ipvs::{
    Client, Counters, Destination, DestinationEntry, DestinationId, Family, Info, ServiceEntry, ServiceId,
    Totals,
};

use super::{ListedServer, destinations, services};
use crate::command::{List, ListTarget};

/// A service, or a real server, with its labels.
struct Labelled<T> {
    labels: String,
    value: T,
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

/// Writes the metrics of the table, or of one service.
pub(super) fn list(out: &mut impl Write, list: &List, client: &mut Client, info: Info) -> anyhow::Result<()> {
    let is_whole = !matches!(list.what, ListTarget::Service(_));
    let entries = match list.what {
        ListTarget::Service(id) => vec![client.service(&id)?],
        _ => services(client, list.sorted)?,
    };
    let mut all_services = Vec::with_capacity(entries.len());
    let mut all_servers: Vec<Labelled<ListedServer>> = Vec::new();
    let mut unusable = 0;
    for entry in entries {
        let servers = destinations(client, &entry.service.id, list.sorted, true)?;
        unusable += u32::from(servers.iter().all(|server| server.destination.weight == 0));
        let labels = service_labels(&entry.service.id);
        all_servers.extend(servers.into_iter().map(|server| Labelled {
            labels: labels.clone() + &server_labels(&server.destination),
            value: server,
        }));
        all_services.push(Labelled { labels, value: entry });
    }
    if is_whole {
        director(out, client, info)?;
        one(out, "ipvs_services", "Virtual services.", all_services.len())?;
        let name = "ipvs_services_without_usable_server";
        one(out, name, "Virtual services without a real server of a weight above 0.", unusable)?;
    }
    for (name, help, value) in COUNTERS {
        let name = format!("ipvs_service_{name}_total");
        head(out, &name, "counter", help)?;
        for Labelled { labels, value: ServiceEntry { service: _, stats } } in &all_services {
            sample(out, &name, labels, value(&stats.total))?;
        }
    }
    for (name, help, value) in COUNTERS {
        let name = format!("ipvs_server_{name}_total");
        head(out, &name, "counter", help)?;
        for Labelled { labels, value: server } in &all_servers {
            sample(out, &name, labels, value(&server.entry().stats.total))?;
        }
    }
    for (name, help, value) in GAUGES {
        let name = format!("ipvs_server_{name}");
        head(out, &name, "gauge", help)?;
        for Labelled { labels, value: server } in &all_servers {
            sample(out, &name, labels, value(&server.entry()))?;
        }
    }
    Ok(())
}

/// The metrics of the director as a whole.
fn director(out: &mut impl Write, client: &mut Client, info: Info) -> anyhow::Result<()> {
    head(out, "ipvs_info", "gauge", "The version of IPVS.")?;
    sample(out, "ipvs_info", &format!(r#"version="{}""#, info.version), 1)?;
    let size = info.connection_table_size;
    one(out, "ipvs_connection_table_size", "Hash buckets of the connection table.", size)?;
    let Totals { stats, .. } = Totals::read()?;
    for (name, help, value) in COUNTERS {
        let name = format!("ipvs_{name}_total");
        head(out, &name, "counter", help)?;
        sample(out, &name, "", value(&stats.total))?;
    }
    let timeouts = client.timeouts()?;
    head(out, "ipvs_timeout_seconds", "gauge", "How long an idle connection is kept.")?;
    for (state, seconds) in [("tcp", timeouts.tcp), ("tcp_fin", timeouts.tcp_fin), ("udp", timeouts.udp)] {
        sample(out, "ipvs_timeout_seconds", &format!(r#"state="{state}""#), seconds)?;
    }
    head(out, "ipvs_sync_daemon_running", "gauge", "The sync daemons that run.")?;
    for daemon in client.daemons()? {
        let interface = String::from_utf8_lossy(daemon.interface.as_bytes());
        let (state, interface, id) = (daemon.state, Escaped(&interface), daemon.sync_id);
        let labels = format!(r#"state="{state}",interface="{interface}",sync_id="{id}""#);
        sample(out, "ipvs_sync_daemon_running", &labels, 1)?;
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

fn sample(out: &mut impl Write, name: &str, labels: &str, value: impl itoa::Integer) -> io::Result<()> {
    out.write_all(name.as_bytes())?;
    if !labels.is_empty() {
        out.write_all(b"{")?;
        out.write_all(labels.as_bytes())?;
        out.write_all(b"}")?;
    }
    out.write_all(b" ")?;
    out.write_all(itoa::Buffer::new().format(value).as_bytes())?;
    out.write_all(b"\n")
}

/// A gauge without labels.
fn one(out: &mut impl Write, name: &str, help: &str, value: impl itoa::Integer) -> io::Result<()> {
    head(out, name, "gauge", help)?;
    sample(out, name, "", value)
}
