//! Commands carried out: each a few calls of the client.

use std::io::Write;

use ipvs::{Change, Client, Info};

use crate::before::Before;
use crate::command::{Asked, Command, Manner, What};
use crate::list::text::Texts;
use crate::messages::{self, Failure, Result, report};
use crate::names::Resolver;
use crate::{args, check, keep, list, open, refusal, restore, rule, save, warn};

/// What the original calls itself, for scripts that look for it.
const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)";

/// The kernel and the resolver, for as long as the program runs.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// None where it was not asked for.
    info: Option<Info>,
    pub(crate) resolver: Resolver,
    /// The name the program was called by.
    pub(crate) program: String,
}

impl Session {
    /// Opens what `command` takes.
    pub(crate) fn open(command: &Command, program: String, resolver: Resolver) -> Result<Self> {
        let mut client = open::open()?;
        // A single change is refused itself where all would be: two system calls fewer.
        let is_asked = !matches!(command, Command::Change(_));
        let info = is_asked.then(|| open::info(&mut client)).transpose()?;
        Ok(Self { client, info, resolver, program })
    }

    #[cfg(test)]
    pub(crate) fn over(client: Client, info: Info, program: String, resolver: Resolver) -> Self {
        Self { client, info: Some(info), resolver, program }
    }

    /// Carries out the command of a command line, and warns of what may not be meant.
    pub(crate) fn run_typed(&mut self, command: &Command, out: &mut impl Write) -> Result<()> {
        match command {
            Command::Change(asked) => self.change(asked, warn::wanted(asked)),
            _ => self.run(command, out),
        }
    }

    fn change(&mut self, asked: &Asked, warns: bool) -> Result<()> {
        let before = self.before(asked, warns)?;
        let change = keep::complete(asked, &before)?;
        self.client.apply(&change).map_err(|error| self.refused(&error, &change))?;
        if warns {
            for warning in warn::about(asked, &change, &before) {
                report(&warning);
            }
        }
        Ok(())
    }

    fn before(&mut self, asked: &Asked, warns: bool) -> Result<Before> {
        match Before::read(&mut self.client, asked, warns) {
            Err(error) if asked.keep.is_some() => Err(self.refused(&error, &asked.change)),
            // A warning is not worth a failure.
            before => Ok(before.unwrap_or_default()),
        }
    }

    /// A change was refused: the only one, perhaps, as all would be.
    fn refused(&self, error: &ipvs::Error, change: &Change) -> Failure {
        match (error.errno(), self.info) {
            (Some(libc::EPERM), None) => open::failure(error),
            _ => refusal::refused(error, Some(change)),
        }
    }

    /// Carries out a command, or a line of a restore.
    pub(crate) fn run(&mut self, command: &Command, out: &mut impl Write) -> Result<()> {
        match command {
            Command::Change(asked) => self.change(asked, false),
            Command::Show(asked) if asked.keep.is_some() => {
                let before = self.before(asked, false)?;
                show(&keep::complete(asked, &before)?, out).map_err(|error| messages::unwritten(&error))
            }
            Command::List(what) => {
                let info = self.info.unwrap_or_default();
                list::list(out, what, &mut self.client, info, &mut self.resolver).map_err(|error| {
                    let is_refused = matches!(error.downcast_ref(), Some(ipvs::Error::Kernel { .. }));
                    let failure = unlisted(error);
                    // Of these the original says nothing.
                    match what.what {
                        What::Timeouts | What::Daemons if is_refused => {
                            Failure { message: String::new(), ..failure }
                        }
                        _ => failure,
                    }
                })
            }
            Command::Save(what) => save::save(out, what, &mut self.client, &mut self.resolver)
                .map_err(|error| save::unsaved(error, what)),
            Command::Restore(what) => restore::restore(self, what, out),
            Command::Check(what) => check::director(self, what, out),
            Command::Help | Command::Version | Command::Show(_) => {
                without_kernel(command, &self.program, &mut self.resolver, out).unwrap_or(Ok(()))
            }
        }
    }
}

/// Carries out a command that takes no kernel; none if this one does.
pub(crate) fn without_kernel(
    command: &Command,
    program: &str,
    resolver: &mut Resolver,
    out: &mut impl Write,
) -> Option<Result<()>> {
    let written = match command {
        Command::Help => write!(out, "{VERSION}\n{}", args::clap(program.to_owned()).render_help()),
        Command::Version => writeln!(out, "{VERSION}"),
        Command::Show(asked) if asked.keep.is_none() => show(&asked.change, out),
        Command::Check(what) => return check::real_server(what, out),
        Command::Restore(what) if what.dry && matches!(what.manner, Manner::Stream | Manner::Replace) => {
            return Some(restore::show(what, program, resolver, out));
        }
        _ => return None,
    };
    Some(written.map_err(|error| messages::unwritten(&error)))
}

fn show(change: &Change, out: &mut impl Write) -> std::io::Result<()> {
    rule::change(out, change, &mut Texts::numeric())
}

/// A listing or a save failed: the kernel, or stdout.
pub(crate) fn unlisted(error: anyhow::Error) -> Failure {
    match error.downcast::<ipvs::Error>() {
        Ok(error) => messages::refused(&error, None),
        Err(error) => messages::unwritten(&error.downcast().unwrap_or_else(std::io::Error::other)),
    }
}
