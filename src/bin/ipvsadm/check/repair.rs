//! `--check --fix`: carries out fixes that can be undone, one by one, and checks again after each.

use std::collections::HashSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use super::finding::Finding;
use super::fixes::run;
use super::undo::{self, Undo};
use super::{persist, show, terminal_width};
use crate::command::{Check, Fix};
use crate::format::command_line_inside as command_line;
use crate::messages::{self, Failure, Result};
use crate::netns;

/// What a check finds, and the table that it has seen; none on a real server.
pub(crate) struct Seen {
    pub(crate) findings: Vec<Finding>,
    pub(crate) table: Option<ipvs::Table>,
    /// A program fills the table by its own configuration, so nobody else changes it.
    pub(crate) is_managed: bool,
}

/// Carries out what it may, and prints what is left. The status is that of a check afterwards.
pub(crate) fn repair(
    mut look: impl FnMut() -> Result<Seen>,
    check: &Check,
    fix: Fix,
    out: &mut impl Write,
) -> Result<()> {
    if !fix.yes && !io::stdin().is_terminal() {
        return Err(messages::value(messages::FIX_WITHOUT_TERMINAL));
    }
    let written = |error: io::Error| super::unwritten(&error);
    let mut seen = look()?;
    let (mut tried, mut done) = (HashSet::new(), Vec::new());
    loop {
        let is_new = |finding: &&Finding| !tried.contains(&(finding.id, finding.at.clone()));
        let is_allowed = |undos: &Vec<Undo>| !(seen.is_managed && undos.contains(&Undo::Table));
        let mut new = seen.findings.iter().filter(is_new);
        let next = new.find_map(|it| Some((it.clone(), undo::of(&it.fix).filter(is_allowed)?)));
        let Some((finding, undos)) = next else { break };
        tried.insert((finding.id, finding.at.clone()));
        announce(&finding, out).map_err(written)?;
        if !fix.yes {
            match ask(out).map_err(written)? {
                Answer::Yes => {}
                Answer::No => continue,
                Answer::End => break,
            }
        }
        let files: Vec<Option<String>> =
            undos.iter().filter_map(file_of).map(|path| undo::keep_file(&path)).collect();
        if files.contains(&None) {
            writeln!(out, "  not done: the file cannot be copied before").map_err(written)?;
            break;
        }
        let is_run = run(&finding.fix);
        let after = look()?;
        let undos = without_unchanged(undos, &finding.fix);
        let back = commands_back(&undos, files, &seen, &after);
        let is_there = after.findings.iter().any(|it| (it.id, &it.at) == (finding.id, &finding.at));
        seen = after;
        report(&back, is_run && !is_there, out).map_err(written)?;
        if is_there || !is_run {
            break;
        }
        done.push(finding.fix);
    }
    if fix.persist {
        persist::persist(&done, check, out)?;
    }
    let is_well = seen.findings.is_empty();
    rest(seen.findings, out).map_err(written)?;
    if is_well { Ok(()) } else { Err(Failure::reported(super::STATUS_FINDINGS)) }
}

fn file_of(undo: &Undo) -> Option<PathBuf> {
    if let Undo::File(path) = undo { Some(path.clone()) } else { None }
}

enum Answer {
    Yes,
    No,
    /// No more answers come.
    End,
}

fn announce(finding: &Finding, out: &mut impl Write) -> io::Result<()> {
    let Finding { id, at, what, fix, .. } = finding;
    let [at, what] = [at, what].map(|words| messages::printable(words));
    writeln!(out, "{id}: {at}\n  {what}\n    {}", netns::command(fix.clone()))
}

fn ask(out: &mut impl Write) -> io::Result<Answer> {
    write!(out, "  carry this out? [y/N] ")?;
    out.flush()?;
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        writeln!(out)?;
        return Ok(Answer::End);
    }
    let is_yes = matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    Ok(if is_yes { Answer::Yes } else { Answer::No })
}

/// What is to be undone: an address, a route or an interface that is as it was needs nothing.
fn without_unchanged(mut undos: Vec<Undo>, fix: &str) -> Vec<Undo> {
    for (undo, now) in undos.iter_mut().zip(undo::of(fix).unwrap_or_default()) {
        let of_ip =
            matches!(undo, Undo::Commands(all) if all.iter().all(|command| command.starts_with("ip ")));
        if of_ip && *undo == now {
            *undo = Undo::Commands(Vec::new());
        }
    }
    undos
}

/// The commands that undo a fix, the last part first.
fn commands_back(undos: &[Undo], files: Vec<Option<String>>, before: &Seen, after: &Seen) -> Vec<String> {
    let mut files = files.into_iter().flatten();
    let of_table = || match (&after.table, &before.table) {
        (Some(after), Some(before)) => after.diff(before).iter().map(command_line).collect(),
        _ => Vec::new(),
    };
    let mut back: Vec<String> = Vec::new();
    for undo in undos {
        let commands = match undo {
            Undo::Commands(commands) => commands.clone(),
            Undo::Table => of_table(),
            Undo::File(_) => files.next().into_iter().collect(),
        };
        let new: Vec<String> = commands.into_iter().filter(|command| !back.contains(command)).collect();
        back.splice(0..0, new);
    }
    back
}

fn report(back: &[String], helped: bool, out: &mut impl Write) -> io::Result<()> {
    let how = if helped { "done" } else { "carried out, and did not help: nothing more is done" };
    let back = back.join(" && ");
    if back.is_empty() {
        return writeln!(out, "  {how}\n");
    }
    writeln!(out, "  {how}; this undoes it:\n    {}\n", netns::command(back))
}

/// Prints what is left.
fn rest(mut findings: Vec<Finding>, out: &mut impl Write) -> io::Result<()> {
    if findings.is_empty() {
        return out.flush();
    }
    for finding in &mut findings {
        finding.fix = netns::command(std::mem::take(&mut finding.fix));
    }
    writeln!(out, "left to you:\n")?;
    show::show(out, &findings, false, terminal_width())?;
    out.flush()
}
