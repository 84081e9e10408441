//! A terminal with a person at it: a window of tmux.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A window with a shell, of a tmux server of its own.
pub(crate) struct Terminal {
    socket: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Terminal {
    /// Opens a window. The shell's prompt is `$ `, and `ipvsadm` is the tool.
    pub(crate) fn open(columns: u16, rows: u16) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { socket: format!("/run/tmux-{}-{number}", std::process::id()) };
        let folder = Path::new(super::OURS).parent().unwrap().display();
        let shell = format!("PATH={folder}:$PATH PS1='$ ' HISTFILE= exec sh -i");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        terminal.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, &shell]);
        terminal.tmux(&["set-option", "-g", "status", "off"]);
        terminal.tmux(&["set-option", "-g", "escape-time", "0"]);
        terminal.resize(&columns, &rows);
        terminal.wait("the prompt", |screen| screen.trim_end() == "$");
        terminal
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S", &self.socket]).args(words);
        for name in ["NO_COLOR", "TMUX", "LD_LIBRARY_PATH", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm-256color").output().unwrap()
    }

    fn tmux(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn resize(&self, columns: &str, rows: &str) {
        self.tmux(&["resize-window", "-x", columns, "-y", rows]);
    }

    /// Types a line.
    pub(crate) fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.keys(&["Enter"]);
    }

    /// Presses keys, by their names.
    pub(crate) fn keys(&self, names: &[&str]) {
        self.tmux(&[&["send-keys"], names].concat());
    }

    /// What is on the screen.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).trim_end().to_owned()
    }

    /// Whether the program has asked for the mouse.
    pub(crate) fn wants_mouse(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{mouse_any_flag}"]).trim() == "1"
    }

    /// The same with the sequences for colours.
    pub(crate) fn colored_screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// The first screen that is as wanted.
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < end, "waiting for {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The first screen with a text.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Ends the server, as a connection that breaks.
    pub(crate) fn hang_up(&self) {
        self.run(&["kill-server"]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// The process that wrote its id into a file.
pub(crate) fn process(file: &str) -> u32 {
    within("the id of the process", || fs::read_to_string(file).ok()?.trim().parse().ok())
}

/// Waits until a process has ended.
pub(crate) fn ended(process: u32) {
    let is_running = || {
        let state = fs::read_to_string(format!("/proc/{process}/stat"));
        state.is_ok_and(|state| !state.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
    };
    within("the end of the process", || (!is_running()).then_some(()));
}

/// What comes within a time that is long enough.
pub(crate) fn within<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = get() {
            return found;
        }
        assert!(Instant::now() < end, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
