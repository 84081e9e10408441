//! `--check`: examines this machine, as a director or as a real server, and prints what is wrong, why it matters, and
//! the command that fixes it. It changes nothing.
//!
//! `facts` are what this machine is, `firewall` what its packet filters do; `checks` compute findings from them, `finding`
//! is the table of these and `fix` what mends them; `show` prints them, `repair` carries fixes out, `way` explains one packet.

mod checks;
mod director;
mod facts;
mod failure;
mod finding;
mod firewall;
mod fix;
mod repair;
mod server;
mod show;
#[cfg(test)]
mod tests;
mod verdict;
mod way;

use std::io::Write;

use ipvs::Client;

use crate::command::{Check, RealServer};
use crate::lines::terminal_width;
use crate::messages::{Failure, Result};
use crate::supervisors::Supervisors;
use failure::{STATUS_FINDINGS, refused, report_unseen, unwritten};
use finding::without_duplicates;
use repair::{Seen, repair};

pub(crate) use facts::wanted::nobody_has;
pub(crate) use way::explain;

/// Checks this machine as a director.
pub(crate) fn director(client: &mut Client, check: &Check, out: &mut impl Write) -> Result<()> {
    run(|| look_at_director(client, check), check, out)
}

/// Checks this machine as a real server; needs no IPVS.
pub(crate) fn real_server(role: &RealServer, check: &Check, out: &mut impl Write) -> Result<()> {
    run(|| look_at_server(role), check, out)
}

fn run(mut look: impl FnMut() -> Result<Seen>, check: &Check, out: &mut impl Write) -> Result<()> {
    match check.fix {
        Some(fix) => repair(look, check, fix, out),
        None => print(&look()?, check, out),
    }
}

fn look_at_director(client: &mut Client, check: &Check) -> Result<Seen> {
    let table = facts::table::read(client).map_err(refused)?;
    let mut director = director::read(client, table, check.file.as_deref(), check.probe)?;
    let Supervisors { fill_table, are_hidden, .. } = director.supervisors;
    director.saved =
        facts::saved::file(check.file.as_deref(), &director.table, fill_table.is_some(), client)?;
    let findings = director.findings();
    // What undoes a change is its difference.
    let table = check.fix.map(|_| ipvs::Table::read(client)).transpose().map_err(refused)?;
    let mut unseen = [director.unseen, director.rules.unseen].concat();
    unseen.extend(are_hidden.then(|| failure::HIDDEN.to_owned()));
    let is_managed = fill_table.is_some() || are_hidden;
    Ok(Seen { findings: without_duplicates(findings), unseen, table, is_managed })
}

fn look_at_server(role: &RealServer) -> Result<Seen> {
    let server = server::read(*role)?;
    let findings = without_duplicates(server.findings());
    Ok(Seen { findings, unseen: server.rules.unseen, table: None, is_managed: false })
}

fn print(seen: &Seen, check: &Check, out: &mut impl Write) -> Result<()> {
    let Seen { findings, unseen, .. } = seen;
    report_unseen(unseen);
    let written = show::show(out, findings, check.json, terminal_width()).and_then(|()| out.flush());
    written.map_err(|error| unwritten(&error))?;
    if findings.is_empty() { Ok(()) } else { Err(Failure::reported(STATUS_FINDINGS)) }
}
