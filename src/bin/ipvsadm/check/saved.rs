//! The saved table: whether it is there, can be read, and says what the kernel has.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ipvs::Client;

use super::Table;
use super::finding::{Finding, Kind};
use crate::apply;
use crate::messages::{self, Failure};
use crate::names::Resolver;
use crate::shell;
use crate::state::State;
use crate::{restore, rule};

/// Where the init scripts and units of the distributions keep it.
const PLACES: [&str; 2] = ["/etc/ipvsadm.rules", "/etc/sysconfig/ipvsadm"];

/// Looks at the file that is named, or at the one that is there.
pub(crate) fn findings(
    named: Option<&Path>,
    table: &Table,
    client: &mut Client,
) -> ipvs::Result<Vec<Finding>> {
    if named.is_none() && is_supervised(Path::new("/proc")) {
        return Ok(Vec::new());
    }
    let path = named.map_or_else(usual_place, Path::to_owned);
    let whole = match fs::read(&path) {
        Ok(whole) => whole,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let is_needed = !table.is_empty();
            return Ok(is_needed
                .then(|| found(Kind::SaveMissing, &path, "the table is saved nowhere".to_owned()))
                .into_iter()
                .collect());
        }
        Err(error) => {
            let what = format!("it cannot be read: {}", messages::reason(&error));
            return Ok(vec![found(Kind::SaveUnreadable, &path, what)]);
        }
    };
    let wanted = match wanted(&whole) {
        Ok(wanted) => wanted,
        Err((kind, what)) => return Ok(vec![found(kind, &path, what)]),
    };
    let steps = State::with_settings(table, client, &wanted)?.steps_to(&wanted);
    Ok(steps.first().map(|step| stale(&path, steps.len(), step)).into_iter().collect())
}

fn stale(path: &Path, steps: usize, first: &crate::state::Step) -> Finding {
    let line = rule::line(&first.change);
    let what = format!("it says otherwise than the table, at {steps} places (ipvsadm -R --diff): {line}");
    found(Kind::SaveStale, path, what)
}

/// Whether a program runs that fills the table from a configuration of its own.
fn is_supervised(proc: &Path) -> bool {
    const SUPERVISORS: [&str; 3] = ["keepalived", "ldirectord", "kube-proxy"];
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut names = processes.filter_map(|process| fs::read_to_string(process.path().join("comm")).ok());
    names.any(|name| SUPERVISORS.contains(&name.trim_end()))
}

fn usual_place() -> PathBuf {
    let [debian, redhat] = PLACES.map(PathBuf::from);
    let is_redhat = !debian.exists() && redhat.parent().is_some_and(Path::is_dir);
    if is_redhat { redhat } else { debian }
}

/// Whatever is wrong with the file, saving the table anew mends it.
fn found(kind: Kind, path: &Path, what: String) -> Finding {
    let words = ["ipvsadm", "-S", "--full", "--file"].map(OsStr::new);
    let cure = shell::line(words.into_iter().chain([path.as_os_str()]).map(OsStr::as_bytes));
    kind.at(&path.display(), what, cure)
}

/// The table that the lines make, of which no name is looked up: whoever answers for it may be away just now.
fn wanted(whole: &[u8]) -> Result<State, (Kind, String)> {
    let mut state = State::default();
    for (line, command) in restore::parsed(whole, "ipvsadm", &mut Resolver::numbers_only()) {
        let at = |message: &str| restore::at_line(line, message);
        match command {
            Ok(command) => apply::made(&mut state, &command, line)
                .map_err(|failure| (Kind::SaveUnreadable, at(&failure.message)))?,
            Err(Failure { message, .. }) if is_of_an_address(&message) => {
                let word = message.split('\'').nth(1).unwrap_or_default();
                return Err((Kind::SaveNames, at(&format!("'{word}' is not in numbers"))));
            }
            Err(Failure { message, .. }) => return Err((Kind::SaveUnreadable, at(message.trim_end()))),
        }
    }
    Ok(state)
}

fn is_of_an_address(message: &str) -> bool {
    [messages::SERVICE.0, messages::SERVER.0].iter().any(|sentence| message.starts_with(sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_judged_by_their_first_fault() {
        for (lines, expected) in [
            ("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n", None),
            ("# nothing\n", None),
            (
                "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r web1:80\n",
                Some((Kind::SaveNames, "line 2: 'web1:80' is not in numbers")),
            ),
            ("-A -t 10.0.0.1:http\n", Some((Kind::SaveNames, "line 1: '10.0.0.1:http' is not in numbers"))),
            (
                "-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n",
                Some((Kind::SaveUnreadable, "line 2: Service already exists")),
            ),
            ("-A -t 10.0.0.1:80\nrubbish\n", Some((Kind::SaveUnreadable, "line 2: Try"))),
            ("-L\n", Some((Kind::SaveUnreadable, "line 1: only"))),
        ] {
            match (wanted(lines.as_bytes()), expected) {
                (Ok(_), None) => {}
                (Err((kind, what)), Some((wanted, start))) => {
                    assert_eq!(kind, wanted, "{lines}");
                    assert!(what.starts_with(start), "{lines}: {what}");
                }
                (result, _) => panic!("{lines}: {result:?}"),
            }
        }
    }

    #[test]
    fn a_supervisor_is_known_by_its_name() {
        let proc = tempfile::tempdir().unwrap();
        let starts = |pid: &str, name: &str| {
            fs::create_dir(proc.path().join(pid)).unwrap();
            fs::write(proc.path().join(pid).join("comm"), format!("{name}\n")).unwrap();
            is_supervised(proc.path())
        };
        assert!(!starts("1", "systemd"));
        assert!(!starts("2", "keepalived-exporter"));
        assert!(starts("3", "keepalived"));
    }
}
