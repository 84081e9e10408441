//! The lines of the table: a heading, a line for each service, one for each real server, in six layouts.

use std::io::{Result, Write};

use ipvs::{
    Checksum, Counters, Destination, DestinationEntry, ForwardingMethod, Netmask, Persistence, Service,
    ServiceEntry, ServiceId, Tunnel,
};

use super::columns::{left, number, right};
use crate::cli::value::scheduler_flags_text;
use crate::command::View;
use crate::text::{AddressFormatter, cut, protocol_of, signed};

/// The two heading lines.
pub(crate) fn heading(view: View) -> &'static str {
    match view {
        View::Plain => {
            "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
        }
        View::TunInfo => {
            "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n"
        }
        View::Stats => {
            "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port\n"
        }
        View::Rate => {
            "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port\n"
        }
        View::Thresholds => {
            "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n  -> RemoteAddress:Port\n"
        }
        View::PersistentConn => {
            "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n  -> RemoteAddress:Port\n"
        }
    }
}

/// The line of a service.
pub(crate) fn service(
    out: &mut impl Write,
    entry: &ServiceEntry,
    view: View,
    exact: bool,
    formatter: &mut AddressFormatter<'_>,
) -> Result<()> {
    let ServiceEntry { service, stats } = entry;
    let Service { id, scheduler, scheduler_flags, persistence, engine, one_packet } = service;
    let text = formatter.service(id);
    match view {
        View::Stats | View::Rate => {
            write!(out, "{text:<33}")?;
            let counters = if view == View::Stats { &stats.total } else { &stats.rate };
            return five(out, counters, exact);
        }
        _ => write!(out, "{text} ")?,
    }
    // Names are bytes, in any encoding or none.
    out.write_all(scheduler.as_bytes())?;
    if !scheduler_flags.is_empty() {
        write!(out, " ({})", scheduler_flags_text(*scheduler_flags, scheduler))?;
    }
    if let Some(Persistence { timeout, netmask }) = persistence {
        write!(out, " persistent {timeout}")?;
        if *netmask != Netmask::single(id.family()) {
            write!(out, " mask {netmask}")?;
        }
        if let Some(engine) = engine {
            out.write_all(b" pe ")?;
            out.write_all(engine.as_bytes())?;
        }
    }
    if *one_packet {
        write!(out, " ops")?;
    }
    writeln!(out)
}

/// The line of a real server.
pub(crate) fn destination(
    out: &mut impl Write,
    service: &ServiceId,
    entry: &DestinationEntry,
    view: View,
    exact: bool,
    formatter: &mut AddressFormatter<'_>,
) -> Result<()> {
    const IPV4_BYTES: usize = 28;
    let DestinationEntry {
        destination,
        active_connections,
        inactive_connections,
        persistent_connections,
        stats,
    } = entry;
    let Destination { id, forwarding, weight, upper_threshold, lower_threshold } = *destination;
    let mut text = formatter.endpoint(id.address, id.port, protocol_of(service));
    if id.address.is_ipv4() {
        text = cut(text, IPV4_BYTES);
    }
    out.write_all(b"  -> ")?;
    left(out, text, 28)?;
    match view {
        View::Stats => return five(out, &stats.total, exact),
        View::Rate => return rate(out, &stats.rate, exact),
        _ => out.write_all(b" ")?,
    }
    let method = method(forwarding);
    match view {
        View::TunInfo => {
            left(out, method, 8)?;
            left(out, &tunnel(forwarding), 13)?;
            out.write_all(b" ")?;
            number(out, signed(weight), 6)?;
        }
        View::Thresholds => {
            number(out, upper_threshold, 10)?;
            out.write_all(b" ")?;
            number(out, lower_threshold, 10)?;
        }
        View::PersistentConn => {
            number(out, weight, 9)?;
            out.write_all(b" ")?;
            number(out, *persistent_connections, 11)?;
        }
        View::Plain | View::Stats | View::Rate => {
            left(out, method, 8)?;
            number(out, signed(weight), 6)?;
        }
    }
    for count in [*active_connections, *inactive_connections] {
        out.write_all(b" ")?;
        number(out, count, 10)?;
    }
    out.write_all(b"\n")
}

/// The rates of a real server. Those of connections and packets are never shortened.
fn rate(out: &mut impl Write, rate: &Counters, exact: bool) -> Result<()> {
    for value in [rate.connections, rate.in_packets, rate.out_packets] {
        out.write_all(b" ")?;
        right(out, value, 8)?;
    }
    counter(out, rate.in_bytes, exact)?;
    counter(out, rate.out_bytes, exact)?;
    out.write_all(b"\n")
}

fn five(out: &mut impl Write, counters: &Counters, exact: bool) -> Result<()> {
    let Counters { connections, in_packets, out_packets, in_bytes, out_bytes } = *counters;
    for value in [connections, in_packets, out_packets, in_bytes, out_bytes] {
        counter(out, value, exact)?;
    }
    writeln!(out)
}

/// A counter in nine columns, shortened by thousands unless `--exact` is given.
fn counter(out: &mut impl Write, value: u64, exact: bool) -> Result<()> {
    match value {
        0..100_000_000 => right(out, value, 9),
        _ if exact => write!(out, " {value}"),
        100_000_000..1_000_000_000 => write!(out, "{:>8}K", value / 1_000),
        1_000_000_000..100_000_000_000 => write!(out, "{:>8}M", value / 1_000_000),
        100_000_000_000..100_000_000_000_000 => write!(out, "{:>8}G", value / 1_000_000_000),
        _ => write!(out, "{:>8}T", value / 1_000_000_000_000),
    }
}

fn method(method: ForwardingMethod) -> &'static str {
    match method {
        ForwardingMethod::Masquerade => "Masq",
        ForwardingMethod::Local => "Local",
        ForwardingMethod::Tunnel(_) => "Tunnel",
        ForwardingMethod::DirectRouting => "Route",
        ForwardingMethod::Other(_) => "(null)",
    }
}

fn tunnel(method: ForwardingMethod) -> String {
    const BYTES: usize = 15;
    let text = match method {
        ForwardingMethod::Tunnel(Tunnel::Ipip) => "ipip".to_owned(),
        ForwardingMethod::Tunnel(Tunnel::Gue { port, checksum }) => {
            format!("gue:{port}:{}", checksums(checksum))
        }
        ForwardingMethod::Tunnel(Tunnel::Gre { checksum }) => format!("gre:{}", checksums(checksum)),
        _ => "n/a".to_owned(),
    };
    cut(&text, BYTES).to_owned()
}

fn checksums(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Off => "-c",
        Checksum::On => "+c",
        Checksum::Remote => "r+c",
        Checksum::Other(_) => "+c,r+c",
    }
}
