//! Commands carried out: each a few calls of the client.

use std::io::Write;
use std::path::Path;

use ipvs::{Client, Info};

use crate::command::{Command, Manner};
use crate::list::text::Texts;
use crate::messages::{self, Failure, Result};
use crate::names::Resolver;
use crate::{args, check, list, open, restore, rule, save};

/// What the original calls itself, for scripts that look for it.
const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)";

/// The kernel and the resolver, for as long as the program runs.
pub(crate) struct Session {
    pub(crate) client: Client,
    info: Info,
    pub(crate) resolver: Resolver,
    /// The name the program was called by.
    pub(crate) program: String,
}

impl Session {
    pub(crate) fn open(program: String, resolver: Resolver) -> Result<Self> {
        let (client, info) = open::open()?;
        Ok(Self::over(client, info, program, resolver))
    }

    pub(crate) fn over(client: Client, info: Info, program: String, resolver: Resolver) -> Self {
        Self { client, info, resolver, program }
    }

    /// Carries out a command.
    pub(crate) fn run(&mut self, command: &Command, out: &mut impl Write) -> Result<()> {
        match command {
            Command::Change(change) => {
                self.client.apply(change).map_err(|error| messages::refused(&error, Some(change)))
            }
            Command::List(what) => list::list(out, what, &mut self.client, self.info, &mut self.resolver)
                .map_err(|error| unlisted(error, None)),
            Command::Save(what) => save::save(out, what, &mut self.client, &mut self.resolver)
                .map_err(|error| unlisted(error, what.file.as_deref())),
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
        Command::Show(change) => rule::change(out, change, &mut Texts::numeric()),
        Command::Check(what) => return check::real_server(what, out),
        Command::Restore(what) if what.dry && matches!(what.manner, Manner::Stream | Manner::Replace) => {
            return Some(restore::show(what, program, resolver, out));
        }
        _ => return None,
    };
    Some(written.map_err(|error| messages::unwritten(&error)))
}

/// A listing or a save failed: the kernel, or what was written to.
fn unlisted(error: anyhow::Error, path: Option<&Path>) -> Failure {
    let error = match error.downcast::<ipvs::Error>() {
        Ok(error) => return messages::refused(&error, None),
        Err(error) => error.downcast().unwrap_or_else(std::io::Error::other),
    };
    let Some(path) = path else { return messages::unwritten(&error) };
    let message = format!("cannot write '{}': {}", path.display(), messages::reason(&error));
    Failure { status: messages::STATUS_LIST, message, restore_goes_on: false }
}
