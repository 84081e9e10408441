//! Every way out leaves the terminal as it was.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::quiet;
use crate::terminal::{Terminal, ended, process, within};

fn send(process: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(process).unwrap()), signal).unwrap();
}

/// Starts the view, with `before` in front of it, and returns its process. The shell notes the terminal's settings.
fn start(terminal: &Terminal, before: &str) -> u32 {
    let _ = fs::remove_file("/run/pid");
    let script = "\
stty -a >/run/before
sh -c 'echo $$ >/run/pid; exec BEFORE ipvsadm --watch 0.5'
echo ended $?
stty -a >/run/after
";
    fs::write("/run/start", script.replace("BEFORE", before)).unwrap();
    terminal.line("clear; sh /run/start");
    terminal.wait_for("192.0.2.1:80");
    process("/run/pid")
}

/// Checks that the terminal has its settings of before.
fn as_before(now: &str) {
    let settings = within("the settings", || fs::read_to_string(now).ok().filter(|text| !text.is_empty()));
    assert_eq!(settings, fs::read_to_string("/run/before").unwrap());
    fs::remove_file(now).unwrap();
}

/// Checks that the terminal is as it was, with the status and what the shell prints of a signal.
fn restored(terminal: &Terminal, status: &str) -> String {
    let screen = terminal.wait_for(&format!("ended {status}\n$"));
    assert!(!screen.contains("192.0.2.1"), "{screen}");
    as_before("/run/after");
    // The cursor is seen, and what is typed too.
    terminal.line("echo visible");
    terminal.wait_for("$ echo visible\nvisible");
    screen
}

#[test]
fn keys_and_signals_leave_the_terminal_as_it_was() {
    quiet();
    let terminal = Terminal::open(100, 24);
    for key in ["q", "C-c"] {
        start(&terminal, "");
        terminal.keys(&[key]);
        restored(&terminal, "0");
    }
    for (signal, status) in
        [(Signal::SIGTERM, "143"), (Signal::SIGINT, "130"), (Signal::SIGHUP, "129"), (Signal::SIGQUIT, "131")]
    {
        let process = start(&terminal, "");
        send(process, signal);
        restored(&terminal, status);
    }
}

#[test]
fn every_signal_that_ends_a_program_leaves_the_terminal_as_it_was() {
    quiet();
    let terminal = Terminal::open(100, 24);
    terminal.line("ulimit -c unlimited");
    let others = [
        Signal::SIGKILL,
        Signal::SIGSTOP,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGCONT,
        Signal::SIGCHLD,
        Signal::SIGURG,
        Signal::SIGWINCH,
        Signal::SIGPIPE,
    ];
    let ending = Signal::iterator().filter(|signal| !others.contains(signal)).map(|signal| signal as i32);
    for signal in ending.chain([34, 64]) {
        let process = start(&terminal, "");
        // The shell's own, because real-time signals have no name here.
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {process}")]).status().unwrap();
        assert!(sent.success(), "{signal}");
        let screen = restored(&terminal, &(128 + signal).to_string());
        assert!(!screen.contains("core dumped"), "{signal}: {screen}");
    }
    // Those that end nothing do nothing.
    let process = start(&terminal, "");
    for signal in [Signal::SIGPIPE, Signal::SIGURG, Signal::SIGCHLD, Signal::SIGCONT, Signal::SIGWINCH] {
        send(process, signal);
    }
    terminal.wait_for("192.0.2.1:80");
    terminal.keys(&["q"]);
    restored(&terminal, "0");
}

#[test]
fn a_terminal_of_any_size_is_drawn_on() {
    quiet();
    let terminal = Terminal::open(100, 24);
    start(&terminal, "");
    // A window of tmux is no larger than 10,000, but its settings may be.
    for size in ["cols 60000 rows 60000", "cols 65535 rows 65535", "cols 1 rows 65535", "cols 65535 rows 1"] {
        let tty = fs::read_link(format!("/proc/{}/fd/0", process("/run/pid"))).unwrap();
        let set = format!("stty -F {} {size}", tty.display());
        assert!(Command::new("sh").args(["-c", &set]).status().unwrap().success(), "{set}");
        std::thread::sleep(std::time::Duration::from_millis(700));
    }
    terminal.resize("90", "20");
    terminal.wait_for("192.0.2.1:80");
    terminal.keys(&["q"]);
    terminal.wait_for("ended 0\n$");
}

#[test]
fn a_stopped_view_continues() {
    quiet();
    let terminal = Terminal::open(100, 24);
    let process = start(&terminal, "");
    // The whole job stops, the script that has started the view too.
    terminal.keys(&["C-z"]);
    let screen = terminal.wait_for("Stopped");
    assert!(!screen.contains("192.0.2.1"), "{screen}");
    terminal.line("stty -a >/run/stopped");
    as_before("/run/stopped");
    terminal.line("fg");
    terminal.wait_for("192.0.2.1:80");
    // Stopped and continued by others, while the script waits.
    send(process, Signal::SIGTSTP);
    terminal.wait("the terminal of before", |screen| !screen.contains("192.0.2.1"));
    send(process, Signal::SIGCONT);
    terminal.wait_for("192.0.2.1:80");
    send(process, Signal::SIGSTOP);
    send(process, Signal::SIGCONT);
    terminal.keys(&["Down", "q"]);
    restored(&terminal, "0");
}

#[test]
fn a_lost_terminal_ends_the_view() {
    quiet();
    for before in ["", "env --ignore-signal=HUP"] {
        let terminal = Terminal::open(100, 24);
        let process = start(&terminal, before);
        terminal.hang_up();
        ended(process);
    }
    // Its end is an error, and no abort.
    let terminal = Terminal::open(100, 24);
    let _ = fs::remove_file("/run/lost");
    fs::write("/run/losing", "ipvsadm --watch 0.5; echo $? >/run/lost\n").unwrap();
    let process = start(&terminal, "env --ignore-signal=HUP sh /run/losing; exit;");
    terminal.hang_up();
    ended(process);
    let status =
        within("the status", || fs::read_to_string("/run/lost").ok().filter(|text| text.ends_with('\n')));
    assert_eq!(status, "129\n");
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    if std::env::var("IPVS_LAB_INSIDE").as_deref() != Ok("uml") {
        return; // elsewhere the clock is no system call
    }
    quiet();
    let terminal = Terminal::open(100, 24);
    // The standard library panics where there is no time.
    start(
        &terminal,
        "strace -o /run/trace -e trace=clock_gettime -e inject=clock_gettime:error=EINVAL:when=60+",
    );
    let screen = restored(&terminal, "101");
    assert!(screen.contains("panicked at"), "{screen}");
}

#[test]
fn a_terminal_without_a_size_is_refused_and_left_as_it_is() {
    quiet();
    let terminal = Terminal::open(100, 24);
    terminal.line("clear; stty cols 0; ipvsadm --watch; echo ended $?; stty cols 100");
    let screen = terminal.wait_for("ended 2");
    let line = "the size of the terminal is '0x24'; set it: stty cols 80 rows 24";
    assert!(screen.lines().any(|shown| shown == line), "{screen}");
    // Without a terminal to read keys from, it can still be read as frames.
    terminal.line("clear; setsid -w ipvsadm --watch </dev/null; echo ended $?");
    let screen = terminal.wait_for("ended 2");
    assert!(
        screen.contains("cannot use the terminal") && screen.contains("ipvsadm --watch | cat"),
        "{screen}"
    );
}
