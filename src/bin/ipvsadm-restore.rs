//! `ipvsadm-restore`: the table from stdin, in place of the one there is. The work is that of `ipvsadm -R --replace`.

#[path = "ipvsadm/sibling.rs"]
mod sibling;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The original takes no notice of any words.
    sibling::become_ipvsadm(&["-R", "--replace"])
}
