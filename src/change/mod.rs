//! One change: what `--keep` keeps, the change itself, and warnings about likely mistakes.

mod balance;
pub(crate) mod current;
pub(crate) mod keep;
pub(crate) mod warnings;

use std::io::Write;

use crate::command::ChangeRequest;
use crate::format;
use crate::messages::{self, Failure, Result, Surprise, report};
use crate::notes;
use crate::refusal;
use crate::session::Session;
use crate::text::AddressFormatter;
use current::Current;

/// Carries out a change, and warns about likely mistakes.
pub(crate) fn carry_out(session: &mut Session, request: &ChangeRequest, warns: bool) -> Result<()> {
    let current = read_current(session, request, warns)?;
    let change = keep::complete(request, &current, refusal::refused_alone)?;
    let applied = session.client()?.apply(&change);
    applied.map_err(|error| with_readings(session.refused(&error, &change), request))?;
    notes::follow(std::slice::from_ref(&change), &[]);
    if warns {
        let of_balance = balance::about(session.client()?, &change, &current);
        for warning in warnings::about(request, &change, &current).into_iter().chain(of_balance) {
            report(&warning);
        }
    }
    Ok(())
}

/// A refusal, and how words were read that may have been meant otherwise.
fn with_readings(failure: Failure, request: &ChangeRequest) -> Failure {
    let reading = |(word, surprise): &(Vec<u8>, Surprise)| messages::reading(word, *surprise);
    let readings: String = request.surprises.iter().map(reading).collect();
    Failure { message: failure.message + &readings, ..failure }
}

/// Prints the line of a change; the kernel is needed only for `--keep`.
pub(crate) fn show(session: &mut Session, request: &ChangeRequest, out: &mut impl Write) -> Result<()> {
    let change = if request.keep.is_some() {
        session.info()?;
        keep::complete(request, &read_current(session, request, false)?, refusal::refused_alone)?
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
