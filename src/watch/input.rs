//! What each key does.

use ratatui::layout::Rect;

use super::columns::{self, Column};
use super::draw;
use super::keys::Key;
use super::model::Model;
use super::rows::{self, Read};
use super::view::{Page, View};

/// What is to be done after a key, apart from drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Draw,
    /// Another page is shown, which needs a reading of its own.
    Read,
    Suspend,
    /// The screen may have been written to by another program.
    Clear,
    Quit,
}

/// How many rows the wheel moves by a step.
const WHEEL: isize = 3;

/// Does what a key is for.
pub(super) fn press(key: Key, view: &mut View, model: &mut Model, read: Read<'_>, area: Rect) -> Then {
    let height = draw::height(area);
    view.width = area.width;
    match key {
        Key::Control('c') => return Then::Quit,
        Key::Control('z') => return Then::Suspend,
        Key::Control('l') => return Then::Clear,
        _ => {}
    }
    if view.is_typing {
        edit_filter(key, view);
        view.arrange(model);
        return Then::Draw;
    }
    match key {
        Key::Character('q') => return Then::Quit,
        Key::Character('?') => {
            view.open(Page::Help);
            return Then::Draw;
        }
        _ => {}
    }
    if let (Key::Click(column, row), Page::Table) = (key, view.page()) {
        click(column, draw::below_heading(area, row), view, model, read, height);
        return Then::Draw;
    }
    match view.page() {
        Page::Table => on_table(key, view, model, read, height),
        Page::Service(_) | Page::Connections(..) | Page::Help => on_page(key, view, height),
    }
}

fn edit_filter(key: Key, view: &mut View) {
    match key {
        Key::Character(character) => view.filter.push(character),
        Key::Backspace => drop(view.filter.pop()),
        Key::Control('u') => view.filter.clear(),
        Key::Enter => view.is_typing = false,
        Key::Escape => {
            view.is_typing = false;
            view.filter.clear();
        }
        _ => {}
    }
}

fn on_table(key: Key, view: &mut View, model: &mut Model, read: Read<'_>, height: usize) -> Then {
    let screen = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
    match key {
        Key::Up | Key::Character('k') => rows::step(view, model, read, -1),
        Key::Down | Key::Character('j') => rows::step(view, model, read, 1),
        Key::WheelUp => rows::step(view, model, read, -WHEEL),
        Key::WheelDown => rows::step(view, model, read, WHEEL),
        Key::PageUp | Key::Control('b') => rows::step(view, model, read, -screen),
        Key::PageDown | Key::Control('f') => rows::step(view, model, read, screen),
        Key::Home | Key::Character('g') => rows::first(view),
        Key::End | Key::Character('G') => rows::last(view, model, read),
        Key::Character('s') => sort_by(view, model, view.sort.column.beside(view.width, true)),
        Key::Character('S') => sort_by(view, model, view.sort.column.beside(view.width, false)),
        Key::Character('r') => {
            view.sort.is_reversed = !view.sort.is_reversed;
            view.arrange(model);
        }
        Key::Character('f') => view.fold_all(),
        Key::Character('/') => view.is_typing = true,
        Key::Escape => {
            view.filter.clear();
            view.arrange(model);
        }
        Key::Enter | Key::Character(' ' | 'c') => return on_row(key, view, model, read),
        _ => {}
    }
    Then::Draw
}

/// Selects the row that was clicked on, or sorts by the column whose heading it was.
fn click(
    column: u16,
    below_heading: Option<usize>,
    view: &mut View,
    model: &mut Model,
    read: Read<'_>,
    height: usize,
) {
    let Some(below) = below_heading else { return };
    if let Some(at) = below.checked_sub(1) {
        let (shown, _) = rows::visible(view, model, read, height);
        if let Some(row) = shown.get(at) {
            rows::select(view, model, *row, at);
        }
        return;
    }
    match columns::at(view.width, column) {
        Some(column) if column == view.sort.column => {
            view.sort.is_reversed = !view.sort.is_reversed;
            view.arrange(model);
        }
        Some(column) => sort_by(view, model, column),
        None => {}
    }
}

/// A key that is about the selected row.
fn on_row(key: Key, view: &mut View, model: &mut Model, read: Read<'_>) -> Then {
    rows::step(view, model, read, 0); // selects the first row if nobody chose one
    let Some(row) = view.selected else { return Then::Draw };
    match (key, row.server) {
        (Key::Enter, _) => view.open(Page::Service(row.service)),
        (Key::Character('c'), Some(server)) => view.open(Page::Connections(row.service, server)),
        (Key::Character(' '), _) => {
            view.selected = Some(super::view::Row { server: None, ..row });
            view.fold(row.service);
            return Then::Draw;
        }
        _ => return Then::Draw,
    }
    Then::Read
}

fn sort_by(view: &mut View, model: &Model, column: Column) {
    view.sort.column = column;
    view.sort.is_reversed = false;
    view.arrange(model);
}

/// A key on a page of lines.
fn on_page(key: Key, view: &mut View, height: usize) -> Then {
    let screen = height.saturating_sub(1).max(1);
    view.scroll = match key {
        Key::Up | Key::Character('k') => view.scroll.saturating_sub(1),
        Key::Down | Key::Character('j') => view.scroll.saturating_add(1),
        Key::WheelUp => view.scroll.saturating_sub(WHEEL.unsigned_abs()),
        Key::WheelDown => view.scroll.saturating_add(WHEEL.unsigned_abs()),
        Key::PageUp => view.scroll.saturating_sub(screen),
        Key::PageDown | Key::Character(' ') => view.scroll.saturating_add(screen),
        Key::Home | Key::Character('g') => 0,
        Key::Escape | Key::Backspace | Key::Enter | Key::Left => {
            return if view.back() { Then::Read } else { Then::Draw };
        }
        _ => view.scroll,
    };
    Then::Draw
}
