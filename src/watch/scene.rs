//! What is drawn.

use std::time::Duration;

use ipvs::Info;

use super::model::Model;
use super::reading::OfServer;
use super::theme::Theme;
use super::view::{Row, View};

/// Everything on the screen.
pub(super) struct Scene<'a> {
    pub(super) info: Info,
    pub(super) interval: Duration,
    pub(super) theme: Theme,
    pub(super) model: &'a Model,
    pub(super) view: &'a View,
    /// The rows of the table, and which of them is the selected one.
    pub(super) rows: &'a [Row],
    pub(super) selected: usize,
    /// Where their page is shown.
    pub(super) connections: Option<&'a OfServer>,
}
