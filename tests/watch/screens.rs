//! Screens, compared.

use crate::terminal::Terminal;
use crate::{quiet, table};

/// The table of [`quiet`] once the rates are known.
const SCREEN: &str = "\
IPVS 1.2.1  3 services  by address  every 0.5 s
connections/s       0
packets/s           0
bytes/s             0
address                      weight active inact conn/s pkt/s bytes/s share
 ▾ TCP  192.0.2.1:80                     0     0      0     0       0
    10.0.0.1:8080                 3      0     0      0     0       0
    10.0.0.2:8080                 2      0     0      0     0       0
!▾ UDP  192.0.2.1:53                     0     0      0     0       0
    10.0.0.3:53                   0      0     0      0     0       0
!▾ FWM  7 IPv6                                        0     0       0









q quit  ? help  / filter  s sort  Enter service  c connections  Space fold";

/// The lines of a screen that have a text.
fn lines<'a>(screen: &'a str, text: &str) -> Vec<&'a str> {
    screen.lines().filter(|line| line.contains(text)).collect()
}

#[test]
fn a_person_sees_the_table_and_gets_around_in_it() {
    quiet();
    let terminal = Terminal::open(80, 21);
    terminal.line("ipvsadm --watch 0.5");
    terminal.wait("the table with rates", |screen| screen == SCREEN);
    // In red, what has no usable server.
    assert!(terminal.colored_screen().contains("38;5;1m!▾ UDP"), "{:?}", terminal.colored_screen());

    // A filter, as it is typed.
    terminal.keys(&["/", "u", "d"]);
    let screen = terminal.wait_for("1 of 3 services: ud");
    assert!(screen.ends_with("filter: ud") && !screen.contains("TCP"), "{screen}");
    terminal.keys(&["Escape"]);
    terminal.wait("all services", |screen| screen == SCREEN);

    // Folding, one and all.
    terminal.keys(&["Space"]);
    let screen = terminal.wait_for("▸ TCP");
    assert!(!screen.contains("10.0.0.1:8080") && screen.contains("10.0.0.3:53"), "{screen}");
    terminal.keys(&["Space", "f"]);
    terminal.wait("folded services", |screen| lines(screen, "▸").len() == 3);
    terminal.keys(&["f"]);

    // Sorting, and one service in full, and the help.
    terminal.keys(&["s", "r"]);
    let screen = terminal.wait_for("by weight, reversed");
    assert_eq!(lines(&screen, ":8080")[0].trim_start().split(':').next(), Some("10.0.0.2"), "{screen}");
    terminal.keys(&["Down", "Enter"]);
    let screen = terminal.wait_for("persistent  300 s");
    for text in ["TCP  192.0.2.1:80", "scheduler   wrr", "-> 10.0.0.1:8080", "Masq, weight 3"] {
        assert!(screen.contains(text), "{text}:\n{screen}");
    }
    terminal.keys(&["?"]);
    terminal.wait_for("Ctrl-Z");
    terminal.keys(&["Escape", "Escape"]);
    terminal.wait_for("by weight, reversed");

    // Other sizes, down to the least, and below.
    terminal.resize("40", "10");
    let screen =
        terminal.wait("the least size", |screen| screen.lines().count() == 10 && screen.contains("0 conn/s"));
    assert!(
        screen.lines().all(|line| line.chars().count() <= 40) && screen.contains("10.0.0.2:8080"),
        "{screen}"
    );
    terminal.resize("30", "5");
    terminal.wait("one line", |screen| screen == "30x5 is too small: 40x10");
    terminal.resize("120", "30");
    terminal.wait_for("share");
    terminal.keys(&["q"]);
    terminal.wait("the prompt", |screen| screen.trim_end().ends_with("\n$"));
}

#[test]
fn a_table_that_changes_is_marked_and_one_that_is_cleared_is_empty() {
    quiet();
    let terminal = Terminal::open(80, 21);
    terminal.line("NO_COLOR=1 ipvsadm --watch 0.2");
    terminal.wait_for("FWM  7 IPv6");
    table(&[
        "-A -t 192.0.2.9:443 -s sh",
        "-a -t 192.0.2.9:443 -r 10.0.0.9 -g",
        "-a -t 192.0.2.1:80 -r 10.0.0.4:8080 -m",
        "-d -t 192.0.2.1:80 -r 10.0.0.1:8080",
        "-e -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 5 -x 100 -y 50",
        "-D -f 7 -6",
    ]);
    let screen = terminal.wait_for("-▾ FWM  7 IPv6");
    for line in [
        "+▾ TCP  192.0.2.9:443",
        "+   10.0.0.4:8080",
        "-   10.0.0.1:8080",
        "~   10.0.0.2:8080               2→5",
    ] {
        assert_eq!(lines(&screen, line).len(), 1, "{line}:\n{screen}");
    }
    let colors = terminal.colored_screen();
    assert!(!colors.contains("38;5;"), "{colors:?}");
    table(&["-C"]);
    let screen = terminal.wait_for("-▾ TCP  192.0.2.9:443");
    assert!(screen.contains(" 0 services"), "{screen}");
    // Keys about what is gone do no harm.
    terminal.keys(&["j", "G", "Enter"]);
    terminal.wait_for("No such service");
    terminal.keys(&["Escape", "Space", "/", "x"]);
    table(&["-A -t 192.0.2.8:80"]);
    terminal.wait_for("0 of 1 service: x");
    terminal.keys(&["Escape"]);
    terminal.wait_for("192.0.2.8:80");
}

#[test]
fn one_service_is_watched_alone_and_may_go_and_come_back() {
    quiet();
    let terminal = Terminal::open(80, 12);
    terminal.line("ipvsadm --watch 0.2 -n -u 192.0.2.1:53");
    let screen = terminal.wait_for("10.0.0.3:53");
    assert!(screen.contains("1 service ") && !screen.contains("TCP"), "{screen}");
    table(&["-D -u 192.0.2.1:53"]);
    let screen = terminal.wait_for("No such service");
    assert!(screen.contains("trying again every 0.2 s"), "{screen}");
    table(&["-A -u 192.0.2.1:53 -s rr", "-a -u 192.0.2.1:53 -r 10.0.0.5 -m"]);
    terminal.wait_for("10.0.0.5:53");
}
