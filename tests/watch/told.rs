//! What other commands print on a terminal, and the mouse.

use crate::terminal::Terminal;
use crate::{quiet, table};

/// An empty screen: what is typed before `clear` has run would be cleared, too.
fn clear(terminal: &Terminal) {
    terminal.line("clear");
    terminal.wait("an empty screen", |screen| screen.trim() == "$");
}

#[test]
fn what_is_said_on_a_narrow_terminal_is_broken_between_words() {
    quiet();
    table(&["-A -t 192.0.2.3:80 -s wrr", "-a -t 192.0.2.3:80 -r 10.0.0.9:80 -m -w 3"]);
    let terminal = Terminal::open(50, 30);
    // Each of them is longer than the terminal is wide.
    for (line, ends) in [
        ("ipvsadm -A -t 192.0.2.3:99999; echo e''nd", "is above 65535"),
        ("ipvsadm -a -t 192.0.2.3:81 -r 10.0.0.1 -m; echo e''nd", "there is TCP 192.0.2.3:80"),
        ("ipvsadm -L --stats -c; echo e''nd", "--prometheus"),
    ] {
        clear(&terminal);
        terminal.line(line);
        let screen = terminal.wait("what is said", |screen| screen.contains("\nend"));
        let typed = |line: &&str| !line.ends_with("nd");
        let said = screen.split("\nend").next().unwrap();
        let said = said.lines().skip_while(typed).skip(1).collect::<Vec<_>>();
        assert!(said.len() > 1 && said.iter().all(|line| line.chars().count() <= 50), "{screen}");
        let all = said.join(" ");
        assert!(all.ends_with(ends), "{all}\n{screen}");
    }
    // The command that brings a server back is whole.
    clear(&terminal);
    terminal.line("ipvsadm --drain --force -r 10.0.0.9; echo e''nd");
    let screen = terminal.wait("a drain", |screen| screen.contains("\nend"));
    let words =
        "TCP 192.0.2.3:80 -> 10.0.0.9:80 is drained and\ndeleted; this brings it back:\n  ipvsadm -a ";
    assert!(screen.contains(words), "{screen}");
    // Into a pipe it is one line.
    table(&["-a -t 192.0.2.3:80 -r 10.0.0.9:80 -m -w 3"]);
    clear(&terminal);
    terminal.line("ipvsadm --drain --force -r 10.0.0.9 | wc -l");
    terminal.wait("one line", |screen| screen.contains("\n1\n"));
}

#[test]
fn the_mouse_works_in_a_terminal_and_is_given_back() {
    quiet();
    let terminal = Terminal::open(80, 21);
    terminal.line("ipvsadm --watch 0.5");
    let screen = terminal.wait_for("10.0.0.2:8080");
    let row = screen.lines().position(|line| line.contains("10.0.0.2:8080")).unwrap() + 1;
    assert!(terminal.wants_mouse(), "the terminal was not asked for the mouse");
    terminal.keys(&["-l", &format!("\x1b[<0;7;{row}M\x1b[<0;7;{row}m")]);
    terminal.keys(&["Enter"]);
    terminal.wait_for("scheduler   wrr");
    terminal.keys(&["Escape"]);
    terminal.wait_for("by address");
    // A click on a heading sorts.
    let at = screen.lines().find(|line| line.starts_with("address")).unwrap().find("weight").unwrap() + 1;
    terminal.keys(&["-l", &format!("\x1b[<0;{at};5M")]);
    terminal.wait_for("by weight");
    terminal.keys(&["q"]);
    terminal.wait("the prompt", |screen| screen.trim_end().ends_with("\n$"));
    assert!(!terminal.wants_mouse(), "the terminal still has the mouse");
}
