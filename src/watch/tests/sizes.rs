//! Forty IPv6 services with long addresses on screens of four sizes, to be looked at: `sizes.txt`. `UPDATE_SCREENS=1
//! IPVS_LAB_INSIDE=no cargo test --bin ipvsadm forty` writes it.

use std::fmt::Write as _;

use ipvs::Service;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::world::{World, id};
use crate::watch::input::Then;

const SIZES: [(u16, u16); 4] = [(80, 24), (100, 30), (132, 43), (200, 60)];
const SCREENS: &str = include_str!("sizes.txt");

/// Services that differ in their last numbers alone, each with two servers, after some traffic.
fn forty() -> World {
    let mut world = World::new(80, 24);
    for number in 1..=20 {
        for port in [443, 8443] {
            let text = format!("TCP [2001:db8:1234:5678:9abc:def0:1234:{number:x}]:{port}");
            world.client.add_service(&Service::new(id(&text), "wlc".parse().unwrap())).unwrap();
            for server in ["a", "b"] {
                world.add(&id(&text), &format!("2001:db8:fedc:ba98:7654:3210:{number:x}:{server}"));
            }
        }
    }
    world.read(0, 0);
    world.screen();
    for (number, connections) in [(1, 1000), (2, 70), (3, 123_456)] {
        let service = format!("TCP [2001:db8:1234:5678:9abc:def0:1234:{number:x}]:443");
        let server = format!("2001:db8:fedc:ba98:7654:3210:{number:x}:a");
        world.traffic(&service, &format!("[{server}]:80"), 3 * number, 40, connections);
    }
    world.read(2, 200_000);
    world
}

#[test]
fn forty_services_of_ipv6_are_whole_at_every_size() {
    let mut world = forty();
    let mut screens = String::new();
    for (columns, rows) in SIZES {
        world.terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        let screen = world.screen();
        write!(screens, "{columns}x{rows}\n{screen}\n\n").unwrap();
        let lines: Vec<&str> = screen.lines().collect();
        assert_eq!(lines.len(), usize::from(rows));
        // Services differ, and so do servers of one: ports are there to the last digit.
        let of_services: Vec<&str> = lines.iter().copied().filter(|line| line.contains("TCP")).collect();
        let addresses: std::collections::BTreeSet<&str> = of_services
            .iter()
            .map(|line| line.split("TCP").nth(1).unwrap().trim_start().split(' ').next().unwrap())
            .collect();
        assert_eq!(addresses.len(), of_services.len(), "{screen}");
        assert!(
            addresses.iter().all(|address| address.ends_with("]:443") || address.ends_with("]:8443")),
            "{screen}"
        );
        // The keys end with a whole word.
        let keys = lines.last().unwrap();
        assert!(keys.starts_with("q quit  ? help") && keys.chars().count() <= columns.into(), "{screen}");
        // Whatever it is sorted by is seen.
        for _ in 0..9 {
            world.press("s");
            let screen = world.screen();
            let by = screen.split("  by ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
            let heading = screen.lines().find(|line| line.starts_with("address ")).unwrap().to_owned();
            assert!(heading.split_whitespace().any(|title| title == by), "{by}:\n{screen}");
        }
        while !world.screen().contains("by address") {
            world.press("s");
        }
    }
    if std::env::var_os("UPDATE_SCREENS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/watch/tests/sizes.txt");
        std::fs::write(path, &screens).unwrap();
    }
    assert!(screens == SCREENS, "src/watch/tests/sizes.txt should be, if this is better:\n{screens}");
}

/// What a terminal sends when the left button is pressed, column and row counted from 1.
fn click(column: u16, row: u16) -> String {
    format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")
}

#[test]
fn the_mouse_selects_sorts_and_scrolls() {
    let mut world = World::new(80, 24).with_services(9, 3);
    world.read(0, 0);
    let row_of = |world: &mut World, text: &str| {
        let screen = world.screen();
        let at =
            screen.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}\n{screen}"));
        u16::try_from(at).unwrap() + 1
    };
    // A row, and the screen stays as it is.
    let before = world.screen();
    let row = row_of(&mut world, "10.0.2.3:80");
    world.press(&click(7, row));
    assert_eq!((world.selected().as_str(), world.screen()), ("10.0.2.3:80", before.clone()));
    let row = row_of(&mut world, "192.0.2.4:80");
    world.press(&click(70, row));
    assert_eq!((world.selected().as_str(), world.screen()), ("TCP 192.0.2.4:80", before.clone()));
    // The title, the keys and places without a row do nothing.
    for row in [1, 4, 24, 25, 100] {
        world.press(&click(3, row));
    }
    assert_eq!((world.selected().as_str(), world.screen()), ("TCP 192.0.2.4:80", before));
    // The wheel moves three rows, and the table below the screen comes up.
    world.press("\x1b[<65;3;9M");
    assert_eq!(world.selected(), "10.0.4.3:80");
    world.press("\x1b[<64;3;9M");
    assert_eq!(world.selected(), "TCP 192.0.2.4:80");
    for _ in 0..20 {
        world.press("\x1b[<65;3;9M");
    }
    assert_eq!(world.selected(), "10.0.9.3:80");
    assert!(world.screen().contains("192.0.2.9:80") && !world.screen().contains("192.0.2.1:80"));
    // A heading sorts, and again, the other way.
    let heading = row_of(&mut world, "weight active");
    let line = world.line("weight active");
    let at = u16::try_from(line.find("active").unwrap()).unwrap() + 1;
    world.press(&click(at, heading));
    assert!(world.screen().contains("by active  "), "{}", world.screen());
    world.press(&click(at, heading));
    assert!(world.screen().contains("by active, reversed"), "{}", world.screen());
    // On a page of lines the wheel scrolls, and a click does nothing.
    assert_eq!(world.press("?"), Then::Draw);
    let help = world.screen();
    world.press(&click(3, 9));
    assert_eq!(world.screen(), help);
    world.press("\x1b[<65;3;9M");
    let scrolled = world.screen();
    assert_eq!(scrolled.lines().nth(4), help.lines().nth(7), "{scrolled}");
    world.press("\x1b[<64;3;9M");
    assert_eq!(world.screen(), help);
}
