//! The terminal: entered, left as it was in every way out, and what arrives there: keys, signals, another size.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute, style};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::keys::{self, Key};

/// How long the rest of a key's sequence may take: it begins with the byte of Escape.
const SEQUENCE: Duration = Duration::from_millis(30);

/// Signals that end the program, once the terminal is as it was.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Keys(Vec<Key>),
    /// The terminal has another size.
    Resized,
    /// The program goes on after it was stopped.
    Continued,
    /// It is to stop, until it is continued.
    Suspend,
    /// It is to end.
    End(Signal),
    /// The time is up.
    Time,
    /// Nobody is at the other end of the terminal.
    Lost,
}

/// Whether there is a screen to draw on.
pub(super) fn is_there() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}

/// Columns and rows.
pub(super) fn size() -> io::Result<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout())?;
    Ok((size.ws_col, size.ws_row))
}

/// The terminal, while the view has it.
pub(super) struct Screen<W: Write> {
    pub(super) terminal: Terminal<CrosstermBackend<W>>,
    area: Rect,
    input: Input,
    signals: SignalFd,
    /// An incomplete sequence.
    bytes: Vec<u8>,
}

/// Where keys come from.
enum Input {
    Stdin(io::Stdin),
    Terminal(File),
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin(stdin) => stdin.as_fd(),
            Self::Terminal(file) => file.as_fd(),
        }
    }
}

impl<W: Write> Screen<W> {
    /// Takes the terminal. Signals are read from now on, like keys.
    pub(super) fn enter(out: W) -> io::Result<Self> {
        let stdin = io::stdin();
        let input = if stdin.is_terminal() {
            Input::Stdin(stdin)
        } else {
            Input::Terminal(File::options().read(true).write(true).open("/dev/tty")?)
        };
        let signals = signals();
        signals.thread_block()?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let area = Rect::default(); // until it is taken
        let viewport = Viewport::Fixed(area);
        let terminal = Terminal::with_options(CrosstermBackend::new(out), TerminalOptions { viewport })?;
        let mut screen = Self { terminal, area, input, signals, bytes: Vec::new() };
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            report(panic);
        }));
        screen.take()?;
        Ok(screen)
    }

    /// The whole screen.
    pub(super) fn area(&self) -> Rect {
        self.area
    }

    fn take(&mut self) -> io::Result<()> {
        IS_TAKEN.store(true, Ordering::Relaxed);
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        self.redraw()
    }

    /// Makes the next drawing write everything, at the size that the terminal has now.
    pub(super) fn redraw(&mut self) -> io::Result<()> {
        let (columns, rows) = size()?;
        self.area = Rect::new(0, 0, columns, rows);
        self.terminal.resize(self.area)?;
        execute!(io::stdout(), Clear(ClearType::All))
    }

    /// Stops the program, and takes the terminal again when it continues. As by any other terminal's key, all programs
    /// of the shell's job stop.
    pub(super) fn suspend(&mut self, is_key: bool) -> io::Result<()> {
        restore();
        let signal = SigSet::from(Signal::SIGTSTP);
        signal.thread_unblock()?;
        if is_key {
            rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        } else {
            raise(Signal::SIGTSTP)?;
        }
        signal.thread_block()?;
        self.take()
    }

    /// The program was stopped by somebody, and the shell has used the terminal meanwhile.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        let _ = disable_raw_mode(); // or it would not be made raw again
        self.take()
    }

    /// Waits until something arrives, or the time is up.
    pub(super) fn wait(&mut self, until: Instant) -> io::Result<Event> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (has_input, has_signal, is_lost) = self.poll(left)?;
            if has_signal {
                if let Some(event) = self.signal()? {
                    return Ok(event);
                }
            }
            if is_lost {
                return Ok(Event::Lost);
            }
            if has_input {
                return self.keys();
            }
            if until <= Instant::now() {
                return Ok(Event::Time);
            }
        }
    }

    /// Whether there are keys, there is a signal, nobody is left.
    fn poll(&self, time: Duration) -> io::Result<(bool, bool, bool)> {
        let mut both = [PollFd::new(&self.input, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut both, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [input, signals] = both.map(|one| one.revents());
        let is_lost = input.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        Ok((input.contains(PollFlags::IN), signals.contains(PollFlags::IN), is_lost))
    }

    fn signal(&mut self) -> io::Result<Option<Event>> {
        let Some(info) = self.signals.read_signal()? else { return Ok(None) };
        let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
        Ok(signal.map(|signal| match signal {
            Signal::SIGWINCH => Event::Resized,
            Signal::SIGCONT => Event::Continued,
            Signal::SIGTSTP => Event::Suspend,
            other => Event::End(other),
        }))
    }

    fn keys(&mut self) -> io::Result<Event> {
        self.receive()?;
        // Escape, or the beginning of another key?
        if self.bytes.last() == Some(&0x1b) && self.poll(SEQUENCE)?.0 {
            self.receive()?;
        }
        Ok(Event::Keys(keys::decode(&mut self.bytes)))
    }

    /// Reads what is there.
    fn receive(&mut self) -> io::Result<()> {
        let mut some = [0; 256];
        let length = rustix::io::read(&self.input, &mut some)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.extend(some.iter().take(length));
        Ok(())
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        restore();
    }
}

/// All signals that the view reads.
fn signals() -> SigSet {
    ENDING.into_iter().chain([Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH]).collect()
}

/// Whether there is something to restore.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Leaves the terminal as it was. Where it is lost, there is nothing to do.
fn restore() {
    if !IS_TAKEN.swap(false, Ordering::Relaxed) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(out, style::ResetColor, Clear(ClearType::All), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Ends the program by a signal that the view has read, so that its parent learns of it.
pub(super) fn end_by(signal: Signal) {
    let _ = SigSet::from(signal).thread_unblock();
    let _ = raise(signal); // it may be ignored
}
