//! Carries out commands: the only place that dispatches a `Command` to its code.

use std::io::Write;

use crate::change;
use crate::change::warnings;
use crate::check;
use crate::cli::help;
use crate::command::{Command, List, ListTarget, RestoreMode};
use crate::connections::Unsettled;
use crate::drain;
use crate::files::atomic_file;
use crate::list;
use crate::messages::{self, Failure, Result};
use crate::progress::Progress;
use crate::refusal;
use crate::rules::restore;
use crate::rules::save;
use crate::session::Session;
use crate::watch;

/// The version line of the original, which scripts look for.
const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)";

/// The line behind it, by which a bug report tells the two programs apart.
const OWN_VERSION: &str = concat!("ipvsadm-rs ", env!("CARGO_PKG_VERSION"), " (Rust)");

/// Carries out the command of a command line, and warns about likely mistakes.
pub(crate) fn command_line(session: &mut Session, command: &Command, out: &mut impl Write) -> Result<()> {
    match command {
        Command::Change(request) => change::carry_out(session, request, warnings::enabled(request)),
        Command::Watch(what) => watch::watch(session, what, out),
        _ => run(session, command, out),
    }
}

/// Carries out a command, or a line of a restore.
pub(crate) fn run<W: Write>(session: &mut Session, command: &Command, out: &mut W) -> Result<()> {
    let written = match command {
        Command::Help(which) => {
            write!(out, "{VERSION}\n{OWN_VERSION}\n{}", help::text(&session.program, *which))
        }
        Command::Version => writeln!(out, "{VERSION}\n{OWN_VERSION}"),
        Command::Change(request) => return change::carry_out(session, request, false),
        Command::Show(request) => return change::show(session, request, out),
        Command::List(what) => {
            let info = session.info()?;
            let (client, resolver) = session.client_and_resolver()?;
            let listed = match what.file.as_deref().filter(|path| !atomic_file::is_standard(path)) {
                None => list::list(out, what, client, info, resolver)
                    .map_err(|error| quiet_listing_failure(error, what)),
                Some(path) => {
                    let fill = |mut out: &mut dyn Write| list::list(&mut out, what, client, info, resolver);
                    atomic_file::write_whole(path, fill).map_err(|error| atomic_file::failure(error, path))
                }
            };
            messages::report_unanswered(session.resolver.unanswered());
            return listed;
        }
        Command::Save(what) => {
            session.info()?;
            let (client, resolver) = session.client_and_resolver()?;
            let saved = save::save(out, what, client, resolver)
                .map_err(|error| save::save_failure(error, what).unwrap_or_else(listing_failure));
            messages::report_unanswered(session.resolver.unanswered());
            return saved;
        }
        Command::Restore(what)
            if what.dry && matches!(what.mode, RestoreMode::Stream | RestoreMode::Replace) =>
        {
            return restore::show(what, session, out);
        }
        Command::Restore(what) => {
            session.info()?;
            let _progress = match what.mode {
                RestoreMode::Apply => Some(Progress::of("applying the table", None)),
                RestoreMode::Diff => Some(Progress::of("comparing the table", None)),
                RestoreMode::Stream | RestoreMode::Replace => None,
            };
            return restore::restore(session, what, out, run::<W>);
        }
        Command::Watch(_) => return Err(messages::value(messages::ONLY_CHANGES)),
        Command::Ask(wanted) => return check::nobody_has(wanted),
        Command::Check(what) => {
            let _progress = what.fix.is_none().then(|| Progress::of("checking this machine", None));
            if let Some(role) = &what.role {
                return check::real_server(role, what, out);
            }
            session.info()?;
            return check::director(session.client()?, what, out);
        }
        Command::Explain(what) => return check::explain(session, what, out),
        Command::Drain(what) => {
            session.info()?;
            return drain::drain(session.client()?, what, out);
        }
        Command::Undrain(which) => {
            session.info()?;
            return drain::undrain(session.client()?, which, out);
        }
    };
    written.map_err(|error| messages::write_error(&error))
}

/// As [`listing_failure`], but the original prints nothing about some refused listings.
fn quiet_listing_failure(error: anyhow::Error, list: &List) -> Failure {
    let is_refused = matches!(error.downcast_ref(), Some(ipvs::Error::Kernel { .. }));
    if let (ListTarget::Service(id), Some(error)) = (&list.what, error.downcast_ref::<ipvs::Error>()) {
        if error.errno() == Some(libc::ESRCH) {
            return refusal::no_such_service(error, id);
        }
    }
    let failure = listing_failure(error);
    match list.what {
        ListTarget::Timeouts | ListTarget::Daemons if is_refused => {
            Failure { message: String::new(), ..failure }
        }
        _ => failure,
    }
}

/// A listing or a save failed, because of the kernel or of stdout.
fn listing_failure(error: anyhow::Error) -> Failure {
    match error.downcast::<ipvs::Error>() {
        Ok(error) => messages::refused(&error, None),
        Err(error) if error.is::<Unsettled>() => messages::unsettled(),
        Err(error) => messages::write_error(&error.downcast().unwrap_or_else(std::io::Error::other)),
    }
}
