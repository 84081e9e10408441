//! `--check --fix`: carries out fixes that can be undone, one by one, and checks again after each.

mod keep;
mod persist;
mod run;
mod undo;

use std::collections::HashSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::Mode;
use rustix::process::umask;

use super::failure;
use super::finding::Finding;
use super::fix::{Fix as Steps, Step};
use super::show;
use crate::command::{Check, Fix};
use crate::files::place;
use crate::format::command_line_inside as command_line;
use crate::lines::{terminal_width, wrapped};
use crate::messages::{self, Failure, Result};
use crate::netns;
use keep::keep_file;
use undo::Undo;

/// What a check finds, and the table that it has seen; none on a real server.
pub(crate) struct Seen {
    pub(crate) findings: Vec<Finding>,
    /// What no finding is about because it could not be seen.
    pub(crate) unseen: Vec<String>,
    pub(crate) table: Option<ipvs::Table>,
    /// A program fills the table by its own configuration, or may, so nobody else changes or saves it.
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
    let written = |error: io::Error| failure::unwritten(&error);
    if place::is_closed_or_null(io::stdout()).map_err(written)? {
        return Err(failure::check_failure(messages::FIX_WITHOUT_STDOUT.to_owned()));
    }
    // What is written is root's, and nobody else's to change: the table comes back from it at the next boot.
    umask(umask(Mode::WGRP | Mode::WOTH) | Mode::WGRP | Mode::WOTH);
    let mut seen = look()?;
    let (mut tried, mut done) = (HashSet::new(), Vec::new());
    loop {
        let is_new = |finding: &&Finding| !tried.contains(&(finding.id, finding.at.clone()));
        let is_of_table = |undo: &Undo| matches!(undo, Undo::Table | Undo::File(_));
        let is_allowed = |undos: &Vec<Undo>| !(seen.is_managed && undos.iter().any(is_of_table));
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
        let kept = undos.iter().filter_map(Undo::file).map(keep_file).collect::<io::Result<Vec<String>>>();
        let files = match kept {
            Ok(files) => files,
            Err(error) => {
                let reason = messages::reason(&error);
                writeln!(out, "  not done: the file cannot be copied before: {reason}").map_err(written)?;
                break;
            }
        };
        // Whoever ends this program from here on knows what was done, and how to undo it.
        warn(
            &commands_back(&undos, &files, seen.table.as_ref(), expected(&finding.fix, &seen).as_ref()),
            out,
        )
        .map_err(written)?;
        let result = run::run(&finding.fix);
        let after = look()?;
        let undos = without_unchanged(undos, &finding.fix);
        let back = commands_back(&undos, &files, seen.table.as_ref(), after.table.as_ref());
        let is_there = after.findings.iter().any(|it| (it.id, &it.at) == (finding.id, &finding.at));
        seen = after;
        let helped = result.is_ok() && !is_there;
        report(&back, &result, helped, out).map_err(written)?;
        if !helped {
            break;
        }
        done.push(finding.fix);
    }
    if fix.persist {
        persist::persist(&done, check, out)?;
    }
    failure::report_unseen(&seen.unseen);
    let is_well = seen.findings.is_empty();
    rest(&seen.findings, out).map_err(written)?;
    if is_well { Ok(()) } else { Err(Failure::reported(failure::STATUS_FINDINGS)) }
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
    writeln!(out, "{id}: {at}")?;
    let lines =
        terminal_width().map_or_else(|| vec![what.clone()], |width| wrapped(&what, width.saturating_sub(2)));
    lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    writeln!(out, "    {}", fix.command())
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

/// Says what undoes a fix before it is carried out, and fails if nobody reads it.
fn warn(back: &str, out: &mut impl Write) -> io::Result<()> {
    /// How long a reader that has seen enough may take to end.
    const END: u16 = 100;
    if !back.is_empty() {
        writeln!(out, "  if this is interrupted, undo it by: {}", netns::command(back.to_owned()))?;
    }
    out.flush()?;
    let stdout = io::stdout();
    // A pipe takes what nobody will read.
    let mut reader = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let is_gone = poll(&mut reader, PollTimeout::from(END)).is_ok_and(|count| count > 0)
        && reader[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
    if is_gone { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
}

/// The table as it will be after a fix.
fn expected(fix: &Steps, seen: &Seen) -> Option<ipvs::Table> {
    let mut table = seen.table.clone()?;
    for step in &fix.0 {
        if let Some(change) = step.change() {
            table.change(&change).ok()?;
        }
    }
    Some(table)
}

/// What is to be undone: an address, a route or an interface that is as it was needs nothing, nor does a file that is not there.
fn without_unchanged(mut undos: Vec<Undo>, fix: &Steps) -> Vec<Undo> {
    for (undo, now) in undos.iter_mut().zip(undo::of(fix).unwrap_or_default()) {
        let is_of_ip = |step: &Step| matches!(step, Step::Address(_) | Step::Link { .. } | Step::Route(_));
        let is_as_before = match undo {
            Undo::Steps(all) => all.iter().all(is_of_ip) && *undo == now,
            Undo::File(path) => std::fs::symlink_metadata(path).is_err(),
            Undo::Table => false,
        };
        if is_as_before {
            *undo = Undo::Steps(Vec::new());
        }
    }
    undos
}

/// The commands that undo a fix, the last step first.
fn commands_back(
    undos: &[Undo],
    files: &[String],
    before: Option<&ipvs::Table>,
    after: Option<&ipvs::Table>,
) -> String {
    let mut files = files.iter();
    let of_table = || match (after, before) {
        (Some(after), Some(before)) => after.diff(before).iter().map(command_line).collect(),
        _ => Vec::new(),
    };
    let mut back: Vec<String> = Vec::new();
    for undo in undos {
        let commands = match undo {
            Undo::Steps(steps) => steps.iter().map(Step::to_string).collect(),
            Undo::Table => of_table(),
            Undo::File(_) => files.next().cloned().into_iter().collect(),
        };
        let new: Vec<String> = commands.into_iter().filter(|command| !back.contains(command)).collect();
        back.splice(0..0, new);
    }
    back.join(" && ")
}

fn report(
    back: &str,
    result: &std::result::Result<(), String>,
    helped: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let how = match result {
        Ok(()) if helped => "done",
        Ok(()) => "carried out, and did not help: nothing more is done",
        Err(_) => "not carried out, or not all of it: nothing more is done",
    };
    if let Err(reason) = result {
        writeln!(out, "  {}", messages::printable(reason))?;
    }
    if back.is_empty() {
        return writeln!(out, "  {how}\n");
    }
    writeln!(out, "  {how}; this undoes it:\n    {}\n", netns::command(back.to_owned()))
}

/// Prints what is left.
fn rest(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    if findings.is_empty() {
        return out.flush();
    }
    writeln!(out, "left to you:\n")?;
    show::show(out, findings, false, terminal_width())?;
    out.flush()
}
