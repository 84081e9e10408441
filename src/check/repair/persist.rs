//! `--fix --persist`: what must outlive a reboot.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use ipvs::Change;

use super::keep::keep_file;
use super::run;
use crate::check::facts::saved;
use crate::check::failure::unwritten;
use crate::check::fix::{Fix, Setting, Step};
use crate::command::Check;
use crate::files::atomic_file;
use crate::messages::{self, Result};
use crate::netns;
use crate::shell;

/// Read after the files of others, so that its values are in effect.
const SETTINGS: &str = "/etc/sysctl.d/99-zz-ipvsadm.conf";
/// What is loaded at boot, before settings are set.
const MODULES: &str = "/etc/modules-load.d/ipvsadm.conf";
/// The settings of IPVS are there once its module is.
const OF_IPVS: &str = "net/ipv4/vs/";

/// Writes the settings, the modules and the table of fixes that were carried out, and says which files, and what else is lost
/// with a reboot.
pub(super) fn persist(done: &[Fix], check: &Check, out: &mut impl Write) -> Result<()> {
    let steps = || done.iter().flat_map(|fix| &fix.0);
    let settings: Vec<&Setting> = steps()
        .filter_map(|step| if let Step::Sysctl(settings) = step { Some(settings) } else { None })
        .flatten()
        .collect();
    let mut modules: Vec<&str> =
        steps().filter_map(|step| if let Step::Module(name) = step { Some(*name) } else { None }).collect();
    if settings.iter().any(|setting| setting.path.starts_with(OF_IPVS)) {
        modules.insert(0, "ip_vs");
    }
    // What is of a network namespace is made by whoever makes it.
    let is_own = netns::etc().is_some_and(|etc| etc == Path::new("/etc"));
    if is_own {
        // First, so that no setting is written that is lost at boot.
        if !modules.is_empty() {
            write_file(Path::new(MODULES), |text| with_modules(text, &modules), out)?;
        }
        if !settings.is_empty() {
            write_file(Path::new(SETTINGS), |text| with_settings(text, &settings), out)?;
        }
    } else {
        for name in &modules {
            say(out, format_args!("until the reboot only: {}", Step::Module(name)))?;
        }
    }
    if !is_own && !settings.is_empty() {
        let names: Vec<String> = settings.iter().map(ToString::to_string).collect();
        say(out, format_args!("until the network namespace is made anew only: {}", names.join(" ")))?;
    }
    let changes = || steps().filter_map(Step::change);
    let takes_out = |change: Change| matches!(change, Change::EditDestination { destination, .. } if destination.weight == 0);
    if changes().any(takes_out) {
        say(out, format_args!("the table is not saved: it has servers with weight 0 that may come back"))?;
    } else if changes().next().is_some() {
        save_table(check, out)?;
    }
    for fix in done.iter().filter(|fix| fix.0.iter().any(|step| !outlives_reboot(step))) {
        // With what it depends on: never take an address that another machine has.
        let lost: Fix =
            fix.0.iter().filter(|step| !outlives_reboot(step) || is_condition(step)).cloned().collect();
        say(out, format_args!("until the reboot only: {lost}"))?;
    }
    Ok(())
}

fn say(out: &mut impl Write, line: std::fmt::Arguments<'_>) -> Result<()> {
    writeln!(out, "{line}").map_err(|error| unwritten(&error))
}

/// Whether the step is still in effect after a reboot, once `persist` has written its files, or changes nothing.
fn outlives_reboot(step: &Step) -> bool {
    match step {
        Step::Sysctl(_)
        | Step::Module(_)
        | Step::Table(_)
        | Step::SchedulerFlags(_)
        | Step::Drain { .. }
        | Step::NewServer(_)
        | Step::NewDaemon(_)
        | Step::Save(_)
        | Step::Copy(_)
        | Step::Restore(_)
        | Step::CommentOut { .. }
        | Step::NobodyHas { .. }
        | Step::Restart(_)
        | Step::Remote(_)
        | Step::Look(_) => true,
        Step::Address(_)
        | Step::Renew { .. }
        | Step::Link { .. }
        | Step::Route(_)
        | Step::Rule { .. }
        | Step::GuePort { .. }
        | Step::Iptables(_)
        | Step::Firewall(_) => false,
    }
}

fn is_condition(step: &Step) -> bool {
    matches!(step, Step::NobodyHas { .. })
}

fn save_table(check: &Check, out: &mut impl Write) -> Result<()> {
    let Some(path) = check.file.clone().or_else(saved::usual_place) else { return Ok(()) };
    let quoted = shell::quoted(path.as_os_str().as_bytes());
    let result = match keep_file(&path) {
        Ok(back) => run::run(&Step::Save(path).into()).map(|()| back),
        Err(error) => Err(messages::reason(&error)),
    };
    match result {
        Ok(back) => {
            say(out, format_args!("written: {quoted}; this undoes it:\n    {}", netns::command(back)))
        }
        Err(reason) => say(out, format_args!("not written: {quoted}: {}", messages::printable(&reason))),
    }
}

/// Writes a file of the system anew. One that cannot be read is left as it is.
fn write_file(path: &Path, change: impl Fn(&[u8]) -> Vec<u8>, out: &mut impl Write) -> Result<()> {
    let old = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let reason = messages::reason(&error);
            return say(out, format_args!("not written: {}: it cannot be read: {reason}", path.display()));
        }
        Ok(text) => text,
    };
    let new = change(&old);
    // Whatever the umask is.
    let made =
        path.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o755).create(folder));
    made.and_then(|()| atomic_file::write_public(path, &new))
        .map_err(|error| atomic_file::failure(error.into(), path))?;
    say(out, format_args!("written: {}", path.display()))
}

const HEADING: &[u8] = b"# written by ipvsadm --check --fix --persist";

/// The lines of a file, with a heading if there are none; what is no UTF-8 stays as it is.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return vec![HEADING.to_vec()];
    }
    text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn joined(mut lines: Vec<Vec<u8>>) -> Vec<u8> {
    lines.push(Vec::new());
    lines.join(&b'\n')
}

/// A file of settings, in which some have new values.
fn with_settings(text: &[u8], settings: &[&Setting]) -> Vec<u8> {
    let new: BTreeMap<&str, &Setting> =
        settings.iter().map(|setting| (setting.path.as_str(), *setting)).collect();
    let is_old = |line: &Vec<u8>| {
        let name = line.split(|byte| *byte == b'=').next().filter(|name| name.len() < line.len());
        let name = name.and_then(|name| std::str::from_utf8(name.trim_ascii()).ok());
        name.is_some_and(|name| new.contains_key(path_of(name.trim_start_matches('-')).as_str()))
    };
    let mut lines = lines(text);
    lines.retain(|line| !is_old(line));
    lines.extend(new.values().map(|setting| format!("{} = {}", setting.name(), setting.value).into_bytes()));
    joined(lines)
}

/// The path of a setting that a file names, as sysctl reads it: the first separator says which of the two is one.
fn path_of(name: &str) -> String {
    match name.find(['.', '/']).and_then(|at| name.get(at..=at)) {
        Some(".") => name
            .chars()
            .map(|char| match char {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

/// A file of modules, with some more.
fn with_modules(text: &[u8], modules: &[&str]) -> Vec<u8> {
    let mut lines = lines(text);
    for name in modules {
        if !lines.iter().any(|line| line.trim_ascii() == name.as_bytes()) {
            lines.push(name.as_bytes().to_vec());
        }
    }
    joined(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &[u8], settings: &[(&str, u32)]) -> String {
        let settings: Vec<Setting> = settings
            .iter()
            .map(|(path, value)| Setting { path: (*path).to_owned(), value: *value })
            .collect();
        let new = with_settings(text, &settings.iter().collect::<Vec<_>>());
        new.iter().map(|byte| char::from(*byte)).collect()
    }

    #[test]
    fn settings_replace_those_of_before() {
        let first = with(b"", &[("net/ipv4/ip_forward", 1), ("net/ipv4/conf/eth0.7/rp_filter", 2)]);
        let heading = "# written by ipvsadm --check --fix --persist\n";
        assert_eq!(first, format!("{heading}net/ipv4/conf/eth0.7/rp_filter = 2\nnet.ipv4.ip_forward = 1\n"));
        let second = with(first.as_bytes(), &[("net/ipv4/conf/eth0.7/rp_filter", 0)]);
        assert_eq!(second, format!("{heading}net.ipv4.ip_forward = 1\nnet/ipv4/conf/eth0.7/rp_filter = 0\n"));
        assert_eq!(with(b"# x\na.a = 1\n", &[("b/b", 2)]), "# x\na.a = 1\nb.b = 2\n");
        // By whatever name.
        let dotted = b"net.ipv4.conf.eth0/7.rp_filter=1\n-net.ipv4.ip_forward = 0\nnet/ipv4/ip_forward=0\n";
        let new = with(dotted, &[("net/ipv4/conf/eth0.7/rp_filter", 0), ("net/ipv4/ip_forward", 1)]);
        assert_eq!(new, "net/ipv4/conf/eth0.7/rp_filter = 0\nnet.ipv4.ip_forward = 1\n");
    }

    #[test]
    fn what_is_no_utf8_stays() {
        let text = b"# caf\xe9\nnet.ipv4.vs.conntrack = 1\nnet.ipv4.conf.\xff.rp_filter = 1\n";
        let new = with(text, &[("net/ipv4/ip_forward", 1)]);
        let expected = "# caf\u{e9}\nnet.ipv4.vs.conntrack = 1\nnet.ipv4.conf.\u{ff}.rp_filter = 1\nnet.ipv4.ip_forward = 1\n";
        assert_eq!(new, expected);
        // Nor is an empty line, or one without its end, lost.
        assert_eq!(with(b"\n\na.a = 1", &[("b/b", 2)]), "\n\na.a = 1\nb.b = 2\n");
    }

    #[test]
    fn modules_are_named_once() {
        let of =
            |text: &str, modules: &[&str]| String::from_utf8(with_modules(text.as_bytes(), modules)).unwrap();
        let first = of("", &["ip_vs", "ipip"]);
        assert_eq!(first, "# written by ipvsadm --check --fix --persist\nip_vs\nipip\n");
        assert_eq!(of(&first, &["ip_vs", "fou"]), first.clone() + "fou\n");
        assert_eq!(of(&first, &["ipip"]), first);
    }
}
