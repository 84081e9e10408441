//! The table, the lexer and the help agree.

use clap::parser::ValueSource;
use proptest::prelude::*;

use super::*;
use crate::cli::lexer::{Lexer, raw};

#[test]
fn clap_finds_the_table_in_order() {
    clap("ipvsadm".into()).debug_assert();
}

#[test]
fn each_option_is_at_the_place_of_its_key() {
    for (place, spec) in OPTIONS.iter().enumerate() {
        assert_eq!((spec.key as usize, spec.key.name()), (place, spec.name));
    }
}

proptest! {
    #[test]
    fn the_help_describes_what_the_lexer_takes(specs in prop::sample::subsequence(OPTIONS.iter().filter(|spec| spec.heading.is_some()).collect::<Vec<_>>(), 1..20)) {
        let typed = |spec: &&OptionSpec| match spec.arity {
            _ if spec.key == OptionKey::Set => format!("--{} 1 2 3", spec.name),
            Arity::Nothing => format!("--{}", spec.name),
            Arity::Value(_) | Arity::Optional(_) => format!("--{}=7", spec.name),
        };
        let line: Vec<String> = specs.iter().map(typed).collect();
        let line = line.join(" ");
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let words = raw(&words);
        let mut lexer = Lexer::new(&words);
        let parsed: Vec<&str> = std::iter::from_fn(|| lexer.next_option().unwrap()).map(|option| option.spec.name).collect();
        let matches = clap("ipvsadm".into()).try_get_matches_from(["ipvsadm"].into_iter().chain(line.split(' '))).unwrap();
        let is_given = |spec: &&OptionSpec| {
            spec.heading.is_some() && matches.value_source(spec.name) == Some(ValueSource::CommandLine)
        };
        prop_assert_eq!(parsed, OPTIONS.iter().filter(is_given).map(|spec| spec.name).collect::<Vec<_>>());
    }
}
