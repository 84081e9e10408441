//! The table of options as a clap command, for the help, the manual page and the completions; and the help, of everything or
//! of one command.

use rustix::termios::tcgetwinsize;

use crate::cli::matrix;
use crate::option_table::{Arity, Heading, OPTIONS, OptionKey, OptionSpec};

/// The help as it fits on the terminal: of everything, or of one command with the options that it takes.
pub(crate) fn text(program: &str, command: Option<OptionKey>) -> String {
    text_in(width(), program, command)
}

fn text_in(width: usize, program: &str, command: Option<OptionKey>) -> String {
    let usage = |entry: &&Usage| command.is_none_or(|command| entry.0.contains(&command));
    let lines: Vec<String> =
        USAGE.iter().filter(usage).map(|(_, rest)| wrapped(&format!("ipvsadm {rest}"), width)).collect();
    let service = format!("\n{}", folded(SERVICE, width));
    let clap = match command {
        None => clap(program.to_owned()),
        Some(command) => clap_of(program, command),
    };
    let usage = lines.join("\n       ") + &service;
    clap.override_usage(usage).term_width(width).next_line_help(width < 72).render_help().to_string()
}

/// The columns of the terminal, or those that `COLUMNS` says; 80 elsewhere.
fn width() -> usize {
    const WIDTHS: std::ops::RangeInclusive<usize> = 44..=120;
    let terminal = tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let width = terminal.filter(|columns| *columns > 0).or_else(said).unwrap_or(80_usize);
    width.clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// A line of the usage in the width, broken between options, under a title of seven columns.
fn wrapped(line: &str, width: usize) -> String {
    const TITLE: usize = "Usage: ".len();
    const INDENT: &str = "         ";
    let mut text = String::new();
    let mut column = TITLE;
    for option in options(line) {
        if column + 1 + option.len() > width && column > TITLE {
            text.push_str("\n       ");
            text.push_str(INDENT);
            column = TITLE + INDENT.len();
        } else if column > TITLE {
            text.push(' ');
            column += 1;
        }
        text.push_str(&option);
        column += option.len();
    }
    text
}

/// The words of a usage line; what is in brackets is one, if it is not longer than a narrow terminal.
fn options(line: &str) -> Vec<String> {
    const LONGEST: usize = 24;
    let (mut words, mut depth): (Vec<String>, usize) = (Vec::new(), 0);
    for word in line.split(' ') {
        match words.last_mut().filter(|last| depth > 0 && last.len() + word.len() < LONGEST) {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => words.push(word.to_owned()),
        }
        depth = (depth + word.matches('[').count()).saturating_sub(word.matches(']').count());
    }
    words
}

/// A text in the width.
fn folded(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// As `clap`, with the options of one command.
fn clap_of(program: &str, command: OptionKey) -> clap::Command {
    let changes = matrix::takes(command, OptionKey::DryRun);
    let goes_with = |spec: &&OptionSpec| match (spec.checked_as, spec.key) {
        (Some(option), _) => matrix::takes(command, option),
        (None, OptionKey::Ipv6) => matrix::takes(command, OptionKey::ServiceAddress),
        (None, OptionKey::Sort) => matrix::takes(command, OptionKey::NoSort),
        (None, OptionKey::Quiet) => changes || command == OptionKey::Drain,
        (None, OptionKey::Netns) => true,
        (None, key) => key == command,
    };
    clap_with(program.to_owned(), OPTIONS.iter().filter(goes_with).collect())
}

/// The table of options as a clap command.
pub(crate) fn clap(program: String) -> clap::Command {
    clap_with(program, OPTIONS.iter().collect())
}

fn clap_with(program: String, specs: Vec<&'static OptionSpec>) -> clap::Command {
    let mut specs: Vec<&OptionSpec> = specs.into_iter().filter(|spec| spec.heading.is_some()).collect();
    specs.sort_by_key(|spec| spec.heading);
    let arguments = specs.into_iter().map(|spec| {
        let argument = clap::Arg::new(spec.name).long(spec.name).help(spec.help);
        let argument = argument.help_heading(spec.heading.map(title));
        let mut letters = spec.letters.chars();
        let argument = match letters.next() {
            Some(letter) => argument.short(letter).short_aliases(letters),
            None => argument,
        };
        match spec.arity {
            Arity::Nothing if spec.key == OptionKey::Set => {
                argument.num_args(3).value_names(["TCP", "TCPFIN", "UDP"])
            }
            Arity::Nothing => argument.action(clap::ArgAction::SetTrue),
            Arity::Value(name) => argument.value_name(name).allow_hyphen_values(true),
            Arity::Optional(name) => argument.value_name(name).num_args(0..=1),
        }
    });
    clap::Command::new("ipvsadm")
        .bin_name(program)
        .about("Administers Linux IPVS, the kernel's layer-4 load balancer.")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(arguments)
}

fn title(heading: Heading) -> &'static str {
    match heading {
        Heading::Commands => "Commands",
        Heading::Service => "Virtual service",
        Heading::Server => "Real server",
        Heading::Listing => "Listing",
        Heading::Changes => "Changing",
        Heading::Saving => "Saving and restoring",
        Heading::Draining => "Drain options",
        Heading::Checking => "Check options",
        Heading::Explaining => "Explain options",
        Heading::Watching => "Watch options",
        Heading::Sync => "Sync daemon",
        Heading::All => "Everywhere",
    }
}

/// Some commands, and the words that are typed with one of them.
type Usage = (&'static [OptionKey], &'static str);

const USAGE: &[Usage] = &[
    (
        &[OptionKey::AddService, OptionKey::EditService],
        "-A|-E SERVICE [-s NAME] [-p [SECONDS]] [-M NETMASK] [--pe NAME] [-o] [-b FLAGS]",
    ),
    (&[OptionKey::DeleteService], "-D SERVICE"),
    (
        &[OptionKey::AddServer, OptionKey::EditServer],
        "-a|-e SERVICE -r SERVER [-g|-i|-m] [-w WEIGHT] [-x COUNT] [-y COUNT] [--tun-type TYPE ...]",
    ),
    (&[OptionKey::DeleteServer], "-d SERVICE -r SERVER"),
    (&[OptionKey::List], "-L [-n] [SERVICE | -c | --timeout | --daemon] [--stats | --rate | --json | ...]"),
    (&[OptionKey::Save], "-S [-n | --full | --json] [--file PATH]"),
    (&[OptionKey::Restore], "-R [--replace] [--json] [--file PATH]"),
    (&[OptionKey::Restore], "-R --apply|--diff [--only SERVICE ... | --only-listed] [--json] [--file PATH]"),
    (&[OptionKey::Clear], "-C"),
    (&[OptionKey::Zero], "-Z [SERVICE]"),
    (&[OptionKey::Set], "--set TCP TCPFIN UDP"),
    (&[OptionKey::StartDaemon], "--start-daemon STATE [--mcast-interface INTERFACE] [--syncid NUMBER] ..."),
    (&[OptionKey::StopDaemon], "--stop-daemon STATE [--syncid NUMBER]"),
    (&[OptionKey::Drain], "--drain [SERVICE] -r SERVER [--wait SECONDS] [--ignore-inactive] [--force]"),
    (&[OptionKey::Undrain], "--undrain [SERVICE] [-r SERVER]"),
    (&[OptionKey::Watch], "--watch [SECONDS] [SERVICE] [--count NUMBER]"),
    (&[OptionKey::Check], "--check [--fix [--yes] [--persist]] [--probe] [--json] [--file PATH]"),
    (&[OptionKey::Check], "--check -r VIP [-g|-i|-m] [--director ADDRESS] [--port PORT] [--json]"),
    (
        &[OptionKey::Explain],
        "--explain CLIENT[:PORT] SERVICE [-r SERVER] [--without SERVER [-w WEIGHT]] [--json]",
    ),
    (&[OptionKey::Help], "--help [COMMAND]"),
];

const SERVICE: &str = "SERVICE is -t|-u|--sctp-service ADDRESS:PORT, or -f MARK [-6]; an IPv6 address stands in brackets. \
    The command comes first.";

#[cfg(test)]
mod tests;
