//! A table in memory with a view of it, whose keys are pressed and whose screen is looked at.

use std::time::{Duration, Instant};

use ipvs::{
    Client, Counters, Destination, DestinationId, FakeKernel, ForwardingMethod, Info, Service, ServiceId,
    Stats,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::style::Color;

use super::super::input::{self, Then};
use super::super::keys::Key;
use super::super::model::Model;
use super::super::scene::Scene;
use super::super::theme::Theme;
use super::super::view::View;
use super::super::{draw, keys, rows};

/// A kernel, the view of its table, and a clock.
pub(super) struct World {
    pub(super) kernel: FakeKernel,
    pub(super) client: Client,
    pub(super) model: Model,
    pub(super) view: View,
    pub(super) now: Instant,
    pub(super) terminal: Terminal<TestBackend>,
    pub(super) theme: Theme,
    /// The services whose servers were asked for since the last reading.
    pub(super) asked: Vec<ServiceId>,
}

pub(super) fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

pub(super) fn server(text: &str) -> DestinationId {
    text.parse().unwrap()
}

impl World {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let kernel = FakeKernel::new();
        Self {
            client: Client::with_transport(kernel.clone()).unwrap(),
            kernel,
            model: Model::new(Duration::from_secs(2)),
            view: View::new(),
            now: Instant::now(),
            terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(),
            theme: Theme::new(true, false),
            asked: Vec::new(),
        }
    }

    /// Services 192.0.2.1 and on, each with so many servers.
    pub(super) fn with_services(mut self, services: u8, servers: u8) -> Self {
        for number in 1..=services {
            let service = id(&format!("TCP 192.0.2.{number}:80"));
            self.client.add_service(&Service::new(service, "wrr".parse().unwrap())).unwrap();
            for server in 1..=servers {
                self.add(&service, &format!("10.0.{number}.{server}"));
            }
        }
        self
    }

    pub(super) fn add(&mut self, service: &ServiceId, address: &str) {
        let server = Destination::new(address.parse().unwrap(), 80, ForwardingMethod::Masquerade);
        self.client.add_destination(service, &server).unwrap();
    }

    pub(super) fn traffic(&self, service: &str, address: &str, active: u32, inactive: u32, connections: u64) {
        let total = Counters {
            connections,
            in_packets: 10 * connections,
            in_bytes: 1000 * connections,
            ..Counters::default()
        };
        let stats = Stats { total, ..Stats::default() };
        assert!(self.kernel.set_traffic(&id(service), &server(address), active, inactive, stats));
    }

    /// Another reading, so many seconds later.
    pub(super) fn read(&mut self, seconds: u64, totals: u64) {
        self.now += Duration::from_secs(seconds);
        self.asked.clear();
        let mut services = self.client.services().unwrap();
        services.sort_by_key(|entry| entry.service.id);
        let totals = Counters {
            connections: totals,
            in_packets: 10 * totals,
            in_bytes: 1000 * totals,
            ..Counters::default()
        };
        self.model.update(&services, totals, self.now);
        self.view.arrange(&self.model);
    }

    pub(super) fn with_reader<T>(
        &mut self,
        work: impl FnOnce(&mut View, &mut Model, rows::Read<'_>) -> T,
    ) -> T {
        let (client, asked, now) = (&mut self.client, &mut self.asked, self.now);
        let mut read = |id: &ServiceId, model: &mut Model| {
            if model.lacks_servers(id) {
                let mut servers = client.destinations_or_none(id).unwrap();
                servers.sort_by_key(|entry| entry.destination.id);
                model.update_servers(*id, &servers, now);
                asked.push(*id);
            }
        };
        work(&mut self.view, &mut self.model, &mut read)
    }

    pub(super) fn height(&self) -> usize {
        draw::height(*self.terminal.backend().buffer().area())
    }

    pub(super) fn press(&mut self, keys: &str) -> Then {
        let mut then = Then::Draw;
        for key in keys::decode(&mut keys.as_bytes().to_vec()) {
            then = self.press_one(key);
        }
        then
    }

    pub(super) fn press_one(&mut self, key: Key) -> Then {
        let area = *self.terminal.backend().buffer().area();
        self.with_reader(|view, model, read| input::press(key, view, model, read, area))
    }

    /// What is on the screen.
    pub(super) fn screen(&mut self) -> String {
        let height = self.height();
        let (rows, selected) = self.with_reader(|view, model, read| rows::visible(view, model, read, height));
        let mut info = Info::default();
        (info.version.major, info.version.minor, info.version.patch) = (1, 2, 1);
        let (model, view) = (&self.model, &self.view);
        let scene = Scene {
            info,
            interval: Duration::from_secs(2),
            theme: self.theme,
            model,
            view,
            rows: &rows,
            selected,
            connections: None,
        };
        self.terminal.draw(|frame| draw::draw(frame, &scene)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let lines = buffer.content.chunks(width).map(|cells| {
            let line: String = cells.iter().map(Cell::symbol).collect();
            line.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The line of the screen that has a text.
    pub(super) fn line(&mut self, text: &str) -> String {
        let screen = self.screen();
        let mut lines = screen.lines().filter(|line| line.contains(text));
        lines.next().unwrap_or_else(|| panic!("no {text} in\n{screen}")).to_owned()
    }

    /// Whether the line with this text has a colour anywhere.
    pub(super) fn has_color(&mut self, text: &str, color: Color) -> bool {
        let screen = self.screen();
        let at = screen.lines().position(|line| line.contains(text)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        buffer.content.chunks(width).nth(at).unwrap().iter().any(|cell| cell.fg == color)
    }

    /// The address of the selected row.
    pub(super) fn selected(&mut self) -> String {
        let height = self.height();
        let (rows, at) = self.with_reader(|view, model, read| rows::visible(view, model, read, height));
        rows.get(at).map_or(String::new(), |row| match row.server {
            Some(server) => server.to_string(),
            None => row.service.to_string(),
        })
    }
}
