//! The table: services and their servers.

use ipvs::{DestinationId, ServiceId};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table};

use super::columns::{self, Column, connections};
use super::model::Change;
use super::scene::Scene;
use super::theme;
use crate::text::{AddressFormatter, protocol_of};

/// Draws the heading and the rows.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect) {
    let columns = columns::that_fit(area.width);
    let heading = columns.iter().map(|(column, _)| {
        let style = scene.theme.heading();
        let is_sorted = *column == scene.view.sort.column;
        let style = if is_sorted { style.add_modifier(Modifier::UNDERLINED) } else { style };
        Cell::new(aligned(*column, column.title().to_owned()).style(style))
    });
    let heading = Cells::new(heading);
    let mut text = AddressFormatter::numeric();
    let rows = scene.rows.iter().enumerate().map(|(at, row)| {
        let (cells, style) = match row.server {
            None => of_service(scene, &row.service, &columns, &mut text),
            Some(id) => of_server(scene, &row.service, &id, &columns, &mut text),
        };
        let is_selected = at == scene.selected;
        Cells::new(cells).style(if is_selected { style.patch(theme::SELECTED) } else { style })
    });
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
    let table = Table::new(rows, widths).header(heading).column_spacing(1);
    frame.render_widget(table, area);
    if scene.rows.is_empty() {
        let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let text =
            if scene.model.count() == 0 { "no virtual services" } else { "no service matches the filter" };
        frame.render_widget(Paragraph::new(text), below);
    }
}

/// Numbers are right-aligned, texts are not.
fn aligned(column: Column, text: String) -> Line<'static> {
    let is_text = matches!(column, Column::Address | Column::Method | Column::Share);
    Line::from(text).alignment(if is_text { Alignment::Left } else { Alignment::Right })
}

fn of_service(
    scene: &Scene<'_>,
    id: &ServiceId,
    columns: &[(Column, u16)],
    text: &mut AddressFormatter<'_>,
) -> (Vec<Cell<'static>>, Style) {
    let Some(service) = scene.model.service(id) else { return Default::default() };
    let theme = scene.theme;
    let is_unusable = !service.is_gone() && scene.model.is_unusable(id);
    let mark = if is_unusable { '!' } else { mark(service.change()) };
    let servers = scene.model.servers(id);
    let cells = columns.iter().map(|(column, width)| match column {
        Column::Address => {
            let fold = theme.fold(scene.view.is_folded(id));
            Cell::new(theme.cut(format!("{mark}{fold} {}", text.service(id)), *width))
        }
        column => Cell::new(aligned(*column, column.of_service(service, servers))),
    });
    let style = if is_unusable { theme.wrong() } else { theme::BOLD.patch(changed(scene, service.change())) };
    (cells.collect(), style)
}

fn of_server(
    scene: &Scene<'_>,
    service: &ServiceId,
    id: &DestinationId,
    columns: &[(Column, u16)],
    text: &mut AddressFormatter<'_>,
) -> (Vec<Cell<'static>>, Style) {
    let Some(server) = scene.model.server(service, id) else { return Default::default() };
    let theme = scene.theme;
    let cells = columns.iter().map(|(column, width)| match column {
        Column::Address => {
            let address = text.endpoint(id.address, id.port, protocol_of(service));
            Cell::new(theme.cut(format!("{}   {address}", mark(server.change())), *width))
        }
        Column::Share => {
            let all = scene.model.servers(service).iter().map(connections).sum::<u64>();
            Cell::new(Line::styled(share(scene, connections(server), all, *width), theme.bar()))
        }
        column => Cell::new(aligned(*column, column.of_server(server, theme.arrow()))),
    });
    let has_no_weight = server.entry.destination.weight == 0;
    let style = if has_no_weight { theme::FAINT } else { Style::new() };
    (cells.collect(), style.patch(changed(scene, server.change())))
}

/// A bar and a percentage; nothing where there is nothing to share.
fn share(scene: &Scene<'_>, part: u64, of: u64, width: u16) -> String {
    if of == 0 {
        return String::new();
    }
    let bar = usize::from(width).saturating_sub(5);
    let percent = part.saturating_mul(100).saturating_add(of / 2) / of;
    let text = scene.theme.share(part, of, bar);
    format!("{text:<bar$}{percent:>4}%")
}

/// What is in front of a row.
pub(super) fn mark(change: Option<Change>) -> char {
    match change {
        None => ' ',
        Some(Change::New) => '+',
        Some(Change::Gone) => '-',
        Some(Change::Weight(_) | Change::Edited) => '~',
    }
}

fn changed(scene: &Scene<'_>, change: Option<Change>) -> Style {
    match change {
        None => Style::new(),
        Some(Change::New) => scene.theme.new_one(),
        Some(Change::Gone) => theme::FAINT.add_modifier(Modifier::CROSSED_OUT),
        Some(Change::Weight(_) | Change::Edited) => scene.theme.edited(),
    }
}
