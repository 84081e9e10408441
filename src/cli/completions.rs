//! The options in the completions of `packaging/completions`, made of the table of options, the rules for combinations
//! and the options of the siblings. `UPDATE_MANUAL=1 IPVS_LAB_INSIDE=no cargo test --bin ipvsadm manual` writes them.

use std::fmt::Write;

use crate::cli::generated::is_made;
use crate::cli::matrix;
use crate::cli::siblings::Sibling;
use crate::option_table::{Arity, Heading, OPTIONS, OptionKey, OptionSpec};

const BEGIN: &str = "# BEGIN OF THE TABLE\n";
const END: &str = "# END OF THE TABLE\n";

fn options() -> impl Iterator<Item = &'static OptionSpec> {
    OPTIONS.iter().filter(|spec| spec.heading.is_some())
}

/// The commands and siblings that an option goes with; `command` for a command.
fn with(spec: &OptionSpec) -> Vec<&'static str> {
    let example = match (spec.checked_as, spec.heading) {
        (Some(key), _) => Some(key),
        // Those that the rules do not check go with what others of their heading go with.
        (None, Some(Heading::Service)) => Some(OptionKey::ServiceAddress),
        (None, Some(Heading::Listing)) => Some(OptionKey::NoSort),
        (None, Some(Heading::Changes | Heading::All)) => Some(OptionKey::DryRun),
        _ => None,
    };
    let has_options = |key| !matches!(key, OptionKey::Help | OptionKey::Version);
    let takes = |command: &&OptionSpec| {
        command.is_command()
            && has_options(command.key)
            && (spec.key == OptionKey::Netns
                || example.is_some_and(|example| matrix::takes(command.key, example)))
    };
    let commands = options().filter(takes).map(|command| command.name);
    let command = spec.is_command().then_some("command");
    command.into_iter().chain(commands).chain(Sibling::with(spec.key)).collect()
}

/// One row for each option: name, letters, value, group, the commands that it goes with, and help.
fn table() -> String {
    options().fold(String::new(), |mut rows, spec| {
        let OptionSpec { name, letters, help, .. } = spec;
        let value = match spec.arity {
            Arity::Nothing => String::new(),
            Arity::Value(value) => value.to_owned(),
            Arity::Optional(value) => format!("{value}?"),
        };
        let group = spec.checked_as.filter(|group| *group != spec.key).map_or("", OptionKey::name);
        let fields = [*name, *letters, &value, group, &with(spec).join(","), *help];
        assert!(!fields.iter().any(|field| field.contains(['|', '\n'])), "{fields:?}");
        let _ = writeln!(rows, "{}", fields.join("|"));
        rows
    })
}

/// The same as fish has it: the commands by their letters, and a line for each option.
fn fish() -> String {
    let mut made = "function __ipvsadm_letter\n    switch $argv[1]\n".to_owned();
    for command in options().filter(|spec| spec.is_command() && !spec.letters.is_empty()) {
        let letters: Vec<String> = command.letters.chars().map(String::from).collect();
        let _ = writeln!(made, "        case {}\n            echo {}", letters.join(" "), command.name);
    }
    made += "    end\nend\n";
    for program in ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"] {
        let _ = writeln!(made, "complete -c {program} -f");
    }
    for spec in options() {
        let (programs, commands): (Vec<_>, Vec<_>) =
            with(spec).into_iter().partition(|command| command.starts_with("ipvsadm-"));
        let condition = match commands[..] {
            ["command"] if spec.arity != Arity::Nothing => format!("__ipvsadm_with \"\" {}", spec.name),
            ["command"] => "__ipvsadm_with \"\"".to_owned(),
            _ => format!("__ipvsadm_with {}", commands.join(" ")),
        };
        let letters: Vec<String> = spec.letters.chars().map(|letter| format!(" -s {letter}")).collect();
        let letters = letters.concat();
        let value = match spec.arity {
            Arity::Nothing => String::new(),
            Arity::Optional(_) => format!(" -a '(__ipvsadm_values {})'", spec.name),
            Arity::Value("PATH") => format!(" -r -F -a '(__ipvsadm_values {})'", spec.name),
            Arity::Value(_) => format!(" -x -a '(__ipvsadm_values {})'", spec.name),
        };
        let rest = format!("{letters} -l {}{value} -d '{}'", spec.name, spec.help.replace('\'', "\\'"));
        let _ = writeln!(made, "complete -c ipvsadm -n '{condition}'{rest}");
        for program in programs {
            let _ = writeln!(made, "complete -c {program}{rest}");
        }
    }
    made
}

#[test]
fn the_completions_are_made_like_the_manual() {
    let of = |shell: &str| format!("packaging/completions/{shell}");
    let made = [("ipvsadm.bash", table()), ("_ipvsadm", table()), ("ipvsadm.fish", fish())];
    let check = |(shell, part): &(&str, String)| is_made(&of(shell), BEGIN, END, part);
    // All are written before one is reported.
    let failed = made.iter().filter(|made| std::panic::catch_unwind(|| check(made)).is_err()).count();
    assert_eq!(failed, 0);
}
