//! State of one run of the program: the kernel, opened when a command first needs it, and the resolver.

use ipvs::{Change, Client, Error, Info};

use crate::connect;
use crate::messages::{Failure, Result};
use crate::refusal;
use crate::resolver::Resolver;

/// The kernel and the resolver, for as long as the program runs.
pub(crate) struct Session {
    open: fn() -> ipvs::Result<Client>,
    client: Option<Client>,
    /// None until it is first needed.
    info: Option<Info>,
    pub(crate) resolver: Resolver,
    /// The name the program was called by.
    pub(crate) program: String,
}

impl Session {
    pub(crate) fn new(program: String, resolver: Resolver) -> Self {
        Self { open: Client::open, client: None, info: None, resolver, program }
    }

    /// The same for a single change.
    pub(crate) fn for_a_change(self, change: &Change) -> Self {
        match change {
            // It is looked for in a list that is broken off, whose socket is busy then. A second one cannot be opened at that
            // moment by the library: the thread may be in another network namespace.
            Change::EditDestination { .. } => self,
            _ => Self { open: Client::open_for_changes, ..self },
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn with_client(client: Client, info: Info, program: String, resolver: Resolver) -> Self {
        Self { open: Client::open, client: Some(client), info: Some(info), resolver, program }
    }

    /// The client.
    pub(crate) fn client(&mut self) -> Result<&mut Client> {
        self.client_and_resolver().map(|(client, _)| client)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.client.is_some()
    }

    /// Closes the client; the next use opens another.
    pub(crate) fn close(&mut self) {
        self.client = None;
    }

    pub(crate) fn client_and_resolver(&mut self) -> Result<(&mut Client, &mut Resolver)> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(connect::open(self.open)?),
        };
        Ok((client, &mut self.resolver))
    }

    /// Version and table size. The request is refused wherever every command would be. A single change skips it,
    /// which saves two system calls, and is refused itself.
    pub(crate) fn info(&mut self) -> Result<Info> {
        if let Some(info) = self.info {
            return Ok(info);
        }
        let info = connect::info(self.client()?)?;
        self.info = Some(info);
        Ok(info)
    }

    /// A change was refused. Without an earlier request the cause may be a missing privilege.
    pub(crate) fn refused(&self, error: &Error, change: &Change) -> Failure {
        match (error.errno(), self.info) {
            (Some(libc::EPERM), None) => connect::failure(error),
            _ => refusal::refused_alone(error, change),
        }
    }
}
