//! The screen, from top to bottom: a title, what passes in all, the table or another page, and the keys.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline, Wrap};

use super::number;
use super::pages;
use super::rate::Rate;
use super::scene::Scene;
use super::table;
use super::theme;
use super::view::Page;

/// The least columns and rows.
const LEAST: (u16, u16) = (40, 10);

/// The number of rows from which on each total has a line of its own.
const TALL: u16 = 20;

/// Where the parts are.
struct Areas {
    title: Rect,
    totals: Rect,
    main: Rect,
    footer: Rect,
}

fn areas(area: Rect) -> Areas {
    let totals = if area.height < TALL { 1 } else { 3 };
    let heights =
        [Constraint::Length(1), Constraint::Length(totals), Constraint::Min(0), Constraint::Length(1)];
    let [title, totals, main, footer] = Layout::vertical(heights).areas(area);
    Areas { title, totals, main, footer }
}

/// How many rows of the table, or lines of another page, fit into a screen.
pub(super) fn height(area: Rect) -> usize {
    usize::from(areas(area).main.height.saturating_sub(1))
}

/// How far below the heading of the page a row of the screen is: 0 is the heading itself; none outside of the page.
pub(super) fn below_heading(area: Rect, row: u16) -> Option<usize> {
    let main = areas(area).main;
    (row < main.bottom()).then(|| row.checked_sub(main.y)).flatten().map(usize::from)
}

/// Whether there is room for one line only.
pub(super) fn is_too_small(area: Rect) -> bool {
    area.width < LEAST.0 || area.height < LEAST.1
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>) {
    let area = frame.area();
    if is_too_small(area) {
        let text = format!("{}x{} is too small: {}x{}", area.width, area.height, LEAST.0, LEAST.1);
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let Areas { title, totals, main, footer } = areas(area);
    frame.render_widget(self::title(scene), title);
    self::totals(frame, scene, totals);
    match (&scene.model.failure, scene.view.page()) {
        (_, Page::Help) => pages::help(frame, scene, main),
        (Some(message), _) => failure(frame, scene, main, message),
        (None, Page::Table) => table::draw(frame, scene, main),
        (None, Page::Service(id)) => pages::service(frame, scene, main, &id),
        (None, Page::Connections(service, server)) => {
            pages::connections(frame, scene, main, &service, &server);
        }
    }
    self::footer(frame, scene, footer);
}

fn title(scene: &Scene<'_>) -> Line<'static> {
    let (view, all) = (scene.view, scene.model.count());
    let mut parts = vec![Span::styled(format!("IPVS {}", scene.info.version), scene.theme.heading())];
    let services = number::services(all);
    parts.push(Span::raw(if view.filter.is_empty() {
        format!("  {all} {services}")
    } else {
        format!("  {} of {all} {services}: {}", view.shown(), view.filter)
    }));
    let reversed = if view.sort.is_reversed { ", reversed" } else { "" };
    parts.push(Span::raw(format!("  by {}{reversed}", view.sort.column.title())));
    parts.push(Span::styled(format!("  every {} s", scene.interval.as_secs_f64()), theme::FAINT));
    Line::from(parts)
}

/// A name of a rate, short and in full, and the rate.
type Total = (&'static str, &'static str, fn(&Rate) -> f64);

const TOTALS: [Total; 3] = [
    ("conn/s", "connections/s", |rate| rate.connections),
    ("pkt/s", "packets/s", Rate::packets),
    ("bytes/s", "bytes/s", Rate::bytes),
];

fn totals(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect) {
    let now = scene.model.total_rate();
    let value = |of: fn(&Rate) -> f64| number::rate(now.map(of));
    if area.height == 1 {
        let text: Vec<String> =
            TOTALS.iter().map(|(short, _, of)| format!("{} {short}", value(*of))).collect();
        let text = text.join("  ");
        let width = u16::try_from(text.len()).unwrap_or(area.width);
        let [left, right] =
            Layout::horizontal([Constraint::Length(width + 1), Constraint::Min(0)]).areas(area);
        frame.render_widget(Paragraph::new(text), left);
        history(frame, scene, right, Rate::packets);
        return;
    }
    for ((_, name, of), line) in TOTALS.iter().zip(area.rows()) {
        let [left, right] = Layout::horizontal([Constraint::Length(22), Constraint::Min(0)]).areas(line);
        frame.render_widget(Paragraph::new(format!("{name:<13} {:>7}", value(*of))), left);
        history(frame, scene, right, *of);
    }
}

/// The rates of the last readings, the latest on the right.
fn history(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect, of: fn(&Rate) -> f64) {
    let bars: Vec<u64> = scene.model.history().iter().map(|rate| tenths(of(rate))).collect();
    let sparkline = Sparkline::default()
        .data(&bars)
        .bar_set(scene.theme.bars())
        .direction(RenderDirection::RightToLeft)
        .style(scene.theme.bar());
    frame.render_widget(sparkline, area);
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the height of a bar")]
fn tenths(rate: f64) -> u64 {
    (rate * 10.0).round() as u64
}

fn failure(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect, message: &str) {
    let again = format!("trying again every {} s", scene.interval.as_secs_f64());
    let lines = vec![Line::styled(message.to_owned(), scene.theme.wrong()), Line::raw(again)];
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

/// Keys of the table and of other pages: those that are needed most come first.
const TABLE_KEYS: [&str; 9] = [
    "q quit",
    "? help",
    "/ filter",
    "s sort",
    "Enter service",
    "c connections",
    "Space fold",
    "f fold all",
    "r reverse",
];
const PAGE_KEYS: [&str; 3] = ["q quit", "Esc back", "Up Down PgUp PgDn scroll"];

/// As many as a width has room for.
fn those_that_fit(keys: &[&str], width: usize) -> String {
    let mut text = String::new();
    for key in keys {
        let blanks = if text.is_empty() { "" } else { "  " };
        if text.len() + blanks.len() + key.len() > width {
            break;
        }
        text += blanks;
        text += key;
    }
    text
}

fn footer(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect) {
    let view = scene.view;
    if view.is_typing {
        let text = format!("filter: {}", view.filter);
        let end = u16::try_from(Span::raw(&text).width()).unwrap_or(area.width);
        frame.set_cursor_position((area.x + end.min(area.width.saturating_sub(1)), area.y));
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let keys: &[&str] = match view.page() {
        Page::Table => &TABLE_KEYS,
        Page::Service(_) | Page::Connections(..) | Page::Help => &PAGE_KEYS,
    };
    let keys = those_that_fit(keys, area.width.into());
    frame.render_widget(Paragraph::new(Line::styled(keys, theme::FAINT)), area);
}
