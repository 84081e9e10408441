//! The live view: reads the table, draws it, and does what keys and signals ask for, until it ends.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use ipvs::{Info, ServiceId};

use super::background::{Answer, Background, Wanted};
use super::draw;
use super::input::{self, Then};
use super::keys::Key;
use super::model::Model;
use super::reading::{Kernel, OfServer, Shown};
use super::rows;
use super::scene::Scene;
use super::schedule::Schedule;
use super::terminal::{self, Event, Screen};
use super::theme::Theme;
use super::view::{Page, View};
use crate::command::Watch;
use crate::messages::{self, Failure, Result};

/// Later than any program runs.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// Everything that a frame needs.
struct Live<'a, W: Write> {
    screen: Screen<W>,
    kernel: Kernel<'a>,
    background: Background,
    info: Info,
    interval: Duration,
    theme: Theme,
    model: Model,
    view: View,
    connections: Option<OfServer>,
}

/// How to go on.
#[derive(PartialEq, Eq)]
enum Next {
    /// The next reading is due.
    Read,
    /// There is another reading.
    Show,
    Quit,
    EndBy(i32),
}

/// Runs the view until it is quit, or the number of frames was shown.
pub(super) fn run(
    kernel: Kernel<'_>,
    model: Model,
    info: Info,
    watch: &Watch,
    out: impl Write,
) -> Result<()> {
    let (columns, rows) = terminal::size().map_err(|error| messages::no_terminal(&error))?;
    if columns == 0 || rows == 0 {
        return Err(messages::no_size(columns, rows));
    }
    let screen = Screen::enter(out).map_err(|error| messages::no_terminal(&error))?;
    let background = Background::start(watch.service).map_err(|error| messages::no_terminal(&error))?;
    let (interval, theme, view, connections) = (watch.interval, Theme::from_environment(), View::new(), None);
    let mut live = Live { screen, kernel, background, info, interval, theme, model, view, connections };
    live.view.arrange(&live.model);
    let mut schedule = Schedule::new(watch.interval);
    let mut due = schedule.next(Instant::now());
    let mut frames = 1;
    loop {
        match live.until(due).map_err(|error| messages::write_error(&error))? {
            Next::Read if watch.count == Some(frames) => return Ok(()),
            Next::Read if live.read() => due = Instant::now() + NEVER,
            Next::Read | Next::Show => {
                frames += 1;
                due = schedule.next(Instant::now());
            }
            Next::Quit => return Ok(()),
            Next::EndBy(signal) => {
                drop(live);
                terminal::end_by(signal);
                // It is ignored, as under nohup.
                return Err(Failure::reported(u8::try_from(128 + signal).unwrap_or(u8::MAX)));
            }
        }
    }
}

impl<W: Write> Live<'_, W> {
    /// Reads what the page shows; true if it is read in the background.
    fn read(&mut self) -> bool {
        match self.view.page() {
            Page::Table | Page::Help => self.background.ask(Wanted::Table),
            Page::Service(id) => {
                self.kernel.read_one(&id, &mut self.model);
                self.kernel.read_servers(&id, &mut self.model, Instant::now());
                self.view.arrange(&self.model);
                return false;
            }
            Page::Connections(service, server) => {
                let (first, count) = (self.view.scroll, self.height().saturating_sub(1));
                self.background.ask(Wanted::Connections(Shown { service, server, first, count }));
            }
        }
        true
    }

    /// Takes what was read in the background; true if nothing else is read there now.
    fn take(&mut self) -> bool {
        match self.background.answer() {
            Some(Answer::Table(read)) => {
                self.model.take(read);
                self.view.arrange(&self.model);
            }
            Some(Answer::Connections(Ok(found))) => {
                self.connections = Some(found);
                self.model.failure = None;
            }
            Some(Answer::Connections(Err(failure))) => self.model.failure = Some(failure.message),
            None => {}
        }
        !self.background.is_busy()
    }

    /// How many rows or lines a page has on the screen.
    fn height(&self) -> usize {
        draw::height(self.screen.area())
    }

    fn draw(&mut self) -> io::Result<()> {
        let height = self.height();
        let is_small = draw::is_too_small(self.screen.area());
        let kernel = &mut self.kernel;
        let now = Instant::now();
        let mut read = |id: &ServiceId, model: &mut Model| kernel.read_servers(id, model, now);
        let (rows, selected) = match self.view.page() {
            Page::Table if !is_small => rows::visible(&mut self.view, &mut self.model, &mut read, height),
            _ => (Vec::new(), 0),
        };
        let scene = Scene {
            info: self.info,
            interval: self.interval,
            theme: self.theme,
            model: &self.model,
            view: &self.view,
            rows: &rows,
            selected,
            connections: self.connections.as_ref().filter(|found| is_shown(found, self.view.page())),
        };
        self.screen.terminal.draw(|frame| draw::draw(frame, &scene)).map(|_| ())
    }

    /// Draws, and does what arrives, until the next reading is due.
    fn until(&mut self, due: Instant) -> io::Result<Next> {
        loop {
            self.draw()?;
            match self.screen.wait(due, &self.background.bell)? {
                Event::Time => return Ok(Next::Read),
                Event::Bell if self.take() => return Ok(Next::Show),
                Event::Bell => {}
                Event::Keys(keys) => {
                    for key in keys {
                        match self.press(key) {
                            Then::Draw => {}
                            Then::Read => drop(self.read()),
                            Then::Clear => self.screen.redraw()?,
                            Then::Suspend => self.screen.suspend(true)?,
                            Then::Quit => return Ok(Next::Quit),
                        }
                    }
                }
                Event::Resized => self.screen.redraw()?,
                Event::Continued => self.screen.resume()?,
                Event::Suspend => self.screen.suspend(false)?,
                Event::End(signal) => return Ok(Next::EndBy(signal)),
                Event::Lost => return Ok(Next::EndBy(libc::SIGHUP)),
            }
        }
    }

    fn press(&mut self, key: Key) -> Then {
        let area = self.screen.area();
        let kernel = &mut self.kernel;
        let now = Instant::now();
        let mut read = |id: &ServiceId, model: &mut Model| kernel.read_servers(id, model, now);
        let before = self.view.scroll;
        let then = input::press(key, &mut self.view, &mut self.model, &mut read, area);
        // Of connections only those on the screen are kept.
        let is_scrolled = self.view.scroll != before && matches!(self.view.page(), Page::Connections(..));
        if is_scrolled && then == Then::Draw { Then::Read } else { then }
    }
}

/// Whether these are the connections of a page.
fn is_shown(found: &OfServer, page: Page) -> bool {
    page == Page::Connections(found.of.service, found.of.server)
}
