//! `ipvsadm`: administers the virtual services of the kernel's load balancer.
//!
//! From words to exit status: `cli` parses the words into a `Command`, `run` carries it out.

#![cfg_attr(any(fuzzing, all(target_env = "gnu", not(test))), no_main)]

mod balance;
mod change;
mod check;
mod cli;
mod command;
mod common;
mod connect;
mod connections;
mod drain;
#[cfg(all(target_env = "gnu", not(any(test, fuzzing))))]
mod entry;
mod files;
mod format;
#[cfg(any(fuzzing, test))]
#[allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::big_endian_bytes,
    reason = "a test ends where it fails"
)]
mod fuzz;
mod json;
mod lines;
mod list;
mod lookup;
mod messages;
mod nearest;
mod netns;
mod notes;
mod option_table;
mod output;
mod places;
mod programs;
mod progress;
mod refusal;
mod resolver;
mod rules;
mod run;
mod seen;
mod session;
mod shell;
mod supervisors;
mod sysctl;
#[cfg(test)]
mod tests;
mod text;
mod watch;

use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use cli::siblings::Sibling;
use command::Command;
use messages::Result;
use output::Output;
use resolver::Resolver;
use session::Session;

/// Where `entry` does not begin the program, and in tests.
#[cfg(any(test, not(target_env = "gnu")))]
fn main() -> std::process::ExitCode {
    start(true).into()
}

/// Runs the program; returns its status.
fn start(is_stdout_open: bool) -> u8 {
    let mut out = Output::new(is_stdout_open);
    let result = carry_out(&mut out);
    let written = out.flush().map_err(|error| messages::write_error(&error));
    match result.and(written) {
        Ok(()) => 0,
        Err(failure) => {
            if !failure.message.is_empty() {
                messages::report(&failure.message);
            }
            failure.status
        }
    }
}

fn carry_out(out: &mut impl Write) -> Result<()> {
    let mut words = std::env::args_os();
    let program = words.next().map_or("ipvsadm".to_owned(), |program| messages::text(program.as_bytes()));
    let words: Vec<_> = words.collect();
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    // One file may be all three programs, by links.
    let own_name = program.rsplit('/').next().unwrap_or_default();
    let (sibling, words) = match (Sibling::named(own_name.as_bytes()), &words[..]) {
        (None, [word, name, words @ ..]) if *word == common::AS.as_bytes() => match Sibling::named(name) {
            Some(sibling) => (Some(sibling), words),
            None => return Err(messages::try_help(&program, Some(name), "it is not a sibling of ipvsadm")),
        },
        (sibling, words) => (sibling, words),
    };
    let (namespace, words) = cli::namespace::split(words)?;
    namespace.map_or(Ok(()), |word| netns::enter(&word))?;
    let mut resolver = Resolver::default();
    let command = match sibling {
        Some(sibling) => sibling.parse(&words)?,
        None if words.is_empty() => Command::plain_list(),
        None => cli::parse::parse(&program, &words, &mut resolver)?,
    };
    let mut session = Session::new(program, resolver);
    match &command {
        Command::Change(request) => session = session.for_a_change(&request.change),
        _ => output::outlive_readers(),
    }
    let result = run::command_line(&mut session, &command, out);
    // The sockets are closed when the process exits.
    std::mem::forget(session);
    result
}
