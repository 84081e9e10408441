//! `--watch`: the table read again and again, as a live view in a terminal, or as plain frames elsewhere.

mod background;
mod columns;
mod draw;
mod input;
mod keys;
mod live;
mod model;
mod number;
mod pages;
mod plain;
mod rate;
mod reading;
mod rows;
mod scene;
mod schedule;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod view;

use std::io::Write;

use model::Model;
use reading::Kernel;

use crate::command::Watch;
use crate::messages::Result;
use crate::session::Session;

/// Shows the table until somebody ends it, or for a number of frames.
pub(crate) fn watch(session: &mut Session, watch: &Watch, out: &mut impl Write) -> Result<()> {
    let info = session.info()?;
    let mut kernel = Kernel::new(session, watch.service);
    let mut model = Model::new(watch.interval);
    // A mistake is told before anything is drawn.
    kernel.first(&mut model)?;
    if terminal::is_there() {
        live::run(kernel, model, info, watch, out)
    } else {
        plain::run(kernel, model, info, watch, out)
    }
}
