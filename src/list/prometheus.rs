//! `-L --prometheus`: the table as metrics, in the text format of Prometheus.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::net::IpAddr;

use ipvs::{
    Client, Counters, Destination, DestinationEntry, DestinationId, Family, ForwardingMethod, Info, Service,
    ServiceEntry, ServiceId, TableLoad, Totals,
};

use super::{Order, destinations, services};
use crate::command::{List, ListTarget};
use crate::text::push_address;

/// A service. There may be a hundred thousand, so no more is kept of each than is shown.
struct OfService {
    service: Service,
    counters: Counters,
    /// How many of the real servers are its own; they come in the order of the services.
    servers: usize,
}

/// A real server.
struct OfServer {
    id: DestinationId,
    forwarding: ForwardingMethod,
    counters: Counters,
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
    let mut services: Vec<OfService> = entries
        .into_iter()
        .map(|ServiceEntry { service, stats }| OfService { service, counters: stats.total, servers: 0 })
        .collect();
    services.shrink_to_fit();
    let mut servers: Vec<OfServer> = Vec::with_capacity(2 * services.len());
    let mut unusable = 0;
    for service in &mut services {
        let first = servers.len();
        let mut is_usable = false;
        let order = Order::of(list.sorted);
        for server in destinations(client, &service.service, order, true)? {
            let entry = server.entry();
            let DestinationEntry { destination: Destination { id, forwarding, weight, .. }, stats, .. } =
                entry;
            is_usable |= weight > 0;
            let gauges = GAUGES.map(|(_, _, value)| value(&entry));
            servers.push(OfServer { id, forwarding, counters: stats.total, gauges });
        }
        unusable += u32::from(!is_usable);
        service.servers = servers.len() - first;
    }
    if is_whole {
        director(out, client, info)?;
        one(out, "ipvs_services", "Virtual services.", services.len())?;
        let name = "ipvs_services_without_usable_server";
        one(out, name, "Virtual services without a real server of a weight above 0.", unusable)?;
    }
    let mut labels = String::new();
    for (name, help, value) in COUNTERS {
        let name = format!("ipvs_service_{name}_total");
        head(out, &name, "counter", help)?;
        for service in &services {
            labels.clear();
            push_service(&mut labels, &service.service.id);
            sample(out, &name, &labels, value(&service.counters))?;
        }
    }
    for (name, help, value) in COUNTERS {
        let name = format!("ipvs_server_{name}_total");
        head(out, &name, "counter", help)?;
        each_server(&services, &servers, &mut labels, |labels, server| {
            sample(out, &name, labels, value(&server.counters))
        })?;
    }
    for (at, (name, help, _)) in GAUGES.into_iter().enumerate() {
        let name = format!("ipvs_server_{name}");
        head(out, &name, "gauge", help)?;
        each_server(&services, &servers, &mut labels, |labels, server| {
            sample(out, &name, labels, server.gauges.get(at).copied().unwrap_or_default())
        })?;
    }
    Ok(())
}

/// Hands out each real server with its labels.
fn each_server(
    services: &[OfService],
    servers: &[OfServer],
    labels: &mut String,
    mut work: impl FnMut(&str, &OfServer) -> io::Result<()>,
) -> io::Result<()> {
    let mut servers = servers.iter();
    for service in services {
        labels.clear();
        push_service(labels, &service.service.id);
        let length = labels.len();
        for server in servers.by_ref().take(service.servers) {
            labels.truncate(length);
            push_server(labels, server);
            work(labels, server)?;
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

fn push_service(labels: &mut String, id: &ServiceId) {
    match *id {
        ServiceId::Address { protocol, address, port } => {
            let start = r#"protocol=""#;
            labels.push_str(start);
            push(labels, format_args!("{protocol}"));
            if let Some(protocol) = labels.get_mut(start.len()..) {
                protocol.make_ascii_lowercase();
            }
            push_end(labels, r#"",address=""#, address, r#"",port=""#, port);
        }
        ServiceId::Fwmark { mark, family: _ } => push(labels, format_args!(r#"fwmark="{mark}"#)),
    }
    labels.push_str(r#"",family=""#);
    labels.push_str(if id.family() == Family::V4 { r#"ipv4""# } else { r#"ipv6""# });
}

fn push_server(labels: &mut String, server: &OfServer) {
    let DestinationId { address, port } = server.id;
    push_end(labels, r#",server_address=""#, address, r#"",server_port=""#, port);
    labels.push_str(r#"",forwarding=""#);
    let start = labels.len();
    push(labels, format_args!("{}", server.forwarding));
    // Behind a colon is the kind of a tunnel.
    let method = labels.get(start..).and_then(|forwarding| forwarding.find(':'));
    labels.truncate(method.map_or(labels.len(), |length| start + length));
    labels.push('"');
}

/// An address and a port, with what is written before each.
fn push_end(labels: &mut String, before: &str, address: IpAddr, between: &str, port: u16) {
    labels.push_str(before);
    match address {
        IpAddr::V4(_) => push_address(labels, address),
        IpAddr::V6(address) => push(labels, format_args!("{address}")),
    }
    labels.push_str(between);
    labels.push_str(itoa::Buffer::new().format(port));
}

/// Writing to a String cannot fail.
fn push(text: &mut String, arguments: fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
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
