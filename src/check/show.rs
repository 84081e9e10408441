//! Prints findings, for people and for programs.

use std::io::{self, Write};

use tabled::Table;
use tabled::builder::Builder;
use tabled::settings::Style;

use super::finding::Finding;
use crate::json;
use crate::lines::wrapped;
use crate::messages;

/// Writes the findings: as a table, or nothing if there are none; or as an array of JSON objects. If the table is too
/// wide for a terminal of `width`, each finding is a block.
pub(crate) fn show(
    out: &mut impl Write,
    findings: &[Finding],
    as_json: bool,
    width: Option<usize>,
) -> io::Result<()> {
    if as_json {
        json::write(&mut *out, &findings)?;
        return writeln!(out);
    }
    if findings.is_empty() {
        return Ok(());
    }
    let groups = groups(findings);
    let table = table(&groups).to_string();
    match width {
        Some(width) if table.lines().any(|line| line.trim_end().chars().count() > width) => {
            blocks(out, &groups, width)
        }
        _ => table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end())),
    }
}

/// How many findings of a kind are printed one by one at most.
const EACH: usize = 4;
/// How many are shown as examples if there are more.
const EXAMPLES: usize = 3;

/// Findings of one kind, as they are printed.
struct Group<'a> {
    id: &'a str,
    /// Where it is: one place, or their number and some of them.
    at: Vec<String>,
    text: String,
    /// The commands, and after some of many a comment.
    commands: Vec<String>,
}

/// Finding by finding; but many of a kind become one, where the first of them is.
fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut kinds: Vec<(&str, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        match kinds.iter_mut().find(|(id, _)| *id == finding.id) {
            Some((_, same)) => same.push(finding),
            None => kinds.push((finding.id, vec![finding])),
        }
    }
    let many = |id: &str| kinds.iter().find(|(kind, same)| *kind == id && same.len() > EACH);
    let mut groups = Vec::new();
    for finding in findings {
        match many(finding.id) {
            None => groups.push(group(finding.id, &[finding])),
            Some((id, same)) if same.first().is_some_and(|first| std::ptr::eq(*first, finding)) => {
                groups.push(group(id, same));
            }
            Some(_) => {}
        }
    }
    groups
}

fn group<'a>(id: &'a str, same: &[&'a Finding]) -> Group<'a> {
    let places: Vec<String> = same.iter().map(|finding| messages::printable(&finding.at)).collect();
    let at = match &places[..] {
        [place] => vec![place.clone()],
        places => std::iter::once(format!("{} places:", places.len())).chain(some(places, "")).collect(),
    };
    let (what, why) = same.first().map_or(("", ""), |first| (first.what.as_str(), first.why));
    let is_same = same.iter().all(|finding| finding.what == what);
    let example = if is_same { "" } else { "for example: " };
    let mut commands: Vec<String> = Vec::new();
    for finding in same {
        let command = finding.fix.command();
        if !commands.contains(&command) && commands.len() <= EACH {
            commands.push(command);
        }
    }
    if commands.len() > EACH {
        commands.truncate(EXAMPLES);
        commands.push("# and so on: --check --json has each".to_owned());
    }
    // The words of a command are already quoted, so no character is hidden in it.
    Group { id, at, text: format!("{example}{}; {why}", messages::printable(what)), commands }
}

/// All of a few places, or the first of many and the number of the others.
fn some<'a>(all: &'a [String], front: &'a str) -> impl Iterator<Item = String> + 'a {
    let shown = if all.len() > EACH { EXAMPLES } else { all.len() };
    let rest = (shown < all.len()).then(|| format!("{front}and {} more", all.len() - shown));
    all.iter().take(shown).cloned().chain(rest)
}

fn table(groups: &[Group]) -> Table {
    const PROSE: usize = 48;
    let mut builder = Builder::default();
    builder.push_record(["finding", "at", "what is wrong, and why it matters", "fix"]);
    for Group { id, at, text, commands } in groups {
        // Commands are not wrapped, so that they can be copied.
        builder.push_record([*id, &at.join("\n"), &wrapped(text, PROSE).join("\n"), &commands.join("\n")]);
    }
    let mut table = builder.build();
    table.with(Style::psql());
    table
}

/// Each finding as lines: the id and the place, the prose, the commands.
fn blocks(out: &mut impl Write, groups: &[Group], width: usize) -> io::Result<()> {
    for (number, Group { id, at, text, commands }) in groups.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{id}: {}", at.first().map_or("", |place| place))?;
        at.iter().skip(1).try_for_each(|place| writeln!(out, "    {place}"))?;
        wrapped(text, width.saturating_sub(2)).iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        for command in commands {
            broken(command, width.saturating_sub(4))
                .iter()
                .try_for_each(|line| writeln!(out, "    {line}"))?;
        }
    }
    Ok(())
}

/// A command that is longer than a width, broken after `&&` and `||` that are not in quotes: a shell reads on there.
fn broken(command: &str, width: usize) -> Vec<String> {
    if command.chars().count() <= width {
        return vec![command.to_owned()];
    }
    let mut lines = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for word in command.split_inclusive(' ') {
        if let Some(line) = lines.last_mut() {
            *line += word;
        }
        for character in word.chars() {
            match character {
                '\'' if !is_escaped => is_quoted = !is_quoted,
                '\\' if !is_escaped && !is_quoted => {
                    is_escaped = true;
                    continue;
                }
                _ => {}
            }
            is_escaped = false;
        }
        if !is_quoted && matches!(word, "&& " | "|| ") {
            lines.push(String::new());
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Severity;
    use crate::check::fix::Fix;

    fn findings() -> [Finding; 2] {
        let finding = |id, at: &str, what: &str, why, fix: &str| Finding {
            id,
            at: at.to_owned(),
            protocol: None,
            service: None,
            server: None,
            severity: Severity::Error,
            what: what.to_owned(),
            why,
            fix: Fix::look(fix),
        };
        [
            finding("first-id", "TCP 192.0.2.1:80", "it is \"so\"", "that follows", "ipvsadm -Z"),
            finding("second-id", "\u{1b}[1m\u{202e}eth0\u{9b}", "x", "y", "ip link"),
        ]
    }

    fn shown(findings: &[Finding], json: bool) -> String {
        shown_in(findings, json, None)
    }

    fn shown_in(findings: &[Finding], json: bool, width: Option<usize>) -> String {
        let mut out = Vec::new();
        show(&mut out, findings, json, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_each_thing_in_its_place() {
        assert_eq!(shown(&[], false), "");
        let rows = [
            " finding   | at                                | what is wrong, and why it matters | fix",
            "-----------+-----------------------------------+-----------------------------------+---------------",
            " first-id  | TCP 192.0.2.1:80                  | it is \"so\"; that follows          | ipvsadm -Z",
            " second-id | \\u{1b}[1m\\u{202e}eth0\\u{9b} | x; y                              | ip link",
        ];
        let text = shown(&findings(), false);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<&str> = text.lines().collect();
        for (line, row) in lines.iter().zip(rows).filter(|(line, _)| !line.starts_with('-')) {
            assert_eq!(words(line), words(row));
        }
        assert_eq!(lines.len(), rows.len());
        assert!(lines.iter().all(|line| line.trim_end() == *line), "{text}");
    }

    #[test]
    fn prose_is_wrapped_and_commands_are_not() {
        let [mut finding, _] = findings();
        (finding.what, finding.fix) = ("word ".repeat(40), Fix::look("command ".repeat(40).trim_end()));
        let text = shown(&[finding.clone()], false);
        assert!(text.lines().count() > 5 && text.contains(&finding.fix.to_string()), "{text}");
        // A word that ends where the column ends leaves no blank at the beginning of the next line.
        finding.what = "192.168.1.11 does not answer on eth0 (ip neigh)".to_owned();
        let text = shown(&[finding], false);
        let prose =
            text.lines().filter(|line| line.contains(" | ")).filter_map(|line| line.split('|').nth(2));
        let prose: Vec<&str> = prose.collect();
        assert!(
            prose.len() > 2 && !prose.iter().any(|cell| cell.starts_with("  ") && !cell.trim().is_empty()),
            "{text}"
        );
    }

    #[test]
    fn json_has_each_thing_under_its_name() {
        assert_eq!(shown(&[], true), "[]\n");
        let text = shown(&findings(), true);
        let first = r#"[{"id":"first-id","at":"TCP 192.0.2.1:80","severity":"error","what":"it is \"so\"","why":"that follows","fix":"ipvsadm -Z"},"#;
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains(r#""at":"\u001b[1m\u202eeth0\u009b""#), "{text}");
        let read: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(read[1]["at"], findings()[1].at);
    }

    #[test]
    fn on_a_narrow_terminal_each_finding_is_a_block() {
        let [mut finding, other] = findings();
        finding.what = "word ".repeat(20).trim_end().to_owned();
        finding.fix = Fix::look(format!("{} && ssh 'a && b' || {}", "c".repeat(50), "d".repeat(90)));
        let text = shown_in(&[finding.clone(), other.clone()], false, Some(60));
        let expected = format!(
            "first-id: TCP 192.0.2.1:80\n  {0}\n  {1}; that follows\n    {2} &&\n    ssh 'a && b' ||\n    {3}\n\n\
             second-id: \\u{{1b}}[1m\\u{{202e}}eth0\\u{{9b}}\n  x; y\n    ip link\n",
            "word ".repeat(11).trim_end(),
            "word ".repeat(9).trim_end(),
            "c".repeat(50),
            "d".repeat(90),
        );
        assert_eq!(text, expected);
        // Where there is room it is the table.
        assert_eq!(shown_in(&[finding.clone()], false, Some(400)), shown(&[finding], false));
        assert_eq!(
            shown_in(std::slice::from_ref(&other), true, Some(9)),
            shown(std::slice::from_ref(&other), true)
        );
    }

    #[test]
    fn many_findings_of_a_kind_are_one() {
        let [finding, other] = findings();
        let many = |count: usize, change: fn(&mut Finding, usize)| -> Vec<Finding> {
            let one = |number| {
                let mut finding = finding.clone();
                finding.at = format!("place {number}");
                change(&mut finding, number);
                finding
            };
            (1..=count).map(one).chain([other.clone()]).collect()
        };
        let four = shown(&many(4, |_, _| {}), false);
        assert_eq!(four.lines().count(), 2 + 4 + 1, "{four}");
        let same = shown_in(&many(5, |_, _| {}), false, Some(20));
        assert!(
            same.starts_with("first-id: 5 places:\n    place 1\n    place 2\n    place 3\n    and 2 more\n"),
            "{same}"
        );
        assert_eq!(same.matches("ipvsadm -Z").count(), 1, "{same}");
        let commands = |finding: &mut Finding, number| finding.fix = Fix::look(format!("command {number}"));
        let different = shown(&many(9999, commands), false);
        assert!(different.contains("9999 places:") && different.contains("and 9996 more"), "{different}");
        assert!(different.contains(" command 3\n") && !different.contains(" command 4\n"), "{different}");
        assert!(different.contains("# and so on: --check --json has each") && different.lines().count() < 9);
        let whats = |finding: &mut Finding, number| finding.what = format!("reason {number}");
        assert!(shown(&many(5, whats), false).contains("for example: reason 1; that follows"));
        let read: Vec<serde_json::Value> = serde_json::from_str(&shown(&many(9999, commands), true)).unwrap();
        assert_eq!(read.len(), 10_000);
    }
}
