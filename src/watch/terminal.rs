//! The terminal: entered, left as it was in every way out, and what arrives there: keys, signals, another size.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute, style};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::keys::{self, Key};

/// How long the rest of a key's sequence may take: it begins with the byte of Escape.
const SEQUENCE: Duration = Duration::from_millis(30);

/// Signals that are not read: they end no program, or (SIGPIPE) have a handler. All others that can be sent end it, once the
/// terminal is as it was, but for those in [`Screen::signal`].
const LEFT: [Signal; 5] =
    [Signal::SIGCHLD, Signal::SIGURG, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGPIPE];

/// The most columns or rows, and cells, that are drawn, in the corner of a larger terminal: each takes memory and time.
const MOST: u16 = 1000;
const MOST_CELLS: u32 = 200_000;

/// Asks the terminal to tell of buttons and of the wheel, but not of each move.
const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";
const NO_MOUSE: &str = "\x1b[?1006l\x1b[?1000l";

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
    /// It is to end, by the signal of this number.
    End(i32),
    /// The time is up.
    Time,
    /// Something else is there.
    Bell,
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
    /// Its own end prints, and panics where the terminal is lost.
    pub(super) terminal: ManuallyDrop<Terminal<CrosstermBackend<W>>>,
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
        let terminal = ManuallyDrop::new(terminal);
        let mut screen = Self { terminal, area, input, signals, bytes: Vec::new() };
        // Whatever ends the view, it leaves no file with what was in its memory.
        let most = getrlimit(Resource::Core).maximum;
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: most });
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
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide, style::Print(MOUSE))?;
        self.redraw()
    }

    /// Makes the next drawing write everything, at the size that the terminal has now.
    pub(super) fn redraw(&mut self) -> io::Result<()> {
        let (columns, rows) = size()?;
        let columns = columns.min(MOST);
        let most = u16::try_from(MOST_CELLS / u32::from(columns.max(1))).unwrap_or(MOST).min(MOST);
        self.area = Rect::new(0, 0, columns, rows.min(most));
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

    /// Waits until something arrives, here or at `bell`, or the time is up.
    pub(super) fn wait(&mut self, until: Instant, bell: &impl AsFd) -> io::Result<Event> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (has_input, has_signal, is_lost, has_rung) = self.poll(left, bell)?;
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
            if has_rung {
                return Ok(Event::Bell);
            }
            if until <= Instant::now() {
                return Ok(Event::Time);
            }
        }
    }

    /// Whether there are keys, there is a signal, nobody is left, the bell has rung.
    fn poll(&self, time: Duration, bell: &impl AsFd) -> io::Result<(bool, bool, bool, bool)> {
        let mut all = [self.input.as_fd(), self.signals.as_fd(), bell.as_fd()]
            .map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN));
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut all, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [input, signals, bell] = all.map(|one| one.revents());
        let is_lost = input.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        let is_there = |one: PollFlags| one.contains(PollFlags::IN);
        Ok((is_there(input), is_there(signals), is_lost, is_there(bell)))
    }

    fn signal(&mut self) -> io::Result<Option<Event>> {
        let Some(info) = self.signals.read_signal()? else { return Ok(None) };
        let number = i32::try_from(info.ssi_signo).unwrap_or(libc::SIGTERM);
        Ok(Some(match number {
            libc::SIGWINCH => Event::Resized,
            libc::SIGCONT => Event::Continued,
            libc::SIGTSTP => Event::Suspend,
            other => Event::End(other),
        }))
    }

    fn keys(&mut self) -> io::Result<Event> {
        self.receive()?;
        // Escape, or the beginning of another key?
        if self.bytes.last() == Some(&0x1b) && self.has_more()? {
            self.receive()?;
        }
        Ok(Event::Keys(keys::decode(&mut self.bytes)))
    }

    /// Whether more bytes follow at once.
    fn has_more(&self) -> io::Result<bool> {
        let mut input = [PollFd::new(&self.input, PollFlags::IN)];
        let time = Timespec::try_from(SEQUENCE).map_err(io::Error::other)?;
        Ok(poll(&mut input, Some(&time)).is_ok_and(|count| count > 0))
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

/// All signals that the view reads, real-time ones too.
fn signals() -> SigSet {
    let mut all = SigSet::all();
    for signal in LEFT {
        all.remove(signal);
    }
    all
}

/// Whether there is something to restore.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Leaves the terminal as it was. Where it is lost, there is nothing to do.
fn restore() {
    if !IS_TAKEN.swap(false, Ordering::Relaxed) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(
        out,
        style::Print(NO_MOUSE),
        style::ResetColor,
        Clear(ClearType::All),
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// Ends the program by a signal that the view has read, so that its parent learns of it.
pub(super) fn end_by(signal: i32) {
    let _ = signal_hook::low_level::raise(signal); // it may be ignored
    let _ = signals().thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
}
