//! All deliberate differences of this tool from the original. No case is loosened elsewhere.
//!
//! An entry turns the original's outcome into the one required of this tool. It names the heading of
//! `docs/compatibility.md` that explains it, and a case that needs it: an entry whose case no longer needs it fails
//! the suite.

use crate::corpus::{Case, Outcome, VERSION};
use crate::inputs::{
    SHORT, with_last_line_ended, with_plain_prefix, with_short_rows, without_brackets,
    without_byte_order_mark, without_commas, without_comments,
};
use crate::order;

/// One deliberate difference.
pub struct Difference {
    /// A heading of `docs/compatibility.md`.
    pub heading: &'static str,
    /// The id of a case that needs it.
    pub case: &'static str,
    pub rule: Rule,
}

pub enum Rule {
    /// This tool must treat this case as the original treats the one returned.
    Takes(fn(&Case) -> Option<Case>),
    /// Turns the original's outcome into the required one. This tool's outcome is passed too, for parts that are
    /// free.
    Does(fn(&Case, &Outcome, &Outcome) -> Option<Outcome>),
    /// The original's sentence with this beginning and this end may continue with `: 'WORD'` and a fix; one that
    /// ends in a full stop continues without the colon.
    NamesWord(&'static str, &'static str),
    /// The original's sentence with this beginning and this end may continue with `; ` and a fix.
    NamesRemedy(&'static str, &'static str),
    /// This sentence of the original's may continue with `: 'OBJECT'`, the service or the server that is meant,
    /// and what is there instead.
    NamesObject(&'static str),
}
use Rule::{Does, NamesObject, NamesRemedy, NamesWord, Takes};

const FIXES: &str = "Messages name the word at fault and the fix";
const RESTORE: &str = "Restore reads what people write";
const LINES: &str = "Restore names the line";
const ROWS: &str = "Connections are shown whole";

pub const TABLE: &[Difference] = &[
    Difference { heading: RESTORE, case: "restore-078", rule: Takes(without_byte_order_mark) },
    Difference { heading: RESTORE, case: "restore-015", rule: Takes(without_comments) },
    Difference { heading: RESTORE, case: "restore-034", rule: Takes(with_last_line_ended) },
    Difference { heading: "A list of commas sets no flags", case: "addr-144", rule: Takes(without_commas) },
    Difference { heading: "A port after brackets is kept", case: "addr-064", rule: Takes(without_brackets) },
    Difference {
        heading: "Prefix lengths do not wrap around",
        case: "edge-026",
        rule: Takes(with_plain_prefix),
    },
    Difference { heading: ROWS, case: "conn-linelen-256", rule: Takes(with_short_rows) },
    Difference { heading: ROWS, case: "conn-linelen-257-pc", rule: Does(whole_rows) },
    Difference { heading: "Connections of a service", case: "conn-filter-001", rule: Does(some_connections) },
    Difference { heading: "The help text differs", case: "popt-002", rule: Does(free_help) },
    Difference { heading: "A second line of -v", case: "popt-008", rule: Does(own_version) },
    Difference { heading: "Large firewall marks", case: "list-060", rule: Does(unsigned_marks) },
    Difference { heading: "The order of lists", case: "fmt-001", rule: Does(strict_order) },
    Difference {
        heading: "Names are saved if they resolve back",
        case: "save-names-001",
        rule: Does(no_ipv6_names_saved),
    },
    Difference {
        heading: "Warnings about a change that may be a mistake",
        case: "prec-135",
        rule: Does(with_readings),
    },
    Difference {
        heading: "Warnings about a change that may be a mistake",
        case: "dest-084",
        rule: Does(with_warnings),
    },
    Difference { heading: LINES, case: "restore-008", rule: Does(numbered_lines) },
    Difference {
        heading: "Restore reports every refusal",
        case: "restore-051",
        rule: Does(refusals_in_status),
    },
    Difference { heading: FIXES, case: "opts-016", rule: NamesWord("illegal ", " specified") },
    Difference {
        heading: FIXES,
        case: "opts-020",
        rule: NamesWord("Scheduler or persistence engine not found", ""),
    },
    Difference {
        heading: FIXES,
        case: "dest-069",
        rule: NamesWord("Invalid operation.  ", "not unicast, ..."),
    },
    Difference { heading: FIXES, case: "cmd-037", rule: NamesWord("Numerical result out of range", "") },
    Difference { heading: FIXES, case: "cmd-104", rule: NamesWord("No such device", "") },
    Difference { heading: FIXES, case: "cause-001", rule: NamesWord("Network is unreachable", "") },
    Difference { heading: FIXES, case: "popt-010", rule: NamesWord("Try `", "for more information.") },
    Difference { heading: FIXES, case: "addr-002", rule: NamesRemedy("Zero port specified for ", "service") },
    Difference { heading: FIXES, case: "addr-078", rule: NamesWord("Zero port specified for ", "service") },
    Difference { heading: FIXES, case: "popt-051", rule: NamesRemedy("-", ": unknown option") },
    Difference { heading: FIXES, case: "popt-022", rule: NamesRemedy("-", ": missing argument") },
    Difference { heading: FIXES, case: "popt-005", rule: NamesRemedy("You need to supply the '", "") },
    Difference { heading: FIXES, case: "dest-118", rule: NamesRemedy("Illegal '", "") },
    Difference { heading: FIXES, case: "dest-110", rule: NamesRemedy("The option '", "") },
    Difference { heading: FIXES, case: "popt-011", rule: NamesRemedy("unexpected argument ", "") },
    Difference {
        heading: FIXES,
        case: "popt-036",
        rule: NamesRemedy("invalid timeout value `", "' specified"),
    },
    Difference {
        heading: FIXES,
        case: "opts-075",
        rule: NamesRemedy("invalid fwmark value `", "' specified"),
    },
    Difference { heading: FIXES, case: "cmd-112", rule: NamesRemedy("invalid ", "'") },
    Difference { heading: FIXES, case: "addr-131", rule: NamesRemedy("incompatible scheduler flag `", "'") },
    Difference { heading: FIXES, case: "popt-076", rule: NamesRemedy("multiple '", "' options specified") },
    Difference {
        heading: FIXES,
        case: "addr-101",
        rule: NamesRemedy("One-Packet Scheduling is only for UDP virtual services", ""),
    },
    Difference {
        heading: FIXES,
        case: "dest-129",
        rule: NamesRemedy("Tunnel options conflict with forward method", ""),
    },
    Difference {
        heading: FIXES,
        case: "cmd-070",
        rule: NamesRemedy("--set option requires 3 timeout values", ""),
    },
    Difference { heading: FIXES, case: "opts-068", rule: NamesRemedy("-6 used before -f", "") },
    Difference {
        heading: FIXES,
        case: "list-029",
        rule: NamesRemedy("options conflicts in the list command", ""),
    },
    Difference { heading: FIXES, case: "cmd-014", rule: NamesObject("No such service") },
    Difference { heading: FIXES, case: "dest-056", rule: NamesObject("Service not defined") },
    Difference { heading: FIXES, case: "cmd-034", rule: NamesObject("No such destination") },
    Difference { heading: FIXES, case: "restore-008", rule: NamesObject("Service already exists") },
    Difference { heading: FIXES, case: "dest-053", rule: NamesObject("Destination already exists") },
];

/// The headings of `docs/compatibility.md` used in the table.
pub fn headings() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|difference| difference.heading)
}

/// The ids of the cases used in the table.
pub fn cases() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|difference| difference.case)
}

/// The case as this tool treats it, if that differs from the original.
pub fn rewritten(case: &Case) -> Option<Case> {
    let mut taken = None;
    for difference in TABLE {
        if let Takes(rewrite) = difference.rule {
            taken = rewrite(taken.as_ref().unwrap_or(case)).or(taken);
        }
    }
    taken
}

fn whole_rows(case: &Case, expected: &Outcome, _: &Outcome) -> Option<Outcome> {
    let file = case.connections.filter(|_| with_short_rows(case).is_some())?;
    let mut stdout = String::new();
    // The listing has two header lines, the file one.
    for (line, row) in expected.stdout.lines().zip([""].into_iter().chain(file.split("\\n"))) {
        let (before, shown) = line.rsplit_once(' ').unwrap_or(("", line));
        let data = row.rsplit(' ').next().unwrap_or_default();
        let cut = row.len() > SHORT && data.starts_with(shown);
        let line = if cut { format!("{before} {data}") } else { line.to_owned() };
        stdout = stdout + &line + "\n";
    }
    Some(Outcome { stdout, ..expected.clone() })
}

/// `-L -c` takes a service and a real server, where the original refuses them. Another option may still be wrong.
fn some_connections(case: &Case, expected: &Outcome, got: &Outcome) -> Option<Outcome> {
    const REFUSALS: [&str; 2] = [
        "The option 'service-address' conflicts with the 'connection' option in the 'list' command\n",
        "Illegal 'real-server' option with the 'list' command\n",
    ];
    const OTHERS: [&str; 3] = ["Illegal '", "The option '", "options conflicts in the list command"];
    let word_has =
        |word: &String, letter| word.starts_with('-') && !word.starts_with("--") && word.contains(letter);
    let lists = case.args.iter().any(|word| word == "--connection" || word_has(word, 'c'));
    if !lists || !REFUSALS.contains(&expected.stderr.as_str()) || REFUSALS.contains(&got.stderr.as_str()) {
        return None;
    }
    if got.code == expected.code && OTHERS.iter().any(|start| got.stderr.starts_with(start)) {
        return Some(Outcome { stderr: got.stderr.clone(), ..expected.clone() });
    }
    let engine = if case.args.iter().any(|word| word == "--persistent-conn") {
        "        pe name          pe_data"
    } else {
        ""
    };
    let stdout = format!(
        "IPVS connection entries\npro expire state       source             virtual            destination{engine}\n"
    );
    Some(Outcome { code: 0, stdout, stderr: String::new(), ..expected.clone() })
}

/// Everything after the version line of the help is free; it lists options that the original lacks.
fn free_help(_: &Case, expected: &Outcome, got: &Outcome) -> Option<Outcome> {
    let recorded = expected.with_help_of(got);
    if recorded != *expected {
        return Some(recorded);
    }
    let start = format!("{VERSION}Usage:\n");
    let before = expected.stdout.get(..expected.stdout.find(&start)?)?;
    let help = got.stdout.strip_prefix(before)?.strip_prefix(VERSION)?;
    help.contains("Usage:").then(|| Outcome { stdout: got.stdout.clone(), ..expected.clone() })
}

/// The original's version line is followed by one with this tool's name and version.
fn own_version(_: &Case, expected: &Outcome, _: &Outcome) -> Option<Outcome> {
    const OWN: &str = concat!("ipvsadm-rs ", env!("CARGO_PKG_VERSION"), " (Rust)\n");
    let at = expected.stdout.find(VERSION)? + VERSION.len();
    let (before, after) = expected.stdout.split_at_checked(at)?;
    (!after.starts_with(OWN)).then(|| Outcome { stdout: [before, OWN, after].concat(), ..expected.clone() })
}

/// Marks from 2^31 on are shown as unsigned numbers.
fn unsigned_marks(_: &Case, expected: &Outcome, _: &Outcome) -> Option<Outcome> {
    if !expected.stdout.contains("FWM  -") && !expected.stdout.contains(" -f -") {
        return None;
    }
    let stdout = expected.stdout.split_inclusive('\n').map(|line| {
        let start = ["FWM  -", "-A -f -", "-a -f -"].into_iter().find(|start| line.starts_with(start))?;
        let (number, rest) = line.get(start.len()..)?.split_once([' ', '\n'])?;
        let mark = number.parse::<u32>().ok()?.wrapping_neg();
        let end = line.get(line.len() - rest.len() - 1..)?;
        Some(format!("{}{mark}{end}", start.strip_suffix('-')?))
    });
    let stdout =
        stdout.zip(expected.stdout.split_inclusive('\n')).map(|(new, old)| new.unwrap_or(old.into()));
    Some(Outcome { stdout: stdout.collect(), ..expected.clone() })
}

/// Addresses and marks are compared as unsigned numbers; the original's comparison wraps around.
fn strict_order(case: &Case, expected: &Outcome, _: &Outcome) -> Option<Outcome> {
    let input = case.stdin.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let unsorted = input.contains("--nosort") || case.args.iter().any(|word| word == "--nosort");
    (!unsorted).then(|| Outcome { stdout: order::sorted(&expected.stdout), ..expected.clone() })
}

/// Names of IPv6 addresses do not resolve back: this tool saves the addresses, and says so.
fn no_ipv6_names_saved(_: &Case, expected: &Outcome, got: &Outcome) -> Option<Outcome> {
    const SAID: &str = "saved as numbers: these names do not resolve back to the same address or port: ";
    const NAMES: [(&str, &str); 2] = [("rs6", "[2001:db8::a1]"), ("vip6", "[2001:db8::80]")];
    let mut left_out = Vec::new();
    let mut line_saved = |line: &str| {
        let is_saved = line.starts_with("-A ") || line.starts_with("-a ");
        NAMES.iter().filter(|_| is_saved).fold(line.to_owned(), |line, (name, address)| {
            let named = format!("[{name}]:");
            if line.contains(&named) {
                left_out.push(*name);
            }
            line.replace(&named, &format!("{address}:"))
        })
    };
    let stdout = expected.stdout.split_inclusive('\n').map(&mut line_saved).collect();
    let mut stderr: Vec<&str> = expected.stderr.split_inclusive('\n').collect();
    for (index, line) in got.stderr.split_inclusive('\n').enumerate() {
        let names = line.strip_prefix(SAID).map(str::trim_end);
        if names.is_some_and(|names| names.split(", ").all(|name| left_out.contains(&name))) {
            stderr.insert(index.min(stderr.len()), line);
        }
    }
    (!left_out.is_empty()).then(|| Outcome { stdout, stderr: stderr.concat(), ..expected.clone() })
}

/// A single change may be followed by a warning. Which: `tests/cli/warnings.rs`.
fn with_warnings(case: &Case, expected: &Outcome, got: &Outcome) -> Option<Outcome> {
    const CHANGES: [&str; 8] =
        ["-A", "-a", "-e", "-E", "--add-service", "--add-server", "--edit-server", "--edit-service"];
    let change = case.args.first().is_some_and(|first| {
        CHANGES.iter().any(|change| first == change || (change.len() == 2 && first.starts_with(change)))
    });
    let only_warnings = got.stderr.lines().all(|line| line.starts_with("warning: "));
    let is_done = expected.code == 0 && expected.stdout.is_empty() && expected.stderr.is_empty();
    (change && is_done && only_warnings).then(|| Outcome { stderr: got.stderr.clone(), ..expected.clone() })
}

/// A change that was made may be followed by how its addresses were read, where that may surprise.
fn with_readings(case: &Case, expected: &Outcome, got: &Outcome) -> Option<Outcome> {
    let is_reading = |line: &str| line.starts_with("warning: '") && line.contains("' was read as ");
    let are_readings = !got.stderr.is_empty() && got.stderr.lines().all(is_reading);
    let is_done = expected.code == 0 && expected.stdout.is_empty() && expected.stderr.is_empty();
    (are_readings && is_done && !case.restores())
        .then(|| Outcome { stderr: got.stderr.clone(), ..expected.clone() })
}

/// Messages of `-R` about a line begin with `line N: `.
fn numbered_lines(case: &Case, expected: &Outcome, got: &Outcome) -> Option<Outcome> {
    let input = case.stdin.as_deref().filter(|_| case.restores())?;
    let count = input.split(|byte| *byte == b'\n').count();
    let mut last = 0;
    let mut stderr = String::new();
    for (line, got) in expected.stderr.lines().zip(got.stderr.lines()) {
        if let Some(number) = line_number(got)
            && (last + 1..=count).contains(&number)
        {
            stderr = format!("{stderr}line {number}: {line}\n");
            last = number;
        } else {
            stderr = stderr + line + "\n";
        }
    }
    let same_length = expected.stderr.lines().count() == got.stderr.lines().count();
    same_length.then(|| Outcome { stderr, ..expected.clone() })
}

fn line_number(line: &str) -> Option<usize> {
    line.strip_prefix("line ")?.split_once(": ")?.0.parse().ok()
}

/// `-R` ends with 255 if a line was refused, even if later lines succeeded.
fn refusals_in_status(case: &Case, expected: &Outcome, got: &Outcome) -> Option<Outcome> {
    let refused = case.restores() && expected.code == 0 && !expected.stderr.is_empty();
    // `-h` and `-v` in the input end the run with 0.
    let ended = expected.stdout.contains(VERSION) && got.code == 0;
    (refused && !ended).then(|| Outcome { code: 255, ..expected.clone() })
}

/// A line of this tool may continue after the original's sentence, if the word that it quotes was given.
pub fn continued(
    case: &Case,
    expected: &Outcome,
    got: &Outcome,
    (start, end): (&str, &str),
    joints: &[&str],
) -> Outcome {
    let mut stderr = String::new();
    let mut lines = got.stderr.lines();
    for line in expected.stderr.lines() {
        let got = lines.next().unwrap_or_default();
        let sentence = line_number(line).and_then(|_| line.split_once(": ")).map_or(line, |(_, rest)| rest);
        let known = sentence.starts_with(start) && sentence.ends_with(end);
        let more = got.strip_prefix(line).filter(|more| joints.iter().any(|joint| more.starts_with(joint)));
        let honest = more.is_some_and(|more| more.starts_with("; ") || given(case, more));
        stderr = stderr + if known && honest { got } else { line } + "\n";
    }
    Outcome { stderr, ..expected.clone() }
}

/// A line may continue with an object and what is there instead.
pub fn with_object(expected: &Outcome, got: &Outcome, sentence: &str) -> Outcome {
    let mut stderr = String::new();
    let mut lines = got.stderr.lines();
    for line in expected.stderr.lines() {
        let got = lines.next().unwrap_or_default();
        let known =
            line_number(line).and_then(|_| line.split_once(": ")).map_or(line, |(_, rest)| rest) == sentence;
        let object = got.strip_prefix(line).and_then(|more| more.strip_prefix(": '")?.split_once("'; "));
        let honest = object.is_some_and(|(object, fix)| is_object(object) && !fix.is_empty());
        stderr = stderr + if known && honest { got } else { line } + "\n";
    }
    Outcome { stderr, ..expected.clone() }
}

/// Whether a text names a service or a server.
fn is_object(text: &str) -> bool {
    text.parse::<ipvs::ServiceId>().is_ok() || text.parse::<std::net::SocketAddr>().is_ok()
}

/// Whether the word quoted in a message is one of those given.
fn given(case: &Case, more: &str) -> bool {
    // Control characters are shown as numbers, so only the part before them is compared.
    let quoted = more.trim_start_matches(':').trim_start_matches(" '");
    let word = quoted.split(['\'', '\\']).next().unwrap_or_default();
    // A word of more than 256 characters is cut.
    let word = word.strip_suffix("...").filter(|start| start.chars().count() == 256).unwrap_or(word);
    let input = case.stdin.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    input.contains(word) || case.args.iter().any(|arg| arg.contains(word))
}
