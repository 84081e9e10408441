//! The rows of the table on the screen, around the selected one. Only the servers of services among them are asked for.

use ipvs::ServiceId;

use super::model::Model;
use super::view::{Row, View};

/// Reads the servers of a service into the model, unless they are there.
pub(super) type Read<'a> = &'a mut dyn FnMut(&ServiceId, &mut Model);

/// The rows of the service at a place: itself, and its servers unless they are folded.
fn of_service(view: &View, model: &mut Model, read: Read<'_>, place: usize) -> Option<Vec<Row>> {
    let service = view.service_at(model, place)?;
    if model.service(&service).is_some_and(|service| !service.is_gone()) {
        read(&service, model);
    }
    let mut rows = vec![Row { service, server: None }];
    if !view.is_folded(&service) {
        let servers = model.servers(&service);
        let order = view.sort.servers(servers);
        let ids =
            order.into_iter().filter_map(|at| servers.get(at)).map(|server| server.entry.destination.id);
        rows.extend(ids.map(|id| Row { service, server: Some(id) }));
    }
    Some(rows)
}

/// The place of the selected row: that of its service, its own among that service's rows, and those rows.
fn selected(view: &mut View, model: &mut Model, read: Read<'_>) -> Option<(usize, usize, Vec<Row>)> {
    let chosen = view.selected;
    let place = chosen.and_then(|row| view.place_of(model, &row.service));
    // The selected one is gone, or does not match the filter: the one in its place, if any was selected.
    let last = view.shown().checked_sub(1)?;
    let near = if chosen.is_some() { view.place.min(last) } else { 0 };
    let place = place.unwrap_or(near);
    let rows = of_service(view, model, read, place)?;
    let at = chosen.and_then(|chosen| rows.iter().position(|row| *row == chosen)).unwrap_or(0);
    view.place = place;
    if chosen.is_some() {
        view.selected = rows.get(at).copied();
    }
    Some((place, at, rows))
}

/// The rows that fit into a height, and which of them is the selected one.
pub(super) fn visible(
    view: &mut View,
    model: &mut Model,
    read: Read<'_>,
    height: usize,
) -> (Vec<Row>, usize) {
    view.offset = view.offset.min(height.saturating_sub(1));
    let Some((place, at, rows)) = selected(view, model, read) else { return (Vec::new(), 0) };
    let (above, below) = rows.split_at(at);
    let mut below = below.to_vec();
    let mut next = place + 1;
    while below.len() + view.offset < height {
        let Some(rows) = of_service(view, model, read, next) else { break };
        below.extend(rows);
        next += 1;
    }
    // Near the end of the table the screen stays full.
    let wanted = height.saturating_sub(below.len()).max(view.offset);
    let mut above = above.to_vec();
    let mut before = place;
    while above.len() < wanted && before > 0 {
        before -= 1;
        let mut rows = of_service(view, model, read, before).unwrap_or_default();
        rows.append(&mut above);
        above = rows;
    }
    view.offset = wanted.min(above.len());
    let mut shown = above.split_off(above.len() - view.offset);
    // With fewer rows above than the offset was, there is room for more below.
    while shown.len() + below.len() < height {
        let Some(rows) = of_service(view, model, read, next) else { break };
        below.extend(rows);
        next += 1;
    }
    shown.extend(below);
    shown.truncate(height);
    (shown, view.offset)
}

/// Selects a row so many further down, or up.
pub(super) fn step(view: &mut View, model: &mut Model, read: Read<'_>, by: isize) {
    let Some((mut place, mut at, mut rows)) = selected(view, model, read) else { return };
    for _ in 0..by.unsigned_abs() {
        if by > 0 && at + 1 < rows.len() {
            at += 1;
        } else if by < 0 && at > 0 {
            at -= 1;
        } else {
            let next = if by > 0 { Some(place + 1) } else { place.checked_sub(1) };
            let Some(found) = next.and_then(|next| Some((next, of_service(view, model, read, next)?))) else {
                break;
            };
            (place, rows) = found;
            at = if by > 0 { 0 } else { rows.len().saturating_sub(1) };
        }
        view.offset = view.offset.saturating_add_signed(by.signum());
    }
    view.place = place;
    view.selected = rows.get(at).copied();
}

/// Selects a row that is so many rows below the first one of the screen.
pub(super) fn select(view: &mut View, model: &Model, row: Row, offset: usize) {
    view.selected = Some(row);
    view.place = view.place_of(model, &row.service).unwrap_or(view.place);
    view.offset = offset;
}

/// Selects the first row, whichever that is, or the last.
pub(super) fn first(view: &mut View) {
    (view.selected, view.place, view.offset) = (None, 0, 0);
}

/// Selects the last row.
pub(super) fn last(view: &mut View, model: &mut Model, read: Read<'_>) {
    let Some(place) = view.shown().checked_sub(1) else { return };
    let rows = of_service(view, model, read, place).unwrap_or_default();
    (view.place, view.offset) = (place, usize::MAX);
    view.selected = rows.last().copied();
}
