//! stub
use crate::corpus::{Case, Outcome};
#[derive(Default)]
pub struct Ledger;
impl Ledger {
    pub fn judge(
        &mut self,
        case: &Case,
        expected: &Outcome,
        _answer: Option<&Outcome>,
        got: &Outcome,
    ) -> Option<String> {
        case.mismatch(&expected.with_help_of(got), got)
    }
    pub fn idle(&self) -> Vec<String> {
        vec![]
    }
}
pub fn rewritten(_c: &Case) -> Option<Case> {
    None
}
