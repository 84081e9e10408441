//! The other pages: one service in full, the connections of a server, the keys.

use ipvs::{Counters, DestinationId, ServiceId};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Wrap};

use super::columns::{method, name};
use super::model::{KeptServer, Server, Service};
use super::number;
use super::rate::{Meter, Rate};
use super::scene::Scene;
use super::theme;
use crate::cli::value::scheduler_flags_text;
use crate::text::{AddressFormatter, protocol_of};

/// What the keys of `input` do.
const HELP: [(&str, &str); 17] = [
    ("Up Down, k j", "select a row"),
    ("PgUp PgDn", "a screen up or down"),
    ("Home End, g G", "the first row, whichever it is; the last"),
    ("Enter", "the selected service in full"),
    ("c", "the connections of the selected server"),
    ("Space", "fold or unfold the selected service"),
    ("f", "fold or unfold all"),
    ("s S", "sort by the next column, or the one before"),
    ("r", "sort the other way"),
    ("/", "filter services by protocol, address, port, scheduler"),
    ("Mouse", "click: select, or sort by a heading; wheel: move; Shift: copy"),
    ("Esc", "back; on the table: no filter"),
    ("?", "this help"),
    ("q, Ctrl-C", "quit"),
    ("Ctrl-Z, Ctrl-L", "suspend; draw again"),
    ("+ - ~", "in front of a row: new, gone, edited"),
    ("!", "no server with a weight above 0"),
];

/// Lines, from the one on to which the page is scrolled; at least the last stays.
fn lines(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect, lines: Vec<Line<'static>>) {
    let first = scene.view.scroll.min(lines.len().saturating_sub(1));
    let lines: Vec<Line<'static>> = lines.into_iter().skip(first).collect();
    frame.render_widget(Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false }), area);
}

/// The keys and signs.
pub(super) fn help(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect) {
    let mut text = vec![Line::styled("Keys", scene.theme.heading())];
    text.extend(HELP.iter().map(|(keys, what)| Line::raw(format!("  {keys:<15} {what}"))));
    text.push(Line::raw("Rates are of the time between two readings; the kernel counts every two seconds."));
    text.push(Line::raw("Shares are of a service's connections, active and inactive."));
    text.push(Line::raw("By weight, connections and share servers are sorted, services by address."));
    lines(frame, scene, area, text);
}

/// One service in full.
pub(super) fn service(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect, id: &ServiceId) {
    let mut text = AddressFormatter::numeric();
    let mut all = vec![Line::styled(text.service(id).to_owned(), scene.theme.heading())];
    if let Some(service) = scene.model.service(id) {
        all.extend(configuration(service).into_iter().map(Line::raw));
        all.extend(traffic(&service.meter).into_iter().map(Line::raw));
    }
    let servers = scene.model.servers(id);
    if servers.is_empty() {
        all.push(Line::styled("no real servers", scene.theme.wrong()));
    }
    for server in servers {
        all.push(Line::raw(""));
        let id_of_server = server.entry.destination.id;
        let address = text.endpoint(id_of_server.address, id_of_server.port, protocol_of(id));
        all.push(Line::styled(format!("-> {address}"), theme::BOLD));
        all.extend(of_server(server).into_iter().map(Line::raw));
        all.extend(traffic(&server.meter).into_iter().map(Line::raw));
    }
    lines(frame, scene, area, all);
}

fn configuration(service: &Service) -> Vec<String> {
    let ipvs::Service { id: _, scheduler, scheduler_flags, persistence, engine, one_packet } =
        &service.entry.service;
    let mut lines = vec![format!("   scheduler   {}", name(scheduler.as_bytes()))];
    if !scheduler_flags.is_empty() {
        lines.push(format!("   flags       {}", scheduler_flags_text(*scheduler_flags, scheduler)));
    }
    if let Some(persistence) = persistence {
        let ipvs::Persistence { timeout, netmask } = persistence;
        lines.push(format!("   persistent  {timeout} s, mask {netmask}"));
    }
    if let Some(engine) = engine {
        lines.push(format!("   engine      {}", name(engine.as_bytes())));
    }
    if *one_packet {
        lines.push("   one-packet scheduling".to_owned());
    }
    lines
}

fn of_server(server: &Server) -> Vec<String> {
    let KeptServer { destination, active_connections, inactive_connections, persistent_connections } =
        &server.entry;
    let ipvs::Destination { id: _, forwarding, weight, upper_threshold, lower_threshold } = destination;
    let how = match forwarding {
        ipvs::ForwardingMethod::Tunnel(tunnel) => format!("Tunnel {tunnel}"),
        other => method(*other).to_owned(),
    };
    let mut lines = vec![
        format!("   {how}, weight {weight}"),
        format!(
            "   connections {active_connections} active, {inactive_connections} inactive, {persistent_connections} persistent"
        ),
    ];
    if *upper_threshold != 0 || *lower_threshold != 0 {
        lines.push(format!("   thresholds  {upper_threshold} upper, {lower_threshold} lower"));
    }
    lines
}

/// Totals and rates.
fn traffic(meter: &Meter) -> Vec<String> {
    let Counters { connections, in_packets, out_packets, in_bytes, out_bytes } = *meter.total();
    let line = |name: &str, total: u64, rate: fn(&Rate) -> f64| {
        format!("   {name:<11} {total:>14} {:>8}/s", number::rate(meter.rate().map(rate)))
    };
    vec![
        line("connections", connections, |rate| rate.connections),
        line("packets in", in_packets, |rate| rate.in_packets),
        line("packets out", out_packets, |rate| rate.out_packets),
        line("bytes in", in_bytes, |rate| rate.in_bytes),
        line("bytes out", out_bytes, |rate| rate.out_bytes),
    ]
}

/// The connections of a server, of which the scene has those on the screen.
pub(super) fn connections(
    frame: &mut Frame<'_>,
    scene: &Scene<'_>,
    area: Rect,
    service: &ServiceId,
    server: &DestinationId,
) {
    let Some(connections) = scene.connections else {
        frame.render_widget(Paragraph::new("reading the connections"), area);
        return;
    };
    let mut text = AddressFormatter::numeric();
    let of = text.service(service).to_owned();
    let address = text.endpoint(server.address, server.port, protocol_of(service));
    let at_least = if connections.are_all { "" } else { "at least " };
    let title = format!("{of} -> {address}: {at_least}{} connections", connections.all);
    let mut lines = vec![
        Line::styled(title, scene.theme.heading()),
        Line::styled("pro expires state       client", scene.theme.heading()),
    ];
    lines.extend(connections.rows.iter().map(|row| {
        let (minutes, seconds) = (row.expires / 60, row.expires % 60);
        let time = format!("{minutes:02}:{seconds:02}");
        Line::raw(format!("{:<3} {time:<7} {:<11} {}", row.protocol, row.state, row.client))
    }));
    frame.render_widget(Paragraph::new(Text::from(lines)), area);
}
