//! What the person at the terminal has chosen to see: a page, an order, a filter, folded services, a selected row.

use std::collections::HashSet;

use ipvs::{DestinationId, ServiceId};

use super::columns::{Column, Sort};
use super::model::Model;
use crate::text::AddressFormatter;

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Table,
    /// One service in full.
    Service(ServiceId),
    /// The connections of a server.
    Connections(ServiceId, DestinationId),
    Help,
}

/// A row of the table: a service, or a server of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) service: ServiceId,
    pub(super) server: Option<DestinationId>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct View {
    /// The last is shown; the first is the table.
    pages: Vec<Page>,
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// Whether keys go to the filter.
    pub(super) is_typing: bool,
    /// Services that are not as `is_folded` has all others.
    exceptions: HashSet<ServiceId>,
    is_folded: bool,
    /// None as long as nobody chose one: the first, whichever that is.
    pub(super) selected: Option<Row>,
    /// The place of the selected service among all that are shown.
    pub(super) place: usize,
    /// How far below the first row of the screen the selected one is.
    pub(super) offset: usize,
    /// The first line that is shown of a page other than the table.
    pub(super) scroll: usize,
    /// The width of the screen.
    pub(super) width: u16,
    /// The services that are shown, in their order, as places in the model.
    order: Vec<usize>,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            pages: vec![Page::Table],
            sort: Sort { column: Column::Address, is_reversed: false },
            filter: String::new(),
            is_typing: false,
            exceptions: HashSet::new(),
            is_folded: false,
            selected: None,
            place: 0,
            offset: 0,
            scroll: 0,
            width: u16::MAX,
            order: Vec::new(),
        }
    }

    pub(super) fn page(&self) -> Page {
        self.pages.last().copied().unwrap_or(Page::Table)
    }

    pub(super) fn open(&mut self, page: Page) {
        if self.page() != page {
            self.pages.push(page);
            self.scroll = 0;
        }
    }

    /// Goes back to the page before; false on the first.
    pub(super) fn back(&mut self) -> bool {
        self.scroll = 0;
        self.pages.len() > 1 && self.pages.pop().is_some()
    }

    pub(super) fn is_folded(&self, id: &ServiceId) -> bool {
        self.is_folded != self.exceptions.contains(id)
    }

    /// Folds a service, or unfolds it.
    pub(super) fn fold(&mut self, id: ServiceId) {
        if !self.exceptions.remove(&id) {
            self.exceptions.insert(id);
        }
    }

    /// Folds all services, or unfolds them.
    pub(super) fn fold_all(&mut self) {
        self.is_folded = !self.is_folded;
        self.exceptions.clear();
    }

    /// Orders the services of the model, and leaves out those that the filter does.
    pub(super) fn arrange(&mut self, model: &Model) {
        let mut text = AddressFormatter::numeric();
        let filter = self.filter.to_lowercase();
        let places = model.services().iter().enumerate().filter(|(_, service)| {
            let service = &service.entry.service;
            let scheduler = || String::from_utf8_lossy(service.scheduler.as_bytes()).to_lowercase();
            filter.is_empty()
                || text.service(&service.id).to_lowercase().contains(&filter)
                || scheduler().contains(&filter)
        });
        self.order = self.sort.services(model, places.map(|(place, _)| place).collect());
    }

    /// The id of the service at a place of the order.
    pub(super) fn service_at(&self, model: &Model, place: usize) -> Option<ServiceId> {
        let service = model.services().get(*self.order.get(place)?)?;
        Some(service.entry.service.id)
    }

    /// How many services are shown.
    pub(super) fn shown(&self) -> usize {
        self.order.len()
    }

    /// The place of a service in the order.
    pub(super) fn place_of(&self, model: &Model, id: &ServiceId) -> Option<usize> {
        let at = model.services().binary_search_by_key(id, |service| service.entry.service.id).ok()?;
        self.order.iter().position(|place| *place == at)
    }
}
