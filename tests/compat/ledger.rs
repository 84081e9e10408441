//! Judges this tool's outcomes by the table of differences.

use crate::corpus::{Case, Outcome};
use crate::differences::Rule::{Does, NamesObject, NamesRemedy, NamesWord, Takes};
use crate::differences::{TABLE, continued, with_object};

/// Judges outcomes of this tool, and records which entries of the table were needed.
#[derive(Default)]
pub struct Ledger {
    /// Entries, and the cases that needed them.
    needed: Vec<(usize, String)>,
}

impl Ledger {
    /// `None` if `got` is the outcome required of this tool, given the original's outcome and, for a case that this
    /// tool treats differently, the original's `answer` to the case as this tool treats it; otherwise a line about
    /// the failure.
    pub fn judge(
        &mut self,
        case: &Case,
        original: &Outcome,
        answer: Option<&Outcome>,
        got: &Outcome,
    ) -> Option<String> {
        case.mismatch(original, got)?;
        let mut expected = answer.unwrap_or(original).clone();
        let mut needed = Vec::new();
        for (index, difference) in TABLE.iter().enumerate() {
            let changed = match difference.rule {
                Takes(rewrite) => {
                    needed.extend(rewrite(case).map(|_| index));
                    None
                }
                Does(change) => change(case, &expected, got),
                NamesWord(start, end) => Some(continued(case, &expected, got, (start, end), &[": '", " '"])),
                NamesObject(sentence) => Some(with_object(&expected, got, sentence)),
                NamesRemedy(start, end) => Some(continued(case, &expected, got, (start, end), &["; "])),
            };
            if let Some(changed) = changed.filter(|changed| *changed != expected) {
                expected = changed;
                needed.push(index);
            }
        }
        let failure = case.mismatch(&expected, got);
        if failure.is_none() {
            self.needed.extend(needed.into_iter().map(|index| (index, case.id.clone())));
        }
        failure
    }

    /// A line for each entry that its case did not need, so that the table stays true.
    pub fn idle(&self) -> Vec<String> {
        let needed = |index, id| self.needed.iter().any(|(entry, case)| *entry == index && case == id);
        let idle = TABLE.iter().enumerate().filter(|(index, entry)| !needed(*index, entry.case));
        idle.map(|(index, entry)| {
            let detail = match entry.rule {
                NamesWord(start, _) | NamesRemedy(start, _) | NamesObject(start) => start,
                Takes(_) | Does(_) => "",
            };
            let number = index + 1;
            format!(
                "differences.rs: entry {number}, \"{}\" {detail}: makes no difference in the case '{}'",
                entry.heading, entry.case
            )
        })
        .collect()
    }
}
