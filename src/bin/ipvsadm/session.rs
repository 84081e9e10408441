//! What a run of the program works with: the kernel, opened when a command first needs it, and the resolver.

use ipvs::{Change, Client, Error, Info};

use crate::connect;
use crate::messages::{Failure, Result};
use crate::refusal;
use crate::resolver::Resolver;

/// The kernel and the resolver, for as long as the program runs.
pub(crate) struct Session {
    client: Option<Client>,
    /// None where it was not asked for.
    info: Option<Info>,
    pub(crate) resolver: Resolver,
    /// The name the program was called by.
    pub(crate) program: String,
}

impl Session {
    pub(crate) fn new(program: String, resolver: Resolver) -> Self {
        Self { client: None, info: None, resolver, program }
    }

    #[cfg(test)]
    pub(crate) fn with_client(client: Client, info: Info, program: String, resolver: Resolver) -> Self {
        Self { client: Some(client), info: Some(info), resolver, program }
    }

    /// The client.
    pub(crate) fn client(&mut self) -> Result<&mut Client> {
        self.client_and_resolver().map(|(client, _)| client)
    }

    pub(crate) fn client_and_resolver(&mut self) -> Result<(&mut Client, &mut Resolver)> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(connect::open()?),
        };
        Ok((client, &mut self.resolver))
    }

    /// The version, which is refused where every command would be. A single change does without it, and is refused
    /// itself: two system calls fewer.
    pub(crate) fn info(&mut self) -> Result<Info> {
        if let Some(info) = self.info {
            return Ok(info);
        }
        let info = connect::info(self.client()?)?;
        self.info = Some(info);
        Ok(info)
    }

    /// A change was refused: the only one, perhaps, as all would be.
    pub(crate) fn refused(&self, error: &Error, change: &Change) -> Failure {
        match (error.errno(), self.info) {
            (Some(libc::EPERM), None) => connect::failure(error),
            _ => refusal::refused(error, Some(change)),
        }
    }
}
