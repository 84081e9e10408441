//! `--fix --persist`: what must outlive a reboot.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::fixes::run;
use super::{saved, undo};
use crate::command::Check;
use crate::messages::Result;
use crate::netns;
use crate::rules::atomic_file;
use crate::shell;

/// Read after the files of others, so that its values are in effect.
const SETTINGS: &str = "/etc/sysctl.d/99-zz-ipvsadm.conf";

/// Writes the settings and the table of fixes that were carried out, and says which files, and what else is lost with a
/// reboot.
pub(crate) fn persist(done: &[String], check: &Check, out: &mut impl Write) -> Result<()> {
    let written = |error: io::Error| super::unwritten(&error);
    let parts = || done.iter().flat_map(|fix| fix.split(" && "));
    let settings: Vec<&str> = parts()
        .filter_map(|part| part.strip_prefix("sysctl -w "))
        .flat_map(|settings| settings.split(' '))
        .collect();
    // Those of a network namespace are set by whoever makes it.
    let is_own = netns::etc().is_some_and(|etc| etc == Path::new("/etc"));
    if !settings.is_empty() && !is_own {
        writeln!(out, "until the network namespace is made anew only: {}", settings.join(" "))
            .map_err(written)?;
    } else if !settings.is_empty() {
        let path = Path::new(SETTINGS);
        let text = with_settings(&fs::read_to_string(path).unwrap_or_default(), &settings);
        let fill = |out: &mut dyn Write| Ok(out.write_all(text.as_bytes())?);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).map_err(anyhow::Error::from);
        made.and_then(|()| atomic_file::write_whole(path, fill))
            .map_err(|error| atomic_file::failure(error, path))?;
        writeln!(out, "written: {SETTINGS}").map_err(written)?;
    }
    let is_of_table = |part: &&str| {
        ["ipvsadm -e ", "ipvsadm -E ", "ipvsadm -a ", "ipvsadm --set "]
            .iter()
            .any(|front| part.starts_with(front))
    };
    let changes: Vec<&str> = parts().filter(is_of_table).collect();
    let takes_out = |change: &&str| change.ends_with(" -w 0") || change.contains(" -w 0 ");
    if changes.iter().any(takes_out) {
        writeln!(out, "the table is not saved: it has servers with weight 0 that may come back")
            .map_err(written)?;
    } else if !changes.is_empty() {
        save_table(check, out)?;
    }
    for part in
        parts().filter(|part| part.starts_with("ip ") || part.contains("tables") || part.starts_with("ping "))
    {
        writeln!(out, "until the reboot only: {part}").map_err(written)?;
    }
    Ok(())
}

fn save_table(check: &Check, out: &mut impl Write) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let written = |error: io::Error| super::unwritten(&error);
    let Some(path) = check.file.clone().or_else(saved::usual_place) else { return Ok(()) };
    let back = undo::keep_file(&path);
    let quoted = shell::quoted(path.as_os_str().as_bytes());
    if back.is_some() && run(&format!("ipvsadm -S --full --file {quoted}")) {
        writeln!(out, "written: {quoted}; this undoes it:\n    {}", back.unwrap_or_default()).map_err(written)
    } else {
        writeln!(out, "not written: {quoted}").map_err(written)
    }
}

/// The text of a file of settings, in which some have new values.
fn with_settings(text: &str, settings: &[&str]) -> String {
    let new: BTreeMap<&str, &str> = settings.iter().filter_map(|setting| setting.split_once('=')).collect();
    let is_old = |line: &&str| {
        let name = line.split_once('=').map(|(name, _)| name.trim().trim_start_matches('-'));
        name.is_some_and(|name| new.contains_key(name))
    };
    let mut lines: Vec<String> = text.lines().filter(|line| !is_old(line)).map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push("# written by ipvsadm --check --fix --persist".to_owned());
    }
    lines.extend(new.iter().map(|(name, value)| format!("{name} = {value}")));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_replace_those_of_before() {
        let first = with_settings("", &["net.ipv4.ip_forward=1", "net/ipv4/conf/eth0.7/rp_filter=2"]);
        let heading = "# written by ipvsadm --check --fix --persist\n";
        assert_eq!(first, format!("{heading}net.ipv4.ip_forward = 1\nnet/ipv4/conf/eth0.7/rp_filter = 2\n"));
        let second = with_settings(&first, &["net/ipv4/conf/eth0.7/rp_filter=0"]);
        assert_eq!(second, format!("{heading}net.ipv4.ip_forward = 1\nnet/ipv4/conf/eth0.7/rp_filter = 0\n"));
        assert_eq!(with_settings("# x\na = 1\n", &["b=2"]), "# x\na = 1\nb = 2\n");
    }
}
