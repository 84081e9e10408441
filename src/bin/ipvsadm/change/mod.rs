//! One change: what `--keep` keeps, the change itself, and warnings about likely mistakes.

pub(crate) mod current;
pub(crate) mod keep;
pub(crate) mod warnings;

use std::io::Write;

use crate::command::ChangeRequest;
use crate::format;
use crate::messages::{self, Result, report};
use crate::notes;
use crate::session::Session;
use crate::text::AddressFormatter;
use current::Current;

/// Carries out a change, and warns about likely mistakes.
pub(crate) fn carry_out(session: &mut Session, request: &ChangeRequest, warns: bool) -> Result<()> {
    let current = read_current(session, request, warns)?;
    let change = keep::complete(request, &current)?;
    let applied = session.client()?.apply(&change);
    applied.map_err(|error| session.refused(&error, &change))?;
    notes::follow(std::slice::from_ref(&change), &[]);
    if warns {
        for warning in warnings::about(request, &change, &current) {
            report(&warning);
        }
    }
    Ok(())
}

/// Prints the line of a change; the kernel is needed only for `--keep`.
pub(crate) fn show(session: &mut Session, request: &ChangeRequest, out: &mut impl Write) -> Result<()> {
    let change = if request.keep.is_some() {
        session.info()?;
        keep::complete(request, &read_current(session, request, false)?)?
    } else {
        request.change
    };
    format::change(out, &change, &mut AddressFormatter::numeric())
        .map_err(|error| messages::write_error(&error))
}

fn read_current(session: &mut Session, request: &ChangeRequest, warns: bool) -> Result<Current> {
    match Current::read(session.client()?, request, warns) {
        Err(error) if request.keep.is_some() => Err(session.refused(&error, &request.change)),
        // A warning that cannot be computed is no error.
        current => Ok(current.unwrap_or_default()),
    }
}
