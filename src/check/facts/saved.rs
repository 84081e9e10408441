//! The saved table: where it is, and what its file says.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use ipvs::{Client, Destination, DestinationId, Service, ServiceId};

use super::table::Table;
use crate::check::failure::refused;
use crate::files::atomic_file;
use crate::lookup::Question;
use crate::messages::{self, Result};
use crate::netns;
use crate::notes;
use crate::resolver::Resolver;
use crate::rules::{apply, lines};

/// The paths below `/etc` used by the distributions' init scripts and units.
const PLACES: [&str; 2] = ["ipvsadm.rules", "sysconfig/ipvsadm"];

/// The weights above 0 that servers had: when `--drain` noted them, or else when the table was saved.
pub(crate) fn weights(given: Option<&Path>) -> HashMap<(ServiceId, DestinationId), u32> {
    let path = given.map(Path::to_owned).or_else(usual_place);
    let whole = path.and_then(|path| atomic_file::read(&path).ok()).unwrap_or_default();
    let table = Saved::read(&whole).table;
    let of = |service: &Service| {
        let id = service.id;
        table.destinations(&id).map(move |server| (id, *server)).collect::<Vec<_>>()
    };
    let drained = notes::out().into_iter().map(|((service, _), server)| (service, server));
    let known = table.services().flat_map(of).chain(drained).filter(|(_, server)| server.weight > 0);
    known.map(|(service, server)| ((service, server.id), server.weight)).collect()
}

/// The path that this system's scripts use; none in a network namespace without files of its own.
pub(crate) fn usual_place() -> Option<PathBuf> {
    netns::etc().map(|etc| place_below(&etc))
}

fn place_below(etc: &Path) -> PathBuf {
    let [debian, redhat] = PLACES.map(|place| etc.join(place));
    let is_redhat = !debian.exists() && redhat.parent().is_some_and(Path::is_dir);
    if is_redhat { redhat } else { debian }
}

/// The file of the saved table, beside the kernel's table.
#[derive(Debug)]
pub(crate) struct SavedFile {
    pub(crate) path: PathBuf,
    pub(crate) content: io::Result<Saved>,
    /// The kernel's table, with the settings that the file speaks of.
    pub(crate) current: ipvs::Table,
    /// The servers that were drained, as they were.
    pub(crate) drained: HashMap<(ServiceId, DestinationId), Destination>,
}

/// The given file, or the one at the usual path, if there is one; none of its own where a program fills the table.
pub(crate) fn file(
    given: Option<&Path>,
    table: &Table,
    is_managed: bool,
    client: &mut Client,
) -> Result<Option<SavedFile>> {
    if given.is_none() && is_managed {
        return Ok(None);
    }
    let Some(path) = given.map(Path::to_owned).or_else(usual_place) else { return Ok(None) };
    let content = atomic_file::read(&path).map(|whole| Saved::read(&whole));
    let mut current = ipvs::Table::default();
    if let Ok(saved) = &content {
        for (entry, servers) in table {
            current.put(entry.service, servers.iter().rev().map(|entry| entry.destination));
        }
        current.read_settings(client, &saved.table).map_err(refused)?;
    }
    Ok(Some(SavedFile { path, content, current, drained: notes::out() }))
}

/// The content of a file.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The table that its lines make. Names are not looked up, because the name server may be away.
    pub(crate) table: ipvs::Table,
    /// How many lines were applied.
    pub(crate) rules: usize,
    /// The first line that failed, and why.
    pub(crate) fault: Option<(Fault, String)>,
    /// The lines that cannot be parsed or do not apply.
    pub(crate) wrong: Vec<usize>,
    /// How many lines have names.
    pub(crate) names: usize,
    /// It has comments.
    pub(crate) has_comments: bool,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be parsed, or does not apply.
    Unreadable,
    /// It has a name.
    Name,
}

impl Saved {
    pub(crate) fn read(whole: &[u8]) -> Self {
        const OWN_COMMENTS: [&[u8]; 2] = [b"# saved by ipvsadm ", lines::DRAINED];
        let is_own = |line: &[u8]| OWN_COMMENTS.iter().any(|own| line.starts_with(own));
        let has_comment = |line: &[u8]| line.contains(&b'#') && !is_own(line);
        let mut saved =
            Self { has_comments: whole.split(|byte| *byte == b'\n').any(has_comment), ..Self::default() };
        let mut resolver = Resolver::numbers_only();
        for (line, words) in lines::lines(whole) {
            let result = match lines::parse("ipvsadm", &mut resolver, &words) {
                None => continue, // no words
                Some(command) => command.and_then(|command| apply::apply_line(&mut saved.table, &command)),
            };
            let name = resolver.take_skipped().pop_last().map(Question::into_name);
            match (result, name) {
                (Ok(()), _) => saved.rules += 1,
                (Err(_), Some(name)) => saved.add_name(line, &words, name.as_bytes()),
                (Err(failure), None) => {
                    let what = messages::at_line(line, failure.message.trim_end());
                    saved.fault.get_or_insert((Fault::Unreadable, what));
                    saved.wrong.push(line);
                }
            }
        }
        saved
    }

    fn add_name(&mut self, line: usize, words: &[&[u8]], name: &[u8]) {
        let holds = |word: &&&[u8]| word.windows(name.len().max(1)).any(|part| part == name);
        let word = words.iter().find(holds).copied().unwrap_or(name);
        let what = format!("'{}' is not numeric", messages::text(word));
        self.fault.get_or_insert((Fault::Name, messages::at_line(line, &what)));
        self.names += 1;
    }
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
                Some((Fault::Name, "line 2: 'web1:80' is not numeric")),
            ),
            ("-A -t 10.0.0.1:http\n", Some((Fault::Name, "line 1: '10.0.0.1:http' is not numeric"))),
            (
                "-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n",
                Some((Fault::Unreadable, "line 2: Service already exists")),
            ),
            ("-A -t 10.0.0.1:80\nrubbish\n", Some((Fault::Unreadable, "line 2: Try"))),
            ("-L\n", Some((Fault::Unreadable, "line 1: only"))),
            // A mistyped address is not a name.
            (
                "-A -t 10.0.0.300:80\n",
                Some((
                    Fault::Unreadable,
                    "line 1: illegal virtual server address[:port] specified: '10.0.0.300:80'",
                )),
            ),
            ("-A -t 10.0.0.1:8O\n", Some((Fault::Unreadable, "line 1: illegal virtual"))),
            ("-A -t web.example:80\n", Some((Fault::Name, "line 1: 'web.example:80' is not numeric"))),
            ("-A -t 10.0.0.1:99999\n", Some((Fault::Unreadable, "line 1: illegal virtual"))),
            (
                "-A -t 10.0.0.1:80 -p 9 -M mask.example\n",
                Some((Fault::Name, "line 1: 'mask.example' is not numeric")),
            ),
        ] {
            let saved = Saved::read(lines.as_bytes());
            match (&saved.fault, expected) {
                (None, None) => {}
                (Some((kind, what)), Some((desired, start))) => {
                    assert_eq!(*kind, desired, "{lines}");
                    assert!(what.starts_with(start), "{lines}: {what}");
                }
                (result, _) => panic!("{lines}: {result:?}"),
            }
        }
    }

    #[test]
    fn what_a_file_says_is_counted() {
        let saved = Saved::read(
            b"# saved by ipvsadm 1 on Monday\n-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.0.2\n\n-a -t 10.0.0.1:80 -r web\nx\n-D -t 1.1.1.1:1\n",
        );
        assert_eq!((saved.rules, saved.names, saved.wrong, saved.has_comments), (2, 1, vec![6, 7], false));
        assert_eq!(saved.table.entries(), 2);
        assert!(Saved::read(b"-A -t 10.0.0.1:80 # the web\n").has_comments);
    }
}
