//! Rates and connections of real traffic.

use std::net::{TcpListener, TcpStream};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab::{kernel, many_connections};

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

/// The kernel may show a row again while it resizes its table, and leave others out.
#[test]
fn each_connection_is_counted_once_while_the_table_is_resized() {
    const LFACTOR: &str = "/proc/sys/net/ipv4/vs/conn_lfactor";
    lab::isolate();
    if !kernel::has("connection table that is resized", &format!("test -e {LFACTOR}")) {
        return;
    }
    many_connections::make(3000, 1000);
    table(&["-A -t 192.0.2.1:80 -s rr", "-a -t 192.0.2.1:80 -r 10.2.0.1:8080 -m"]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for size in ["2", "-4"] {
                    std::fs::write(LFACTOR, size).unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        let seen = catch_unwind(|| {
            let terminal = Terminal::open(88, 24);
            terminal.line("ipvsadm --watch 0.1");
            terminal.wait_for("10.2.0.1:8080");
            terminal.keys(&["Down", "c"]);
            let title = "TCP  192.0.2.1:80 -> 10.2.0.1:8080: ";
            terminal.wait_for(title);
            for _ in 0..20 {
                let screen = terminal.screen();
                let count = screen.lines().find_map(|line| line.trim_start().strip_prefix(title)).unwrap();
                let all = count.split(' ').find_map(|word| word.parse::<u32>().ok()).unwrap();
                assert!(all == 3000 || count.starts_with("at least ") && all < 3000, "{count}");
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        is_over.store(true, Ordering::Relaxed);
        seen.unwrap_or_else(|panic| resume_unwind(panic));
    });
}
