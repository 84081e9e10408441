//! Commands carried out: each a few calls of the client.

use std::io::Write;

use ipvs::{Client, Info};

use crate::command::Command;
use crate::messages::{self, Failure, Result};
use crate::names::Resolver;
use crate::{args, list, open, restore, save};

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
            Command::Help | Command::Version => about(&self.program, command, out),
            Command::Change(change) => {
                self.client.apply(change).map_err(|error| messages::refused(&error, Some(change)))
            }
            Command::List(what) => {
                list::list(out, what, &mut self.client, self.info, &mut self.resolver).map_err(unlisted)
            }
            Command::Save { numeric } => {
                save::save(out, *numeric, &mut self.client, &mut self.resolver).map_err(unlisted)
            }
            Command::Restore { replace } => restore::restore(self, std::io::stdin().lock(), *replace, out),
        }
    }
}

/// Prints the help or the version, which takes no kernel.
pub(crate) fn about(program: &str, command: &Command, out: &mut impl Write) -> Result<()> {
    let mut text = format!("{VERSION}\n");
    if *command == Command::Help {
        text.push_str(&args::clap(program.to_owned()).render_help().to_string());
    }
    out.write_all(text.as_bytes()).map_err(|error| messages::unwritten(&error))
}

/// A listing failed: the kernel, or the output.
fn unlisted(error: anyhow::Error) -> Failure {
    match error.downcast::<ipvs::Error>() {
        Ok(error) => messages::refused(&error, None),
        Err(error) => messages::unwritten(&error.downcast().unwrap_or_else(std::io::Error::other)),
    }
}
