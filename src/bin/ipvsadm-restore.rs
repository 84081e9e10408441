//! `ipvsadm-restore [--file PATH]`: the table from stdin or a file, in place of the one there is. The work is that of
//! `ipvsadm -R --replace`.

#[path = "ipvsadm/sibling.rs"]
mod sibling;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words: Vec<OsString> = vec!["-R".into(), "--replace".into()];
    // The original takes no notice of any words.
    let mut given = std::env::args_os().skip_while(|word| word != "--file");
    words.extend(given.by_ref().take(2));
    sibling::become_ipvsadm(&words)
}
