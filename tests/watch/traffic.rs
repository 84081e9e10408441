//! Rates and connections of real traffic.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::table;
use crate::terminal::Terminal;

#[test]
fn traffic_is_seen_as_rates_shares_and_connections() {
    lab::isolate();
    table(&[
        "-A -t 127.0.0.9:80 -s rr",
        "-a -t 127.0.0.9:80 -r 127.0.0.1:8080 -m",
        "-a -t 127.0.0.9:80 -r 127.0.0.2:8080 -m",
    ]);
    for address in ["127.0.0.1:8080", "127.0.0.2:8080"] {
        let server = TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for client in server.incoming() {
                open.extend(client); // until the client ends it
            }
        });
    }
    // Two connections that stay, and then two a second that do not, not more than a screen can show.
    let _open: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect("127.0.0.9:80").unwrap()).collect();
    let terminal = Terminal::open(88, 24);
    terminal.line("ipvsadm --watch 0.5");
    terminal.wait_for("127.0.0.2:8080");
    std::thread::spawn(|| {
        for _ in 0..24 {
            drop(TcpStream::connect("127.0.0.9:80").unwrap());
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    // Behind the method: weight, active, inactive, and the rate of connections.
    let rate = |screen: &str, row: &str| -> Option<f64> {
        let words: Vec<&str> = screen.lines().find(|line| line.contains(row))?.split_whitespace().collect();
        words.get(words.iter().position(|word| *word == "Masq")? + 4)?.parse().ok()
    };
    let screen =
        terminal.wait("a rate", |screen| rate(screen, "127.0.0.1:8080").is_some_and(|rate| rate > 0.1));
    let known = rate(&screen, "127.0.0.1:8080").unwrap();
    assert!(known < 2.5, "{screen}");
    assert!(screen.contains('█') && screen.contains('%'), "{screen}");
    terminal.keys(&["Down", "c"]);
    let screen = terminal.wait_for("ESTABLISHED 127.0.0.1:");
    assert!(screen.contains("TCP  127.0.0.9:80 -> 127.0.0.1:8080: "), "{screen}");
    terminal.keys(&["Escape"]);
    terminal.wait_for("by address");
}
