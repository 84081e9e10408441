//! The view of a table in memory: what it shows at every size, after every key, and what it asks for.

mod sizes;
mod world;

use ipvs::{Destination, ForwardingMethod, Service, ServiceId};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::input::Then;
use super::keys::Key;
use super::rows;
use super::theme::Theme;
use super::view::Page;
use world::{World, id, server};

#[test]
fn services_and_servers_are_shown_with_their_rates_and_shares() {
    let mut world = World::new(88, 20).with_services(2, 2);
    world.traffic("TCP 192.0.2.1:80", "10.0.1.1:80", 3, 6, 100);
    world.traffic("TCP 192.0.2.1:80", "10.0.1.2:80", 0, 3, 50);
    world.read(0, 150);
    world.screen();
    world.traffic("TCP 192.0.2.1:80", "10.0.1.1:80", 3, 6, 140);
    world.read(2, 190);
    let screen = world.screen();
    let expected = "\
IPVS 1.2.1  2 services  by address  every 2 s
connections/s      20                                                                  █
packets/s         200                                                                  █
bytes/s         20000                                                                  █
address                      method  weight active inact conn/s pkt/s bytes/s share
 ▾ TCP  192.0.2.1:80         wrr                 3     9      -     -       -
    10.0.1.1:80              Masq         1      3     6     20   200   20000 ███▊   75%
    10.0.1.2:80              Masq         1      0     3      -     -       - █▎     25%
 ▾ TCP  192.0.2.2:80         wrr                 0     0      -     -       -
    10.0.2.1:80              Masq         1      0     0      -     -       -
    10.0.2.2:80              Masq         1      0     0      -     -       -








q quit  ? help  / filter  s sort  Enter service  c connections  Space fold  f fold all";
    assert_eq!(screen.trim_end(), expected, "\n{screen}");
    world.read(3, 190);
    assert!(world.line("10.0.1.2:80").contains(" 0     0       0 █"), "{}", world.screen());
}

#[test]
fn changes_are_marked_for_a_while_with_colours_or_without() {
    let mut world = World::new(88, 24).with_services(3, 2);
    world.read(0, 0);
    world.screen();
    let web = id("TCP 192.0.2.1:80");
    world.add(&web, "10.0.1.3");
    let lighter =
        Destination::new("10.0.1.2".parse().unwrap(), 80, ForwardingMethod::Masquerade).with_weight(7);
    world.client.edit_destination(&web, &lighter).unwrap();
    world.client.delete_destination(&web, &server("10.0.1.1:80")).unwrap();
    world.client.delete_service(&id("TCP 192.0.2.2:80")).unwrap();
    for number in [1, 2] {
        let zero =
            Destination::new(format!("10.0.3.{number}").parse().unwrap(), 80, ForwardingMethod::Masquerade);
        world.client.edit_destination(&id("TCP 192.0.2.3:80"), &zero.with_weight(0)).unwrap();
    }
    world.client.add_service(&Service::new(id("TCP 192.0.2.4:80"), "rr".parse().unwrap())).unwrap();
    world.read(2, 0);
    for (text, start) in [
        ("10.0.1.3:80", "+   10.0.1.3:80"),
        ("10.0.1.2:80", "~   10.0.1.2:80"),
        ("10.0.1.1:80", "-   10.0.1.1:80"),
        ("192.0.2.2:80", "-▾ TCP  192.0.2.2:80"),
        ("192.0.2.3:80", "!▾ TCP  192.0.2.3:80"),
        ("192.0.2.4:80", "!▾ TCP  192.0.2.4:80"),
    ] {
        let line = world.line(text);
        assert!(line.starts_with(start), "{line}");
    }
    assert!(world.line("10.0.1.2:80").contains(" 1→7 "));
    assert!(world.has_color("192.0.2.3:80", Color::Red) && world.has_color("10.0.1.3:80", Color::Green));
    assert!(world.has_color("10.0.1.2:80", Color::Yellow));
    world.theme = Theme::new(false, true);
    let buffer_has_color = |world: &mut World| {
        world.screen();
        world
            .terminal
            .backend()
            .buffer()
            .content
            .iter()
            .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(!buffer_has_color(&mut world));
    assert!(world.screen().is_ascii(), "{}", world.screen());
    assert!(world.line("192.0.2.3:80").starts_with('!') && world.line("10.0.1.2:80").contains(" 1>7 "));
    // Ten seconds later nothing is marked, and what is gone is not shown.
    for _ in 0..6 {
        world.read(2, 0);
        world.screen();
    }
    let screen = world.screen();
    assert!(!screen.contains("10.0.1.1:80") && !screen.contains("192.0.2.2:80"), "{screen}");
    assert!(world.line("10.0.1.3:80").starts_with("    10.0.1.3"), "{screen}");
    assert!(world.line("192.0.2.3:80").starts_with('!'), "{screen}");
}

#[test]
fn only_servers_on_the_screen_are_asked_for() {
    let mut world = World::new(80, 24).with_services(200, 2);
    world.read(0, 0);
    world.screen();
    // 18 rows: six services with two servers each.
    let first: Vec<ServiceId> = (1..=6).map(|number| id(&format!("TCP 192.0.2.{number}:80"))).collect();
    assert_eq!(world.asked, first);
    world.press("\x1b[F");
    world.screen();
    assert_eq!(world.asked.len(), 12, "{:?}", world.asked);
    world.read(2, 0);
    world.screen();
    assert_eq!(world.asked.len(), 6, "{:?}", world.asked);
    world.press("f");
    world.read(2, 0);
    world.screen();
    assert_eq!(world.asked.len(), 18, "{:?}", world.asked);
}

#[test]
fn the_selection_moves_over_all_rows_and_stays_with_its_row() {
    let mut world = World::new(80, 24).with_services(9, 2);
    world.read(0, 0);
    assert_eq!(world.selected(), "TCP 192.0.2.1:80");
    world.press("j\x1b[B");
    assert_eq!(world.selected(), "10.0.1.2:80");
    world.press("jk");
    assert_eq!(world.selected(), "10.0.1.2:80");
    world.press("G");
    assert_eq!(world.selected(), "10.0.9.2:80");
    let screen = world.screen();
    assert!(screen.lines().nth(22).unwrap().contains("10.0.9.2:80"), "{screen}");
    world.press("\x1b[5~");
    assert_eq!(world.selected(), "TCP 192.0.2.4:80");
    world.press("g");
    assert_eq!(world.selected(), "TCP 192.0.2.1:80");
    // The selected service goes: the next one takes its place.
    world.press("jjj");
    assert_eq!(world.selected(), "TCP 192.0.2.2:80");
    world.client.delete_service(&id("TCP 192.0.2.2:80")).unwrap();
    for _ in 0..7 {
        world.read(2, 0);
        world.screen();
    }
    assert_eq!(world.selected(), "TCP 192.0.2.3:80");
    world.client.flush().unwrap();
    for _ in 0..7 {
        world.read(2, 0);
        world.screen();
    }
    assert!(world.screen().contains("no virtual services"), "{}", world.screen());
}

#[test]
fn rows_are_sorted_by_any_column() {
    let mut world = World::new(88, 24).with_services(3, 2);
    let totals = |world: &World, rounds: u64| {
        world.traffic("TCP 192.0.2.2:80", "10.0.2.2:80", 9, 0, 60 * rounds);
        world.traffic("TCP 192.0.2.2:80", "10.0.2.1:80", 4, 8, 20 * rounds);
    };
    totals(&world, 0);
    world.read(0, 0);
    world.screen();
    totals(&world, 1);
    world.read(2, 0);
    let order = |world: &mut World| {
        let screen = world.screen();
        let lines = screen.lines().filter(|line| line.contains("10.0.2."));
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (first, second) = ("10.0.2.1:80", "10.0.2.2:80");
    for (column, expected) in [
        ("method", [first, second]),
        ("weight", [first, second]),
        ("active", [second, first]),
        ("inact", [first, second]),
        ("conn/s", [second, first]),
        ("pkt/s", [second, first]),
        ("bytes/s", [second, first]),
        ("share", [first, second]),
        ("address", [first, second]),
    ] {
        world.press("s");
        assert_eq!(order(&mut world), expected, "{column}");
        assert!(world.screen().contains(&format!("  by {column}  ")), "{}", world.screen());
        let reversed: Vec<&str> = if column == "method" || column == "weight" {
            expected.to_vec() // alike
        } else {
            expected.iter().rev().copied().collect()
        };
        world.press("r");
        assert_eq!(order(&mut world), reversed, "{column}");
    }
    assert!(world.screen().lines().nth(5).unwrap().contains("192.0.2.3:80"), "{}", world.screen());
    world.press("rS");
    assert!(world.screen().contains("  by share  "));
}

#[test]
fn the_filter_works_as_it_is_typed() {
    let mut world = World::new(80, 24).with_services(12, 1);
    world.client.add_service(&Service::new(id("UDP 192.0.2.1:53"), "sh".parse().unwrap())).unwrap();
    world.read(0, 0);
    let shown = |world: &mut World| world.screen().lines().filter(|line| line.contains("▾")).count();
    world.press("/2.1");
    assert_eq!(shown(&mut world), 5);
    assert!(world.screen().contains("5 of 13 services: 2.1") && world.screen().contains("filter: 2.1"));
    world.press("2");
    assert_eq!(shown(&mut world), 1);
    world.press("\x7f:\r");
    assert_eq!(shown(&mut world), 2);
    // A letter is a key again.
    assert_eq!(world.press("q"), Then::Quit);
    world.press("/\x15uDp\r");
    assert_eq!(shown(&mut world), 1);
    world.press("/x");
    assert!(world.screen().contains("no service matches"), "{}", world.screen());
    assert_eq!(world.press("\x1b"), Then::Draw);
    world.press("/sh\r");
    assert_eq!(shown(&mut world), 1);
    world.press("\x1b");
    assert_eq!(shown(&mut world), 9);
}

#[test]
fn services_fold_one_by_one_and_together() {
    let mut world = World::new(80, 24).with_services(3, 2);
    world.read(0, 0);
    world.press("j ");
    let screen = world.screen();
    assert!(
        !screen.contains("10.0.1.1") && screen.contains("▸ TCP  192.0.2.1:80") && screen.contains("10.0.2.1"),
        "{screen}"
    );
    assert_eq!(world.selected(), "TCP 192.0.2.1:80");
    world.press("f");
    assert!(!world.screen().contains("10.0."), "{}", world.screen());
    world.press(" ");
    assert!(world.screen().contains("10.0.1.1") && !world.screen().contains("10.0.2."), "{}", world.screen());
    world.press("f");
    assert!(world.screen().contains("10.0.2.1"), "{}", world.screen());
}

#[test]
fn other_pages_open_over_the_table() {
    let mut world = World::new(80, 40).with_services(2, 2);
    world.traffic("TCP 192.0.2.1:80", "10.0.1.1:80", 3, 6, 100);
    world.read(0, 0);
    assert_eq!(world.press("?"), Then::Draw);
    assert!(world.screen().contains("Ctrl-Z") && world.screen().contains("Esc back"), "{}", world.screen());
    assert_eq!(world.press("\x1b"), Then::Read);
    assert_eq!((world.press("c"), world.view.page()), (Then::Draw, Page::Table));
    assert_eq!(world.press("\r"), Then::Read);
    let screen = world.screen();
    for text in ["scheduler   wrr", "-> 10.0.1.1:80", "Masq, weight 1", "3 active, 6 inactive, 0 persistent"]
    {
        assert!(screen.contains(text), "{screen}");
    }
    assert!(screen.contains("connections            100        -/s"), "{screen}");
    world.press("jjj");
    assert!(!world.screen().contains("TCP  192.0.2.1:80"), "{}", world.screen());
    assert_eq!((world.press("\x1b"), world.view.page()), (Then::Read, Page::Table));
    assert_eq!(world.press("jc"), Then::Read);
    assert_eq!(world.view.page(), Page::Connections(id("TCP 192.0.2.1:80"), server("10.0.1.1:80")));
    assert_eq!(world.press("q"), Then::Quit);
    assert_eq!(world.press("\x03"), Then::Quit);
    assert_eq!(world.press("\x1a"), Then::Suspend);
}

#[test]
fn rates_are_known_at_once_when_servers_return_to_the_screen() {
    let mut world = World::new(80, 24).with_services(40, 2);
    world.read(0, 0);
    world.screen();
    world.press("G");
    for _ in 0..3 {
        world.read(2, 0);
        world.screen();
    }
    world.traffic("TCP 192.0.2.1:80", "10.0.1.1:80", 0, 0, 80);
    world.press("g");
    world.read(2, 0);
    assert!(world.line("10.0.1.1:80").contains(" 10   100   10000"), "{}", world.screen());
}

#[test]
fn a_failure_is_shown_until_a_reading_succeeds() {
    let mut world = World::new(40, 10).with_services(1, 1);
    world.read(0, 0);
    world.model.failure =
        Some("Can't initialize ipvs: Protocol not available; its module was unloaded".to_owned());
    let screen = world.screen();
    assert!(screen.contains("Can't initialize ipvs") && screen.contains("unloaded"), "{screen}");
    assert!(screen.contains("trying again every 2 s") && !screen.contains("192.0.2.1"), "{screen}");
    world.read(2, 0);
    assert!(world.screen().contains("192.0.2.1:80"), "{}", world.screen());
}

#[test]
fn the_least_screen_shows_a_table_and_a_smaller_one_says_so() {
    let mut world = World::new(40, 10).with_services(3, 2);
    world.traffic("TCP 192.0.2.1:80", "10.0.1.1:80", 3, 6, 100);
    world.read(0, 0);
    let screen = world.screen();
    let expected = "\
IPVS 1.2.1  3 services  by address  ever
- conn/s  - pkt/s  - bytes/s
address                    active conn/s
 ▾ TCP  192.0.2.1:80            3      -
    10.0.1.1:80                 3      -
    10.0.1.2:80                 0      -
 ▾ TCP  192.0.2.2:80            0      -
    10.0.2.1:80                 0      -
    10.0.2.2:80                 0      -
q quit  ? help  / filter  s sort";
    assert_eq!(screen, expected, "\n{screen}");
    for (columns, rows) in [(39, 10), (40, 9), (7, 1)] {
        world.terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        let screen = world.screen();
        let text = format!("{columns}x{rows} is too small: 40x10");
        let cut: String = text.chars().take(columns.into()).collect();
        assert_eq!(screen.trim_end(), cut.trim_end());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_keys_at_no_size_make_it_panic(
        keys in prop::collection::vec(prop::sample::select(&b"jkgGfsSrc/?2: \r\x1b\x7f"[..]), 0..40),
        pages in prop::collection::vec(prop_oneof![
            prop::sample::select(&[Key::PageUp, Key::PageDown, Key::Home, Key::End, Key::WheelUp, Key::WheelDown][..]),
            (0..140_u16, 0..50_u16).prop_map(|(column, row)| Key::Click(column, row)),
        ], 0..6),
        columns in 1..130_u16, rows in 1..40_u16, services in 0..9_u8, servers in 0..5_u8
    ) {
        let mut world = World::new(columns, rows).with_services(services, servers);
        world.read(0, 0);
        for (at, key) in keys.iter().enumerate() {
            world.press(&char::from(*key).to_string());
            world.screen();
            if at % 8 == 7 {
                for page in &pages {
                    world.press_one(*page);
                }
                world.client.flush().unwrap();
                world = world.with_services(servers, services);
                world.read(2, 0);
            }
        }
        let height = world.height();
        let (rows, selected) = world.with_reader(|view, model, read| rows::visible(view, model, read, height));
        prop_assert!(rows.len() <= height && (selected < rows.len() || rows.is_empty() && selected == 0));
    }
}
