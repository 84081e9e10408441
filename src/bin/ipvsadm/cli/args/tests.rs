//! The table, the walk and the help agree.

use clap::parser::ValueSource;
use proptest::prelude::*;

use super::*;
use crate::cli::lexer::Walk;

#[test]
fn clap_finds_the_table_in_order() {
    clap("ipvsadm".into()).debug_assert();
}

#[test]
fn the_columns_stand_in_their_order() {
    assert!(OptionKey::ALL.is_sorted());
}

proptest! {
    #[test]
    fn the_help_describes_what_the_walk_takes(rows in prop::sample::subsequence(OPTIONS.iter().collect::<Vec<_>>(), 1..20)) {
        let typed = |row: &&Row| match row.takes {
            _ if row.opt == Opt::Set => format!("--{} 1 2 3", row.long),
            Nothing => format!("--{}", row.long),
            Value(_) | Perhaps(_) => format!("--{}=7", row.long),
        };
        let line: Vec<String> = rows.iter().map(typed).collect();
        let line = line.join(" ");
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mut walk = Walk::new(&words);
        let walked: Vec<&str> = std::iter::from_fn(|| walk.next_option().unwrap()).map(|given| given.row.long).collect();
        let matches = clap("ipvsadm".into()).try_get_matches_from(["ipvsadm"].into_iter().chain(line.split(' '))).unwrap();
        let given = |row: &&Row| matches.value_source(row.long) == Some(ValueSource::CommandLine);
        prop_assert_eq!(walked, OPTIONS.iter().filter(given).map(|row| row.long).collect::<Vec<_>>());
    }
}
