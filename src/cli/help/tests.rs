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

#[test]
fn the_help_fits_on_every_terminal_in_whole_words() {
    let commands = || OPTIONS.iter().filter(|spec| spec.is_command()).map(|spec| Some(spec.key));
    for (width, command) in [44, 60, 80, 100, 120]
        .into_iter()
        .flat_map(|width| commands().chain([None]).map(move |command| (width, command)))
    {
        let help = text_in(width, "ipvsadm", command);
        let long = help.lines().find(|line| line.chars().count() > width);
        assert_eq!(long, None, "{command:?} in {width} columns:\n{help}");
        let shown: Vec<&str> = help.split_whitespace().collect();
        let known =
            OPTIONS.iter().filter(|spec| spec.heading.is_some() && command.is_none_or(|key| key == spec.key));
        for spec in known {
            let lost = spec.help.split_whitespace().find(|word| !shown.contains(word));
            assert_eq!(lost, None, "{} in {width} columns:\n{help}", spec.name);
        }
    }
}

#[test]
fn the_help_of_a_command_has_its_options_and_no_others() {
    let has = |command: OptionKey, option: &str| {
        let help = text_in(80, "ipvsadm", Some(command));
        help.lines().any(|line| line.split_whitespace().any(|word| word == option))
    };
    for (command, own, others) in [
        (OptionKey::Check, ["--probe", "--persist"], "--wait"),
        (OptionKey::Drain, ["--wait", "--force"], "--probe"),
        (OptionKey::Watch, ["--count", "--numeric"], "--scheduler"),
        (OptionKey::AddServer, ["--weight", "--tun-type"], "--scheduler"),
    ] {
        assert!(own.iter().all(|option| has(command, option)) && !has(command, others), "{command:?}");
        assert!(has(command, "--netns"));
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
